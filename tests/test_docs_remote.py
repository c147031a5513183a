"""docs/remote.md says what the code does."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest

from transcoder import Channel, Code, Gateway
from transcoder.upstream.channel_options import Backoff, Keepalive
from transcoder.upstream.onward import TRACE
from transcoder.upstream.passing import passes

TEXT = (Path(__file__).parent.parent / "docs" / "remote.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
OPTIONS = {
    name: parameter.default
    for name, parameter in inspect.signature(Channel).parameters.items()
    if parameter.kind is parameter.KEYWORD_ONLY
}


@pytest.mark.parametrize("block", BLOCKS)
def test_python(block: str) -> None:
    """Each block of Python runs."""
    names: dict[str, Any] = {}
    exec(block, names)  # noqa: S102  our own page

    assert isinstance(names["Channel"], type)
    if "gateway" in names:
        assert isinstance(names["gateway"], Gateway)
        assert names["gateway"].services == ("services.user.v1.UserService",)
    if "Users" in names:
        assert names["Users"]().others is not None


@pytest.mark.parametrize("option", OPTIONS)
def test_options(option: str) -> None:
    """Each option has its row, with its default."""
    (told,) = re.findall(rf"^\| `{option}` \| `([^|]*)` \|", TEXT, re.MULTILINE)

    default = eval(told, {"Backoff": Backoff, "Keepalive": Keepalive})  # noqa: S307  our own page
    assert default == OPTIONS[option]


def test_what_goes_along() -> None:
    """What the page says to pass does, and what it says not to does not."""
    section = TEXT[TEXT.index("## What goes along") : TEXT.index("## When a backend fails")]

    assert all(f"`{key}`" in section for key in TRACE)
    assert not any(passes(key) for key in ("te", "host", "connection", "user-agent"))
    assert not any(passes(key) for key in ("grpc-foo", "content-type"))


def test_codes() -> None:
    """The codes that the table names are codes."""
    named = set(re.findall(r"\| \d{3} \| ([A-Z_]+) \|", TEXT))

    assert named
    assert named <= {code.name for code in Code}
