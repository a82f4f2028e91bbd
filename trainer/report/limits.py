"""What a model does not know, or is not good at, in sentences: for its card and its report."""

from streamscore.core.scoring.bundle import Manifest
from trainer.evaluation.evaluate import doubt

# Below it the lowest rate of alerts is called far from the highest: the four-fifths rule (EEOC 1978, 29 CFR 1607.4).
ALIKE = 0.8
# Features named in a sentence.
NAMED = 5


def limits(manifest: Manifest) -> list[str]:
    """What to know before trusting a model."""
    data, metrics = manifest.data, manifest.metrics
    last, weakness = data["last_event"][:10], doubt(metrics)
    return [
        *([f"Think twice: {weakness}."] if weakness else []),
        f"It has seen nothing after {last}, and no kind of event that was rare before.",
        *_weakest(manifest),
        *_moved(manifest),
        *_unlike(manifest),
        "Figures stand or fall with the labels: a positive that nobody reported counts as a negative, or not at all.",
        "Reasons are integrated gradients against the typical event of the training part: what moved this risk, not "
        "what caused the answer.",
    ]


def _weakest(manifest: Manifest) -> list[str]:
    """The segment that is ranked worst, of those with enough positives to say so."""
    least = manifest.settings["gates"]["positives"]
    judged = [s for s in manifest.metrics["segments"] if s["auc"] is not None and s["positives"] >= least]
    if not judged:
        return []
    worst = min(judged, key=lambda segment: segment["auc"])
    whole = manifest.metrics["test"]["auc"]
    return [f"It ranks worst where {worst['field']} is {worst['value']}: AUC {worst['auc']:.4f}, {whole:.4f} in all."]


def _moved(manifest: Manifest) -> list[str]:
    """Risks and features that lie otherwise in the test part than in training."""
    said = [
        f"Risks of the test part lie otherwise than those of the {name} part: PSI {found['psi']:.3f}, the "
        f"threshold is {found['threshold']:.3f}."
        for name, found in manifest.metrics["stability"].items()
        if found["psi"] > found["threshold"]
    ]
    drifted = [name for name, found in manifest.metrics["drift"].items() if found["psi"] > found["threshold"]]
    if drifted:
        more = f" and {len(drifted) - NAMED} more" if len(drifted) > NAMED else ""
        said.append(f"These features moved since training: {', '.join(drifted[:NAMED])}{more}.")
    return said


def _unlike(manifest: Manifest) -> list[str]:
    return [
        f"Alerts differ between groups of {field}: the lowest rate is {found['ratio']:.2f} of the highest."
        for field, found in manifest.metrics["fairness"].items()
        if found["ratio"] is not None and found["ratio"] < ALIKE
    ]
