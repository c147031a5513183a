"""Parameters: what path, query and headers of an operation say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from transcoder.event_stream import LAST_EVENT_ID
from transcoder.fields import is_map
from transcoder.marshaler import media_type
from transcoder.openapi.paths import PathParameter
from transcoder.openapi.scalars import JSON_TEXT, Schema, View, well_known
from transcoder.openapi.schemas import Schemas, members
from transcoder.profile import Profile
from transcoder.response_encoder import ALT
from transcoder.transcoder import Endpoint

Parameter = dict[str, Any]
_NESTED: Final = 5
"""Messages inside messages whose fields are listed; a query may go on deeper."""
_NO_TEXT = frozenset({"google.protobuf.Any", "google.protobuf.Empty"})

_FIELDS: Final[Parameter] = {
    "name": "$fields",
    "in": "query",
    "description": "The fields of the answer to send, as a field mask; all if it is absent.",
    "schema": {"type": "string"},
}
_PRETTY_PRINT: Final[Parameter] = {
    "name": "$prettyPrint",
    "in": "query",
    "description": "Whether to print the answer for human eyes.",
    "schema": {"type": "boolean"},
}
_ALT_TEXT: Final = (
    "The form of the answer, which goes before Accept. With `json;enum-encoding=int`, enums are "
    "numbers, which the schemas do not show."
)


class Parameters:
    """Makes the parameters of one document's operations."""

    def __init__(self, schemas: Schemas, profile: Profile) -> None:
        self._schemas = schemas
        self._profile = profile
        self.shared: dict[str, Parameter] = {}
        """The parameters that operations refer to, by name."""

    def of(self, endpoint: Endpoint, path: Sequence[PathParameter]) -> list[Parameter]:
        """Return the parameters of an operation, those of its path first."""
        found = [self._of_path(each) for each in path]
        binding, decode = endpoint.binding, endpoint.decode
        bound = [variable.field_path for variable in binding.template.variables]
        if binding.body != "*" or self._profile.query_beside_body == "bind":
            bound += [tuple(binding.body.split("."))] if binding.body else []
            bound += [(decode.filled_mask,)] if decode.filled_mask else []
            message = binding.rpc.input_type
            found += self._of_query(message, (), bound, needed=binding.body != "*")
        if endpoint.events is not None and endpoint.events.options.resume:
            found.append(_LAST_EVENT)
        if self._profile.system_parameters:
            system = _system(endpoint)
            self.shared |= system
            found += [{"$ref": f"#/components/parameters/{name}"} for name in system]
        return found

    def _of_path(self, parameter: PathParameter) -> Parameter:
        found: Parameter = {"name": parameter.name, "in": "path", "required": True}
        notes = []
        schema: Schema = {"type": "string", "minLength": 1}
        if parameter.field is not None:
            leaf = parameter.field.leaf
            notes.append(self._schemas.description(leaf))
            if parameter.form:
                notes.append(f"A part of `{parameter.field}`, of the form `{parameter.form}`.")
            elif not parameter.deep:
                schema = self._value(leaf)
                if schema.get("type") == "string" and "enum" not in schema:
                    schema.setdefault("minLength", 1)
            if self._schemas.options.is_deprecated(leaf):
                found["deprecated"] = True
        if parameter.deep:
            notes.append("May hold several segments, with slashes between them.")
            found["x-multi-segment"] = True
        description = "\n\n".join(note for note in notes if note)
        if description:
            found["description"] = description
        return {**found, "schema": schema}

    def _value(self, field: FieldDescriptor) -> Schema:
        """Return the schema of one text of a field."""
        value = self._schemas.of_value(field, View.REQUEST)
        limits = {} if field.is_repeated else self._schemas.limits(field, View.REQUEST)
        return self._schemas.shown(field, {**value, **limits})

    def _of_query(
        self,
        message: Descriptor,
        above: tuple[FieldDescriptor, ...],
        bound: Sequence[tuple[str, ...]],
        *,
        needed: bool,
    ) -> Iterator[Parameter]:
        for field in self._schemas.visible(message):
            fields = (*above, field)
            names = tuple(each.name for each in fields)
            written = "OUTPUT_ONLY" in self._schemas.options.behaviors(field)
            said = [names, *((*names[:-1], each.name) for each in members(field))]
            if written or any(each[: len(path)] == path for path in bound for each in said):
                continue
            required = needed and self._schemas.is_required(field)
            inside = field.message_type
            if inside is None or is_map(field) or well_known(inside, View.REQUEST) is not None:
                yield from self._of_field(fields, required=required)
            elif not field.is_repeated and len(above) < _NESTED and not _is_inside(inside, fields):
                yield from self._of_query(inside, fields, bound, needed=required)

    def _of_field(
        self, fields: tuple[FieldDescriptor, ...], *, required: bool
    ) -> Iterator[Parameter]:
        field = fields[-1]
        shape = self._shape(field)
        if shape is None:
            return
        found: Parameter = {
            "name": ".".join(each.json_name for each in fields),
            "in": "query",
        }
        said = self._schemas.said(field, View.REQUEST)
        description = "\n\n".join(
            part for part in (said.get("description"), *self._rivals(field)) if part
        )
        if description:
            found["description"] = description
        if required:
            found["required"] = True
        if "deprecated" in said:
            found["deprecated"] = True
        yield found | shape

    def _rivals(self, field: FieldDescriptor) -> Iterator[str]:
        message: Any = field.containing_type
        for choice in self._schemas.choices(message):
            if field in choice.fields and len(choice.fields) > 1:
                names = ", ".join(f"`{each.json_name}`" for each in choice.fields)
                yield f"{'One' if choice.needed else 'At most one'} of {names}."

    def _shape(self, field: FieldDescriptor) -> Parameter | None:
        """Return how a field is said in a query; None for one that no text says."""
        message = field.message_type
        if message is not None and field.is_repeated and is_map(field):
            return self._map_shape(field, message.fields_by_name["value"])
        if message is not None and message.full_name in _NO_TEXT:
            return None
        value = self._value(field)
        if message is not None and message.full_name in JSON_TEXT:
            # A list of them would be texts of JSON, for which OpenAPI has no word.
            return (
                None if field.is_repeated else {"content": {"application/json": {"schema": value}}}
            )
        if value == {"type": "null"}:
            value = {"type": "string", "enum": ["NULL_VALUE"]}
        if field.is_repeated:
            limits = self._schemas.limits(field, View.REQUEST)
            items = {**value, **limits.pop("items", {})}
            schema = {"type": "array", "items": items, **limits}
            return {"schema": schema, "style": "form", "explode": True}
        default = self._schemas.said(field, View.REQUEST).get("default")
        return {"schema": value if default is None else {**value, "default": default}}

    def _map_shape(self, field: FieldDescriptor, value: FieldDescriptor) -> Parameter | None:
        message = value.message_type
        if message is not None and (
            well_known(message, View.REQUEST) is None or message.full_name in _NO_TEXT | JSON_TEXT
        ):
            return None
        schema = self._schemas.of_field(field, View.REQUEST)
        if schema["additionalProperties"] == {"type": "null"}:
            schema["additionalProperties"] = {"type": "string", "enum": ["NULL_VALUE"]}
        return {"schema": schema, "style": "deepObject", "explode": True}


def _system(endpoint: Endpoint) -> dict[str, Parameter]:
    """Return Google's system parameters that mean something to an endpoint, by component name."""
    if not endpoint.encode.prints_json:
        return {}
    offers = endpoint.encode.offers if endpoint.framings is None else endpoint.framings.offers
    offered = {media_type(name) for name in offers.types}
    forms = [form for form, accept in ALT.items() if accept in offered]
    alt: Parameter = {
        "name": "$alt",
        "in": "query",
        "description": _ALT_TEXT,
        "schema": {"type": "string", "enum": forms},
    }
    # What most answers have goes without more of a name.
    name = "alt" if forms == ["json", "proto"] else "-".join(["alt", *forms])
    return {name: alt, "fields": _FIELDS, "prettyPrint": _PRETTY_PRINT}


_LAST_EVENT: Final[Parameter] = {
    "name": LAST_EVENT_ID,
    "in": "header",
    "description": "The last event that the client saw; the answer goes on behind it.",
    "schema": {"type": "string"},
}


def _is_inside(message: Descriptor, fields: Sequence[FieldDescriptor]) -> bool:
    above = (field.containing_type for field in fields)
    return any(each is not None and each.full_name == message.full_name for each in above)
