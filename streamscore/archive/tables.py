"""The tables that an archive holds, and how its upkeep goes through them: one that fails stops none of the others."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from streamscore.archive.routes import is_place, routes
from streamscore.archive.scores import UNCLAIMED
from streamscore.archive.upkeep import children, exists
from streamscore.errors import DataError
from streamscore.settings.schema import Settings

TABLES = ("events", "labels", "scores", "shadow", "refused")


class Tables(NamedTuple):
    """Places below `root`: of the event types of `inputs` and `labels`, and of others, e.g. one that was retired."""

    root: str
    known: list[str]
    others: list[str]

    def url(self, place: str) -> str:
        """Where a table is."""
        return f"{self.root}/{place}"


def tables(settings: Settings) -> Tables:
    """Those at `archive.url`; DataError when there is none."""
    root = settings.archive.url.rstrip("/")
    known = {place.partition("/")[0] for route in routes(settings).values() for place in route.tables}
    names = sorted({name for name in children(root) if is_place(name)} | known)
    places = [f"{name}/{table}" for name in names for table in TABLES] + [UNCLAIMED]
    found = [place for place in places if exists(f"{root}/{place}")]
    if not found:
        raise DataError(f"{settings.archive.url} holds no tables")
    others = [place for place in found if place.partition("/")[0] not in known]
    return Tables(root, [place for place in found if place not in others], others)


def upkeep(places: Sequence[str], work: Callable[[str], str], others: Sequence[str] = ()) -> Iterator[str]:
    """Work at each place, and a line on what was done; DataError after the last when one failed, or `others` are."""
    failures = []
    for place in places:
        try:
            yield f"{place}: {work(place)}"
        except DataError as error:
            failures.append(str(error))
    if others:
        there = f"of event types that are in neither inputs nor labels: {', '.join(others)}"
        failures.append(f"not touched, as they are {there}; name those there, or delete these tables")
    if failures:
        raise DataError("; ".join(failures))
