"""A JSON document as Python sees it, and whether an object in it names a key twice."""

from __future__ import annotations

import json
from typing import Any, Self

_WHITESPACE = b" \t\n\r"


class Pairs(list[tuple[str, Any]]):
    """A JSON object with its keys in order, all of those given twice."""


class Number(float):
    """A JSON number with a fraction or an exponent, and its spelling."""

    __slots__ = ("spelling",)

    spelling: str

    def __new__(cls, spelling: str) -> Self:
        """Return the number that a spelling means."""
        number = super().__new__(cls, spelling)
        number.spelling = spelling
        return number


def parse(data: bytes) -> Any:
    """Return a document with objects as `Pairs` and numbers that are no integers as `Number`.

    Raises:
        UnicodeDecodeError: it is not UTF-8.
        json.JSONDecodeError: it is not JSON.
        RecursionError: it is nested too deep to be read.
        ValueError: it holds an integer of more digits than Python reads.
    """
    return json.loads(data.decode(), object_pairs_hook=Pairs, parse_float=Number)


def names_a_key_twice(data: bytes, keys: int, colons: int) -> bool:
    """Say whether an object of a JSON document names a key twice.

    Args:
        data: what a JSON parser took.
        keys: how many keys all objects have that came out of it, duplicates lost.
        colons: how many colons are known to be in strings that came out of it.

    A document has as many members as it has colons outside of strings. So it has no more members
    than colons, nor than colons less those known to be in strings, if none of these was written
    as an escape; nor than quotes with a colon behind them, once all whitespace is gone. Where one
    of these counts is that of the keys, no member was lost. Other colons in strings can only add
    to the counts, and then each object is looked at.
    """
    more = data.count(b":") - keys
    if not more or (more == colons and b"\\" not in data):
        return False
    if data.translate(None, _WHITESPACE).count(b'":') == keys:
        return False
    members = 0

    def count(pairs: list[tuple[str, Any]]) -> None:
        nonlocal members
        members += len(pairs)

    json.loads(data, object_pairs_hook=count)
    return members != keys
