"""What the options of grpc-gateway's `openapiv2` annotations say, in the terms of OpenAPI 3.1.

Their types come from the pool of the proto that uses them. What the gateway itself decides (paths,
parameters, the types of fields) is not asked for; responses, headers and bodies of errors neither.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from google.protobuf.json_format import MessageToDict

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
        said = self._said(service, "Tag")
        return {
            name: said[name] for name in ("name", "description", "externalDocs") if name in said
        }

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

    def responses(self, rpc: Any) -> dict[str, str]:
        """Return the descriptions of a method's answers, by status."""
        said = self._said(rpc, "Operation").get("responses", {})
        return {status: each.get("description", "") for status, each in sorted(said.items())}

    def schema(self, message: Any) -> Schema:
        """Return the keywords of a message; `required` has the names of its fields."""
        said = self._said(message, "Schema")
        if not said:
            return {}
        found = _keywords(said.get("jsonSchema", {}))
        if "externalDocs" in said:
            found["externalDocs"] = said["externalDocs"]
        return {**found, **_example(said)}

    def field(self, field: Any) -> Schema:
        """Return the keywords of a field."""
        return _keywords(self._said(field, "JSONSchema"))

    def enum(self, enum: Any) -> Schema:
        """Return the keywords of an enum."""
        said = self._said(enum, "EnumSchema")
        found = {name: said[name] for name in ("title", "description") if name in said}
        return {**found, **_example(said)}

    def path_name(self, field: Any) -> str:
        """Return the name that a field has in paths; nothing where none is said."""
        configured = self._said(field, "JSONSchema").get("fieldConfiguration", {})
        return str(configured.get("pathParamName", ""))

    def _said(self, descriptor: Any, kind: str) -> Mapping[str, Any]:
        found = self._options.message(descriptor, _OPTION, f"{_PACKAGE}.{kind}")
        return {} if found is None else _numbers(MessageToDict(found))


_LONG = {"maxLength", "minLength", "maxItems", "minItems", "maxProperties", "minProperties"}


def _numbers(said: Any) -> dict[str, Any]:
    """Return the tree with numbers for those that protobuf's JSON has as strings."""
    return {
        name: _numbers(value) if name == "jsonSchema" else int(value) if name in _LONG else value
        for name, value in said.items()
    }


def _keywords(said: Mapping[str, Any]) -> Schema:
    found = {name: said[name] for name in _KEYWORDS if said.get(name)}
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
