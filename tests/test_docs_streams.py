"""docs/streams.md says what the code does."""

from __future__ import annotations

import dataclasses
import re

import pytest

from pages import page
from transcoder import EventStream, Gateway, StreamLimits
from transcoder.framing import Framings
from transcoder.handshake import BEARER, JSON, METHOD, PROTOBUF, TIMEOUT

PAGE = page("streams.md")


@pytest.mark.parametrize("block", PAGE.blocks("python"))
def test_python(block: str) -> None:
    """Each block of Python makes a gateway."""
    names = PAGE.run(block)

    assert isinstance(names["app"], Gateway)
    assert names.keys() & {"EventStream", "StreamLimits", "Token"}
    assert isinstance(EventStream(), EventStream)


def test_framings() -> None:
    """The table has the media types that a stream may answer with."""
    offered = {name for name in Framings("array", protobuf=True).offers.types if "x-" in name}

    assert all(f"`{name}`" in PAGE.text for name in offered)


@pytest.mark.parametrize("limit", [field.name for field in dataclasses.fields(StreamLimits)])
def test_limits(limit: str) -> None:
    """Each limit has its row, with its default."""
    (row,) = re.findall(rf"^\| `{limit}` \| ([^|]*) \|", PAGE.text, re.MULTILINE)
    default = getattr(StreamLimits(), limit)
    told = {None: "none", 1 << 20: "1 MiB"}.get(default, f"{default or 0:,g}")

    assert str(row).startswith(str(told))


@pytest.mark.parametrize("name", [JSON, PROTOBUF, BEARER, TIMEOUT, METHOD])
def test_handshakes(name: str) -> None:
    """What a page may say in a handshake is told under its name."""
    section = PAGE.section("## WebSockets")

    assert re.search(rf"`{re.escape(name)}", section)
