"""Rules of protovalidate (`buf.validate`) in words: those that no keyword of JSON Schema says.

A rule is told as a proto has it, such as `int64.gte = 1`, which is what its documentation explains.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

_CHOICE = frozenset({"const", "in", "not_in", "example"})
_BOUNDS = frozenset({"gt", "gte", "lt", "lte"})
_ENDS = frozenset({"prefix", "suffix"})
_NUMBER = _CHOICE | _BOUNDS | {"finite"}
_SHORT = ("int32", "uint32", "sint32", "fixed32", "sfixed32", "float", "double")
LONG: Final = frozenset({"int64", "uint64", "sint64", "fixed64", "sfixed64"})
"""The kinds of numbers that JSON holds as texts."""
_HAVE_KEYWORDS: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(_SHORT, _NUMBER),
    **dict.fromkeys(LONG, _CHOICE),
    "bool": _CHOICE,
    "enum": _CHOICE | {"defined_only"},
    "string": _CHOICE
    | _ENDS
    | {"len", "min_len", "max_len", "pattern", "strict"}
    | {"email", "hostname", "ipv4", "ipv6", "uri", "uri_ref", "uuid"},
    "repeated": frozenset({"min_items", "max_items", "unique", "items"}),
    "map": frozenset({"min_pairs", "max_pairs", "keys", "values"}),
    "bytes": frozenset({"example"}),
    "duration": frozenset({"example"}),
    "timestamp": frozenset({"example"}),
}
"""By kind, the names of rules that are keywords in most cases.

Rules of other kinds are not told: they name types and fields, which readers may not see.
"""

_INNER: Mapping[str, str] = {
    "items": "items",
    "keys": "propertyNames",
    "values": "additionalProperties",
}
"""The keywords that rules of what is inside are in."""


def settings(rules: Any) -> dict[str, Any]:
    """Return what some rules set, by name; nothing of None."""
    found = () if rules is None else type(rules).ListFields(rules)
    return {field.name: value for field, value in found}


def typed(rules: Any) -> tuple[str, dict[str, Any]]:
    """Return the kind of values that some rules are for, and what they set for it."""
    kind = type(rules).WhichOneof(rules, "type")
    return (kind, settings(getattr(rules, kind))) if kind else ("", {})


def words(rules: Any, keywords: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """Yield the rules that keywords do not say, each as a proto has it.

    Args:
        rules: of a field, of the items of a list, or of the keys or values of a map.
        keywords: what is said of them.
        above: the names in front of that of a rule.
    """
    kind, found = typed(rules)
    if kind not in _HAVE_KEYWORDS:
        return
    path = f"{above}{kind}."
    have_keywords = _without_words(kind, found, keywords)
    for name in found:
        if name not in have_keywords:
            yield f"`{path}{name} = {_text(getattr(rules, kind), name)}`"
        elif name in _INNER:
            yield from words(found[name], keywords.get(_INNER[name], {}), f"{path}{name}.")


def _without_words(
    kind: str, found: Mapping[str, Any], keywords: Mapping[str, Any]
) -> frozenset[str]:
    names = _HAVE_KEYWORDS[kind]
    if kind == "string" and "pattern" in found:
        # What starts and ends beside a pattern, and a pattern of another dialect.
        return names - _ENDS - (set() if "pattern" in keywords else {"pattern"})
    outside = kind in _SHORT and not {"minimum", "maximum"} & {
        name.removeprefix("exclusive").lower() for name in keywords
    }
    return names - _BOUNDS if outside else names


def _text(rules: Any, name: str) -> str:
    """Return the value of a rule as JSON, but for the name of an enum's."""
    value = getattr(rules, name)
    field = rules.DESCRIPTOR.fields_by_name[name]
    if field.enum_type is not None:
        return str(field.enum_type.values_by_number[value].name)
    values = [_plain(each) for each in value] if field.is_repeated else _plain(value)
    return json.dumps(values, ensure_ascii=False)


def _plain(value: Any) -> Any:
    if isinstance(value, Message):
        return MessageToDict(value)
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value
