"""What the options of grpc-gateway's `openapiv2` annotations say, in the terms of OpenAPI 3.1.

Their types come from the pool of the proto that uses them. What the gateway itself decides is not
asked for: paths, the parameters that are fields and their types, the bodies of answers. That of an
error is, where the application makes it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from google.protobuf.json_format import MessageToDict

from transcoder.openapi.fitted import NOTHING, of_enum, of_field, of_message
from transcoder.openapi.options import Options
from transcoder.openapi.scalars import Schema

_OPTION: Final = 1042
_PACKAGE: Final = "grpc.gateway.protoc_gen_openapiv2.options"
_INFO = ("title", "version", "description", "termsOfService", "contact", "license")
_KEYWORDS = (
    "title",
    "description",
    "multipleOf",
    "maxLength",
    "minLength",
    "pattern",
    "maxItems",
    "minItems",
    "uniqueItems",
    "maxProperties",
    "minProperties",
    "format",
    "enum",
)
_FLOWS = {
    "FLOW_IMPLICIT": "implicit",
    "FLOW_PASSWORD": "password",
    "FLOW_APPLICATION": "clientCredentials",
    "FLOW_ACCESS_CODE": "authorizationCode",
}


class Annotations:
    """The annotations of one document's descriptors; empty where there are none."""

    def __init__(self, options: Options) -> None:
        self._options = options

    def info(self, file: Any) -> Schema:
        """Return what a file says of the whole API: its Info Object."""
        said = self._said(file, "Swagger").get("info", {})
        return {**{name: said[name] for name in _INFO if name in said}, **_extensions(said)}

    def servers(self, file: Any) -> list[Schema]:
        """Return the servers that a file names."""
        said = self._said(file, "Swagger")
        host, path = said.get("host", ""), said.get("basePath", "")
        if not host:
            return [{"url": path}] if path not in {"", "/"} else []
        schemes = [scheme.lower() for scheme in said.get("schemes", ["HTTPS"])]
        return [{"url": f"{scheme}://{host}{path}"} for scheme in schemes]

    def whole(self, file: Any) -> Schema:
        """Return what a file says at the top of the document beside info and servers."""
        said = self._said(file, "Swagger")
        found = {"externalDocs": said["externalDocs"]} if "externalDocs" in said else {}
        if "security" in said:
            found["security"] = _requirements(said["security"])
        return {**found, **_extensions(said)}

    def security_schemes(self, file: Any) -> Schema:
        """Return the security schemes that a file defines, by name."""
        said = self._said(file, "Swagger").get("securityDefinitions", {}).get("security", {})
        return {name: _security_scheme(scheme) for name, scheme in sorted(said.items())}

    def tag(self, service: Any) -> Schema:
        """Return the Tag Object of a service."""
        return _tag(self._said(service, "Tag"))

    def operation(self, rpc: Any) -> Schema:
        """Return what a method says of its operation."""
        said = self._said(rpc, "Operation")
        names = ("tags", "summary", "description", "externalDocs", "operationId", "deprecated")
        found = {name: said[name] for name in names if name in said}
        if "security" in said:
            found["security"] = _requirements(said["security"])
        return {**found, **_extensions(said)}

    def media(self, rpc: Any) -> tuple[list[str], list[str]]:
        """Return the media types that a method names for the raw bytes it takes and gives."""
        said = self._said(rpc, "Operation")
        return said.get("consumes", []), said.get("produces", [])

    def headers(self, rpc: Any) -> list[Schema]:
        """Return the Parameter Objects of the headers that a method says it reads."""
        said = self._said(rpc, "Operation").get("parameters", {}).get("headers", [])
        return [_header_parameter(each) for each in said]

    def responses(self, rpc: Any) -> dict[str, Mapping[str, Any]]:
        """Return what a method and its file say of answers, by status; see `responding`."""
        file = rpc.containing_service.file
        said = {
            **self._said(file, "Swagger").get("responses", {}),
            **self._said(rpc, "Operation").get("responses", {}),
        }
        return {
            status: said[status]
            for status in sorted(said)
            if status == "default" or (status.isdigit() and len(status) == 3)
        }

    def tags(self, file: Any) -> list[Schema]:
        """Return the Tag Objects that a file has beside those of its services."""
        return [_tag(each) for each in self._said(file, "Swagger").get("tags", [])]

    def schema(self, message: Any) -> Schema:
        """Return the keywords of a message; `required` has the names of its fields."""
        said = self._said(message, "Schema")
        if not said:
            return {}
        found = _keywords(said.get("jsonSchema", {}))
        if "externalDocs" in said:
            found["externalDocs"] = said["externalDocs"]
        return _fitting({**found, **_example(said)}, partial(of_message, message))

    def field(self, field: Any) -> Schema:
        """Return the keywords of a field."""
        return _fitting(_keywords(self._said(field, "JSONSchema")), partial(of_field, field))

    def enum(self, enum: Any) -> Schema:
        """Return the keywords of an enum."""
        said = self._said(enum, "EnumSchema")
        found = {name: said[name] for name in ("title", "description") if name in said}
        return _fitting({**found, **_example(said)}, partial(of_enum, enum))

    def path_name(self, field: Any) -> str:
        """Return the name that a field has in paths; nothing where none is said."""
        configured = self._said(field, "JSONSchema").get("fieldConfiguration", {})
        return str(configured.get("pathParamName", ""))

    def _said(self, descriptor: Any, kind: str) -> Mapping[str, Any]:
        found = self._options.message(descriptor, _OPTION, f"{_PACKAGE}.{kind}")
        return {} if found is None else MessageToDict(found)


def responding(response: Schema, said: Mapping[str, Any]) -> Schema:
    """Return a Response Object with what an annotation says of it.

    Args:
        response: as the gateway answers.
        said: one of `Annotations.responses`.
    """
    found = {**response, **({"description": said["description"]} if "description" in said else {})}
    headers = {name: _header(said["headers"][name]) for name in sorted(said.get("headers", {}))}
    if headers:
        found["headers"] = {**headers, **found.get("headers", {})}
    content = dict(found.get("content", {}))
    for name, text in sorted(said.get("examples", {}).items()):
        if name in content:
            content[name] = {**content[name], "example": _json(text)}
    return {**found, **({"content": content} if content else {}), **_extensions(said)}


def own_schema(said: Mapping[str, Any]) -> tuple[str, Schema]:
    """Return the name of the message that an annotated answer is, and the keywords beside it.

    Args:
        said: one of `Annotations.responses`.
    """
    schema = said.get("schema", {}).get("jsonSchema", {})
    kinds = [kind.lower() for kind in schema.get("type", [])]
    found = _keywords(schema)
    if kinds:
        found["type"] = kinds[0] if len(kinds) == 1 else kinds
    return str(schema.get("ref", "")).lstrip("."), found


def _tag(said: Mapping[str, Any]) -> Schema:
    names = ("name", "description", "externalDocs")
    return {**{name: said[name] for name in names if name in said}, **_extensions(said)}


def _header(said: Mapping[str, Any]) -> Schema:
    schema = {name: said[name] for name in ("type", "format", "pattern") if name in said}
    if "default" in said:
        schema["default"] = _json(said["default"])
    described = {"description": said["description"]} if "description" in said else {}
    return {**described, "schema": schema or {"type": "string"}}


def _header_parameter(said: Mapping[str, Any]) -> Schema:
    kind = str(said.get("type", "STRING")).lower()
    found = _header({**said, "type": kind if kind != "unknown" else "string"})
    required = {"required": True} if said.get("required") else {}
    return {"name": said.get("name", ""), "in": "header", **required, **found}


_LONG = {"maxLength", "minLength", "maxItems", "minItems", "maxProperties", "minProperties"}


def _keywords(said: Mapping[str, Any]) -> Schema:
    # Protobuf's JSON has long numbers as texts.
    found: Schema = {
        name: int(said[name]) if name in _LONG else said[name]
        for name in _KEYWORDS
        if said.get(name)
    }
    for bound in ("maximum", "minimum"):
        exclusive = f"exclusive{bound.capitalize()}"
        if bound in said:
            found[exclusive if said.get(exclusive) else bound] = said[bound]
    if said.get("readOnly"):
        found["readOnly"] = True
    if "required" in said:
        found["required"] = list(said["required"])
    if "default" in said:
        found["default"] = _json(said["default"])
    return {**found, **_example(said), **_extensions(said)}


def _example(said: Mapping[str, Any]) -> Schema:
    return {"examples": [_json(said["example"])]} if said.get("example") else {}


def _fitting(schema: Schema, fitted: Callable[[Any], Any]) -> Schema:
    """Return keywords whose default and examples fit what they are said of, or are not there."""
    found = {**schema}
    if "default" in found:
        value = fitted(found.pop("default"))
        found |= {} if value is NOTHING else {"default": value}
    if "examples" in found:
        values = [fitted(each) for each in found.pop("examples")]
        found |= {} if NOTHING in values else {"examples": values}
    return found


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _extensions(said: Mapping[str, Any]) -> Schema:
    extensions = said.get("extensions", {})
    return {name: extensions[name] for name in sorted(extensions) if name.startswith("x-")}


def _requirements(said: list[Mapping[str, Any]]) -> list[Schema]:
    return [
        {
            name: list(value.get("scope", []))
            for name, value in sorted(each.get("securityRequirement", {}).items())
        }
        for each in said
    ]


def _security_scheme(said: Mapping[str, Any]) -> Schema:
    described = {"description": said["description"]} if "description" in said else {}
    kind = said.get("type")
    if kind == "TYPE_BASIC":
        return {"type": "http", "scheme": "basic", **described}
    if kind == "TYPE_API_KEY":
        where = "query" if said.get("in") == "IN_QUERY" else "header"
        return {"type": "apiKey", "in": where, "name": said.get("name", ""), **described}
    flow: Schema = {"scopes": said.get("scopes", {}).get("scope", {})}
    urls = ("authorizationUrl", "tokenUrl")
    flow |= {name: said[name] for name in urls if name in said}
    flows = {_FLOWS.get(said.get("flow", ""), "implicit"): flow}
    return {"type": "oauth2", "flows": flows, **described}
