"""The names that a program sees of `streamscore`."""

import subprocess
import sys

import pytest

import streamscore
from tests.support.paths import ROOT

HEAVY = (
    "confluent_kafka",
    "deltalake",
    "fsspec",
    "jax",
    "keras",
    "numba",
    "pandas",
    "pyarrow",
    "pydantic",
    "tensorflow",
)


def test_the_import_loads_nothing_heavy() -> None:
    """`import streamscore` loads neither Keras nor pandas, pyarrow, numba or a client of Kafka."""
    code = f"import sys, streamscore; print(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_only_public_names_are_visible() -> None:
    """`dir` shows the names of `__all__`, in order and once, before and after modules were imported."""
    code = "import streamscore, streamscore.registry; print(*dir(streamscore))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == sorted(set(streamscore.__all__))


@pytest.mark.parametrize("name", streamscore.__all__)
def test_each_public_name_is_there(name: str) -> None:
    """Each public name can be had, and a class or function of ours has a docstring."""
    found = getattr(streamscore, name)
    if callable(found) and getattr(found, "__module__", "").startswith("streamscore"):
        assert found.__doc__


def test_an_unknown_name_is_an_attribute_error() -> None:
    """A name that is not public raises AttributeError, which names it."""
    with pytest.raises(AttributeError, match="load_modle"):
        streamscore.load_modle  # noqa: B018
