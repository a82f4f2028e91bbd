"""The shape of the code: small files and functions, heavy and dangerous things only where they belong."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.paths import ROOT

WORKER = sorted((ROOT / "streamscore").rglob("*.py"))
TRAINER = sorted((ROOT / "trainer").rglob("*.py"))
EACH = pytest.mark.parametrize("path", WORKER + TRAINER, ids=lambda path: str(path.relative_to(ROOT)))
EACH_OF_WORKER = pytest.mark.parametrize("path", WORKER, ids=lambda path: str(path.relative_to(ROOT)))

LONGEST_FILE, LONGEST_FUNCTION = 280, 45
# A kernel may call kernels of its own file only, so those of a timeline share one.
LONGER = {"streamscore/core/history/kernels.py": 330}
KAFKA = re.compile(r"streamscore/(kafka/\w+|worker/checks|files/replay|demo/ledger)\.py")
# What opens a file can run code from it, or code from anywhere.
DANGEROUS = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def imports(path: Path) -> set[str]:
    """The top-level packages that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add((node.module or "").split(".")[0])
    return found


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    """Each call in a file, as it is written: `yaml.load`, `model.predict`, `eval`."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def test_there_is_something_to_look_at() -> None:
    """The files are found where they are looked for."""
    assert len(WORKER) > 20
    assert len(TRAINER) > 8


@EACH
def test_files_are_short(path: Path) -> None:
    """No file is longer than 280 lines."""
    lines = len(path.read_text().splitlines())
    assert lines <= LONGER.get(str(path.relative_to(ROOT)), LONGEST_FILE), f"{lines} lines"


@EACH
def test_functions_are_short(path: Path) -> None:
    """No function is longer than 45 lines."""
    long = {
        node.name: node.end_lineno - node.lineno + 1
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno
    }
    assert {name: lines for name, lines in long.items() if lines > LONGEST_FUNCTION} == {}


@EACH
def test_files_say_what_they_are(path: Path) -> None:
    """Each file with code in it begins with a docstring."""
    module = tree(path)
    assert not module.body or ast.get_docstring(module)


@EACH_OF_WORKER
def test_kafka_stays_in_its_files(path: Path) -> None:
    """The Kafka client is imported only where the worker meets Kafka."""
    assert KAFKA.fullmatch(str(path.relative_to(ROOT))) or "confluent_kafka" not in imports(path)


@EACH_OF_WORKER
def test_keras_stays_in_the_scorer(path: Path) -> None:
    """Keras and its backends are imported by the scorer, its scaler and its reasons alone."""
    keras = {"keras", "tensorflow", "jax"}
    assert path.name in {"keras_scorer.py", "keras_scaler.py", "attribution.py"} or not imports(path) & keras


@EACH
def test_delta_tables_stay_in_their_files(path: Path) -> None:
    """The library of the archive's tables is imported only where rows are committed, and where tables are kept."""
    assert path.name in {"delta.py", "upkeep.py"} or "deltalake" not in imports(path)


@EACH
def test_nothing_is_unpickled(path: Path) -> None:
    """Nothing that can run code from a file is imported."""
    assert not imports(path) & DANGEROUS


@EACH
def test_nothing_is_evaluated(path: Path) -> None:
    """No text is run as code, no YAML makes objects, no array file may hold pickles, no network is loaded unsafely."""
    for name, call in calls(path):
        keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        assert name not in {"eval", "exec", "compile", "__import__", "os.system"}, name
        assert name not in {"yaml.load", "yaml.unsafe_load", "yaml.full_load"}, name
        assert keywords.get("allow_pickle", "False") == "False", name
        assert keywords.get("shell", "False") == "False", name
        if name.endswith("load_model"):
            assert keywords.get("safe_mode") == "True"
        if name in {"np.load", "numpy.load"}:
            assert keywords.get("allow_pickle") == "False"


@EACH_OF_WORKER
def test_predict_is_never_called(path: Path) -> None:
    """`model.predict` costs more than scoring itself; the compiled call is used instead."""
    assert not [name for name, _ in calls(path) if name.endswith(".predict")]


@pytest.mark.parametrize("command", [["streamscore.cli.main"], ["trainer.cli.main"]])
def test_help_loads_no_backend(command: list[str]) -> None:
    """`--help` answers without importing a backend, scikit-learn, pandas, numba, fsspec or pydantic."""
    code = (
        f"import sys\nfrom {command[0]} import cli\n"
        "try:\n    cli(['--help'])\nexcept SystemExit as end:\n    assert not end.code\n"
        "heavy = {'keras', 'tensorflow', 'jax', 'sklearn', 'pandas', 'numba', 'fsspec', 'pydantic'}\n"
        "heavy &= set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Usage:" in done.stdout


TESTS = sorted((ROOT / "tests").rglob("test_*.py"))


@pytest.mark.parametrize("path", TESTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_tests_say_what_they_show(path: Path) -> None:
    """Each test begins with a sentence that states the behaviour, and files stay within 320 lines."""
    silent = [
        node.name
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_") and not ast.get_docstring(node)
    ]
    assert silent == []
    assert len(path.read_text().splitlines()) <= 320
