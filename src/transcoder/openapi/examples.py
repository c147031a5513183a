"""Examples that fit their schemas, made of nothing but the schemas."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from transcoder.openapi.scalars import Schema

PREFIX = "#/components/schemas/"
_DEPTH = 3
"""Objects inside objects that an example shows, beyond those that it must."""
_FORMATS = {
    "date-time": "2026-01-31T12:00:00Z",
    "email": "ann@example.com",
    "hostname": "www.example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "uri-reference": "/about",
    "uuid": "123e4567-e89b-42d3-a456-426614174000",
    "binary": "...",
}
_TEXTS = ("string", "1", "1.5s", "a", "A", "a1", "ab", "AB", "abc", "ABC", "example", "a-b", "CH")
_ANY = {"@type": "type.googleapis.com/google.protobuf.Duration", "value": "1.5s"}


class Unexampled(Exception):
    """No example of a schema can be made."""


class Examples:
    """Makes examples.

    Args:
        components: the schemas that others refer to, by name.
        skipped: keyword of the properties that are not shown, `readOnly` or `writeOnly`.

    >>> Examples({})({"type": "array", "items": {"type": "integer", "minimum": 5}})
    [5]
    """

    def __init__(self, components: Mapping[str, Schema], skipped: str = "readOnly") -> None:
        self._components = components
        self._skipped = skipped
        self._known: dict[tuple[str, int], Any] = {}
        self._open: set[str] = set()

    def __call__(self, schema: Schema) -> Any:
        """Return an example.

        Raises:
            Unexampled: there is none that is known to fit.
        """
        return self._of(schema, 0)

    def _of(self, schema: Schema, depth: int) -> Any:
        if "examples" in schema:
            return schema["examples"][0]
        for given in ("default", "const"):
            if given in schema:
                return schema[given]
        if "enum" in schema:
            return _chosen(schema)
        if "$ref" in schema:
            return self._component(schema["$ref"].removeprefix(PREFIX), depth)
        return self._built(schema, depth)

    def _built(self, schema: Schema, depth: int) -> Any:
        if "anyOf" in schema:
            return self._of(schema["anyOf"][0], depth)
        kinds = schema.get("type", "string")
        kind = kinds if isinstance(kinds, str) else kinds[0]
        if kind == "object":
            return self._object(schema, depth)
        if kind == "array":
            return self._array(schema, depth)
        return _scalar(kind, schema)

    def _component(self, name: str, depth: int) -> Any:
        if name in self._open:
            raise Unexampled
        key = name, depth
        if key not in self._known:
            self._open.add(name)
            try:
                self._known[key] = self._of(self._components[name], depth)
            finally:
                self._open.discard(name)
        return self._known[key]

    def _array(self, schema: Schema, depth: int) -> list[Any]:
        least = schema.get("minItems", 0)
        if least > 1 and schema.get("uniqueItems"):
            raise Unexampled
        try:
            item = self._of(schema.get("items", {}), depth)
        except Unexampled:
            if least:
                raise
            return []
        return [item] * max(least, 1)

    def _object(self, schema: Schema, depth: int) -> dict[str, Any]:
        required = set(schema.get("required", ()))
        properties = schema.get("properties", {})
        if "@type" in properties:
            return dict(_ANY)
        choices = list(_choices(schema))
        found: dict[str, Any] = {}
        for name, inside in properties.items():
            needed = name in required
            taken = any(name in choice.unset and choice.unset.keys() & found for choice in choices)
            if taken or (self._is_skipped(inside, depth) and not needed):
                continue
            try:
                value = self._of(inside, depth + 1)
            except Unexampled:
                if needed:
                    raise
                continue
            if needed or not any(value in choice.unset.get(name, ()) for choice in choices):
                found[name] = value
        for choice in choices:
            if choice.needed and not choice.unset.keys() & found:
                found |= self._chosen_of(choice, properties, depth)
        return found if properties else self._map(schema, depth)

    def _chosen_of(self, choice: _Choice, properties: Schema, depth: int) -> dict[str, Any]:
        """Return one member of a choice that needs one, however deep it is."""
        for name, unset in choice.unset.items():
            try:
                value = self._of(properties[name], depth + 1)
            except Unexampled:
                continue
            if value not in unset:
                return {name: value}
        raise Unexampled

    def _is_skipped(self, schema: Schema, depth: int) -> bool:
        inside = schema.get("items", schema)
        return bool(schema.get(self._skipped)) or (depth >= _DEPTH and "$ref" in inside)

    def _map(self, schema: Schema, depth: int) -> dict[str, Any]:
        values = schema.get("additionalProperties")
        if not isinstance(values, dict):
            return {"key": "value"} if values else {}
        names = schema.get("propertyNames", {})
        try:
            return {_chosen(names) if "enum" in names else _text(names): self._of(values, depth)}
        except Unexampled:
            if schema.get("minProperties"):
                raise
            return {}


class _Choice(NamedTuple):
    """Members of an object that exclude each other.

    Args:
        unset: by the name of each, the values that do not count.
        needed: whether one is to be there.
    """

    unset: dict[str, Sequence[Any]]
    needed: bool


def _choices(schema: Schema) -> Iterator[_Choice]:
    for each in (schema, *schema.get("allOf", ())):
        ways = each.get("oneOf", ())
        members = [way for way in ways if "required" in way]
        if members:
            yield _Choice(dict(map(_member, members)), needed=len(members) == len(ways))


def _member(way: Schema) -> tuple[str, Sequence[Any]]:
    name = way["required"][0]
    unset = way.get("properties", {}).get(name, {}).get("not", {}).get("enum", ())
    return name, unset


def _chosen(schema: Schema) -> Any:
    """Return a value of an enum; the first one mostly says that nothing is known."""
    refused = schema.get("not", {}).get("enum", ())
    values = [value for value in schema["enum"] if value not in refused]
    if not values:
        raise Unexampled
    vague = len(values) > 1 and str(values[0]).endswith(("UNSPECIFIED", "UNKNOWN"))
    return values[1 if vague else 0]


def _scalar(kind: str, schema: Schema) -> Any:
    if kind == "boolean":
        return True
    if kind == "null":
        return None
    return _number(kind, schema) if kind in {"integer", "number"} else _text(schema)


def _number(kind: str, schema: Schema) -> float:
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    candidates: list[float] = [1 if kind == "integer" else 1.5]
    candidates += [edge + step for edge in (low, high) if edge is not None for step in (0, 1, -1)]
    if low is not None and high is not None:
        candidates.append(low + (high - low) / 2)
    for number in candidates:
        if _fits(number, schema) and (kind == "number" or number == int(number)):
            return int(number) if kind == "integer" else number
    raise Unexampled


def _fits(number: float, schema: Schema) -> bool:
    return (
        schema.get("minimum", number) <= number <= schema.get("maximum", number)
        and not ("exclusiveMinimum" in schema and number <= schema["exclusiveMinimum"])
        and not ("exclusiveMaximum" in schema and number >= schema["exclusiveMaximum"])
        and number not in schema.get("not", {}).get("enum", ())
        and not number % schema.get("multipleOf", 1 if number == int(number) else number)
    )


def _text(schema: Schema) -> str:
    least = schema.get("minLength", 0)
    form = _FORMATS.get(schema.get("format", ""))
    encoded = ["c3RyaW5n"] if schema.get("contentEncoding") == "base64" else []
    sized = [(text * (least // len(text) + 1))[: max(least, 1)] for text in ("a", "A", "1")]
    for text in [form] if form else [*encoded, *_TEXTS, *sized, ""]:
        if fits_text(schema, text):
            return text
    raise Unexampled


def fits_text(schema: Schema, text: str) -> bool:
    """Say whether a text fits the schema of a string, but for its format."""
    if not schema.get("minLength", 0) <= len(text) <= schema.get("maxLength", len(text)):
        return False
    if text in schema.get("not", {}).get("enum", ()) or text not in schema.get("enum", [text]):
        return False
    try:
        return re.search(schema.get("pattern", ""), text) is not None
    except re.error:
        return False
