"""Programs that are not Python's to install."""

from __future__ import annotations

import os
import shutil

import pytest


def program(*names: str) -> str:
    """Return the path of the first of some programs that is installed; CI has one of them."""
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        reason = f"not installed: {', '.join(names)}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return found
