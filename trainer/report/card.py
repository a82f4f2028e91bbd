"""The model card: what a person must know before trusting a model, as a page of markdown."""

import html
from collections.abc import Sequence
from typing import Any

from streamscore.core.scoring.bundle import Manifest
from trainer.evaluation.thresholds import decided
from trainer.report.limits import limits

# Segments on the page: those with most events, and those of the others that are ranked worst. The report has them all.
LARGEST, WORST = 8, 4


def card(manifest: Manifest) -> str:
    """One page on a model: verdict, data, quality beside baselines and by segment, thresholds, limits."""
    data, metrics = manifest.data, manifest.metrics
    judgement = metrics["judgement"]
    missing = (
        ", ".join(f"{_cell(name)} {count:,}" for name, count in data["cleaned"]["missing_values"].items()) or "none"
    )
    beside = f", beside the champion {_cell(judgement['champion'])}" if judgement["champion"] else ""
    return f"""# {_cell(manifest.event_type)} model {manifest.version}

**Verdict: {judgement["verdict"]}**{beside}.

{_listed(judgement["reasons"])}

Trained at {manifest.trained_at:%Y-%m-%d %H:%M} UTC on events from {data["first_event"]} to {data["last_event"]}.

- Events: {data["train"]:,} to train, {data["validation"]:,} to choose, {data["test"]:,} to judge; {data["positives"]:,}
  positives in all.
- Split {data["split"]}.
- Left out: {data["cleaned"]["repeated_events"]:,} repeats of an event, {data["cleaned"]["without_a_mature_label"]:,}
  events without a mature label. Outliers are clipped by the scaler, never left out.
- Missing values, taken as the median and flagged: {missing}.

## Quality on the test part

{_table("model", [("**this model**", metrics["test"]), *metrics["baselines"].items()])}

{_segments(metrics["segments"])}## Decisions

{decided(manifest)}

## Limits

{_listed(limits(manifest))}
"""


def _segments(segments: Sequence[dict[str, Any]]) -> str:
    if not segments:
        return ""
    by_size = sorted(segments, key=lambda segment: -segment["events"])
    ranked = [segment for segment in by_size[LARGEST:] if segment["auc"] is not None]
    most = by_size[:LARGEST] + sorted(ranked, key=lambda segment: float(segment["auc"]))[:WORST]
    left = f"\n\n{len(segments) - len(most)} more are in the report." if len(segments) > len(most) else ""
    rows = [(f"{_cell(s['field'])} {_cell(s['value'])}, {s['positives']:,} of {s['events']:,}", s) for s in most]
    return f"### By segment\n\n{_table('segment, positives of events', rows)}{left}\n\n"


def _table(first: str, rows: Sequence[tuple[str, dict[str, Any]]]) -> str:
    lines = [
        f"| {name} | {_number(f['auc'])} | {_number(f['average_precision'])} | {_number(f['precision_at_budget'])} "
        f"| {_number(f['recall_at_1_percent'])} | {_number(f['ece'], 5)} |"
        for name, f in rows
    ]
    head = (
        f"| {first} | AUC | average precision | precision at budget | recall at 1 % | ECE |\n|---|---|---|---|---|---|"
    )
    return "\n".join([head, *lines])


def _listed(sentences: Sequence[str]) -> str:
    return "\n".join(f"- {html.escape(sentence, quote=False)}" for sentence in sentences)


def _number(value: float | None, decimals: int = 4) -> str:
    return "–" if value is None else f"{value:.{decimals}f}"


def _cell(text: str) -> str:
    """A value as it may stand in a table: no markup of its own."""
    return html.escape(" ".join(text.split()), quote=False).replace("|", "\\|")
