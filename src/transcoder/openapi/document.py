"""The OpenAPI 3.1 document of a transcoder: what its routes take and answer, as they run."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor, FileDescriptor, MethodDescriptor

from transcoder.comments import Comments, kept_comments
from transcoder.fields import FieldPath
from transcoder.http_rule import Binding
from transcoder.openapi.bodies import ERRORS, Serving
from transcoder.openapi.operations import Operations
from transcoder.openapi.options import Options
from transcoder.openapi.paths import PathParameter, Paths
from transcoder.openapi.scalars import Schema
from transcoder.openapi.schemas import Schemas
from transcoder.profile import Profile
from transcoder.route import Route
from transcoder.security import NO_SECURITY, Security
from transcoder.transcoder import Endpoint, Transcoder

Document = dict[str, Any]

VERSION: Final = "3.1.1"
"""Of OpenAPI."""

_METHODS = frozenset({"GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE"})
_OTHERS: Final = "x-additional-operations"
_API_VERSION = re.compile(r"v[0-9]+[a-z0-9]*")
_KNOWN_NOTHING: Final = Serving()


def document(
    transcoder: Transcoder,
    *,
    title: str = "",
    version: str = "",
    description: str = "",
    servers: Sequence[str] = (),
    comments: Comments | None = None,
    labels: Collection[str] = frozenset(),
    serving: Serving = _KNOWN_NOTHING,
    security: Security = NO_SECURITY,
    routes: Sequence[Route[Any]] | None = None,
) -> Document:
    """Return the OpenAPI document of all routes of a transcoder; the same of the same, always.

    Args:
        transcoder: whose routes, and whose profile.
        title: of the API; the default is the package of its first service.
        version: of the API; the default is the one that the package's name ends in.
        description: of the API.
        servers: URLs of the API; none is where the document comes from.
        comments: of the protos; None for those that are kept beside generated code.
        labels: of `google.api` visibility; what is restricted to others is not in the document.
        serving: what whoever serves the transcoder does.
        security: what clients must show.
        routes: which of the transcoder's are told; None for all.

    Raises:
        ConfigError: two routes conflict, or the comments that are kept cannot be read.

    >>> from google.longrunning import operations_pb2
    >>> service = operations_pb2.DESCRIPTOR.services_by_name["Operations"]
    >>> made = document(Transcoder([service]))
    >>> sorted(made["paths"]["/v1/operations"])
    ['get']
    """
    told = transcoder.routes if routes is None else routes
    if comments is None:
        comments = kept_comments(_files(told))
    options = Options(comments, labels)
    profile = transcoder.profile
    schemas = _schemas(profile, options)
    endpoints = list(_endpoints(transcoder, told, options))
    methods = [endpoint.binding.rpc for endpoint in endpoints]
    operations = Operations(schemas, profile, serving, security, methods)
    paths = _Places(schemas, operations)
    for endpoint in endpoints:
        paths.add(endpoint)
    head = _Head(schemas, methods)
    given = {"title": title, "version": version, "description": description}
    made: Document = {
        "openapi": VERSION,
        "info": head.info(given),
        "servers": [{"url": url} for url in servers] or head.servers(),
        "tags": head.tags(operations),
        "paths": paths.items,
        "components": _components(schemas, operations, head, security),
        **head.whole(),
    }
    schemas.components.rename(paths.items)
    return {name: part for name, part in made.items() if part or name == "paths"}


def to_json(made: Document) -> bytes:
    """Return a document as JSON, for human eyes and for comparison line by line."""
    return json.dumps(made, indent=2, ensure_ascii=False).encode() + b"\n"


def to_yaml(made: Document) -> bytes:
    """Return a document as YAML.

    Raises:
        ImportError: it needs the extra `openapi`.
    """
    try:
        import yaml  # noqa: PLC0415  not every installation has it
    except ImportError as error:
        raise ImportError("PyYAML is missing: install transcoder[openapi]") from error
    # What is there twice is to be written twice, for people to read; JSON has no references.
    plain = json.loads(json.dumps(made))
    base: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    dumper: Any = type("Dumper", (base,), {})
    dumper.add_representer(str, _represented)
    text: bytes = yaml.dump(
        plain, Dumper=dumper, sort_keys=False, allow_unicode=True, width=100, encoding="utf-8"
    )
    return text


def _represented(dumper: Any, text: str) -> Any:
    """Write texts of several lines as such."""
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _schemas(profile: Profile, options: Options) -> Schemas:
    return Schemas(
        options,
        closed=profile.unknown_body == "reject",
        # With the parameter `$fields`, a client chooses what is printed.
        prints_defaults=profile.print_defaults and not profile.system_parameters,
        proto_names=profile.proto_names,
        enum_numbers=profile.enum_numbers,
    )


def _sorted(parts: Mapping[str, Schema]) -> Schema:
    return {name: parts[name] for name in sorted(parts)}


def _files(routes: Iterable[Route[Any]]) -> list[FileDescriptor]:
    endpoints = (route.endpoint for route in routes)
    return [
        endpoint.binding.rpc.containing_service.file
        for endpoint in endpoints
        if isinstance(endpoint, Endpoint)
    ]


def _endpoints(
    transcoder: Transcoder, routes: Iterable[Route[Any]], options: Options
) -> Iterator[Endpoint]:
    """Yield the endpoints that answer, in the order of their routes, but those that are hidden."""
    silent = {id(conflict.route) for conflict in transcoder.compile().conflicts}
    for route in routes:
        endpoint = route.endpoint
        if id(route) not in silent and isinstance(endpoint, Endpoint):
            rpc = endpoint.binding.rpc
            needed = (rpc, rpc.containing_service, rpc.input_type, rpc.output_type)
            if not any(map(options.is_hidden, (*needed, *_fields(endpoint.binding)))):
                yield endpoint


def _fields(binding: Binding) -> Iterator[FieldDescriptor]:
    """Yield the fields that a binding names, without which nobody can call it."""
    paths = [variable.name for variable in binding.template.variables]
    paths += [binding.body] if binding.body not in {"", "*"} else []
    for path in paths:
        yield from FieldPath.resolve(binding.rpc.input_type, path, json_names=False).fields
    if binding.response_body:
        yield binding.rpc.output_type.fields_by_name[binding.response_body]


def _components(
    schemas: Schemas, operations: Operations, head: _Head, security: Security
) -> dict[str, Schema]:
    """Return what the paths refer to; they are all told by now."""
    found = {
        "schemas": {**schemas.components.finish(), **ERRORS},
        **{kind: _sorted(parts) for kind, parts in operations.components.items()},
        "securitySchemes": {
            **head.security_schemes(),
            **{name: dict(scheme) for name, scheme in security.schemes.items()},
        },
    }
    return {kind: parts for kind, parts in found.items() if parts}


class _Places:
    """The paths of a document, and the operations in them."""

    def __init__(self, schemas: Schemas, operations: Operations) -> None:
        self.items: dict[str, Schema] = {}
        self._operations = operations
        self._paths = Paths(schemas.options, schemas.annotations)
        self._shapes: dict[str, tuple[str, list[str]]] = {}

    def add(self, endpoint: Endpoint) -> None:
        binding = endpoint.binding
        expanded = self._paths.expand(binding.template, binding.rpc.input_type)
        own = (expanded.text, [each.name for each in expanded.parameters])
        # Paths that differ in names alone are one to OpenAPI: the first of them names it.
        text, names = self._shapes.setdefault(expanded.shape, own)
        parameters: tuple[PathParameter, ...] = expanded.renamed(names)
        operation = self._operations.of(endpoint, parameters)
        item = self.items.setdefault(text, {})
        method = binding.method
        if method in _METHODS and method.lower() not in item:
            item[method.lower()] = operation
            return
        others = item.setdefault(_OTHERS, {})
        key = method if method not in _METHODS else f"{method} {binding.template}"
        others[key] = operation


class _Head:
    """What stands around the paths."""

    def __init__(self, schemas: Schemas, methods: Iterable[MethodDescriptor]) -> None:
        self._schemas = schemas
        self._services = list(dict.fromkeys(rpc.containing_service for rpc in methods))
        self._files = list(dict.fromkeys(service.file for service in self._services))

    def info(self, given: Mapping[str, str]) -> Schema:
        annotated: Schema = {}
        for file in self._files:
            annotated = {**self._schemas.annotations.info(file), **annotated}
        package = self._files[0].package if self._files else ""
        last = package.rpartition(".")[2]
        found = {
            "title": package or "API",
            "version": last if _API_VERSION.fullmatch(last) else "0",
            "description": self._description(),
            **annotated,
            **{name: text for name, text in given.items() if text},
        }
        return {name: value for name, value in found.items() if value}

    def _description(self) -> str:
        comments = [self._schemas.options.comment(file) for file in self._files]
        return "\n\n".join(comment for comment in comments if comment)

    def servers(self) -> list[Schema]:
        found = [
            server for file in self._files for server in self._schemas.annotations.servers(file)
        ]
        return list({server["url"]: server for server in found}.values())

    def tags(self, operations: Operations) -> list[Schema]:
        found = {}
        for service in self._services:
            name = operations.tag(service)
            comment = self._schemas.options.comment(service)
            described = {"description": comment} if comment else {}
            annotated = self._schemas.annotations.tag(service)
            found[name] = {"name": name, **described, **annotated}
        for tag in (tag for file in self._files for tag in self._schemas.annotations.tags(file)):
            name = tag.get("name", "")
            found[name] = {**found.get(name, {}), **tag}
        return [tag for name, tag in found.items() if name]

    def security_schemes(self) -> Schema:
        return {
            name: scheme
            for file in self._files
            for name, scheme in self._schemas.annotations.security_schemes(file).items()
        }

    def whole(self) -> Schema:
        found: Schema = {}
        for file in self._files:
            found = {**self._schemas.annotations.whole(file), **found}
        return found
