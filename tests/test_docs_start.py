"""docs/start.md does what it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from pages import page
from sessions import Session


@pytest.mark.timeout(300)
def test_session(tmp_path: Path) -> None:
    """Who follows the page gets what it shows."""
    Session(tmp_path, page("start.md")).follow()
