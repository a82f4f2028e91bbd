"""A hook of mkdocs: links to files outside docs/ work on the repository's pages, and become plain paths on the site."""

import re
from typing import Any

_UPWARDS = re.compile(r"\[([^\]]+)\]\(((?:\.\./)+)([^)\s]+)\)")


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """The page's text, where a link that leaves docs/ is its text with the file's path beside it."""
    depth = page.file.src_uri.count("/")

    def followed(link: re.Match[str]) -> str:
        text, upwards, path = link.groups()
        if upwards.count("../") <= depth:
            return link[0]
        return f"`{path}`" if path.endswith(text.strip("`")) else f"{text} (`{path}`)"

    return _UPWARDS.sub(followed, markdown)
