"""Request streams: a body that is cut into messages as it arrives.

A cutter is fed whatever the network brings and gives the messages that are complete:

    JSON        values one after another, or one array of them: see `transcoder.json_stream`
    delimited   serialized messages, each behind its length as a varint
    raw         the bytes as they come, in pieces

A message is held once, and none grows over the limit.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Final, NoReturn, Protocol

from transcoder.errors import InvalidRequest, StatusError
from transcoder.status import Code

MESSAGE_LIMIT: Final = 1 << 20
"""Bytes of one message of a stream by default."""


class Cutter(Protocol):
    """Cuts one body into messages."""

    raw: ClassVar[bool]
    """Whether any bytes are a message."""

    @property
    def partial(self) -> bool:
        """Whether bytes of a message that is not complete have come; of raw bytes always."""
        ...

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Return the messages that are complete with this data; to be read to their end.

        Raises (when iterated):
            InvalidRequest: the body is malformed; says in which message, counted from 0.
            StatusError: a message is over the limit; 413.
        """
        ...

    def end(self) -> Iterator[bytes]:
        """Return the messages that the end of the body completes.

        Raises (when iterated):
            InvalidRequest: the body ends inside a message.
        """
        ...


def numbered(error: InvalidRequest, index: int) -> InvalidRequest:
    """Return an error that says in which message of a stream it is, counted from 0.

    >>> numbered(InvalidRequest("expected a number", "age"), 3).status.message
    '[3].age: expected a number'
    """
    where = f"[{index}].{error.field}" if error.field else f"[{index}]"
    return InvalidRequest(error.problem, where)


def refuse_size(index: int, limit: int) -> NoReturn:
    """Raise what says that a message of a stream is over the limit in bytes; 413."""
    message = f"[{index}]: this message is over the limit of {limit} bytes"
    # The rest of the body is not read.
    headers = [("connection", "close")]
    raise StatusError(Code.RESOURCE_EXHAUSTED, message, http=413, headers=headers)


_VARINT_LIMIT = 5
"""Bytes of a length; with more it would be over any limit."""


class DelimitedCutter:
    r"""Cuts serialized messages, each behind its length as a varint.

    Args:
        limit: bytes of one message.

    >>> cutter = DelimitedCutter()
    >>> [*cutter.feed(b"\x02a"), *cutter.feed(b"b\x00"), *cutter.end()]
    [b'ab', b'']
    """

    raw: ClassVar[bool] = False

    __slots__ = ("_held", "_index", "_limit")

    def __init__(self, limit: int = MESSAGE_LIMIT) -> None:
        self._limit = limit
        self._held = bytearray()
        self._index = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Return the messages that are complete with this data; to be read to their end."""
        self._held += data
        start = 0
        try:
            while (body := self._body(start)) is not None:
                first, past = body
                if past > len(self._held):
                    break
                message = bytes(memoryview(self._held)[first:past])
                start = past
                self._index += 1
                yield message
        finally:
            del self._held[:start]

    def end(self) -> Iterator[bytes]:
        """Return nothing; check that no message is incomplete."""
        if self._held:
            raise numbered(InvalidRequest("the body ends inside of this message"), self._index)
        yield from ()

    @property
    def partial(self) -> bool:
        """Whether the data ended inside a message."""
        return bool(self._held)

    def _body(self, start: int) -> tuple[int, int] | None:
        """Return where a message starts and ends; None while its length is incomplete."""
        length = shift = 0
        for position in range(start, min(start + _VARINT_LIMIT, len(self._held))):
            byte = self._held[position]
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                if length > self._limit:
                    refuse_size(self._index, self._limit)
                return position + 1, position + 1 + length
        if shift == 7 * _VARINT_LIMIT:
            refuse_size(self._index, self._limit)
        return None


class RawCutter:
    """Cuts bytes into pieces as they come; an empty body is one empty piece.

    Args:
        limit: bytes of a piece; what comes at once and is longer becomes several.

    >>> cutter = RawCutter(limit=2)
    >>> [*cutter.feed(b"abc"), *cutter.feed(b"d"), *cutter.end()]
    [b'ab', b'c', b'd']
    """

    raw: ClassVar[bool] = True
    partial: ClassVar[bool] = True

    __slots__ = ("_is_empty", "_limit")

    def __init__(self, limit: int = MESSAGE_LIMIT) -> None:
        self._limit = limit
        self._is_empty = True

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Return the data, in pieces."""
        for start in range(0, len(data), self._limit):
            self._is_empty = False
            yield data[start : start + self._limit]

    def end(self) -> Iterator[bytes]:
        """Return the one piece of an empty body, so that its Content-Type is told."""
        if self._is_empty:
            yield b""


class NoBody:
    """Cuts nothing: the one message of a rule without a body is made of path and query."""

    raw: ClassVar[bool] = False
    partial: ClassVar[bool] = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Drop the data."""
        yield from ()

    def end(self) -> Iterator[bytes]:
        """Return the one message, which has no bytes."""
        yield b""
