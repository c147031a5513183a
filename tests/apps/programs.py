"""Programs that are not Python's to install."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest


def program(*names: str, also: Iterable[str | Path] = ()) -> str:
    """Return the path of the first of some programs that is installed; CI has one of them.

    Args:
        names: of the programs.
        also: folders to look in beside those of PATH, before them.
    """
    path = os.pathsep.join([*map(str, also), os.environ["PATH"]])
    found = next(filter(None, (shutil.which(name, path=path) for name in names)), None)
    if found is None:
        reason = f"not installed: {', '.join(names)}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return found
