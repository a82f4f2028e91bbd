"""A report's page: the verdict and what it rests on, as one HTML file that needs nothing else.

It is built as a tree whose text is escaped when it is written, so a value can never become markup.
"""

import base64
from collections.abc import Iterable, Sequence
from typing import Any
from xml.etree import ElementTree as ET

from streamscore.core.scoring.bundle import Manifest
from trainer.evaluation.thresholds import decided
from trainer.report.limits import limits
from trainer.report.plots import Plot

FIGURES = {
    "auc": "AUC",
    "average_precision": "average precision",
    "precision_at_budget": "precision at the alert budget",
    "recall_at_1_percent": "recall at 1 % false positives",
    "ks": "KS",
    "brier": "Brier",
    "ece": "ECE",
}
# Nothing may be fetched and nothing run, whatever the page should hold.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
STYLE = """
:root { color-scheme: light dark; --ink: #24292f; --soft: #57606a; --page: #f6f8fa; --card: #fff; --line: #d9dde2;
  --promote: #1a7f4b; --shadow: #8a5a00; --reject: #b42318; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e8eb; --soft: #a3abb5; --page: #0b0c0e; --card: #121212; --line: #32373d;
    --promote: #57c98b; --shadow: #e3b341; --reject: #ff8d80; }
  img { filter: invert(.93) hue-rotate(180deg); } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; }
main { max-width: 70rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2.5rem 0 .75rem; }
h3 { font-size: 1rem; margin: 1.5rem 0 .5rem; overflow-wrap: anywhere; }
p { margin: .4rem 0; } .soft { color: var(--soft); }
.verdict, .scroll, figure { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; }
.verdict { margin-top: 1rem; padding: .75rem 1rem; border-left: .4rem solid var(--verdict); }
.verdict strong { color: var(--verdict); font-size: 1.2rem; }
.promote { --verdict: var(--promote); } .shadow { --verdict: var(--shadow); } .reject { --verdict: var(--reject); }
ul { padding-left: 1.2rem; margin: .4rem 0; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { padding: .4rem .75rem; text-align: left; vertical-align: top; border-top: 1px solid var(--line); }
thead th { border-top: 0; color: var(--soft); font-weight: 600; vertical-align: bottom; }
tbody th { font-weight: 600; min-width: 7rem; overflow-wrap: anywhere; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
td.number { white-space: nowrap; }
td.words { min-width: 12rem; overflow-wrap: anywhere; } small { font-weight: 400; }
.fails { color: var(--reject); font-weight: 600; }
.plots { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(26rem, 100%), 1fr)); }
figure { margin: 0; padding: .75rem; } figure h3 { margin: 0 0 .5rem; }
img { display: block; width: 100%; height: auto; }
figcaption { font-size: .85rem; color: var(--soft); margin-top: .5rem; overflow-wrap: anywhere; }
details { margin-top: .5rem; } summary { cursor: pointer; }
"""

Child = ET.Element | str


def page(manifest: Manifest, plots: Sequence[Plot]) -> bytes:
    """The whole page, UTF-8."""
    title = f"{manifest.event_type} model {manifest.version}"
    head = _e(
        "head",
        _e("meta", charset="utf-8"),
        _e("meta", name="viewport", content="width=device-width, initial-scale=1"),
        _e("meta", http_equiv="Content-Security-Policy", content=POLICY),
        _e("title", title),
        _e("style", STYLE),
    )
    parts = (*_summary(manifest), *_quality_of(manifest), *_plots(plots), *_apart(manifest.metrics))
    body = _e("body", _e("main", _e("h1", title), *parts))
    whole = _e("html", head, body, lang="en")
    return b"<!DOCTYPE html>\n" + ET.tostring(whole, encoding="unicode", method="html").encode()


def _summary(manifest: Manifest) -> Iterable[ET.Element]:
    data, judgement = manifest.data, manifest.metrics["judgement"]
    beside = f"compared with the champion {judgement['champion']}" if judgement["champion"] else "there was no champion"
    yield _e(
        "p",
        f"Trained at {manifest.trained_at:%Y-%m-%d %H:%M} UTC on events from {data['first_event'][:16]} to "
        f"{data['last_event'][:16]}: {data['train']:,} to train, {data['validation']:,} to choose, {data['test']:,} to "
        f"judge; {data['positives']:,} positives in all. Split {data['split']}.",
        class_="soft",
    )
    verdict = _e("p", _e("strong", judgement["verdict"]), f", {beside}")
    yield _e("div", verdict, _listed(judgement["reasons"]), class_=f"verdict {judgement['verdict']}")
    yield _e("h2", "Limits")
    yield _listed(limits(manifest))
    yield _e("h2", "Gates")
    yield _table(("gate", "found"), [_gate(gate) for gate in judgement["gates"]], words=(1,))


def _gate(gate: dict[str, Any]) -> tuple[Child, ...]:
    """A gate's sentence, and its numbers below."""
    holds = ("holds", "soft") if gate["holds"] else (f"does not hold: {gate['otherwise']}", "fails")
    numbers = [f"{name}: {value:.6g}" for name, value in gate["figures"].items()]
    folded = [_e("details", _e("summary", "numbers"), _listed(numbers))] if numbers else []
    name = _e("div", gate["name"], _e("br"), _e("small", holds[0], class_=holds[1]))
    return name, _e("div", gate["said"], *folded)


def _quality_of(manifest: Manifest) -> Iterable[ET.Element]:
    metrics = manifest.metrics
    yield _e("h2", "Quality on the test part")
    yield _quality("model", [("this model", metrics["test"]), *metrics["baselines"].items()])
    yield _e("p", decided(manifest))


def _apart(metrics: dict[str, Any]) -> Iterable[ET.Element]:
    """The same figures by month and by group, and what is compared between groups and parts."""
    yield _e("h2", "By month")
    yield _quality("month", [(month["month"], month) for month in metrics["months"]], counted=True)
    for field in dict.fromkeys(segment["field"] for segment in metrics["segments"]):
        yield _e("h2", f"By {field}")
        rows = [(segment["value"], segment) for segment in metrics["segments"] if segment["field"] == field]
        yield _quality(field, rows, counted=True)
    for field, found in metrics["fairness"].items():
        yield _e("h2", f"Alerts compared between groups of {field}")
        yield _fairness(field, found)
        ratio = "cannot be told of these groups" if found["ratio"] is None else f"is {found['ratio']:.2f}"
        yield _e("p", f"The lowest rate of alerts by the highest, of groups large enough to say so, {ratio}.")
    yield _e("h2", "Stability of risks")
    yield _table(
        ("test part against", "PSI", "threshold"),
        [(name, f"{found['psi']:.4f}", f"{found['threshold']:.4f}") for name, found in metrics["stability"].items()],
    )


def _quality(first: str, rows: Sequence[tuple[str, dict[str, Any]]], counted: bool = False) -> ET.Element:
    counts = ("events", "positives") if counted else ()
    numbers = [
        (name, *(f"{found[count]:,}" for count in counts), *(_number(found[figure]) for figure in FIGURES))
        for name, found in rows
    ]
    return _table((first, *counts, *FIGURES.values()), numbers)


def _fairness(field: str, found: dict[str, Any]) -> ET.Element:
    shares = {"alerted": "alerted", "precision": "of those right", "recall": "of positives found"}
    rows = [
        (
            group["value"],
            f"{group['events']:,}",
            f"{group['positives']:,}",
            *("–" if group[share] is None else f"{group[share]:.2%}" for share in shares),
        )
        for group in found["groups"]
    ]
    return _table((field, "events", "positives", *shares.values()), rows)


def _plots(plots: Sequence[Plot]) -> Iterable[ET.Element]:
    yield _e("h2", "Plots")
    yield _e("div", *map(_plot, plots), class_="plots")


def _plot(plot: Plot) -> ET.Element:
    source = f"data:image/png;base64,{base64.b64encode(plot.png).decode()}"
    picture = _e("img", id=plot.name, alt=plot.shows, src=source)
    return _e("figure", _e("h3", plot.title), picture, _e("figcaption", plot.shows))


def _table(names: Sequence[str], rows: Sequence[Sequence[Child]], words: Sequence[int] = ()) -> ET.Element:
    """A table that scrolls by itself where a screen is narrow; all but the first column and `words` are numbers."""
    kind = ["words" if n in (0, *words) else "number" for n in range(len(names))]
    head = [_e("th", name, scope="col", class_=what) for name, what in zip(names, kind, strict=True)]
    body = [
        _e("tr", _e("th", first, scope="row"), *(_e("td", cell, class_=kind[n]) for n, cell in enumerate(rest, 1)))
        for first, *rest in rows
    ]
    table = _e("table", _e("thead", _e("tr", *head)), _e("tbody", *body))
    return _e("div", table, class_="scroll", role="region", tabindex="0", aria_label=f"table by {names[0]}")


def _listed(sentences: Iterable[str]) -> ET.Element:
    return _e("ul", *(_e("li", sentence) for sentence in sentences))


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _e(tag: str, *children: Child, **attributes: str) -> ET.Element:
    """An element with its children, elements and text; `class_` and `aria_label` stand for what Python cannot name."""
    element = ET.Element(tag, {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()})
    for child in children:
        if isinstance(child, ET.Element):
            element.append(child)
        elif len(element):
            element[-1].tail = (element[-1].tail or "") + child
        else:
            element.text = (element.text or "") + child
    return element
