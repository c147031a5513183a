"""The query string: its grammar, its limits, and the setters that its keys compile to.

    query     = [ parameter *( "&" parameter ) ]
    parameter = key [ "=" value ]
    key       = name *( "." name ) [ "[" map-key "]" ]

A name is the proto or the JSON name of a field. `+` is a space and `%XX` a byte, in keys and in
values; `;` separates nothing; a parameter without a key says nothing. A key is compiled when it
is first met, and kept.
"""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import NoReturn

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

from transcoder.budget import Budget, nodes
from transcoder.errors import NAME_LIMIT, InvalidRequest
from transcoder.fields import (
    FieldPath,
    FieldPathError,
    KeySetter,
    Setter,
    UnknownField,
    is_map,
    is_weighed_leaf,
    key_setter,
    oneof_guard,
    setter,
)
from transcoder.profile import Strictness
from transcoder.values import BadValue

_BAD_ESCAPE = re.compile("%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryLimits:
    """What a query may hold.

    Args:
        size: bytes in all.
        parameters: how many.
        depth: names in one key.
        compiled: keys whose setters are kept, for clients choose them; further ones are
            compiled for each request.
    """

    size: int = 8192
    parameters: int = 1000
    depth: int = 32
    compiled: int = 64


DEFAULT_LIMITS = QueryLimits()

Pair = tuple[str, str, str]
"""A decoded parameter: its key, `=` or nothing, and its value."""


def parameters(query: bytes, limits: QueryLimits, source: str = "query") -> list[Pair]:
    """Return the decoded parameters of a query in order, as key, `=` and value.

    The key may be empty, the whole parameter may not.

    Args:
        query: or another text of this grammar.
        limits: what it may hold.
        source: what errors call it.

    Raises:
        InvalidRequest: over a limit, or not UTF-8 behind well-formed escapes.

    >>> parameters(b"q=a+b&%6B=1%262&flag", QueryLimits())
    [('q', '=', 'a b'), ('k', '=', '1&2'), ('flag', '', '')]
    """
    if len(query) > limits.size or query.count(b"&") >= limits.parameters:
        _check_size(query, limits, source)
    try:
        text = query.decode()
    except UnicodeDecodeError:
        raise InvalidRequest(f"the {source} is not UTF-8") from None
    if "\0" in text:
        raise InvalidRequest(f"the {source} holds a NUL")
    pairs = [pair.partition("=") for pair in text.split("&") if pair]
    if "+" in text:
        pairs = [(k.replace("+", " "), equals, v.replace("+", " ")) for k, equals, v in pairs]
    if "%" in text:
        return [
            (
                _decoded(key, source) if "%" in key else key,
                equals,
                _decoded(value, source) if "%" in value else value,
            )
            for key, equals, value in pairs
        ]
    return pairs


def _check_size(query: bytes, limits: QueryLimits, source: str) -> None:
    if len(query) > limits.size:
        raise InvalidRequest(f"the {source} is over the limit of {limits.size} bytes")
    if sum(map(bool, query.split(b"&"))) > limits.parameters:
        raise InvalidRequest(f"over {limits.parameters} {source} parameters")


def _decoded(text: str, source: str) -> str:
    if _BAD_ESCAPE.search(text):
        raise InvalidRequest(f"the {source} holds a % without two hexadecimal digits behind it")
    if "%00" in text:
        raise InvalidRequest(f"the {source} holds a NUL")
    try:
        return urllib.parse.unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        raise InvalidRequest(f"the {source} is not UTF-8") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemParameters:
    """What a client said by Google's system parameters.

    Args:
        enum_numbers: print enum values as numbers, from `$alt=json;enum-encoding=int`.
        pretty_print: indent the answer; None when not said.
        fields: a field mask for the answer, as it was written.
    """

    enum_numbers: bool = False
    pretty_print: bool | None = None
    fields: str = ""


def system_names(descriptor: Descriptor) -> frozenset[str]:
    """Return the keys that are system parameters for a message: a field of that name is not."""
    bare = {"alt", "prettyPrint", "fields"}
    own = {name for field in descriptor.fields for name in (field.name, field.json_name)}
    return frozenset({f"${name}" for name in bare} | (bare - own))


_ESCAPED_KEY = re.compile("&[^=&]*%")


def names_system(query: bytes) -> bool:
    """Say, at little cost, whether a query may hold a system parameter: False is sure."""
    # Texts are searched in a third of the time that bytes take.
    text = query.decode("latin-1")
    return (
        "alt" in text
        or "fields" in text
        or "prettyPrint" in text
        or ("%" in text and _ESCAPED_KEY.search(f"&{text}") is not None)
    )


def system_parameters(pairs: Iterable[Pair], names: Collection[str]) -> SystemParameters:
    """Return the system parameters of a query.

    Args:
        pairs: its parameters.
        names: the keys that count as such; see `system_names`.

    Raises:
        InvalidRequest: a value is none that is answered.

    >>> pairs = parameters(b"$alt=json;enum-encoding=int&prettyPrint=true", QueryLimits())
    >>> system_parameters(pairs, {"$alt", "prettyPrint"})
    SystemParameters(enum_numbers=True, pretty_print=True, fields='')
    """
    said = {}
    for key, _, value in pairs:
        if key in names:
            _check_system(key, value)
            said[key.removeprefix("$")] = value
    return SystemParameters(
        enum_numbers=said.get("alt", "").endswith("enum-encoding=int"),
        pretty_print=_FLAGS[said["prettyPrint"]] if "prettyPrint" in said else None,
        fields=said.get("fields", ""),
    )


_FLAGS = {"true": True, "false": False, "1": True, "0": False}
_ALTS = {"json", "json;enum-encoding=int", "json;enum-encoding=string"}


def _check_system(key: str, value: str) -> None:
    name = key.removeprefix("$")
    if name == "alt" and value not in _ALTS:
        raise InvalidRequest("expected json, or json;enum-encoding=int", key)
    if name == "prettyPrint" and value not in _FLAGS:
        raise InvalidRequest("expected true or false", key)


@dataclass(frozen=True, slots=True)
class _Parameter:
    name: str
    set: Setter
    once: bool
    weighed: bool = False


class QueryBinder:
    """Sets the fields of a message from a query.

    Args:
        descriptor: the message's type.
        bound: paths of the fields that the path or the body holds; keys at or under them say
            nothing.
        body_only: refuse all fields, because the body holds them.
        unknown: what happens to a key that names no field.
        ignored: keys that say nothing, whatever the fields.
        system: keys that are system parameters, see `system_names`.
        limits: of the query.

    Raises (on call, and by `bind`):
        InvalidRequest: a parameter does not fit its field; names the parameter.
    """

    __slots__ = (
        "_body_only",
        "_bound",
        "_descriptor",
        "_ignored",
        "_known",
        "_limits",
        "_maps",
        "_system",
        "_unknown",
    )

    def __init__(
        self,
        descriptor: Descriptor,
        *,
        bound: Collection[tuple[str, ...]] = (),
        body_only: bool = False,
        unknown: Strictness = "reject",
        ignored: Collection[str] = (),
        system: Collection[str] = (),
        limits: QueryLimits = DEFAULT_LIMITS,
    ) -> None:
        self._descriptor = descriptor
        self._bound = bound
        self._body_only = body_only
        self._unknown = unknown
        self._ignored = ignored
        self._system = system
        self._limits = limits
        self._known: dict[str, _Parameter] = {"": _SILENT}
        self._maps: dict[str, KeySetter] = {}

    def __call__(self, message: Message, query: bytes) -> None:
        """Set what the query says; `query` comes without the question mark."""
        self.bind(message, parameters(query, self._limits))

    def bind(self, message: Message, pairs: Sequence[Pair], budget: Budget | None = None) -> None:
        """Set what pairs say.

        Args:
            message: to set it in.
            pairs: decoded parameters.
            budget: of what takes its time; None where there is too little for that.
        """
        known = self._known
        seen: set[str] = set()
        key = ""
        try:
            for key, _, value in pairs:
                parameter = known.get(key) or self._parameter(key)
                if parameter.once and parameter.name in seen:
                    _refuse_second()
                seen.add(parameter.name)
                if budget is not None and parameter.weighed:
                    budget.spend(nodes(value))
                parameter.set(message, value)
        except (BadValue, FieldPathError) as error:
            raise InvalidRequest(str(error), key[:NAME_LIMIT]) from None

    def beside(self, pairs: Sequence[Pair], said: Collection[tuple[str, ...]]) -> list[Pair]:
        """Return the pairs that are not at or under the paths of fields that were said."""
        return [pair for pair in pairs if not self._was_said(pair[0], said)]

    def _was_said(self, key: str, said: Collection[tuple[str, ...]]) -> bool:
        try:
            names = self._resolve(key.partition("[")[0]).names
        except (BadValue, FieldPathError):
            return False
        return any(names[:count] in said for count in range(1, len(names) + 1))

    def _parameter(self, key: str) -> _Parameter:
        """Compile what a key says, and keep it when any request may say it again."""
        if key in self._ignored:
            return _SILENT
        if key in self._system:
            return _Parameter(key, _system_setter(key), once=True)
        if self._body_only:
            raise BadValue("this method takes its fields from the body: send it there")
        dotted, bracket, map_key = key.partition("[")
        try:
            path = self._resolve(dotted)
        except UnknownField:
            if self._unknown == "ignore":
                return _SILENT
            raise
        if self._is_bound(path):
            return _SILENT
        if bracket:
            return self._map_entry(path, map_key)
        once, weighed = not path.leaf.is_repeated, is_weighed_leaf(path)
        parameter = _Parameter(str(path), _guarded(path), once, weighed)
        if len(self._known) < self._limits.compiled:
            self._known[key] = parameter
        return parameter

    def _resolve(self, dotted: str) -> FieldPath:
        if dotted.count(".") >= self._limits.depth:
            raise BadValue(f"over {self._limits.depth} names in one path")
        return FieldPath.resolve(self._descriptor, dotted)

    def _is_bound(self, path: FieldPath) -> bool:
        names = path.names
        return any(names[: len(bound)] == bound for bound in self._bound)

    def _map_entry(self, path: FieldPath, rest: str) -> _Parameter:
        if not is_map(path.leaf):
            raise BadValue(f"{path.leaf.name} is not a map")
        map_key = rest[:-1]
        if not map_key or not rest.endswith("]") or "[" in map_key or "]" in map_key:
            raise BadValue(f"expected {path.leaf.name}[key]")
        name = str(path)
        set_ = self._maps.get(name)
        if set_ is None:
            set_ = _guarded_key(path)
            if len(self._maps) < self._limits.compiled:
                self._maps[name] = set_
        set_entry = _entry_setter(set_, map_key)
        return _Parameter(name, set_entry, once=False, weighed=is_weighed_leaf(path))


def _refuse_second() -> NoReturn:
    raise BadValue("too many values: this field takes one")


def _system_setter(key: str) -> Setter:
    return lambda _, value: _check_system(key, value)


def _nothing(message: Message, text: str) -> None:
    """Set nothing."""


_SILENT = _Parameter("", _nothing, once=False)


def _guarded(path: FieldPath) -> Setter:
    set_, guard = setter(path), oneof_guard(path)
    if guard is None:
        return set_

    def set_guarded(message: Message, text: str) -> None:
        guard(message)
        set_(message, text)

    return set_guarded


def _guarded_key(path: FieldPath) -> KeySetter:
    set_, guard = key_setter(path), oneof_guard(path)
    if guard is None:
        return set_

    def set_guarded(message: Message, key: str, text: str) -> None:
        guard(message)
        set_(message, key, text)

    return set_guarded


def _entry_setter(set_: KeySetter, map_key: str) -> Setter:
    return lambda message, text: set_(message, map_key, text)
