"""A request, as the values of a document's variables: pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import orjson

from transcoder.errors import NAME_LIMIT, ConfigError, InvalidRequest, StatusError, UnsupportedMedia
from transcoder.graphql_upstream.document import Variable
from transcoder.graphql_upstream.source import Place, Source
from transcoder.graphql_upstream.values import BODY, ReadAll, check, member, text_reader
from transcoder.marshaler import is_json
from transcoder.protojson.cost import LIMIT, json_values
from transcoder.query_string import DEFAULT_LIMITS, parameters
from transcoder.status import Code
from transcoder.values import BadValue, suggestion

Known: TypeAlias = "dict[str, Known]"
"""The members of a body that are known; none for all that may be in it."""

DEPTH: Final = 100
"""Arrays and objects within one another that a body may have."""

NOTHING: Final = object()
"""What a body is that is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What of a request variables are made of.

    Args:
        path: the values of the template's variables, by name.
        query: without its question mark.
        body: what its JSON says; NOTHING where there is none.
        metadata: of the call.
    """

    path: Mapping[str, str] = field(default_factory=dict)
    query: bytes = b""
    body: Any = NOTHING
    metadata: Iterable[tuple[str, str | bytes]] = ()


@dataclass(frozen=True, slots=True)
class _Filled:
    variable: Variable
    source: Source
    read: ReadAll | None


class Variables:
    """Fills the variables of an operation; compiled once.

    Args:
        variables: of the operation, by name.
        sources: of each that is filled, by name.

    Raises:
        ConfigError: a source is none, is of no variable or cannot make such values, or a required
            variable has none.
    """

    def __init__(self, variables: Mapping[str, Variable], sources: Mapping[str, str]) -> None:
        self._filled = [_filled(name, text, variables) for name, text in sources.items()]
        missing = [each.name for each in variables.values() if each.required]
        for name in missing:
            if name not in sources:
                raise ConfigError(f"variables: nothing fills {name!r}, which is required")
        self._query = self._names("query")
        self._known = _known(self._names("body"))
        self.reads_body: Final = bool(self._names("body"))
        """Whether a body is looked at."""

    def check_path(self, names: Collection[str]) -> None:
        """Check that the variables of a path are those that fill variables of the operation.

        Raises:
            ConfigError: one is not there, or says nothing.
        """
        used = self._names("path")
        for name in used:
            if name not in names:
                raise ConfigError(f"variables: the path has no {name!r}{suggestion(name, names)}")
        for name in names:
            if name not in used:
                raise ConfigError(f"variables: {name!r} of the path fills none of them")

    def __call__(self, parts: Parts) -> dict[str, Any]:
        """Return their values, by name.

        Raises:
            InvalidRequest: one does not fit or is missing, or there is more than fills them; names
                the part.
        """
        given: dict[Place, Mapping[str, Sequence[str]]] = {
            "path": {name: [text] for name, text in parts.path.items()},
            "query": self._parameters(parts.query),
            "metadata": _texts(parts.metadata),
        }
        if self.reads_body and self._known and parts.body is not NOTHING:
            _check_members(parts.body, self._known)
        values = {}
        for each in self._filled:
            source = each.source
            if source.place == "body":
                value = _within(parts.body, source.name)
                if value is not NOTHING:
                    check(value, each.variable.type, source.name)
            else:
                value = _of_text(each, given[source.place].get(source.name))
            if value is not NOTHING:
                values[each.variable.name] = value
            elif each.variable.required:
                raise InvalidRequest("is required", source.told)
        return values

    def _names(self, place: Place) -> list[str]:
        return [each.source.name for each in self._filled if each.source.place == place]

    def _parameters(self, query: bytes) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for key, _, value in parameters(query, DEFAULT_LIMITS) if query else ():
            if key and key not in self._query:
                hint = suggestion(key, self._query)
                raise InvalidRequest(f"no such parameter{hint}", key[:NAME_LIMIT])
            found.setdefault(key, []).append(value)
        return found


def json_body(data: bytes, content_type: str) -> Any:
    """Return what the JSON of a body says; NOTHING for an empty one.

    Raises:
        UnsupportedMedia: it is of another type.
        InvalidRequest: it is no JSON, or nested too deep.
        StatusError: 413, it holds too many values.
    """
    if not data:
        return NOTHING
    if not is_json(content_type):
        problem = "a body of this type is not taken" if content_type else "it has no Content-Type"
        advice = "send Content-Type: application/json (with curl: --json)"
        raise UnsupportedMedia(f"{problem}: {advice}")
    if len(data) >= LIMIT and json_values(data, LIMIT) > LIMIT:
        problem = f"the body holds over {LIMIT} JSON values"
        raise StatusError(Code.RESOURCE_EXHAUSTED, problem, http=413)
    try:
        body = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        problem = f"the body is not JSON: line {error.lineno}, column {error.colno}"
        raise InvalidRequest(problem) from None
    if data.count(b"[") + data.count(b"{") > DEPTH and _is_deeper(body):
        raise InvalidRequest(f"the body is nested over {DEPTH} levels deep")
    return body


def _is_deeper(body: Any) -> bool:
    inside = [body]
    for _ in range(DEPTH + 1):
        around = [each for each in inside if isinstance(each, dict | list)]
        if not around:
            return False
        inside = []
        for each in around:
            inside += each.values() if isinstance(each, dict) else each
    return True


def _filled(name: str, text: str, variables: Mapping[str, Variable]) -> _Filled:
    if name not in variables:
        hint = suggestion(name, variables)
        raise ConfigError(f"variables: the operation has no ${name}{hint}")
    variable = variables[name]
    try:
        source = Source.parse(text)
        read = None if source.place == "body" else text_reader(variable.type)
    except ConfigError as error:
        raise ConfigError(f"variables: {name}: {error}") from None
    return _Filled(variable, source, read)


def _of_text(filled: _Filled, texts: Sequence[str] | None) -> Any:
    if not texts or filled.read is None:
        return NOTHING
    try:
        return filled.read(texts)
    except BadValue as error:
        raise InvalidRequest(str(error), filled.source.told) from None


def _texts(metadata: Iterable[tuple[str, str | bytes]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for key, value in metadata:
        if isinstance(value, str):
            found.setdefault(key, []).append(value)
    return found


def _known(names: Collection[str]) -> Known:
    """Return the members that paths of a body name, each within the other."""
    known: Known = {}
    if "" in names:
        return known
    # The longer first: who takes the whole of a member takes what is in it.
    for name in sorted(names, key=lambda name: -name.count(".")):
        *above, last = name.split(".")
        inside = known
        for each in above:
            inside = inside.setdefault(each, {})
        inside[last] = {}
    return known


def _check_members(body: Any, known: Known, at: str = "") -> None:
    if not isinstance(body, dict):
        raise InvalidRequest("expected an object", at or BODY)
    for name, value in body.items():
        place = member(at, name)
        if name not in known:
            hint = suggestion(name, known)
            raise InvalidRequest(f"no such field{hint}", place)
        if known[name] and value is not None:
            _check_members(value, known[name], place)


def _within(body: Any, name: str) -> Any:
    found = body
    for each in name.split(".") if name else ():
        if not isinstance(found, dict) or each not in found:
            return NOTHING
        found = found[each]
    return found
