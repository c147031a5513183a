"""What docs/json.md says of documents that json_format takes and we refuse.

Each refusal is held against what the document has in that place: a rule of the list, spelled here
once more, must be the reason.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

from transcoder.errors import InvalidRequest

INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")
NUMBER = re.compile(rf"{INTEGER.pattern}(\.[0-9]+)?([eE][+-]?[0-9]+)?")
DURATION = re.compile(rf"{INTEGER.pattern}(\.[0-9]{{1,9}})?s")
TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?"
    r"(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
)
BASE64 = re.compile(r"([\w+/-]{4})*([\w+/-]{2}(==)?|[\w+/-]{3}=?)?", re.ASCII)
DOTS = re.compile(r"\.\.+")
PAIR = re.compile(r"given twice, as (.+) before|only one of (.+) and .+ may be set", re.DOTALL)
"""Tells which other key a refusal is about."""
CUSTOM = {"@custom": "custom_name"}
"""The one JSON name of the protos that is not made of the proto's."""
NO_NUMBERS = ("NaN", "Infinity", "-Infinity")


class Number(str):
    """A number as it stands in a document."""

    __slots__ = ()


class Pairs(NamedTuple):
    """An object as it stands in a document, with what it names twice."""

    pairs: list[tuple[str, Any]]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a document is refused.

    Args:
        path: as a refusal names it.
        key: of the object that the value stands in, or of the object around its list.
        around: that object.
        value: what stands there.
    """

    path: str = ""
    key: str = ""
    around: Pairs | None = None
    value: Any = None

    def all(self) -> Iterator[Place]:
        """Yield this place and each within it."""
        yield self
        if isinstance(self.value, Pairs):
            for name, item in self.value.pairs:
                dot = "." if self.path and not name.startswith("[") else ""
                yield from Place(f"{self.path}{dot}{name}", name, self.value, item).all()
        elif isinstance(self.value, list):
            for index, item in enumerate(self.value):
                yield from Place(f"{self.path}[{index}]", self.key, self.around, item).all()

    def is_named(self, path: str) -> bool:
        """Say whether a refusal's path, which may be cut, is of this place."""
        # An empty key is a step of the path in a map, and none in a Struct.
        shown = DOTS.sub(".", self.path.encode(errors="replace").decode()).rstrip(".")
        path = DOTS.sub(".", path).rstrip(".")
        return shown.startswith(path[:-1]) if path.endswith("…") else shown == path

    @property
    def text(self) -> str:
        """The value if it is a string or a number, as it is spelled."""
        return self.value if isinstance(self.value, str) else ""

    def has(self, key: str) -> bool:
        """Say whether the object around the value has a key of that name, which may be cut."""
        return any(name.startswith(key.removesuffix("…")) for name in self.names)

    @property
    def names(self) -> list[str]:
        """The keys of the object around the value."""
        return [] if self.around is None else [name for name, _ in self.around.pairs]


def is_listed(refusal: InvalidRequest, data: bytes, *, ignore_unknown: bool) -> bool:
    """Say whether a document that json_format takes is one of those that the list refuses."""
    tree = json.loads(
        data, object_pairs_hook=Pairs, parse_int=Number, parse_float=Number, parse_constant=Number
    )
    problem = refusal.problem
    rule = next(rule for begin, rule in RULES.items() if problem.startswith(begin))
    if ignore_unknown and rule is _is_empty:
        # What an array or a string holds is then taken for keys that are not known.
        rule = _is_no_object
    places = [place for place in Place(value=tree).all() if place.is_named(refusal.field)]
    found = PAIR.search(problem)
    if found is not None:
        places = [place for place in places if place.has(found[1] or found[2])]
    return any(rule(place) for place in places)


def _is_empty(place: Place) -> bool:
    return place.value in ([], "")


def _is_no_object(place: Place) -> bool:
    return isinstance(place.value, list | str) and not isinstance(place.value, Number)


def _is_twice(place: Place) -> bool:
    """Another key is the same number, or another spelling of the same field."""
    folded = [_folded(name) for name in place.names]
    return folded.count(_folded(place.key)) > 1


def _folded(name: str) -> Any:
    try:
        return Fraction(name)
    except ValueError:
        return CUSTOM.get(name, name).replace("_", "").lower()


def _is_null_in_a_oneof(place: Place) -> bool:
    """A null is a value there: of a Value, or a NullValue, as their fields' names tell."""
    pairs = [] if place.around is None else place.around.pairs
    return any(item is None and _folded(name).endswith(("null", "value")) for name, item in pairs)


def _is_no_number(place: Place) -> bool:
    if isinstance(place.value, Number) or place.value not in NO_NUMBERS:
        return not isinstance(place.value, str) or not NUMBER.fullmatch(place.value)
    return False


def _is_no_integer(place: Place) -> bool:
    if _is_no_number(place) or place.value in NO_NUMBERS:
        return True
    rounded = Fraction(float(place.value))
    return not INTEGER.fullmatch(place.value) and rounded != Fraction(place.value)


def _is_infinite(place: Place, kind: str = "<d") -> bool:
    if not isinstance(place.value, str):
        return False
    try:
        struct.pack(kind, float(place.value))
    except OverflowError:
        return True
    return float(place.value) in (float("inf"), float("-inf")) or place.value == "NaN"


def _is_no_enum(place: Place) -> bool:
    if not isinstance(place.value, str) or not INTEGER.fullmatch(place.value):
        return isinstance(place.value, str | bool)
    return not -(2**31) <= int(place.value) < 2**31


RULES: dict[str, Callable[[Place], bool]] = {
    "expected an object, got a": _is_empty,
    "expected a number that a double": _is_infinite,
    "expected a number that a float": lambda place: _is_infinite(place, "<f"),
    "expected a number of ": _is_no_enum,
    "expected a number": _is_no_number,
    "expected a name or number of ": _is_no_enum,
    "expected a 32-bit integer": _is_no_integer,
    "expected a 64-bit integer": _is_no_integer,
    "expected an unsigned ": _is_no_integer,
    "expected a duration": lambda place: not DURATION.fullmatch(place.text),
    "expected an RFC 3339 time": lambda place: not TIME.fullmatch(place.text),
    "expected base64": lambda place: not BASE64.fullmatch(place.text),
    "expected field names": lambda place: "" in place.text.split(","),
    "expected a type URL": lambda place: (
        place.key == "@type" and not place.text.startswith("type.googleapis.com/")
    ),
    "as a key, expected ": lambda place: not INTEGER.fullmatch(place.key),
    "no such field": lambda place: {"@type", "value"} <= set(place.names) - {place.key},
    "given twice": _is_twice,
    "an object names a key twice": lambda place: len(place.names) > len(set(place.names)),
    "only one of ": _is_null_in_a_oneof,
}
"""How a refusal begins, and what the list says of such a place; the first that fits is taken."""
