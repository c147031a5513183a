"""Request streams: a body that is cut into messages as it arrives.

A cutter is fed whatever the network brings and gives the messages that are complete:

    JSON        one value after another, with blanks, newlines or nothing between them (NDJSON is
                of these), or one array of them when the body starts with a bracket
    delimited   serialized messages, each behind its length as a varint
    raw         the bytes as they come, in pieces

JSON is only scanned here: brackets are counted, strings skipped. What a value is worth is said by
whoever decodes it, but no value grows over the limit before that. Bytes are looked at once, in runs
that a compiled pattern takes, and a value is held once: in parts until it is complete.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar, Final, Literal, NoReturn, Protocol

from transcoder.errors import InvalidRequest, StatusError
from transcoder.status import Code

MESSAGE_LIMIT: Final = 1 << 20
"""Bytes of one message of a stream by default."""

DEPTH_LIMIT: Final = 100
"""Levels that a value may have, as in any JSON body."""


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


def _too_large(index: int, limit: int) -> NoReturn:
    message = f"[{index}]: this message is over the limit of {limit} bytes"
    # The rest of the body is not read.
    headers = [("connection", "close")]
    raise StatusError(Code.RESOURCE_EXHAUSTED, message, http=413, headers=headers)


_BLANK = re.compile(rb"[ \t\r\n]*+")
_NUMBER = re.compile(rb'[^ \t\r\n,\[\]{}"]*+')
_IN_STRING = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
_PLAIN = rb'[^"\[\]{}]*+(?:"[^"\\]*+(?:\\.[^"\\]*+)*+"[^"\[\]{}]*+)*+'
_UP_TO_BRACKET = re.compile(_PLAIN, re.DOTALL)
"""Up to the next bracket, or the string that the data ends in."""
_SHALLOW = rb"%b(?:[\[{]%b[\]}]%b)*+" % (_PLAIN, _PLAIN, _PLAIN)
_UP_TO_NESTED = re.compile(_SHALLOW, re.DOTALL)
"""The same, but past lists and objects that hold none; one level more is looked at."""
_OBJECT = re.compile(rb"[ \t\r\n]*+(\{%b\})" % _SHALLOW, re.DOTALL)
_ELEMENT = re.compile(rb"[ \t\r\n]*+,[ \t\r\n]*+(\{%b\})" % _SHALLOW, re.DOTALL)
"""What most values are, at one look: whole objects, with no more than one level inside."""
_QUOTE, _COMMA, _ARRAY, _ARRAY_END = b'",[]'
_FIRST = frozenset(b'{["-0123456789tfn')
"""What a JSON value starts with."""


class JsonCutter:
    r"""Cuts JSON values.

    Args:
        limit: bytes of one value.

    >>> cutter = JsonCutter()
    >>> [*cutter.feed(b'{"a": 1}\n{"a"'), *cutter.feed(b': "}"}'), *cutter.end()]
    [b'{"a": 1}', b'{"a": "}"}']
    >>> list(JsonCutter().feed(b'[{"a": 1}, 2]'))
    [b'{"a": 1}', b'2']
    """

    raw: ClassVar[bool] = False

    __slots__ = (
        "_array",
        "_depth",
        "_escaped",
        "_held",
        "_index",
        "_limit",
        "_number",
        "_string",
        "_wanted",
    )

    def __init__(self, limit: int = MESSAGE_LIMIT) -> None:
        self._limit = limit
        self._held = bytearray()
        """What came of a value that is not complete."""
        self._index = 0
        self._array: bool | None = None
        """Whether the body is an array; None before its first byte."""
        self._wanted: Literal["first", "value", "comma", "nothing"] = "first"
        """What comes next in an array."""
        self._depth = 0
        self._string = False
        self._escaped = False
        self._number = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Return the values that are complete with this data; to be read to their end."""
        position = 0
        while position < len(data):
            if not self._is_inside:
                whole = self._whole(data, position)
                if whole is not None:
                    yield self._complete(whole[1])
                    position = whole.end()
                    continue
                position = self._next(data, position)
                if position == len(data):
                    return
            end = self._past(data, position)
            if len(self._held) + end - position > self._limit:
                _too_large(self._index, self._limit)
            if self._is_inside:
                self._held += memoryview(data)[position:end]
            else:
                yield self._complete(data[position:end])
            position = end

    def end(self) -> Iterator[bytes]:
        """Return the number that only the end of the body completes."""
        if self._number and not self._array:
            self._number = False
            yield self._complete(b"")
        if self._is_inside or (self._array and self._wanted != "nothing"):
            self._refuse("the body ends inside of this message, or before it")

    @property
    def partial(self) -> bool:
        """Whether the data ended inside a value."""
        return self._is_inside

    @property
    def _is_inside(self) -> bool:
        return self._depth > 0 or self._string or self._number

    def _whole(self, data: bytes, position: int) -> re.Match[bytes] | None:
        """Return the value that comes next, if it is of the plain kind and within the limit."""
        if self._array is None or (self._array and self._wanted != "comma"):
            return None
        found = (_ELEMENT if self._array else _OBJECT).match(data, position)
        return None if found is None or len(found[1]) > self._limit else found

    def _complete(self, rest: bytes) -> bytes:
        if self._held:
            self._held += rest
            rest = bytes(self._held)
            # Not cleared: that would keep the room that the largest value took.
            self._held = bytearray()
        self._index += 1
        self._wanted = "comma"
        return rest

    def _refuse(self, problem: str) -> NoReturn:
        raise numbered(InvalidRequest(problem), self._index)

    def _next(self, data: bytes, position: int) -> int:
        """Return where the next value starts, behind blanks and commas, or the data ends."""
        while True:
            position = _end(_BLANK, data, position)
            if position == len(data):
                return position
            first = data[position]
            if self._array is None:
                self._array = first == _ARRAY
                separates = self._array
            else:
                separates = bool(self._array) and self._separates(first)
            if not separates:
                break
            position += 1
        if first not in _FIRST:
            self._refuse("expected a JSON value")
        return position

    def _separates(self, byte: int) -> bool:
        """Say whether a byte of an array stands between values; refuse it in the wrong place."""
        if self._wanted == "nothing":
            self._refuse("nothing may follow the array")
        if byte == _ARRAY_END and self._wanted != "value":
            self._wanted = "nothing"
            return True
        if self._wanted != "comma":
            return False
        if byte != _COMMA:
            self._refuse("expected a comma before it")
        self._wanted = "value"
        return True

    def _past(self, data: bytes, position: int) -> int:
        """Return where the value ends that starts or goes on here, or the data does."""
        if not self._is_inside:
            self._number = data[position] not in b'"[{'
            self._string = data[position] == _QUOTE
            position += self._string
        if self._number:
            position = _end(_NUMBER, data, position)
            self._number = position == len(data)
            return position
        while position < len(data):
            if self._string:
                position = self._past_string(data, position)
            else:
                plain = _UP_TO_NESTED if 0 < self._depth < DEPTH_LIMIT else _UP_TO_BRACKET
                position = self._past_bracket(data, _end(plain, data, position))
            if not self._depth and not self._string:
                break
        return position

    def _past_string(self, data: bytes, position: int) -> int:
        position = _end(_IN_STRING, data, position + self._escaped)
        self._escaped = data[position : position + 1] == b"\\"
        self._string = position == len(data) or self._escaped
        return min(position + 1, len(data))

    def _past_bracket(self, data: bytes, position: int) -> int:
        if position == len(data):
            return position
        byte = data[position]
        if byte == _QUOTE:
            self._string = True
        elif byte in b"[{":
            self._depth += 1
            if self._depth > DEPTH_LIMIT:
                self._refuse(f"over {DEPTH_LIMIT} levels")
        else:
            self._depth -= 1
        return position + 1


def _end(pattern: re.Pattern[bytes], data: bytes, position: int) -> int:
    """Return where a pattern ends that matches anywhere."""
    matched = pattern.match(data, position)
    return position if matched is None else matched.end()


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
                    _too_large(self._index, self._limit)
                return position + 1, position + 1 + length
        if shift == 7 * _VARINT_LIMIT:
            _too_large(self._index, self._limit)
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
