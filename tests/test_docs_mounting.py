"""docs/mounting.md does what it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from pages import Page, page
from sessions import Session

START = page("start.md")
HELLO = Page(START.name, START.text.partition("## Serve it")[0])


@pytest.mark.timeout(300)
def test_session(tmp_path: Path) -> None:
    """With the start's service, who follows the page gets what it shows."""
    Session(tmp_path, HELLO).follow()
    Session(tmp_path, page("mounting.md")).follow()
