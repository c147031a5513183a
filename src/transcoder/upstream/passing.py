"""What passes between a call and its backend: metadata and deadlines, out and back."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from typing import Final

from google.protobuf.message import DecodeError
from google.rpc import status_pb2

from transcoder.errors import StatusError
from transcoder.metadata import METADATA_LIMIT, Metadatum
from transcoder.status import Code
from transcoder.upstream import Call

LONGEST: Final = 1e7
"""Seconds of the longest timeout that gRPC is told: it takes one far beyond for none left."""

PASSED: Final = "the deadline has passed"

# They belong to one connection, or gRPC writes them itself.
_OF_THE_CONNECTION = frozenset(
    {
        "connection",
        "host",
        "http2-settings",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
    }
)
_FRAMING = ("grpc-", "content-", ":")
_DETAILS = "grpc-status-details-bin"
_KEY = re.compile(r"[0-9a-z_.-]+")
_VALUE = re.compile(r"[\x20-\x7e]*")


def timeout(call: Call, at_most: float | None = None) -> float | None:
    """Return the timeout of a call that begins now; None for none.

    Args:
        call: whose deadline counts.
        at_most: seconds that it may take however far that is.

    Raises:
        StatusError: DEADLINE_EXCEEDED, for there is nothing left.
    """
    left = call.time_remaining()
    if left is None:
        return at_most
    if left <= 0:
        raise StatusError(Code.DEADLINE_EXCEEDED, PASSED)
    return min(left, LONGEST if at_most is None else at_most)


def outgoing(call: Call) -> tuple[Metadatum, ...]:
    """Return what of a call's metadata its backend is told.

    Raises:
        StatusError: it is over METADATA_LIMIT, which a backend refuses at random.
    """
    metadata, size = [], 0
    for pair in call.metadata:
        key, value = pair
        if passes(key):
            metadata.append(pair)
            size += len(key) + len(value)
    if size > METADATA_LIMIT:
        message = f"the headers are over the limit of {METADATA_LIMIT} bytes of metadata"
        raise StatusError(Code.RESOURCE_EXHAUSTED, message, http=431)
    return tuple(metadata)


def incoming(metadata: Iterable[tuple[str, str | bytes]] | None) -> tuple[Metadatum, ...]:
    r"""Return what of a backend's metadata its client may be told.

    Raises:
        ValueError: it is over METADATA_LIMIT.

    >>> incoming([("x-cost", "3"), ("grpc-foo", "1"), ("x-odd", "\xff")])
    (Metadatum(key='x-cost', value='3'),)
    """
    if not metadata:
        return ()
    kept = tuple(Metadatum(*pair) for pair in metadata if passes(pair[0]) and _fits(*pair))
    if _size(kept) > METADATA_LIMIT:
        raise ValueError(f"metadata over the limit of {METADATA_LIMIT} bytes")
    return kept


def status_details(metadata: Iterable[tuple[str, str | bytes]] | None) -> tuple[object, ...]:
    """Return the details of a rich status; none when they cannot be read."""
    for key, value in metadata or ():
        if key == _DETAILS and isinstance(value, bytes):
            try:
                return tuple(status_pb2.Status.FromString(value).details)
            except DecodeError:
                return ()
    return ()


@functools.lru_cache(1024)
def passes(key: str) -> bool:
    """Say whether metadata of this key is a call's own.

    >>> passes("x-request-id"), passes("grpc-timeout"), passes("te")
    (True, False, False)
    """
    return key not in _OF_THE_CONNECTION and not key.startswith(_FRAMING)


def _fits(key: str, value: str | bytes) -> bool:
    if not _KEY.fullmatch(key):
        return False
    if key.endswith("-bin"):
        return isinstance(value, bytes)
    return isinstance(value, str) and _VALUE.fullmatch(value) is not None


def _size(metadata: tuple[Metadatum, ...]) -> int:
    return sum(len(key) + len(value) for key, value in metadata)
