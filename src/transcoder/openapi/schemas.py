"""Schemas of messages, fields and enums, as the JSON of the running routes has them.

A request's schema is closed where the profile refuses unknown keys, and asks for what the proto
says is REQUIRED. An answer's schema is open, for a server may learn new fields, and promises what
is printed whatever the message holds. The body of a PATCH asks for nothing: it says what changes.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from google.protobuf.descriptor import (
    Descriptor,
    EnumDescriptor,
    FieldDescriptor,
)

from transcoder.fields import is_map
from transcoder.openapi.choices import Choice, alternatives, unset
from transcoder.openapi.components import Components
from transcoder.openapi.examples import fits_text
from transcoder.openapi.openapiv2 import Annotations
from transcoder.openapi.options import Options, form_example, forms_pattern
from transcoder.openapi.rules import Rules
from transcoder.openapi.scalars import Schema, View, is_wrapper, key_names, scalar, well_known
from transcoder.protojson.enums import json_names

Path = tuple[str, ...]
_EXAMPLE = re.compile(r"(?:for example|for instance|e\.g\.|such as),?\s+`([^`]+)`")
_BEHAVIORS = {
    "IDENTIFIER": "Identifies the resource.",
    "IMMUTABLE": "Cannot be changed once it is set.",
    "NON_EMPTY_DEFAULT": "The server chooses a value where there is none.",
    "UNORDERED_LIST": "In no particular order.",
}
"""What is told of `google.api.field_behavior` in words."""
_NULL = "google.protobuf.NullValue"


class Schemas:
    """Makes the schemas of one document.

    Args:
        options: of the protos.
        closed: whether a request may hold known keys only.
        prints_defaults: whether an answer holds the fields without presence, whatever they hold.
        proto_names: whether an answer's keys are the names of the proto.
        enum_numbers: whether an answer's enum values are numbers.
    """

    def __init__(
        self,
        options: Options,
        *,
        closed: bool,
        prints_defaults: bool,
        proto_names: bool = False,
        enum_numbers: bool = False,
    ) -> None:
        self.options = options
        self.annotations = Annotations(options)
        self.rules = Rules(options)
        self.components = Components()
        self._choices: dict[tuple[Descriptor, bool], Sequence[Choice]] = {}
        self._closed = closed
        self._prints_defaults = prints_defaults
        self._proto_names = proto_names
        self._enum_numbers = enum_numbers

    def of_message(self, message: Descriptor, view: View, without: Collection[Path] = ()) -> Schema:
        """Return the schema of a message, or a reference to it.

        Args:
            message: its type.
            view: from where it is looked at.
            without: paths of fields that it does not hold; such a schema has no name.
        """
        known = well_known(message, view)
        if known is not None:
            return known
        if without:
            return self.components.inline(self._object(message, view, without), view)
        return self.components.ref(message.full_name, view, lambda: self._object(message, view, ()))

    def of_field(
        self, field: FieldDescriptor, view: View, without: Collection[Path] = ()
    ) -> Schema:
        """Return the schema of all that a field holds, without what is said of the field itself."""
        if is_map(field):
            return self._map(field, view)
        if field.is_repeated:
            return {"type": "array", "items": self.of_value(field, view)}
        value = self.of_value(field, view, without)
        message = field.message_type
        if message is not None and is_wrapper(message) and view is not View.ANSWER:
            value["type"] = [value["type"], "null"]
        return value

    def of_value(
        self, field: FieldDescriptor, view: View, without: Collection[Path] = ()
    ) -> Schema:
        """Return the schema of one value of a field."""
        if field.message_type is not None:
            return self.of_message(field.message_type, view, without)
        enum = field.enum_type
        if enum is None:
            return scalar(field, view)
        if enum.full_name == _NULL:
            return {"type": "null"}
        return self.components.ref(enum.full_name, view, lambda: self._enum(enum, view))

    def said(self, field: FieldDescriptor, view: View) -> Schema:
        """Return what is said of a field itself: its description, and how it may be used."""
        options, behaviors = self.options, self.options.behaviors(field)
        found: Schema = {}
        description = self.description(field, view)
        if description:
            found["description"] = description
        if "OUTPUT_ONLY" in behaviors:
            found["readOnly"] = True
        if "INPUT_ONLY" in behaviors:
            found["writeOnly"] = True
        if options.is_deprecated(field):
            found["deprecated"] = True
        if field.has_default_value and field.message_type is None:
            default = _default(field)
            if default is not None and view is not View.CHANGE:
                found["default"] = default
        annotated = self.annotations.field(field)
        annotated.pop("required", None)
        return found | annotated

    def shown(self, field: FieldDescriptor, schema: Schema) -> Schema:
        """Return a schema of a text with the example that the field's comment has, if it fits."""
        if field.type != FieldDescriptor.TYPE_STRING or field.is_repeated or "examples" in schema:
            return schema
        for text in _EXAMPLE.findall(self.options.comment(field)):
            if fits_text(schema, text):
                return {**schema, "examples": [text]}
        return schema

    def description(self, field: FieldDescriptor, view: View = View.REQUEST) -> str:
        """Return the comment of a field, and what its options say in words."""
        parts = [self.options.comment(field)]
        parts += self._told(field) if view is not View.ANSWER else ()
        behaviors = self.options.behaviors(field)
        parts += (text for name, text in _BEHAVIORS.items() if name in behaviors)
        forms = _told(self.options.patterns(field))
        reference = self.options.reference(field)
        each = "Each is the name" if field.is_repeated else "The name"
        if reference.type and reference.type != "*":
            named = f"{each} of a `{reference.type}`"
            parts.append(f"{named}, of the form {forms}." if forms else f"{named}.")
        elif reference.child_type:
            parts.append(f"{each} of a parent of `{reference.child_type}`.")
        elif forms:
            parts.append(f"Of the form {forms}.")
        return "\n\n".join(part for part in parts if part)

    def _told(self, descriptor: Descriptor | FieldDescriptor) -> list[str]:
        return [f"Rule: {rule}" for rule in self.rules.told(descriptor)]

    def limits(self, field: FieldDescriptor, view: View) -> Schema:
        """Return what a request's value must be beyond its type."""
        if view is View.ANSWER:
            return {}
        found = self._filled(field, view) | self.rules.keywords(field)
        if not self.options.reference(field).type or field.type != FieldDescriptor.TYPE_STRING:
            return found
        forms = self.options.patterns(field)
        if not field.is_repeated:
            return _formed(found, forms)
        items = _formed(found.get("items", {}), forms)
        return {**found, "items": items} if items else found

    def _filled(self, field: FieldDescriptor, view: View) -> Schema:
        """Return that a field must not be empty whose emptiness says that it is not there."""
        needed = view is View.REQUEST and "REQUIRED" in self.options.behaviors(field)
        if not needed or field.has_presence:
            return {}
        if field.is_repeated:
            return {"minProperties" if is_map(field) else "minItems": 1}
        return {"minLength": 1} if field.type == FieldDescriptor.TYPE_STRING else {}

    def is_required(self, field: FieldDescriptor) -> bool:
        """Say whether a request must hold a field."""
        behaviors = self.options.behaviors(field)
        if "OUTPUT_ONLY" in behaviors:
            return False
        said = self.annotations.field(field).get("required", ())
        return (
            "REQUIRED" in behaviors
            or field.is_required
            or field.name in said
            or field.json_name in said
            or self.rules.is_required(field)
            or self._is_only_choice(field)
        )

    def _is_only_choice(self, field: FieldDescriptor) -> bool:
        message: Any = field.containing_type
        choices = self.choices(message)
        return any(each.needed and list(each.fields) == [field] for each in choices)

    def visible(self, message: Descriptor) -> Iterator[FieldDescriptor]:
        """Yield the fields of a message that readers may see."""
        return (field for field in message.fields if not self.options.is_hidden(field))

    def _object(self, message: Descriptor, view: View, without: Collection[Path]) -> Schema:
        found: Schema = {"type": "object"}
        told = self._told(message) if view is View.REQUEST else ()
        description = "\n\n".join(part for part in (self.options.comment(message), *told) if part)
        if description:
            found["description"] = description
        if self.options.is_deprecated(message):
            found["deprecated"] = True
        gone = {path[0] for path in without if len(path) == 1}
        fields = [
            field
            for field in self.visible(message)
            # What the path says goes before all other members of its oneof.
            if not gone & {field.name, *(each.name for each in members(field))}
        ]
        properties = {
            self._key(field, view): self._property(field, view, _below(without, field))
            for field in fields
        }
        if properties:
            found["properties"] = properties
        annotated = self.annotations.schema(message)
        said = set(annotated.pop("required", ()))
        # What the path sets a part of is there, whatever the body holds.
        begun = {path[0] for path in without}
        asked = [field for field in fields if field.name not in begun]
        required = [self._key(field, view) for field in asked if self._is_always(field, view, said)]
        if required:
            found["required"] = required
        found |= self._alternatives(message, fields, begun, view)
        if message.is_extendable:
            found["patternProperties"] = {r"^\[": {}}
        if self._closed and view is not View.ANSWER:
            found["additionalProperties"] = False
        return found | annotated

    def _key(self, field: FieldDescriptor, view: View) -> str:
        """Return under which key a field stands; requests may say either name."""
        return field.name if self._proto_names and view is View.ANSWER else field.json_name

    def _is_always(self, field: FieldDescriptor, view: View, said: Collection[str]) -> bool:
        if view is View.ANSWER:
            return self._prints_defaults and not field.has_presence
        if view is View.CHANGE:
            return False
        return self.is_required(field) or field.name in said or field.json_name in said

    def _property(self, field: FieldDescriptor, view: View, without: Collection[Path]) -> Schema:
        value = self.of_field(field, view, without)
        schema = _joined(value, self.limits(field, view)) | self.said(field, view)
        return self.shown(field, schema)

    def _map(self, field: FieldDescriptor, view: View) -> Schema:
        entry: Any = field.message_type
        value = entry.fields_by_name["value"]
        found: Schema = {"type": "object", "additionalProperties": self.of_value(value, view)}
        names = key_names(entry.fields_by_name["key"], view)
        return found if names is None else {**found, "propertyNames": names}

    def choices(self, message: Descriptor, *, ruled: bool = True) -> Sequence[Choice]:
        """Return the choices of a message, as far as readers may see them.

        Args:
            message: its type.
            ruled: whether what rules say counts, beside the message's `oneof`s.
        """
        key = message, ruled
        if key not in self._choices:
            found = [
                Choice(oneof.fields, needed=ruled and self.rules.needs_one(oneof))
                for oneof in message.oneofs
            ]
            found += self.rules.choices(message) if ruled else ()
            is_hidden = self.options.is_hidden
            self._choices[key] = [
                each._replace(fields=[field for field in each.fields if not is_hidden(field)])
                for each in found
            ]
        return self._choices[key]

    def _alternatives(
        self,
        message: Descriptor,
        fields: Collection[FieldDescriptor],
        begun: Collection[str],
        view: View,
    ) -> Schema:
        """Return which of the fields of an object go together.

        Args:
            message: the type of the object.
            fields: that are in its schema.
            begun: names of those that are set whatever the object holds.
            view: of the schema.
        """
        found = []
        # Of a change, no rule on the message as a whole is sure to count.
        for choice in self.choices(message, ruled=view is View.REQUEST):
            needed = choice.needed and not any(each.name in begun for each in choice.fields)
            left = [each for each in choice.fields if each in fields]
            chosen = choice._replace(fields=left, needed=needed)
            found.append(alternatives(chosen, lambda each: self._key(each, view), self._unset))
        found = [each for each in found if each]
        return found[0] if len(found) == 1 else ({"allOf": found} if found else {})

    def _unset(self, field: FieldDescriptor) -> list[Any]:
        enum = field.enum_type
        hidden = frozenset() if enum is None else self.rules.hidden(enum)
        # Lists and objects are no members of a set.
        return [each for each in unset(field) if not (isinstance(each, str) and each in hidden)]

    def _enum(self, enum: EnumDescriptor, view: View) -> Schema:
        printed = json_names(enum)
        values = [value for value in enum.values if not self.options.is_hidden(value)]
        names = dict.fromkeys(printed[value.number] for value in values)
        if view is not View.ANSWER:
            names |= dict.fromkeys(value.name for value in values)
        found: Schema = {"type": "string"}
        if names:
            found["enum"] = list(names)
        if self._enum_numbers and view is View.ANSWER:
            found = {"type": "integer", "format": "int32"}
        description = self._enum_description(enum, values)
        if description:
            found["description"] = description
        if self.options.is_deprecated(enum):
            found["deprecated"] = True
        return found | self.annotations.enum(enum)

    def _enum_description(self, enum: EnumDescriptor, values: Sequence[Any]) -> str:
        lines = []
        for value in values:
            words = [self.options.comment(value).replace("\n", " ")]
            words += ["Deprecated."] if self.options.is_deprecated(value) else []
            told = " ".join(word for word in words if word)
            lines += [f"- `{value.name}`: {told}"] if told else []
        return "\n\n".join(part for part in (self.options.comment(enum), "\n".join(lines)) if part)


def _told(forms: Sequence[str]) -> str:
    """Return the forms of a resource's names in words.

    >>> _told(["shelves/{shelf}", "*"])
    '`shelves/{shelf}` or another'
    """
    known = [f"`{form}`" for form in forms if form != "*"]
    return " or ".join([*known, "another"] if known and "*" in forms else known)


def _formed(schema: Schema, forms: Sequence[str]) -> Schema:
    """Return the schema of a text that is a name of one of these forms too."""
    pattern = forms_pattern(forms) if forms and "pattern" not in schema else ""
    if not pattern:
        return schema
    formed = {**schema, "pattern": pattern}
    example = form_example(forms[0])
    return {**formed, "examples": [example]} if fits_text(formed, example) else formed


def members(field: FieldDescriptor) -> Sequence[FieldDescriptor]:
    """Return the members of a field's oneof; none for a field that is alone in it, or in none."""
    oneof = field.containing_oneof
    return oneof.fields if oneof is not None and len(oneof.fields) > 1 else ()


def _below(without: Collection[Path], field: FieldDescriptor) -> list[Path]:
    return [path[1:] for path in without if len(path) > 1 and path[0] == field.name]


def _joined(schema: Schema, limits: Schema) -> Schema:
    """Return a schema with further keywords; those of items and of values are joined as well."""
    found = {**schema, **limits}
    for inner in ("items", "additionalProperties", "propertyNames"):
        if inner in schema and inner in limits:
            found[inner] = {**schema[inner], **limits[inner]}
    return found


def _default(field: FieldDescriptor) -> Any:
    value = field.default_value
    if field.enum_type is not None:
        return json_names(field.enum_type).get(value)
    if isinstance(value, bytes):
        return None
    if isinstance(value, float) and (value != value or abs(value) == float("inf")):  # noqa: PLR0124
        return None
    is_long = field.cpp_type in {FieldDescriptor.CPPTYPE_INT64, FieldDescriptor.CPPTYPE_UINT64}
    return str(value) if is_long else value
