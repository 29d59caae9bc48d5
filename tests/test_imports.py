"""The house stands: imports point down only, light paths stay light, and nothing forbidden is called."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
BELOW = {
    "data": set(),
    "models": {"data"},
    "indexer": {"data", "models"},
    "search": {"data", "models"},
    "ui": {"data", "models", "indexer", "search"},
}
MODULES = sorted(path for package in BELOW for path in (ROOT / package).rglob("*.py"))


def imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative import; name the package"
            yield node.lineno, node.module or ""


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down_only(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]
    for line, name in imports(ast.parse(path.read_text("utf-8"))):
        other = name.split(".")[0]
        if other in BELOW and other != package:
            assert other in BELOW[package], f"{path}:{line}: {package} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_stay_readable_and_safe(path: Path) -> None:
    text = path.read_text("utf-8")
    assert text.count("\n") <= 400, f"{path} has {text.count(chr(10))} lines; split it"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call):
            for keyword in node.keywords:
                banned = keyword.arg in {"shell", "trust_remote_code", "unsafe_allow_html"}
                on = isinstance(keyword.value, ast.Constant) and keyword.value.value is True
                assert not (banned and on), f"{path}:{node.lineno}: {keyword.arg}=True"
    names = {name.split(".")[0] for _, name in imports(ast.parse(text))}
    assert not names & {"pickle", "dill", "joblib", "marshal"}, f"{path} imports a pickle"


def test_only_ui_prints_and_exits() -> None:
    for path in MODULES:
        # A training command is a program of its own, run by name.
        if path.relative_to(ROOT).parts[0] == "ui" or "training" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in {"print", "exit", "quit", "input"}, f"{path}:{node.lineno}: {node.func.id}()"


HEAVY = ("av", "onnxruntime", "lancedb", "pyarrow", "streamlit", "torch", "transformers", "PIL")


@pytest.mark.parametrize("module", ["ui.cli", "models.registry", "data.errors"])
def test_light_paths_import_nothing_heavy(module: str) -> None:
    heavy = HEAVY if module == "models.registry" else ("numpy", *HEAVY)
    code = f"import {module}, sys; print(*[name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
