"""Who may import whom: the layers, the core's ignorance, and what services may use."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import transcoder
from transcoder import observers, policies

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The source tree and its contract, to be broken."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    caches = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=caches)
    return tmp_path


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """Check the contract of a tree, whatever is installed beside it."""
    command = [
        sys.executable,
        "-c",
        "from importlinter.cli import lint_imports_command as run; run()",
    ]
    environment = {"PYTHONPATH": str(folder / "src"), "PATH": "/usr/bin:/bin"}
    return subprocess.run(
        command, cwd=folder, env=environment, check=False, capture_output=True, text=True
    )


def test_a_module_without_a_place_fails(tree: Path) -> None:
    """A new module must be placed in the layers before the check passes."""
    (tree / "src/transcoder/misplaced.py").write_text('"""New."""\n')
    checked = lint_imports(tree)

    assert checked.returncode == 1
    assert "- transcoder.misplaced" in checked.stdout


@pytest.mark.parametrize(
    ("path", "line", "told"),
    [
        ("transcoder/status.py", "import transcoder.errors", "transcoder.errors"),
        ("transcoder/errors.py", "import asyncio", "asyncio"),
        ("transcoder/protojson/decode.py", "import grpc.aio", "grpc"),
        ("transcoder/transcoder.py", "from starlette import types", "starlette"),
        ("transcoder/gateway.py", "import services.user", "services"),
    ],
)
def test_an_import_against_the_contract_fails(tree: Path, path: str, line: str, told: str) -> None:
    """Upwards, out of the core, or into the services: each is named."""
    module = tree / "src" / path
    module.write_text(f"{module.read_text()}\n{line}\n")
    checked = lint_imports(tree)

    assert checked.returncode == 1
    assert f"not allowed to import {told}" in checked.stdout


@pytest.mark.parametrize("name", ["transcoder", "transcoder.transcoder", "transcoder.protojson"])
def test_the_core_is_imported_without_the_edge(name: str) -> None:
    """Who needs the pure layer only pays for nothing else."""
    program = (
        f"import sys, {name}; print(*sorted({{'asyncio', 'grpc', 'starlette'}} & set(sys.modules)))"
    )
    environment = {"PYTHONPATH": str(ROOT / "src")}
    found = subprocess.run(
        [sys.executable, "-c", program], env=environment, check=True, capture_output=True, text=True
    )

    assert found.stdout == "\n"


PUBLIC = {module.__name__: module.__all__ for module in (transcoder, observers, policies)}


def test_services_use_public_names_only() -> None:
    """A service imports what `__all__` promises, of the package or of what it offers beside."""
    private = [
        f"{path.relative_to(ROOT)}:{line}: {name} of {module}"
        for path in sorted((ROOT / "src/services").rglob("*.py"))
        for line, module, name in _names_of_the_library(ast.parse(path.read_text(encoding="utf-8")))
        if name not in PUBLIC.get(module, ())
    ]

    assert private == []


def _names_of_the_library(tree: ast.Module) -> Iterator[tuple[int, str, str]]:
    for node in ast.walk(tree):
        match node:
            case ast.ImportFrom(module=str(module), level=0) if _is_ours(module):
                yield from ((node.lineno, module, alias.name) for alias in node.names)
            case ast.Import():
                names = (alias.name for alias in node.names)
                yield from ((node.lineno, name, "all") for name in names if "transcoder." in name)


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] == "transcoder"
