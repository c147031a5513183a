"""docs/remote.md says what the code does."""

from __future__ import annotations

import inspect
import re

import pytest

from pages import page
from transcoder import Channel, Code, Gateway
from transcoder.upstream.channel_options import Backoff, Keepalive
from transcoder.upstream.onward import TRACE
from transcoder.upstream.passing import passes

PAGE = page("remote.md")
OPTIONS = {
    name: parameter.default
    for name, parameter in inspect.signature(Channel).parameters.items()
    if parameter.kind is parameter.KEYWORD_ONLY
}


@pytest.mark.parametrize("block", PAGE.blocks("python"))
def test_python(block: str) -> None:
    """Each block of Python runs."""
    names = PAGE.run(block)

    assert isinstance(names["Channel"], type)
    if "gateway" in names:
        assert isinstance(names["gateway"], Gateway)
        assert names["gateway"].services == ("services.user.v1.UserService",)
    if "Users" in names:
        assert names["Users"]().others is not None


@pytest.mark.parametrize("option", OPTIONS)
def test_options(option: str) -> None:
    """Each option has its row, with its default."""
    (told,) = re.findall(rf"^\| `{option}` \| `([^|]*)` \|", PAGE.text, re.MULTILINE)

    default = eval(told, {"Backoff": Backoff, "Keepalive": Keepalive})  # noqa: S307  our own page
    assert default == OPTIONS[option]


def test_what_goes_along() -> None:
    """What the page says to pass does, and what it says not to does not."""
    section = PAGE.section("## What goes along")

    assert all(f"`{key}`" in section for key in TRACE)
    assert not any(passes(key) for key in ("te", "host", "connection", "user-agent"))
    assert not any(passes(key) for key in ("grpc-foo", "content-type"))


def test_codes() -> None:
    """The codes that the table names are codes."""
    named = set(re.findall(r"\| \d{3} \| ([A-Z_]+) \|", PAGE.text))

    assert named
    assert named <= {code.name for code in Code}
