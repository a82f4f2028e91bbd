"""The model card: what a person must know before trusting a model, as markdown."""

from streamscore.core.bundle import Manifest


def card(manifest: Manifest) -> str:
    """One page on a model: data, split, quality beside baselines, thresholds."""
    data, metrics = manifest.data, manifest.metrics
    rows = {"**this model**": metrics["test"], **metrics["baselines"]}
    table = "\n".join(
        f"| {name} | {f['auc']:.4f} | {f['average_precision']:.4f} | {f['brier']:.5f} | {f['ece']:.5f} |"
        for name, f in rows.items()
    )
    missing = ", ".join(f"{name} {count:,}" for name, count in data["cleaned"]["missing_values"].items()) or "none"
    review, alerts = manifest.thresholds, metrics["at_thresholds"]
    return f"""# {manifest.event_type} model {manifest.version}

Trained at {manifest.trained_at:%Y-%m-%d %H:%M} UTC on events from {data["first_event"]} to {data["last_event"]}.

- Events: {data["train"]:,} to train, {data["validation"]:,} to choose, {data["test"]:,} to judge; {data["positives"]:,}
  positives in all.
- Split {data["split"]}.
- Left out: {data["cleaned"]["repeated_events"]:,} repeats of an event, {data["cleaned"]["without_a_mature_label"]:,}
  events without a mature label. Outliers are clipped by the scaler, never left out.
- Missing values, taken as the median and flagged: {missing}.

## Quality on the test part

| model | AUC | average precision | Brier | ECE |
|---|---|---|---|---|
{table}

## Decisions

Reviewed from a risk of {review.review:.5f}, declined from {review.decline:.5f}. On the test part that alerts on
{alerts["alerted"]:.2%} of events and declines {alerts["declined"]:.2%}; of the alerts {alerts["precision"]:.1%} are
right, and they hold {alerts["recall"]:.1%} of all positives.

Reasons are integrated gradients against the typical event of the training part.
"""
