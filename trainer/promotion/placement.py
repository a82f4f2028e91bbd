"""Give a new bundle its alias: champion, challenger or none."""

from typing import NamedTuple

from streamscore.core.scoring.bundle import Manifest
from streamscore.errors import BundleError, StoreUnreachable
from streamscore.models.store import ModelStore


class Placed(NamedTuple):
    """The alias of a bundle, None for none; `why` says why a bundle with the verdict promote is not the champion."""

    alias: str | None
    why: str = ""


def place(store: ModelStore, manifest: Manifest, promote: bool, taken: bool = False) -> Placed:
    """Give a new bundle the alias that its verdict earns: champion, challenger, or none; `promote` overrules it.

    A bundle replaces only the champion that it was judged against. `taken` says that the present challenger still waits
    for its labels: then it keeps its alias.
    """
    judgement, champion = manifest.metrics["judgement"], store.alias("champion")
    if promote or (judgement["verdict"] == "promote" and champion in (judgement["champion"], manifest.version)):
        store.promote(manifest.version)
        return Placed("champion")
    why = ""
    if judgement["verdict"] == "promote":
        was, now = judgement["champion"] or "none", champion or "none"
        why = f"it was judged beside the champion {was}, and the champion is {now} now"
    if judgement["verdict"] == "reject" or taken:
        return Placed(None, why)
    if champion and _alike(store, champion, manifest):
        return Placed(None, f"it has learnt the same as the champion {champion}, to the last bit")
    before = store.alias("challenger")
    store.point("challenger", manifest.version)
    gone = f"it takes the place of the challenger {before}, which waits for no answers" if before else ""
    return Placed("challenger", "; ".join(filter(None, (why, gone))))


def _alike(store: ModelStore, champion: str, manifest: Manifest) -> bool:
    """Whether the bundle has the champion's weights to the last bit: then there is nothing to compare."""
    try:
        theirs = store.manifest(champion).metrics.get("weights")
    except StoreUnreachable:
        raise
    except BundleError:  # a damaged champion does not keep a bundle from becoming challenger
        return False
    return theirs is not None and theirs == manifest.metrics.get("weights")
