"""The public names are those of the reference, and their examples run."""

import doctest
import re
from pathlib import Path
from typing import Any

import pytest

import streamscore
import streamscore.testing
from streamscore.models.model import Model
from tests.support.paths import ROOT
from tests.support.trained import champion

PAGE = ROOT / "docs" / "reference" / "python.md"
NAMES = [f"streamscore.{name}" for name in streamscore.__all__]
TESTING = [f"streamscore.testing.{name}" for name in streamscore.testing.__all__]


def found(name: str) -> Any:
    """What a public name is."""
    room = streamscore.testing if name in TESTING else streamscore
    return getattr(room, name.rpartition(".")[2])


def examples() -> list[doctest.DocTest]:
    """The examples of every public name and of its methods."""
    finder = doctest.DocTestFinder(exclude_empty=True)
    tests = [test for name in NAMES + TESTING for test in _of(finder, name)]
    return [test for test in tests if test.examples]


def _of(finder: doctest.DocTestFinder, name: str) -> list[doctest.DocTest]:
    value = found(name)
    return finder.find(value, name, globs={}) if hasattr(value, "__module__") else []


def test_the_reference_has_every_public_name() -> None:
    """The headings of the reference are exactly the public names."""
    headings = re.findall(r"^(?:###|:::) `?(streamscore\.[\w.]+)", PAGE.read_text(), re.MULTILINE)
    assert sorted(headings) == sorted(NAMES + TESTING)


@pytest.mark.usefixtures("quick_warming")
@pytest.mark.parametrize("example", examples(), ids=lambda example: example.name)
def test_examples_run(example: doctest.DocTest, models: Path) -> None:
    """The example of a docstring prints what it says; `models` is a store and `model` a model of it."""
    bundle = champion("transaction")
    known = {"streamscore": streamscore, "models": models, "model": Model(bundle), "scorer": bundle.scorer}
    example.globs.update(known)
    report: list[str] = []
    outcome = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example, out=report.append)
    assert outcome.failed == 0, "".join(report)


def test_the_main_names_have_examples() -> None:
    """Loading, scoring, history, the store, settings, the worker and each test tool show how they are used."""
    shown = {example.name for example in examples()}
    needed = {"load_model", "Model.score", "Model.score_one", "Model.features_of", "Model.explain"}
    needed |= {"History", "ModelStore", "load_settings", "Worker"}
    assert {f"streamscore.{name}" for name in needed} <= shown
    assert {name for name in TESTING if not name.endswith("MemorySink")} <= shown
