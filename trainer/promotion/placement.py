"""Which alias a new bundle earns."""

from typing import NamedTuple

from streamscore.core.scoring.bundle import Manifest
from streamscore.errors import BundleError, StoreUnreachable
from streamscore.models.store import ModelStore


class Placed(NamedTuple):
    """The alias that a bundle got, None for none, and why it is not the champion although its verdict was promotion."""

    alias: str | None
    why: str = ""


def place(store: ModelStore, manifest: Manifest, promote: bool, taken: bool = False) -> Placed:
    """Give a new bundle the alias that its verdict earns: champion, challenger, or none; `promote` overrules it.

    A champion that it was not judged beside is not replaced. While the challenger's place is `taken` by one that waits
    for its answers, another does not get it.
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
    """Whether another bundle has the champion's weights: there is nothing to compare."""
    try:
        theirs = store.manifest(champion).metrics.get("weights")
    except StoreUnreachable:
        raise
    except BundleError:  # a damaged champion keeps nobody from its place
        return False
    return theirs is not None and theirs == manifest.metrics.get("weights")
