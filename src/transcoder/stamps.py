"""Whether a file is another than before."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import TypeAlias

Stamp: TypeAlias = "tuple[int, int, int] | None"


def stamp(path: str | PathLike[str]) -> Stamp:
    """Return what is another for another content; None for a file that is not there."""
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size
