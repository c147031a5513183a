"""docs/testing.md says what the code does."""

from __future__ import annotations

from typing import Any

from pages import page
from transcoder.pytest_plugin import MakeClient

PAGE = page("testing.md")


def test_python(transcoder_client: MakeClient) -> None:
    """The blocks run, one after another, and so does the test in them."""
    names: dict[str, Any] = {}
    for block in PAGE.blocks("python"):
        PAGE.run(block, names)

    names["test_an_operation"](transcoder_client)
