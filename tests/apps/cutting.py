"""Bodies that come in parts, and the messages that they are cut into."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from transcoder.errors import StatusError
from transcoder.message_stream import Cutter


def cut(cutter: Cutter, *data: bytes) -> list[bytes]:
    """All messages of a body that comes in these parts."""
    found = [message for part in data for message in cutter.feed(part)]
    return [*found, *cutter.end()]


def outcome(cutter: Cutter, data: Iterable[bytes]) -> tuple[list[bytes], str]:
    """The messages of a body, and what is told when it is refused."""
    found: list[bytes] = []
    try:
        for part in data:
            found.extend(cutter.feed(part))
        found.extend(cutter.end())
    except StatusError as error:
        return found, error.status.message
    return found, ""


def parts(data: bytes, cuts: Iterable[int]) -> list[bytes]:
    """A body in parts, cut at these places."""
    places = [0, *sorted(place % (len(data) + 1) for place in cuts), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(places)]
