"""Streams of JSON: a body that is cut into its values as it arrives.

A body is one value after another, with blanks, newlines or nothing between them (NDJSON is of
these), or one array of them when it starts with a bracket.

JSON is only scanned here: brackets are counted, strings skipped. What a value is worth is said by
whoever decodes it, but no value grows over the limit before that. Bytes are looked at once, in runs
that a compiled pattern takes, or twice where a value seems plain and is not. A value is held once:
in parts until it is complete.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar, Final, Literal, NoReturn

from transcoder.errors import InvalidRequest
from transcoder.message_stream import MESSAGE_LIMIT, numbered, refuse_size

DEPTH_LIMIT: Final = 100
"""Levels that a value may have, as in any JSON body."""

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
                refuse_size(self._index, self._limit)
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
