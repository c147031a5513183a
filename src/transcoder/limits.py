"""What bounds requests; and in words, for who looks what a gateway allows, and for the log."""

from __future__ import annotations

from typing import NamedTuple

from transcoder.json_stream import DEPTH_LIMIT
from transcoder.matching import PATH_LIMIT
from transcoder.metadata import METADATA_LIMIT
from transcoder.pace import Pace
from transcoder.protojson.cost import LIMIT as VALUES_LIMIT
from transcoder.query_string import DEFAULT_LIMITS as QUERY
from transcoder.response_encoder import REPLY_LIMIT
from transcoder.stream_limits import StreamLimits
from transcoder.timeouts import Timeouts


class Limits(NamedTuple):
    """What a gateway bounds.

    Args:
        body: bytes of a request's body.
        bodies: bytes of all bodies that are held at once.
        pace: of a body.
        timeouts: of calls.
        streams: the limits of streams.
        threads: plain methods at once.
    """

    body: int
    bodies: int
    pace: Pace
    timeouts: Timeouts
    streams: StreamLimits
    threads: int

    @property
    def told(self) -> dict[str, str]:
        """The limits of each request in words, by what they bound."""
        query = f"{QUERY.size} B, {QUERY.parameters} parameters, {QUERY.depth} names in a key"
        pace, timeouts = self.pace, self.timeouts
        return {
            "path": f"{PATH_LIMIT} B",
            "query": query,
            "metadata": f"{METADATA_LIMIT} B",
            "body": f"{self.body} B, {pace.rate:g} B/s after {pace.grace:g} s",
            "JSON": f"{VALUES_LIMIT} values, {DEPTH_LIMIT} deep",
            "unary call": f"{_seconds(timeouts.default)}, {timeouts.maximum:g} s if asked for",
            "plain methods": f"{self.threads} at once",
            "reply": f"{REPLY_LIMIT} B",
            "streams": _of_streams(self.streams),
        }


def in_words(limits: dict[str, str]) -> str:
    """Return limits as one line.

    >>> in_words({"path": "8192 B", "JSON": "100000 values, 100 deep"})
    'path: 8192 B; JSON: 100000 values, 100 deep'
    """
    return "; ".join(f"{what}: {text}" for what, text in limits.items())


def _of_streams(limits: StreamLimits) -> str:
    told = f"{limits.count} at once, {limits.message} B a message, {limits.stall:g} s unread"
    return f"{told}, idle {_seconds(limits.idle)}, life {_seconds(limits.life)}"


def _seconds(number: float | None) -> str:
    return "without end" if number is None else f"{number:g} s"
