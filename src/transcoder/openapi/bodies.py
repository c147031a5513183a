"""Bodies: what an operation takes, what it answers, and how streams and errors are told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor

from transcoder.fields import FieldPath
from transcoder.framing import DELIMITED, EVENTS, NDJSON
from transcoder.marshaler import JSON, PROTOBUF
from transcoder.openapi.openapiv2 import own_schema
from transcoder.openapi.scalars import Schema, View
from transcoder.openapi.schemas import Schemas
from transcoder.problem import PROBLEM
from transcoder.profile import Profile
from transcoder.request_body import is_http_body
from transcoder.timeouts import Timeouts
from transcoder.transcoder import Endpoint

Content = dict[str, Any]

STATUS: Final = "Error-Status"
"""The names of these two have a dash, which no name of a proto has."""
PROBLEM_DETAILS: Final = "Error-Problem"
_URLENCODED: Final = "application/x-www-form-urlencoded"
_MULTIPART: Final = "multipart/form-data"
_RAW: Schema = {"type": "string", "format": "binary"}
_STATUS_REF: Final = {"$ref": f"#/components/schemas/{STATUS}"}
_DETAILS: Schema = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"@type": {"type": "string"}},
        "required": ["@type"],
        "additionalProperties": True,
    },
    "description": "Messages of `google/rpc/error_details.proto`, or others.",
}
_CODE: Schema = {
    "type": "integer",
    "format": "int32",
    "description": "A code of `google/rpc/code.proto`.",
}

ERRORS: Final[dict[str, Schema]] = {
    PROBLEM_DETAILS: {
        "type": "object",
        "description": "An error as RFC 9457 has it.",
        "properties": {
            "type": {"type": "string", "format": "uri-reference"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "instance": {"type": "string", "format": "uri-reference"},
            "code": _CODE,
            "details": _DETAILS,
        },
        "required": ["type", "title", "status", "detail", "code", "details"],
        "examples": [
            {
                "type": "about:blank",
                "title": "Not Found",
                "status": 404,
                "detail": "no such resource",
                "code": 5,
                "details": [],
            }
        ],
    },
    STATUS: {
        "type": "object",
        "description": "An error, as `google.rpc.Status` has it.",
        "properties": {"code": _CODE, "message": {"type": "string"}, "details": _DETAILS},
        "required": ["code", "message", "details"],
        "examples": [{"code": 5, "message": "no such resource", "details": []}],
    },
}
"""The schemas of errors, by the names of their components."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """What whoever serves a transcoder does that clients see.

    Args:
        body_limit: bytes of a request's body; None for no limit, or one that is not known.
        message_limit: bytes of one message of a client's stream; None likewise.
        timeouts: how long calls may take; None for not known.
        own_errors: whether the bodies of errors are made by the application.
        websockets: whether methods with streams are served over WebSocket too.
    """

    body_limit: int | None = None
    message_limit: int | None = None
    timeouts: Timeouts | None = None
    own_errors: bool = False
    websockets: bool = False


class Bodies:
    """Makes the bodies of one document's operations."""

    def __init__(self, schemas: Schemas, profile: Profile, serving: Serving) -> None:
        self._schemas = schemas
        self._profile = profile
        self._serving = serving

    def request(self, endpoint: Endpoint) -> Schema | None:
        """Return the Request Body Object of an operation; None for one without a body."""
        binding = endpoint.binding
        if not binding.body:
            return None
        message = binding.rpc.input_type
        view = View.CHANGE if binding.method == "PATCH" else View.REQUEST
        variables = [variable.field_path for variable in binding.template.variables]
        leaf: FieldDescriptor | None = None
        inside: Descriptor | None = message
        if binding.body == "*":
            schema = self._schemas.of_message(message, view, variables)
            needed = self._asks_for_more(message, variables)
        else:
            path = FieldPath.resolve(message, binding.body, json_names=False)
            leaf, names = path.leaf, path.names
            inside = None if leaf.is_repeated else leaf.message_type
            below = [each[len(names) :] for each in variables if each[: len(names)] == names]
            schema = self._field(leaf, view, [path for path in below if path])
            needed = not below and self._schemas.is_required(leaf)
        content = self._taken(endpoint, schema, inside)
        found: Schema = {"content": content}
        comment = self._schemas.description(leaf) if leaf is not None else ""
        if comment:
            found = {"description": comment, **found}
        # Of no messages, a stream is one as well.
        if needed and not binding.rpc.client_streaming:
            found["required"] = True
        return found

    def _field(self, leaf: FieldDescriptor, view: View, without: list[tuple[str, ...]]) -> Schema:
        schema = self._schemas.of_field(leaf, view, without)
        schema.update(self._schemas.limits(leaf, view))
        return schema

    def _asks_for_more(self, message: Descriptor, bound: Iterable[tuple[str, ...]]) -> bool:
        """Say whether a request lacks a field that the path does not set."""
        if is_http_body(message):
            return False
        said = {path[0] for path in bound}
        fields = (field for field in message.fields if field.name not in said)
        return any(self._schemas.is_required(field) for field in fields) or any(
            choice.needed and said.isdisjoint(field.name for field in choice.fields)
            for choice in self._schemas.choices(message)
        )

    def _taken(self, endpoint: Endpoint, schema: Schema, inside: Descriptor | None) -> Content:
        rpc = endpoint.binding.rpc
        if is_http_body(inside):
            types = self._schemas.annotations.media(rpc)[0] or ["*/*"]
            return {name: {"schema": dict(_RAW)} for name in types}
        if rpc.client_streaming:
            found = {JSON: {"schema": {"type": "array", "items": schema, "description": _VALUES}}}
            lines = {"schema": _text(_REQUEST_LINES), "x-item-schema": schema}
            found |= {name: dict(lines) for name in NDJSON}
            return found | (_serialized(inside, DELIMITED) if inside is not None else {})
        found = {JSON: {"schema": schema}}
        if inside is not None:
            found |= _serialized(inside, PROTOBUF)
        if endpoint.decode.takes_forms:
            found |= {_URLENCODED: {"schema": schema}, _MULTIPART: {"schema": schema}}
        return found

    def answer(self, endpoint: Endpoint) -> Schema:
        """Return the Response Object of an operation that went well."""
        binding = endpoint.binding
        rpc, output = binding.rpc, binding.rpc.output_type
        if not endpoint.encode.prints_json:
            types = self._schemas.annotations.media(rpc)[1] or ["*/*"]
            return {"description": "OK", "content": {each: {"schema": _RAW} for each in types}}
        inside: Descriptor | None = output
        if binding.response_body:
            field = output.fields_by_name[binding.response_body]
            inside = None if field.is_repeated else field.message_type
            schema = self._schemas.of_field(field, View.ANSWER)
        else:
            schema = self._schemas.of_message(output, View.ANSWER)
        if endpoint.framings is not None:
            content = {
                name: self._framed(name, schema, inside) for name in endpoint.framings.offers.types
            }
            return {"description": "OK", "content": content}
        types = [name for name in endpoint.encode.offers.types if name != JSON]
        content = {JSON: {"schema": schema}}
        if inside is not None:
            content |= _serialized(inside, types)
        return {"description": "OK", "content": content}

    def _framed(self, name: str, schema: Schema, inside: Descriptor | None) -> Schema:
        """Return the Media Type Object of a stream of replies."""
        if name in NDJSON:
            return {"schema": _text(_LINES), "x-item-schema": {"anyOf": [schema, _error_line()]}}
        if name == EVENTS:
            return {"schema": _event(schema)}
        if name in DELIMITED and inside is not None:
            serialized: Schema = _serialized(inside, [name])[name]
            return serialized
        if self._profile.stream == "result-lines":
            return {
                "schema": {
                    "type": "object",
                    "description": "One such object on each line.",
                    "properties": {"result": schema, "error": _STATUS_REF},
                }
            }
        return {"schema": {"type": "array", "items": schema}}

    def error(self, description: str, *, line: bool = False) -> Schema:
        """Return the Response Object of an error.

        Args:
            description: when it happens.
            line: whether it is told as a line of a stream.
        """
        if self._serving.own_errors:
            return {"description": description}
        schema = _error_line() if line else _STATUS_REF
        return {
            "description": description,
            "content": {
                JSON: {"schema": schema},
                PROBLEM: {"schema": {"$ref": f"#/components/schemas/{PROBLEM_DETAILS}"}},
            },
        }

    def own_error(self, rpc: MethodDescriptor, said: Mapping[str, Any]) -> Schema:
        """Return what an annotation says of the body of an application's own error, if it does."""
        name, schema = own_schema(said)
        try:
            message = rpc.containing_service.file.pool.FindMessageTypeByName(name)
        except KeyError:
            return {"content": {JSON: {"schema": schema}}} if schema else {}
        shown = self._schemas.of_message(message, View.ANSWER)
        return {"content": {JSON: {"schema": {**shown, **schema}}}}


_VALUES = "The messages, as one array or as one JSON value after another."
_REQUEST_LINES = "One JSON value on each line, each of them a message."
_LINES = "One JSON value on each line; an error behind the first is a last line of its own."
_EVENTS = (
    "One of the Server-Sent Events: a message in each without a name, then one named `end`, or one "
    "named `error` that holds the status."
)


def _text(description: str) -> Schema:
    return {"type": "string", "description": description}


def _error_line() -> Schema:
    return {"type": "object", "properties": {"error": _STATUS_REF}, "required": ["error"]}


def _event(schema: Schema) -> Schema:
    """Return the schema of each event: before OpenAPI 3.2, there is no other for all of them."""

    def event(name: str, data: Schema) -> Schema:
        said = {"type": "string", "contentMediaType": JSON, "contentSchema": data}
        # What has no name is a `message` to who reads it (HTML, section 9.2.6).
        properties: Schema = {"event": {"const": name or "message"}, "data": said}
        properties |= {} if name else {"id": {"type": "string"}}
        required = ["event", "data"] if name else ["data"]
        return {"type": "object", "properties": properties, "required": required}

    end: Schema = {"type": "object", "additionalProperties": False}
    events = [event("", schema), event("error", _STATUS_REF), event("end", end)]
    return {"description": _EVENTS, "anyOf": events}


def _serialized(message: Descriptor, types: Iterable[str]) -> Content:
    many = "Serialized messages, each behind its length as a varint"
    return {
        name: {
            "schema": {
                **_RAW,
                "description": f"{many if name in DELIMITED else 'A serialized message'}: "
                f"`{message.full_name}`.",
            }
        }
        for name in types
    }
