"""A report is one page that needs nothing else: it says the verdict, shows the plots, and no value becomes markup."""

import base64
import re
import struct
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from click.testing import CliRunner

from streamscore.core.scoring.bundle import Manifest
from streamscore.errors import BundleError, DataError
from streamscore.models.bundle_files import CARD, REPORT, BundleFiles
from streamscore.models.store import ModelStore
from tests.support.trained import trained_manifest, trained_store
from trainer.cli.main import cli
from trainer.data.dataset import DAY
from trainer.evaluation.evaluate import Answered, ScoredTest, figures
from trainer.report import plots
from trainer.report.card import card
from trainer.report.export import exported
from trainer.report.html import page
from trainer.report.limits import limits

NAMES = ["roc", "precision-recall", "calibration", "scores", "importance", "drift"]
HOSTILE = "<script>alert('1')</script>|\"&"
LARGEST = 600_000


class Read(HTMLParser):
    """A page as a browser reads it: its tags with their attributes, its text; one that is not closed is an error."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def named(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]


def scored(rows: int = 3000, risks: np.ndarray | None = None) -> ScoredTest:
    """A model that knows something, beside one that knows nothing."""
    random = np.random.default_rng(0)
    given = random.beta(1, 20, rows) if risks is None else risks
    labels = random.random(rows) < random.beta(1, 20, rows) if risks is not None else random.random(rows) < given
    beside = {"base rate": np.full(rows, 0.05), "a guess": random.random(rows)}
    return ScoredTest(Answered(labels, random.integers(0, 60 * DAY, rows), 0.01), given, beside)


def manifest_of(found: ScoredTest, **metrics: Any) -> Manifest:
    """A trained bundle's manifest with the figures of these rows."""
    whole = trained_manifest("transaction").model_copy(deep=True)
    figured = {
        "test": figures(found.answered, found.risks),
        "baselines": {name: figures(found.answered, risks) for name, risks in found.baselines.items()},
    }
    return whole.model_copy(update={"metrics": {**whole.metrics, **figured, **metrics}})


def size(png: bytes) -> tuple[int, int]:
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", png[16:24])
    return width, height


def read(report: bytes) -> Read:
    return Read(report.decode())


def test_the_bundle_has_its_report(tmp_path: Path) -> None:
    """What training puts into a bundle is whole: verdict, gates, figures, six pictures that say what they show."""
    versions = trained_store(tmp_path)
    for name, version in versions.items():
        bundle = ModelStore(str(tmp_path), name).read(version)
        report, found = bundle.files[REPORT], read(bundle.files[REPORT])
        assert len(report) < LARGEST
        assert report.startswith(b"<!DOCTYPE html>")
        judgement = bundle.manifest.metrics["judgement"]
        assert judgement["verdict"] in found.text
        for gate in judgement["gates"]:
            assert gate["said"] in found.text
            assert all(f"{name}: {value:.6g}" in found.text for name, value in gate["figures"].items())
        assert all(sentence in found.text for sentence in [*judgement["reasons"], *limits(bundle.manifest)])
        assert [picture["id"] for picture in found.named("img")] == NAMES
        assert all(len(picture["alt"]) > 40 for picture in found.named("img"))
        alts = {picture["id"]: picture["alt"] for picture in found.named("img")}
        assert f"{bundle.manifest.metrics['test']['auc']:.4f}" in alts["roc"]


def test_nothing_is_fetched_or_run(tmp_path: Path) -> None:
    """Every reference is inside the page, nothing is a script, and a policy says so to the browser."""
    bundle = ModelStore(str(tmp_path), "transaction").read(trained_store(tmp_path)["transaction"])
    found = read(bundle.files[REPORT])
    for tag, attributes in found.tags:
        assert tag not in ("script", "link", "iframe", "object")
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href", "srcset", "action"):
            assert attributes.get(name, "data:").startswith("data:")
    assert not re.search(r"url\(|@import|https?://", found.text)
    (policy,) = [meta["content"] for meta in found.named("meta") if meta.get("http-equiv")]
    assert policy.startswith("default-src 'none'")
    assert found.named("html") == [{"lang": "en"}]
    assert "width=device-width" in [meta.get("content", "") for meta in found.named("meta")][1]
    assert "prefers-color-scheme: dark" in found.text


def test_values_are_text() -> None:
    """An event type, a segment, a feature or a reason that looks like markup is shown as it is, in page and card."""
    found = scored()
    apart = {"events": 9, "positives": 1, **figures(found.answered, found.risks)}
    treated = {"value": HOSTILE, "events": 9, "positives": 0, "alerted": 0.1, "precision": None, "recall": None}
    gate = {"name": HOSTILE, "holds": False, "otherwise": "reject", "said": HOSTILE, "figures": {HOSTILE: 1.0}}
    manifest = manifest_of(
        found,
        segments=[{"field": HOSTILE, "value": HOSTILE, **apart}],
        fairness={HOSTILE: {"ratio": 0.5, "groups": [treated]}},
        importance={HOSTILE: 1.0, "$x_{1}$": 0.5},
        drift={HOSTILE: {"psi": 0.2, "threshold": 0.1}},
        judgement={"verdict": "reject", "reasons": [HOSTILE], "champion": HOSTILE, "gates": [gate]},
    ).model_copy(update={"event_type": HOSTILE})
    shown = read(page(manifest, plots.drawn(manifest, found)))
    assert shown.named("script") == []
    assert shown.text.count(HOSTILE) > 10
    assert any(HOSTILE in picture["alt"] for picture in shown.named("img"))
    told = card(manifest)
    assert "<script" not in told
    assert "alert('1')&lt;/script&gt;\\|" in told


def test_the_card_is_a_page() -> None:
    """A card says verdict and limits, and its segments are those with most events, and the worst of the others."""
    apart = {"field": "country", "positives": 3, **figures(*scored()[:2])}
    segments = [{**apart, "value": f"c{n}", "events": n} for n in range(100)]
    segments[5] |= {"auc": 0.51}
    segments[6] |= {"auc": None}
    told = card(manifest_of(scored(), segments=segments))
    assert "country c5, 3 of 5 | 0.5100" in told
    assert "country c6, " not in told
    assert "\n\n88 more are in the report.\n\n" in told
    assert "**Verdict: " in told
    assert "## Limits\n\n- " in told
    assert "country c99, 3 of 99 |" in told
    assert "country c87," not in told
    assert len(told.splitlines()) < 70


def test_limits_name_what_is_weak() -> None:
    """The worst segment with enough positives, what moved, and groups that are alerted unlike are said."""
    found = scored()
    apart = {"field": "country", "events": 500, **figures(found.answered, found.risks)}
    segments = [
        {**apart, "value": "DE", "positives": 150, "auc": 0.7},
        {**apart, "value": "FR", "positives": 150, "auc": 0.6},
        {**apart, "value": "NL", "positives": 5, "auc": 0.1},
        {**apart, "value": "SE", "positives": 0, "auc": None},
    ]
    moved, still = {"psi": 0.3, "threshold": 0.1}, {"psi": 0.05, "threshold": 0.1}
    said = " ".join(limits(manifest_of(
        found, segments=segments, stability={"train": moved, "validation": still},
        drift={f"f{n}": moved if n else still for n in range(8)},
        fairness={"age": {"ratio": 0.41, "groups": []}, "home": {"ratio": 0.95}, "job": {"ratio": None}},
    )))  # fmt: skip
    assert "It ranks worst where country is FR: AUC 0.6000" in said
    assert "otherwise than those of the train part: PSI 0.300, the threshold is 0.100" in said
    assert "validation part" not in said
    assert "These features moved since training: f1, f2, f3, f4, f5 and 2 more." in said
    assert "groups of age: the lowest rate is 0.41 of the highest" in said
    assert "home" not in said


@pytest.mark.parametrize("risks", [None, np.full(3000, 0.25), np.r_[np.zeros(1500), np.ones(1500)]])
def test_plots_are_pictures(risks: np.ndarray | None) -> None:
    """Each plot is a PNG of 960 × 600 that is not blank, also where risks are all one, or 0 and 1."""
    before = dict(mpl.rcParams)
    found = scored(risks=risks)
    made = plots.drawn(manifest_of(found), found)
    assert [plot.name for plot in made] == NAMES
    for plot in made:
        assert size(plot.png) == (960, 600)
        assert len(plot.png) > 8000, plot.name
        assert "nan" not in plot.shows
    assert dict(mpl.rcParams) == before
    assert "matplotlib.pyplot" not in Path(plots.__file__).read_text()


def test_many_rows_are_drawn_by_a_sample() -> None:
    """Of more than 200,000 rows as many are drawn, the same each time; of fewer, all."""
    many, few = scored(200_001), scored(2000)
    assert plots.sampled(few) is few
    one, other = plots.sampled(many), plots.sampled(many)
    assert len(one.risks) == len(one.answered.labels) == len(one.baselines["a guess"]) == 200_000
    assert np.array_equal(one.risks, other.risks)


def test_intervals_of_shares() -> None:
    """Wilson's interval holds the share that rows were drawn from in about 95 of a hundred draws."""
    random, share = np.random.default_rng(1), 0.02
    low, high = plots.wilson(random.binomial(300, share, 4000) / 300, np.full(4000, 300.0))
    assert ((low <= share) & (share <= high)).mean() == pytest.approx(0.95, abs=0.02)


def test_a_report_in_a_folder(tmp_path: Path) -> None:
    """The command writes the page as it is in the bundle and its pictures as files; an alias may be given."""
    version = trained_store(tmp_path / "models")["transaction"]
    arguments = ["--store", str(tmp_path / "models"), "--event-type", "transaction"]
    done = CliRunner().invoke(cli, ["report", *arguments, "champion", str(tmp_path / "out" / "here")])
    assert done.exit_code == 0, done.output
    written = {path.name: path.read_bytes() for path in (tmp_path / "out" / "here").iterdir()}
    bundle = ModelStore(str(tmp_path / "models"), "transaction").read(version)
    assert sorted(written) == sorted([REPORT, *(f"{name}.png" for name in NAMES)])
    assert written[REPORT] == bundle.files[REPORT]
    assert size(written["roc.png"]) == (960, 600)
    assert base64.b64encode(written["roc.png"]) in written[REPORT]


def test_a_run_writes_its_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`once --report` leaves the page of what it trained; a folder that cannot be is told before the run."""
    models = tmp_path / "models"
    manifest = ModelStore(str(models), "transaction").manifest(trained_store(models)["transaction"])
    monkeypatch.setattr("trainer.training.train_once", lambda *_: manifest)
    arguments = ["once", "--archive", str(tmp_path), "--event-type", "transaction", "--store", str(models)]
    done = CliRunner().invoke(cli, [*arguments, "--report", str(tmp_path / "out")])
    assert f"its report is {tmp_path / 'out' / REPORT}" in done.stderr
    assert len(list((tmp_path / "out").iterdir())) == 1 + len(NAMES)
    monkeypatch.setattr("trainer.training.train_once", lambda *_: pytest.fail("it ran"))
    (tmp_path / "file").write_text("x")
    done = CliRunner().invoke(cli, [*arguments, "--report", str(tmp_path / "file")])
    assert isinstance(done.exception, DataError)


def test_what_has_no_report_or_no_place_for_it(tmp_path: Path) -> None:
    """A bundle from before reports, and a folder that is a file, are told in a sentence."""
    files = BundleFiles(trained_manifest("transaction"), {CARD: b"a card"})
    with pytest.raises(BundleError, match=r"has no report\.html: it is from before reports were made"):
        exported(files, tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match="file cannot be made: "):
        exported(BundleFiles(files.manifest, {REPORT: b"<p>"}), tmp_path / "file")
    (tmp_path / "full" / REPORT).mkdir(parents=True)
    with pytest.raises(DataError, match="the report cannot be written to "):
        exported(BundleFiles(files.manifest, {REPORT: b"<p>"}), tmp_path / "full")


def test_old_bundles_load_without_a_report(tmp_path: Path) -> None:
    """A bundle without card and report is as good as before; one whose report was changed is not trusted."""
    version = trained_store(tmp_path)["transaction"]
    store = ModelStore(str(tmp_path), "transaction")
    bundle = store.read(version)
    needed = {name: content for name, content in bundle.files.items() if name not in (CARD, REPORT)}
    store.write(bundle.manifest.model_copy(update={"version": "old-1"}), needed)
    assert store.read("old-1").files.keys() == needed.keys()
    (tmp_path / "transaction" / version / REPORT).write_bytes(b"<p>another</p>")
    with pytest.raises(BundleError, match=r"report\.html does not have the digest"):
        store.read(version)
