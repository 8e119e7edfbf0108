"""Tests, benchmarks and their harness import in one direction, and no test looks inside."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ALLOWED = {
    "benchmarks/harness": ("benchmarks.harness",),
    "benchmarks/claims": ("benchmarks.harness", "benchmarks.claims"),
    "benchmarks/campaigns": ("benchmarks.harness", "benchmarks.claims", "benchmarks.campaigns"),
    "tests": ("benchmarks.harness", "tests.fakes"),
    "tests/benchmarks": ("benchmarks", "tests.fakes"),
    "tests/guides": (
        "benchmarks.harness", "tests.fakes", "tests.cli.conftest", "tests.guides.documents",
        "tests.guides.reference",
    ),
}  # fmt: skip
"""What the files of a folder may import of benchmarks and tests: no test file, in particular."""


def files(folder: str) -> list[Path]:
    """The modules that the rule for `folder` is about."""
    inner = [ROOT / other for other in ALLOWED if other.startswith(f"{folder}/")]
    paths = (ROOT / folder).rglob("*.py")
    return [path for path in paths if not any(map(path.is_relative_to, inner))]


def imported(path: Path) -> Iterator[str]:
    """The modules of benchmarks and tests that a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: a relative import"
            names = [node.module or ""]
        yield from (name for name in names if name.split(".")[0] in ("benchmarks", "tests"))


@pytest.mark.parametrize("folder", ALLOWED)
def test_imports_have_one_direction(folder: str) -> None:
    assert files(folder)
    for path in files(folder):
        for name in imported(path):
            assert name.startswith(ALLOWED[folder]), f"{path} imports {name}"


PYTHONS_OWN = {"_exit", "_set_running_loop", "_log_destroy_pending", "_repr_html_"}
"""What tests of forks and of closed loops have to use of Python itself, and what notebooks call."""


def reaches(path: Path) -> Iterator[str]:
    """The private names that a test uses of something else than itself."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) not in ("self", "cls"):
            name = node.attr
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "monkeypatch.setattr":
            target = node.args[1 if len(node.args) > 2 else 0]
            name = ast.unparse(target).strip("'").rpartition(".")[2]
        else:
            continue
        if name.startswith("_") and not name.startswith("__") and name not in PYTHONS_OWN:
            yield f"line {node.lineno}: {name}"


@pytest.mark.parametrize("path", sorted((ROOT / "tests").rglob("*.py")), ids=lambda path: path.stem)
def test_no_test_reaches_into_private_attributes(path: Path) -> None:
    assert list(reaches(path)) == []
