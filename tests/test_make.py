"""The make targets on machines that are not ready for them, and the pins they install."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    """A checkout in which nothing was made yet."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run make in a folder."""
    command = ["make", *arguments]
    return subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)


def python(folder: Path, script: str) -> str:
    """A stand-in for an interpreter, and its path."""
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_help_is_the_default(fresh: Path) -> None:
    """Plain `make` lists each command with what it does, and installs nothing."""
    helped = make(fresh)
    listed = [line.split()[1] for line in helped.stdout.splitlines()]

    assert {"help", "run", "test", "check", "bench", "generate", "build", "clean"} <= set(listed)
    assert not (fresh / ".venv").exists()


def test_an_old_python_is_told_in_one_line(fresh: Path) -> None:
    """An interpreter below 3.11 is refused before anything is made."""
    made = make(fresh, "run", f"PYTHON={python(fresh, 'exit 1')}")

    assert made.returncode != 0
    assert made.stdout == "Python 3.11 or newer is needed: make PYTHON=/path/to/python3\n"
    assert not (fresh / ".venv").exists()


def test_a_python_without_venv_is_told_what_to_install(fresh: Path) -> None:
    """Debian's python3 comes without venv; the message names the package."""
    without_venv = python(fresh, 'test "$1" = -c')
    made = make(fresh, "run", f"PYTHON={without_venv}")

    assert made.returncode != 0
    assert "apt-get install python3-venv" in made.stdout


def test_a_python_without_atheris_is_told_in_one_line(fresh: Path) -> None:
    """Where the fuzzer has no build, `make fuzz` says so and no more."""
    (fresh / ".venv/bin").mkdir(parents=True)
    python(fresh / ".venv/bin", "echo no matching distribution >&2; exit 1")
    (fresh / ".venv/.installed").touch()
    made = make(fresh, "fuzz")

    assert made.returncode != 0
    assert made.stdout == (
        "atheris has no build for this Python or machine: use another for fuzzing\n"
    )


def test_constraints_are_names_and_versions() -> None:
    """No line of the constraints says where a package comes from."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if not line.startswith("#")]

    assert [line for line in pins if not re.fullmatch(r"[\w.-]+==[\w.!+]+", line)] == []


def test_each_requirement_is_pinned() -> None:
    """Whatever pyproject.toml names has its version in the constraints."""
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = [*pyproject["dependency-groups"].values(), pyproject["project"]["dependencies"]]
    named = {_name(entry) for group in groups for entry in group if isinstance(entry, str)}
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {_name(line) for line in lines if "==" in line}

    assert named - pinned == set()


def test_each_pin_installs_on_the_oldest_python() -> None:
    """No package of the environment asks for more than Python 3.11.0."""
    too_new = [
        dist.name
        for dist in metadata.distributions()
        for asked in dist.metadata.get_all("Requires-Python", [])
        if "3.11.0" not in SpecifierSet(asked)
    ]

    assert too_new == []


def _name(requirement: str) -> str:
    name = re.split(r"[\[=<>;~! ]", requirement, maxsplit=1)[0]
    return re.sub(r"[-_.]+", "-", name).lower()
