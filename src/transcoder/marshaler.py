"""Content negotiation: which media type answers an `Accept`, and what a `Content-Type` says.

The grammar is RFC 9110's, sections 8.3, 12.4.2 and 12.5.1, read with the patience that clients
need: `*` and `q=.2` are what some have sent for decades, and what cannot be read is passed over.
Where several types are accepted alike, the one that the client named goes before the one that a
wildcard lets in, then the one it named first, then the one that is offered first.

A type with the suffix `+json` (RFC 6839) accepts JSON as well, unless JSON is refused by name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Final, TypeAlias

from transcoder.metadata import RawHeaders

JSON: Final = "application/json"
PROTOBUF: Final = ("application/x-protobuf", "application/protobuf")
"""The names that serialized messages go by; neither was ever registered alone."""

_CACHED = 256
"""Texts of `Accept` whose outcome is kept, and the characters that each may have."""

_TOKEN = r"[!#$%&'*+.^`|~\w-]++"  # noqa: S105  of RFC 9110, section 5.6.2
_ENTRY = re.compile(r'(?:[^",]|"(?:[^"\\]|\\.)*+"?)++', re.DOTALL)
_RANGE = re.compile(rf"[ \t]*+(?:\*|{_TOKEN}/{_TOKEN})[ \t]*+(?:;|\Z)", re.ASCII)
_PARAMETER = re.compile(
    rf'[ \t]*+(?:({_TOKEN})[ \t]*+=[ \t]*+(?:"((?:[^"\\]|\\.)*+)"|({_TOKEN})))?[ \t]*+(?:;|\Z)',
    re.ASCII,
)
_QUALITY = re.compile(r"0?\.[0-9]{1,9}|0\.?|1(?:\.0{0,9})?")
_WEIGHT = re.compile(rf"[ \t]*+[qQ]=({_QUALITY.pattern})[ \t]*+")
_JSON = re.compile(r"application/json|[!#$&^_.+\w-]+/[!#$&^_.+\w-]+\+json", re.ASCII)
_ANY_JSON = "+json"
_FREQUENT = frozenset({JSON, f"{JSON}; charset=utf-8", f"{JSON};charset=utf-8"})
"""What clients send as the Content-Type of JSON."""
_UTF8 = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})

_WILDCARD, _TYPE, _SUFFIX, _NAMED = range(4)
"""How exactly a range names an offer."""

_Said: TypeAlias = dict[tuple[str, bool | None], tuple[float, int]]
"""Quality and place, by the range's name and whether it wants delimited messages or does not say.

Ranges that speak of the same offers become one, so that many of them cost no more than few.
"""


class Offers:
    """The media types that an answer may have, the preferred one first.

    Args:
        types: as they are sent in Content-Type; none when the answer says its own type, which every
            Accept accepts.
        refuse: whether who accepts none of them gets none, or the first.

    >>> answer = Offers(("application/json", "text/event-stream"))
    >>> answer.choose("text/event-stream, */*;q=0.5")
    'text/event-stream'
    >>> answer.choose("text/html, application/*;q=0.8")
    'application/json'
    >>> answer.choose("image/png") is None
    True
    """

    __slots__ = ("_delimited", "_known", "_named", "_otherwise", "_seed", "types")

    def __init__(self, types: Sequence[str], *, refuse: bool = True) -> None:
        self.types = tuple(types)
        first = self.types[0] if types else ""
        self._otherwise = None if refuse else first
        self._seed: dict[str, str | None] = {"": first, "*/*": first, **{t: t for t in types}}
        self._known = dict(self._seed)
        self._named: dict[str, list[tuple[int, int]]] = {}
        self._delimited = tuple(map(_is_delimited, types))
        for index, offer in enumerate(self.types):
            essence = media_type(offer)
            names = {"*": _WILDCARD, "*/*": _WILDCARD, f"{essence.partition('/')[0]}/*": _TYPE}
            if essence == JSON:
                names[_ANY_JSON] = _SUFFIX
            for name, rank in (names | {essence: _NAMED}).items():
                self._named.setdefault(name, []).append((index, rank))

    def choose(self, accept: str) -> str | None:
        """Return the type that is accepted most; None when none of them is.

        Args:
            accept: all values of the header, joined by commas; empty when there are none.
        """
        known = self._known
        if accept in known:
            return known[accept]
        chosen = self._choose(accept) if self.types else ""
        if len(accept) <= _CACHED:
            if len(known) >= _CACHED:
                # Whoever sends ever new texts shall not keep others from being known.
                self._known = known = dict(self._seed)
            known[accept] = chosen
        return chosen

    def _choose(self, accept: str) -> str | None:
        said = self._said(accept)
        if not said and not _says_anything(accept):
            return self.types[0]
        best: dict[int, tuple[int, bool, float, int]] = {}
        for (name, delimited), (quality, place) in said.items():
            for index, rank in self._named[name]:
                # A type that only resembles JSON cannot refuse JSON.
                counts = quality or rank != _SUFFIX
                if counts and delimited in {None, self._delimited[index]}:
                    found = (rank, delimited is not None, quality, place)
                    best[index] = max(found, best.get(index, found))
        accepted = [
            (quality, rank, place, -index)
            for index, (rank, _, quality, place) in best.items()
            if quality
        ]
        return self.types[-max(accepted)[3]] if accepted else self._otherwise

    def _said(self, accept: str) -> _Said:
        """Return what the ranges say that name any offer; places are below 0, the first at 0."""
        said: _Said = {}
        for place, entry in enumerate(dict.fromkeys(_entries(accept))):
            essence, semicolon, rest = entry.partition(";")
            name = essence.strip(" \t").lower()
            if name not in self._named:
                if not name.endswith(_ANY_JSON) or _ANY_JSON not in self._named:
                    continue
                name = _ANY_JSON
            weight = _weight(rest) if semicolon else (None, 1.0)
            if weight is not None:
                key, found = (name, weight[0]), (weight[1], -place)
                said[key] = max(found, said.get(key, found))
        return said


@cache
def offers(*types: str, refuse: bool = True) -> Offers:
    """Return the one `Offers` of these types, so that what it learns serves all methods alike."""
    return Offers(types, refuse=refuse)


def accept_of(headers: RawHeaders) -> str:
    """Return the values of all `Accept` headers as one; empty without any.

    >>> accept_of([(b"accept", b"text/plain"), (b"host", b"x"), (b"accept", b"*/*")])
    'text/plain, */*'
    """
    accept = b""
    for name, value in headers:
        if name == b"accept":
            accept = accept + b", " + value if accept else value
    return accept.decode("latin-1")


def media_type(content_type: str) -> str:
    """Return a Content-Type without its parameters.

    >>> media_type("Text/Plain; charset=utf-8")
    'text/plain'
    """
    return content_type.partition(";")[0].strip().lower()


def is_json(content_type: str) -> bool:
    """Say whether a Content-Type is JSON in UTF-8.

    >>> is_json("application/vnd.api+json; charset=utf-8")
    True
    >>> is_json("application/json; charset=latin1")
    False
    """
    frequent = content_type.lower() in _FREQUENT
    return frequent or (is_any_json(content_type) and is_utf8(content_type))


def is_any_json(content_type: str) -> bool:
    """Say whether a Content-Type is JSON, in whatever charset."""
    return _JSON.fullmatch(media_type(content_type)) is not None


def is_utf8(content_type: str) -> bool:
    """Say whether a Content-Type names UTF-8 or its part ASCII, or no charset."""
    _, semicolon, rest = content_type.partition(";")
    if not semicolon or "charset" not in rest.lower():
        return True
    given = _parameters(rest)
    if given is None:
        # Not of the grammar, but it does say something of charsets.
        return False
    return given.get("charset", "utf-8").lower() in _UTF8


def is_protobuf(content_type: str) -> bool:
    """Say whether a Content-Type is one serialized message.

    >>> is_protobuf("application/x-protobuf"), is_protobuf("application/x-protobuf; delimited=true")
    (True, False)
    """
    return media_type(content_type) in PROTOBUF and not _is_delimited(content_type)


def is_any_protobuf(content_type: str) -> bool:
    """Say whether a Content-Type is serialized messages, one or many."""
    return content_type != JSON and media_type(content_type) in PROTOBUF


def is_delimited(content_type: str) -> bool:
    """Say whether a Content-Type is serialized messages, each behind its length.

    >>> is_delimited("application/x-protobuf; delimited=true")
    True
    """
    return media_type(content_type) in PROTOBUF and _is_delimited(content_type)


def _is_delimited(content_type: str) -> bool:
    given = _parameters(content_type.partition(";")[2]) or {}
    return given.get("delimited", "").lower() == "true"


def _entries(accept: str) -> Iterable[str]:
    # A comma may stand in a quoted string, which almost no client sends.
    return accept.split(",") if '"' not in accept else _ENTRY.findall(accept)


def _parameters(text: str) -> dict[str, str] | None:
    """Return the parameters behind the first semicolon; None when they cannot be read."""
    given: dict[str, str] = {}
    position = 0
    while position < len(text):
        found = _PARAMETER.match(text, position)
        if found is None:
            return None
        if found[1] is not None:
            name = found[1].lower()
            value = found[3] if found[2] is None else re.sub(r"\\(.)", r"\1", found[2])
            given.setdefault(name, value)
        position = found.end()
    return given


def _weight(text: str) -> tuple[bool | None, float] | None:
    """Return whether a range wants delimited messages, and its quality; None to pass over it."""
    alone = _WEIGHT.fullmatch(text)
    if alone is not None:
        return None, float(alone[1])
    given = _parameters(text)
    if given is None or given.get("charset", "utf-8").lower() not in _UTF8:
        return None
    quality, delimited = given.get("q", "1"), given.get("delimited")
    if _QUALITY.fullmatch(quality) is None:
        return None
    return None if delimited is None else delimited.lower() == "true", float(quality)


def _says_anything(accept: str) -> bool:
    return any(_RANGE.match(entry) for entry in _entries(accept))
