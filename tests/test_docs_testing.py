"""docs/testing.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from transcoder.pytest_plugin import MakeClient

TEXT = (Path(__file__).parent.parent / "docs" / "testing.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def test_python(transcoder_client: MakeClient) -> None:
    """The blocks run, one after another, and so does the test in them."""
    names: dict[str, Any] = {}
    for block in BLOCKS:
        exec(block, names)  # noqa: S102  our own page

    names["test_an_operation"](transcoder_client)
