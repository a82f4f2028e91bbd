"""Compiled functions stay in one file: numba compiles anew only what is in a file that changed."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.paths import ROOT

SOURCES = sorted((ROOT / "streamscore").rglob("*.py"))
COMPILED = "compiled"


def kernels(tree: ast.Module) -> dict[str, ast.FunctionDef]:
    """The functions of a module that numba compiles, by name."""
    return {
        node.name: node
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
        and any(isinstance(mark, ast.Name) and mark.id == COMPILED for mark in node.decorator_list)
    }


def foreign_calls(path: Path, compiled: dict[str, set[str]]) -> Iterator[str]:
    """Each call of a kernel to a kernel of another module; `compiled` has the kernels of each module by its name."""
    tree = ast.parse(path.read_text())
    imported = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module in compiled
        for alias in node.names
        if alias.name in compiled[node.module or ""]
    }
    for name, function in kernels(tree).items():
        for node in ast.walk(function):
            if isinstance(node, ast.Name) and node.id in imported:
                yield f"{path.name}: {name} calls {node.id}"


def compiled_by_module(paths: list[Path], root: Path) -> dict[str, set[str]]:
    names = {path: ".".join(path.relative_to(root).with_suffix("").parts) for path in paths}
    return {names[path]: set(kernels(ast.parse(path.read_text()))) for path in paths}


def test_no_kernel_calls_one_of_another_file() -> None:
    """An edit of a kernel is run by every kernel that calls it, because both are compiled anew."""
    compiled = compiled_by_module(SOURCES, ROOT)
    assert sum(map(len, compiled.values())) > 20
    assert [call for path in SOURCES for call in foreign_calls(path, compiled)] == []


@pytest.mark.parametrize("line", ["from lookup import after", "from lookup import after as later"])
def test_such_a_call_is_found(tmp_path: Path, line: str) -> None:
    """The check sees a kernel that another file has, by whatever name it is imported."""
    (tmp_path / "lookup.py").write_text("@compiled\ndef after(): ...\n")
    name = line.rsplit(maxsplit=1)[-1]
    (tmp_path / "update.py").write_text(f"{line}\n\n@compiled\ndef sweep():\n    {name}()\n")
    paths = sorted(tmp_path.glob("*.py"))
    found = [call for path in paths for call in foreign_calls(path, compiled_by_module(paths, tmp_path))]
    assert found == [f"update.py: sweep calls {name}"]
