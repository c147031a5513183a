"""Environments other than the one that runs the tests."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
from importlib import metadata
from pathlib import Path

CONSTRAINTS = Path(__file__).resolve().parents[2] / "constraints.txt"


def create(folder: Path) -> Path:
    """Make an environment with nothing in it, and return the folder of its commands."""
    venv.create(folder, symlinks=True)
    return folder / "bin"


def install(commands: Path, *arguments: str) -> None:
    """Install packages into an environment, in the versions that we pin."""
    pip = [sys.executable, "-m", "pip", "--python", str(commands / "python"), "install", "--quiet"]
    subprocess.run([*pip, "-c", str(CONSTRAINTS), *arguments], check=True)


def see(commands: Path, others: Path) -> None:
    """Let an environment see what another one has, and our pip."""
    ours, theirs = _packages(commands), _packages(others)
    (ours / "seen.pth").write_text(f"{theirs}\n")
    for name in ("pip", f"pip-{metadata.version('pip')}.dist-info"):
        (ours / name).symlink_to(Path(sysconfig.get_path("purelib"), name))


def _packages(commands: Path) -> Path:
    [folder] = commands.parent.glob("lib/python*/site-packages")
    return folder
