"""Sentences that are too long: `python -m tools.prose FILE…` prints each with its number of words."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

MOST_WORDS = 30

_LEFT_OUT = re.compile(r"^ *```.*?^ *```|<!--.*?-->|^\|.*?$|^#.*?$|^!\[.*?$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_PARAGRAPH = re.compile(r"\n\s*\n|\n(?= *(?:[-*]|\d+\.) )")
_SENTENCE = re.compile(r"(?<=[.!?:])[*_)]*\s+(?=[^a-z])")


def long_sentences(text: str) -> Iterator[tuple[int, str]]:
    """Each sentence of more than 30 words, with its count. Code, tables, headings and links' targets do not count."""
    for paragraph in _PARAGRAPH.split(_LINK.sub(r"\1", _LEFT_OUT.sub("", text))):
        for sentence in _SENTENCE.split(" ".join(re.sub(r"`[^`]*`", "X", paragraph).split())):
            words = len(re.findall(r"\w[\w'’.,/-]*", sentence))
            if words > MOST_WORDS:
                yield words, sentence


if __name__ == "__main__":
    for name in sys.argv[1:]:
        for words, sentence in long_sentences(Path(name).read_text()):
            print(f"{name}: {words} words: {sentence}")
