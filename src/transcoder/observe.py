"""What the core counts, for whoever reads it: plain ints, without a lock.

A count lost between threads costs less than the lock. For each message type: how often its JSON
took the fast path, and how often json_format had to decide. A message is counted once: when it is
the whole document, and else only when json_format prints it alone, as it does those with
extensions. The others within a document are not counted.

>>> from google.protobuf.api_pb2 import Mixin
>>> from transcoder.protojson import to_json
>>> before = counts().get("google.protobuf.Mixin", Counts(0, 0, 0, 0)).encoded
>>> printed = to_json(Mixin(name="a"))
>>> counts()["google.protobuf.Mixin"].encoded - before
1
"""

from __future__ import annotations

from typing import NamedTuple


class Tally:
    """What happened to the messages of one type, in one direction."""

    __slots__ = ("fallback", "fast")

    def __init__(self) -> None:
        self.fast = 0
        self.fallback = 0


class Counts(NamedTuple):
    """The counts of one type.

    Args:
        encoded: printed by its own encoder.
        encoded_slowly: left to json_format, whether it printed them or failed.
        decoded: read by its own decoder.
        decoded_slowly: judged by json_format, whether taken or refused.
    """

    encoded: int
    encoded_slowly: int
    decoded: int
    decoded_slowly: int


_LIMIT = 10_000
_encoded: dict[str, Tally] = {}
_decoded: dict[str, Tally] = {}


def encoded(name: str) -> Tally:
    """Return the tally of a type's encoder, by the type's full name."""
    return _tally(_encoded, name)


def decoded(name: str) -> Tally:
    """Return the tally of a type's decoder, by the type's full name."""
    return _tally(_decoded, name)


def counts() -> dict[str, Counts]:
    """Return the counts of every type that was a whole document, or fell back within one."""
    none = Tally()
    found = {}
    for name in sorted(_encoded.keys() | _decoded.keys()):
        there, back = _encoded.get(name, none), _decoded.get(name, none)
        found[name] = Counts(there.fast, there.fallback, back.fast, back.fallback)
    return found


def _tally(tallies: dict[str, Tally], name: str) -> Tally:
    if name not in tallies and len(tallies) >= _LIMIT:
        # Names may come from strangers' descriptors: beyond the limit they share one line.
        name = ""
    return tallies.setdefault(name, Tally())
