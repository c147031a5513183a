"""Rules of protovalidate (`buf.validate`) as keywords of JSON Schema.

What JSON Schema cannot say, such as CEL or the bounds of a number that JSON holds as a string, is
told in words: a schema may be more open than the rules, never stricter.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor, OneofDescriptor

from transcoder.openapi.choices import Choice, names, zeros
from transcoder.openapi.options import Options
from transcoder.openapi.rule_words import LONG, settings, typed, words
from transcoder.openapi.scalars import Schema, literal

_OPTION = 1159
_BOUNDS = {
    "gt": "exclusiveMinimum",
    "gte": "minimum",
    "lt": "exclusiveMaximum",
    "lte": "maximum",
}
_LENGTHS = {"min_len": "minLength", "max_len": "maxLength"}
_FORMATS = {
    "email": "email",
    "hostname": "hostname",
    "ipv4": "ipv4",
    "ipv6": "ipv6",
    "uri": "uri",
    "uri_ref": "uri-reference",
    "uuid": "uuid",
}
_ITEMS = {"min_items": "minItems", "max_items": "maxItems", "unique": "uniqueItems"}
_PAIRS = {"min_pairs": "minProperties", "max_pairs": "maxProperties"}
_NUMBERS = {"int32", "uint32", "sint32", "fixed32", "sfixed32", "float", "double"}
_OF_ANOTHER_DIALECT = re.compile(r"\\[AazZQEpPC]|\(\?[^:]|\[:|[*+?}]\+")
"""What RE2 takes and ECMAScript does not, or otherwise."""


class Rules:
    """The rules of the fields of one document's messages."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._found: dict[FieldDescriptor, Any] = {}
        self._choices: dict[Descriptor, Sequence[Choice]] = {}

    def of(self, field: FieldDescriptor) -> Any:
        """Return the rules of a field that always count; None for none."""
        if field not in self._found:
            rules = self._options.message(field, _OPTION, "buf.validate.FieldRules")
            ignored = settings(rules).get("ignore") == _ALWAYS
            ignored = ignored or self._is_disabled(field.containing_type)
            self._found[field] = None if ignored else rules
        return self._found[field]

    def is_required(self, field: FieldDescriptor) -> bool:
        """Say whether a request without the field breaks its rules."""
        rules = self.of(field)
        if rules is None:
            return False
        if rules.required:
            return True
        if field.has_presence or self._ignores_zero(field, rules):
            return False
        said = typed(rules)[1]
        low = said.get("gt", said.get("gte", 0)) > 0 or ("gt" in said and said["gt"] == 0)
        counts = ("min_len", "min_items", "min_pairs", "min_bytes", "len")
        return low or any(said.get(name) for name in (*counts, *_FORMATS))

    def _ignores_zero(self, field: FieldDescriptor, rules: Any) -> bool:
        """Say whether the rules of a field count only where it is set.

        They do in a `(buf.validate.message).oneof`, unless an option says otherwise.
        """
        ignore = settings(rules).get("ignore")
        if ignore is not None or field.has_presence:
            return bool(ignore == _IF_ZERO)
        message: Any = field.containing_type
        return any(field in choice.fields for choice in self.choices(message))

    def needs_one(self, oneof: OneofDescriptor) -> bool:
        """Say whether one member of a oneof must be set."""
        rules = self._options.message(oneof, _OPTION, "buf.validate.OneofRules")
        return rules is not None and bool(rules.required)

    def choices(self, message: Descriptor) -> Sequence[Choice]:
        """Return what the `(buf.validate.message).oneof` of a message say."""
        if message not in self._choices:
            self._choices[message] = [
                Choice(
                    [field for field in message.fields if field.name in rule.fields],
                    needed=rule.required,
                    ruled=True,
                )
                for rule in settings(self._of_message(message)).get("oneof", ())
            ]
        return self._choices[message]

    def told(self, descriptor: Descriptor | FieldDescriptor) -> list[str]:
        """Return the rules of a message or a field that no keyword says, in words.

        Those in CEL have words of their own, or are told as expressions; the ones that name a field
        which readers may not see are left out.
        """
        if not isinstance(descriptor, FieldDescriptor):
            return self._expressions(descriptor, settings(self._of_message(descriptor)))
        rules = self.of(descriptor)
        if rules is None:
            return []
        told = self._expressions(descriptor.containing_type, settings(rules))
        told += words(rules, _keywords(rules, descriptor.enum_type))
        where = " (where it is set)" if self._ignores_zero(descriptor, rules) else ""
        return [f"{each}{where}" for each in told]

    def _expressions(self, message: Any, said: Mapping[str, Any]) -> list[str]:
        texts = {rule.expression: rule.message for rule in said.get("cel", ())}
        texts |= dict.fromkeys(said.get("cel_expression", ()), "")
        hidden = [field.name for field in message.fields if self._options.is_hidden(field)]
        return [
            " ".join((text or f"`{expression}`").split())
            for expression, text in texts.items()
            if not any(re.search(rf"\b{name}\b", f"{expression} {text}") for name in hidden)
        ]

    def _is_disabled(self, message: Descriptor | None) -> bool:
        return bool(settings(self._of_message(message)).get("disabled"))

    def _of_message(self, message: Descriptor | None) -> Any:
        """Return the rules of a message as a whole; None for none."""
        if message is None:
            return None
        return self._options.message(message, _OPTION, "buf.validate.MessageRules")

    def keywords(self, field: FieldDescriptor) -> Schema:
        """Return what the rules of a field add to its schema."""
        rules = self.of(field)
        if rules is None:
            return {}
        found = _keywords(rules, field.enum_type)
        if field.enum_type is not None:
            found = _without(found, self.hidden(field.enum_type))
        return _open_to_zero(found, field) if self._ignores_zero(field, rules) else found

    def hidden(self, enum: EnumDescriptor) -> frozenset[str]:
        """Return the names of the values of an enum that readers may not see."""
        return frozenset(value.name for value in enum.values if self._options.is_hidden(value))


def _without(schema: Schema, names: frozenset[str]) -> Schema:
    """Return keywords that do not tell of some names of an enum."""
    found: Schema = {}
    for key, value in schema.items():
        if isinstance(value, dict):
            inside = _without(value, names)
            found |= {key: inside} if inside else {}
        elif key == "enum":
            told = [each for each in value if each not in names]
            found |= {key: told} if told else {}
        else:
            found[key] = value
    return found


_IF_ZERO = 1
"""`buf.validate.IGNORE_IF_ZERO_VALUE`."""
_ALWAYS = 3
"""`buf.validate.IGNORE_ALWAYS`."""

_REFUSES_ZERO: dict[str, Callable[[float], bool]] = {
    "minLength": lambda limit: limit > 0,
    "minItems": lambda limit: limit > 0,
    "minProperties": lambda limit: limit > 0,
    "minimum": lambda limit: limit > 0,
    "exclusiveMinimum": lambda limit: limit >= 0,
    "maximum": lambda limit: limit < 0,
    "exclusiveMaximum": lambda limit: limit <= 0,
}


def _open_to_zero(found: Schema, field: FieldDescriptor) -> Schema:
    """Return keywords without what refuses the value that a field has when it is not there."""
    found = {
        name: value
        for name, value in found.items()
        if name not in _REFUSES_ZERO or not _REFUSES_ZERO[name](value)
    }
    if "pattern" in found and not re.search(found["pattern"], ""):
        found["pattern"] = f"^$|{found['pattern']}"
    if "const" in found:
        found["enum"] = [found.pop("const")]
    if "enum" in found:
        found["enum"] = list(dict.fromkeys([*found["enum"], *zeros(field)]))
    if "not" in found:
        refused = [value for value in found.pop("not")["enum"] if value not in zeros(field)]
        found |= {"not": {"enum": refused}} if refused else {}
    return found


def _keywords(rules: Any, enum: EnumDescriptor | None = None) -> Schema:
    kind, said = typed(rules)
    if kind == "string":
        return _of_string(said)
    if kind in _NUMBERS:
        return _of_number(said)
    if kind == "repeated":
        found = _renamed(said, _ITEMS)
        return {**found, "items": _keywords(said["items"], enum)} if "items" in said else found
    if kind == "map":
        return _of_map(said)
    if kind == "enum" and enum is not None:
        return _of_enum(said, enum)
    # JSON has long numbers as texts.
    return _choice(said, str) if kind in LONG else _choice(said) if kind == "bool" else {}


def _renamed(said: dict[str, Any], names: dict[str, str]) -> Schema:
    return {keyword: said[name] for name, keyword in names.items() if name in said}


def _of_string(said: dict[str, Any]) -> Schema:
    found = _renamed(said, _LENGTHS)
    if "len" in said:
        found |= {"minLength": said["len"], "maxLength": said["len"]}
    forms = [form for name, form in _FORMATS.items() if said.get(name)]
    found |= {"format": forms[0]} if forms else {}
    pattern = said.get("pattern", "")
    if pattern and not _OF_ANOTHER_DIALECT.search(pattern):
        found["pattern"] = pattern
    elif not pattern and ("prefix" in said or "suffix" in said):
        found["pattern"] = _ends(said.get("prefix", ""), said.get("suffix", ""))
    return found | _choice(said)


def _ends(prefix: str, suffix: str) -> str:
    """Return the regular expression of texts that begin and end so; the two may overlap."""
    start, end = literal(prefix), literal(suffix)
    if not prefix or not suffix:
        return f"^{start}" if prefix else f"{end}$"
    return rf"^(?={start})[\s\S]*{end}$"


def _of_number(said: dict[str, Any]) -> Schema:
    low, high = said.get("gt", said.get("gte")), said.get("lt", said.get("lte"))
    if low is not None and high is not None and low > high:
        # The rule means what lies outside of both.
        return _choice(said)
    return _renamed(said, _BOUNDS) | _choice(said)


def _choice(said: dict[str, Any], json: Callable[[Any], Any] = lambda value: value) -> Schema:
    if "const" in said:
        return {"const": json(said["const"])}
    found: Schema = {"enum": list(map(json, said["in"]))} if "in" in said else {}
    return found | ({"not": {"enum": list(map(json, said["not_in"]))}} if "not_in" in said else {})


def _of_enum(said: dict[str, Any], enum: EnumDescriptor) -> Schema:
    if "const" in said:
        return {"enum": names(enum, [said["const"]])}
    found: Schema = {"enum": names(enum, said["in"])} if "in" in said else {}
    return found | ({"not": {"enum": names(enum, said["not_in"])}} if "not_in" in said else {})


def _of_map(said: dict[str, Any]) -> Schema:
    found = _renamed(said, _PAIRS)
    if "keys" in said and typed(said["keys"])[0] == "string":
        found["propertyNames"] = _keywords(said["keys"])
    if "values" in said:
        found["additionalProperties"] = _keywords(said["values"])
    return found
