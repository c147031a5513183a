r"""What a list is filtered and ordered by: two small languages, parsed.

    filter     = comparison { "AND" comparison }
    comparison = field operator value
    operator   = "=" | "!=" | "<" | "<=" | ">" | ">=" | ":"
    value      = word | '"' { character | "\" character } '"'
    order_by   = field [ "asc" | "desc" ] { "," field [ "asc" | "desc" ] }

The filter is a part of AIP-160, the order is that of AIP-132. `:` stands for "contains". Fields
and their kinds are in `FIELDS`.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from google.protobuf.timestamp_pb2 import Timestamp

from services.user.v1.user_service_pb2 import User

LENGTH_LIMIT = 1000
"""Characters of a filter, and of an order."""

COMPARISON_LIMIT = 16
"""Comparisons of a filter."""


class Kind(enum.Enum):
    """How the values of a field are written and compared."""

    TEXT = enum.auto()
    NUMBER = enum.auto()
    TIME = enum.auto()
    ENUM = enum.auto()


FIELDS: Mapping[str, Kind] = {
    "id": Kind.TEXT,
    "name": Kind.TEXT,
    "email": Kind.TEXT,
    "role": Kind.ENUM,
    "state": Kind.ENUM,
    "quota_bytes": Kind.NUMBER,
    "avatar_bytes": Kind.NUMBER,
    "create_time": Kind.TIME,
    "update_time": Kind.TIME,
}
_ENUMS = {"role": User.Role, "state": User.State}
_ORDERING = ("=", "!=", "<", "<=", ">", ">=")
_OPERATORS = {
    Kind.TEXT: (*_ORDERING, ":"),
    Kind.NUMBER: _ORDERING,
    Kind.TIME: _ORDERING,
    Kind.ENUM: ("=", "!="),
}
_TOKEN = re.compile(
    r"""
    (?P<space>    \s+ )
  | (?P<operator> <= | >= | != | [=<>:] )
  | (?P<comma>    , )
  | (?P<quoted>   "(?:[^"\\]|\\.)*" )
  | (?P<word>     [^\s"=<>!:,()]+ )
    """,
    re.VERBOSE | re.DOTALL,
)
INT64 = range(-(1 << 63), 1 << 63)
"""The numbers that a field can hold."""

Value = str | int
"""A time is in microseconds since 1970, an enum value is its number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One condition of a filter."""

    field: str
    operator: str
    value: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One field that a list is ordered by."""

    field: str
    descending: bool = False


class QueryError(ValueError):
    """A filter or an order is wrong.

    Args:
        column: where, counted from 1.
        problem: what was expected there.
    """

    def __init__(self, column: int, problem: str) -> None:
        super().__init__(f"column {column}: {problem}")
        self.column = column


def parse_filter(text: str) -> tuple[Comparison, ...]:
    """Return the comparisons that a user must meet, all of them.

    Raises:
        QueryError: the filter is not of the language above.

    >>> parse_filter('role = ROLE_ADMIN AND name : "ann"')[1]
    Comparison(field='name', operator=':', value='ann')
    """
    tokens = _Tokens(text)
    found: list[Comparison] = []
    while tokens.more:
        if found:
            tokens.joined()
        found.append(_comparison(tokens))
        if len(found) > COMPARISON_LIMIT:
            raise QueryError(tokens.column, f"at most {COMPARISON_LIMIT} comparisons are allowed")
    return tuple(found)


def parse_order(text: str) -> tuple[Order, ...]:
    """Return the fields that a list is ordered by, the most significant first.

    Raises:
        QueryError: the order is not of the language above, or has a field twice.

    >>> parse_order("create_time desc, name")[0]
    Order(field='create_time', descending=True)
    """
    tokens = _Tokens(text)
    found: dict[str, Order] = {}
    while tokens.more:
        if found:
            tokens.take("comma", "expected a comma")
        column = tokens.column
        field = _field(tokens)
        if field in found:
            raise QueryError(column, f"{field} is named twice")
        found[field] = Order(field=field, descending=_descending(tokens))
    return tuple(found.values())


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    column: int


class _Tokens:
    def __init__(self, text: str) -> None:
        if len(text) > LENGTH_LIMIT:
            raise QueryError(LENGTH_LIMIT + 1, f"more than {LENGTH_LIMIT} characters")
        if "\0" in text:
            raise QueryError(text.index("\0") + 1, "a NUL character is not allowed")
        self._tokens = list(_scan(text))
        self._end = len(text) + 1
        self._next = 0

    @property
    def more(self) -> bool:
        return self._next < len(self._tokens)

    @property
    def column(self) -> int:
        return self._tokens[self._next].column if self.more else self._end

    def take(self, kinds: str, problem: str) -> _Token:
        if not self.more or self._tokens[self._next].kind not in kinds.split():
            raise QueryError(self.column, problem)
        self._next += 1
        return self._tokens[self._next - 1]

    def take_word(self, *words: str) -> str:
        if self.more and self._tokens[self._next].text in words:
            self._next += 1
            return self._tokens[self._next - 1].text
        return ""

    def joined(self) -> None:
        if not self.take_word("AND"):
            raise QueryError(self.column, "expected AND")
        if not self.more:
            raise QueryError(self.column, "expected a comparison after AND")


def _scan(text: str) -> Iterator[_Token]:
    position = 0
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None:
            problem = "the quote is not closed" if text[position] == '"' else "unexpected character"
            raise QueryError(position + 1, problem)
        kind = found.lastgroup or ""
        if kind != "space":
            yield _Token(kind, found[0], position + 1)
        position = found.end()


def _comparison(tokens: _Tokens) -> Comparison:
    field = _field(tokens)
    kind = FIELDS[field]
    allowed = _OPERATORS[kind]
    column = tokens.column
    operator = tokens.take("operator", f"expected an operator: {' '.join(allowed)}").text
    if operator not in allowed:
        raise QueryError(column, f"{field} is compared with {' '.join(allowed)}")
    token = tokens.take("word quoted", "expected a value")
    text = re.sub(r"\\(.)", r"\1", token.text[1:-1]) if token.kind == "quoted" else token.text
    try:
        return Comparison(field=field, operator=operator, value=_value(field, kind, text))
    except ValueError as error:
        raise QueryError(token.column, str(error)) from None


def _field(tokens: _Tokens) -> str:
    column = tokens.column
    name = tokens.take("word", "expected a field").text
    if name not in FIELDS:
        raise QueryError(column, f"not one of the fields {', '.join(FIELDS)}")
    return name


def _descending(tokens: _Tokens) -> bool:
    return tokens.take_word("asc", "desc") == "desc"


def _value(field: str, kind: Kind, text: str) -> Value:
    if kind is Kind.TEXT:
        return text
    if kind is Kind.ENUM:
        numbers = dict(_ENUMS[field].items())
        if text not in numbers:
            raise ValueError(f"expected one of {', '.join(numbers)}")
        return int(numbers[text])
    return _time(text) if kind is Kind.TIME else _number(text)


def _number(text: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,19}", text) or int(text) not in INT64:
        raise ValueError("expected a whole number of 64 bits")
    return int(text)


def _time(text: str) -> int:
    time = Timestamp()
    try:
        time.FromJsonString(text)
    except ValueError:
        raise ValueError('expected a time such as "2026-01-31T12:00:00Z"') from None
    return time.ToMicroseconds()
