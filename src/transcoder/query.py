"""The setters that the keys of a query compile to.

    key = name *( "." name ) [ "[" map-key "]" ]

A name is the proto or the JSON name of a field. A key is compiled when it is first met, and kept.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final, NoReturn, TypeAlias

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
from transcoder.known_parts import KnownPath, known_path
from transcoder.profile import Strictness
from transcoder.query_string import DEFAULT_LIMITS, Pair, QueryLimits, parameters
from transcoder.system_parameters import check_system
from transcoder.values import BadValue

_Parameter: TypeAlias = tuple[str, Setter, bool, bool, KnownPath | None]
"""Its name, how it is set, whether at most once and weighed, and of which known value it is a part.

A plain tuple, for each request looks into some of them.
"""


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
        kept = self._known
        seen: set[str] = set()
        parts: dict[str, tuple[str, KnownPath]] = {}
        key = ""
        try:
            for key, _, value in pairs:
                name, set_, once, weighed, known = kept.get(key) or self._parameter(key)
                if once and name in seen:
                    _refuse_second()
                seen.add(name)
                if known is not None:
                    known.keep_apart(seen)
                    if known.above:
                        parts[known.above[0]] = key, known
                if weighed and budget is not None:
                    budget.spend(nodes(value))
                set_(message, value)
            for key, known in parts.values():  # noqa: B007  what is refused tells it
                known.check(message)
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
            return key, _system_setter(key), True, False, None
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
        parameter = str(path), _guarded(path), once, weighed, known_path(path)
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
        weighed = is_weighed_leaf(path)
        return name, set_entry, False, weighed, known_path(path)


def _refuse_second() -> NoReturn:
    raise BadValue("too many values: this field takes one")


def _system_setter(key: str) -> Setter:
    return lambda _, value: check_system(key, value)


def _nothing(message: Message, text: str) -> None:
    """Set nothing."""


_SILENT: Final[_Parameter] = ("", _nothing, False, False, None)


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
