"""The requests that a user gives to `transcoder call`: JSON, as an argument or on stdin."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, BinaryIO, Final

from transcoder.errors import ConfigError, InvalidRequest, StatusError

if TYPE_CHECKING:
    from google.protobuf.descriptor import MethodDescriptor
    from google.protobuf.message import Message

    from transcoder.cli.message_types import Types

_CHUNK: Final = 1 << 16
_LARGEST: Final = 64 << 20
"""Bytes of one request; what more would do is for the server to say."""


class Requests:
    """Messages of a method, of which each is read when it is asked for.

    Args:
        rpc: whose requests they are.
        data: JSON; - for stdin.
        types: for what stands in a `google.protobuf.Any`.
    """

    def __init__(self, rpc: MethodDescriptor, data: str, types: Types) -> None:
        self._rpc = rpc
        self._types = types
        self._chunks = _stdin() if data == "-" else iter([data.encode()])

    def one(self) -> Message:
        """Return the only message.

        Raises:
            ConfigError: there is none, there are more, or it is not of the method's type.
        """
        return self._message(b"".join(self._chunks), "the request")

    def __iter__(self) -> Iterator[Message]:
        """Yield the messages of a stream.

        Raises:
            ConfigError: what comes next is not JSON, or not of the method's type.
        """
        for number, value in enumerate(_values(self._chunks), 1):
            yield self._message(value, f"request {number}")

    def _message(self, value: bytes, name: str) -> Message:
        try:
            return self._types.from_json(value, self._rpc.input_type)
        except InvalidRequest as error:
            raise ConfigError(f"{name}: {error.status.message}") from None


def _values(chunks: Iterable[bytes]) -> Iterator[bytes]:
    from transcoder.json_stream import JsonCutter

    cutter = JsonCutter(_LARGEST)
    try:
        for chunk in chunks:
            yield from cutter.feed(chunk)
        yield from cutter.end()
    except StatusError as error:
        raise ConfigError(f"the requests: {error.status.message}") from None


def _stdin() -> Iterator[bytes]:
    """Yield what comes, as it comes.

    A thread may wait here when the process ends, which must not hold the lock of a buffer then.
    """
    stream = sys.stdin.buffer
    raw: BinaryIO = getattr(stream, "raw", stream)
    while chunk := raw.read(_CHUNK):
        yield chunk
