"""Operations: one for each binding of a method."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

from transcoder.http_rule import Binding
from transcoder.openapi.bodies import Bodies, Serving
from transcoder.openapi.parameters import Parameters
from transcoder.openapi.paths import PathParameter
from transcoder.openapi.scalars import Schema
from transcoder.openapi.schemas import Schemas
from transcoder.profile import Profile
from transcoder.transcoder import Endpoint

_TEXTS: Final = {
    "BadRequest": "The request does not fit the method.",
    "Unauthenticated": "The client is not known.",
    "PermissionDenied": "The client is known, and may not do this.",
    "NotAcceptable": "None of the media types that the client accepts is answered.",
    "PayloadTooLarge": "The body is over a limit.",
    "UnsupportedMediaType": "The body is of a media type that is not taken.",
    "Error": "The call failed.",
}
_LINE: Final = "Line"


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityScheme:
    """One way in which clients show who they are.

    Args:
        definition: the Security Scheme Object of OpenAPI.
        scopes: what a client needs, by the full name of a method.
        public: full names of the methods that anybody may call.
    """

    definition: Mapping[str, Any]
    scopes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    public: frozenset[str] = frozenset()


class Operations:
    """Makes the operations of one document.

    Args:
        schemas: of the messages.
        profile: which of the answers to errors there are.
        serving: likewise.
        security: any of these is enough for a client, by name.
        methods: all that are in the document.
    """

    def __init__(
        self,
        schemas: Schemas,
        profile: Profile,
        serving: Serving,
        security: Mapping[str, SecurityScheme],
        methods: Iterable[MethodDescriptor],
    ) -> None:
        self._schemas = schemas
        self._profile = profile
        self._serving = serving
        self._security = security
        self._parameters = Parameters(schemas, profile)
        self._bodies = Bodies(schemas, profile, serving)
        methods = dict.fromkeys(methods)
        services = dict.fromkeys(rpc.containing_service for rpc in methods)
        self._names = Counter(service.name for service in services)
        self._ids: set[str] = set()
        self.responses: dict[str, Schema] = {}
        """The answers that operations refer to, by name."""

    def of(self, endpoint: Endpoint, path: Sequence[PathParameter]) -> Schema:
        """Return the Operation Object of a binding."""
        binding = endpoint.binding
        rpc = binding.rpc
        annotated = self._schemas.annotations.operation(rpc)
        found: Schema = {"tags": [self.tag(rpc.containing_service)]}
        found |= _told(self._schemas.options.comment(rpc))
        if binding.index:
            annotated.pop("operationId", None)
        identifier = annotated.pop("operationId", "") or self._identifier(binding)
        found["operationId"] = self._unused(identifier)
        options = self._schemas.options
        if options.is_deprecated(rpc) or options.is_deprecated(rpc.containing_service):
            found["deprecated"] = True
        parameters = self._parameters.of(endpoint, path)
        if parameters:
            found["parameters"] = parameters
        body = self._bodies.request(endpoint)
        if body is not None:
            found["requestBody"] = body
        found["responses"] = self._responses(endpoint, body, has_input=bool(parameters))
        if self._security:
            found["security"] = self._requirements(rpc)
        found["x-grpc-method"] = rpc.full_name
        if endpoint.streams and self._serving.websockets:
            found["x-websocket"] = True
        return found | annotated

    def tag(self, service: ServiceDescriptor) -> str:
        """Return the tag of a service's operations: its name, in full if it is not the only one."""
        said = self._schemas.annotations.tag(service).get("name")
        return str(said or (service.name if self._names[service.name] == 1 else service.full_name))

    def _identifier(self, binding: Binding) -> str:
        service = binding.rpc.containing_service
        name = service.name
        if self._names[name] > 1:
            name = service.full_name.replace(".", "_")
        index = f"_{binding.index}" if binding.index else ""
        return f"{name}_{binding.rpc.name}{index}"

    def _unused(self, identifier: str) -> str:
        while identifier in self._ids:
            identifier += "_"
        self._ids.add(identifier)
        return identifier

    def _requirements(self, rpc: MethodDescriptor) -> list[Schema]:
        found: list[Schema] = [
            {name: list(scheme.scopes.get(rpc.full_name, ()))}
            for name, scheme in self._security.items()
        ]
        is_public = any(rpc.full_name in scheme.public for scheme in self._security.values())
        return [{}, *found] if is_public else found

    def _responses(self, endpoint: Endpoint, body: Schema | None, *, has_input: bool) -> Schema:
        rpc = endpoint.binding.rpc
        answer = self._bodies.answer(endpoint)
        described = self._schemas.annotations.responses(rpc)
        answer["description"] = described.pop("200", "") or answer["description"]
        found: Schema = {"200": answer}
        statuses = self._statuses(endpoint, body, has_input=has_input)
        line = endpoint.framings is not None and self._profile.stream == "result-lines"
        for status, name in statuses.items():
            found[status] = self._refusal(name, line=line)
        for status, description in described.items():
            if status.isdigit() or status == "default":
                found[status] = self._bodies.error(description, line=line)
        return {status: found[status] for status in sorted(found)}

    def _statuses(
        self, endpoint: Endpoint, body: Schema | None, *, has_input: bool
    ) -> dict[str, str]:
        found = {}
        if has_input or body is not None or self._profile.unknown_query == "reject":
            found["400"] = "BadRequest"
        if self._security:
            found |= {"401": "Unauthenticated", "403": "PermissionDenied"}
        offers = endpoint.encode.offers if endpoint.framings is None else endpoint.framings.offers
        if offers.types and self._profile.not_acceptable == "reject":
            found["406"] = "NotAcceptable"
        if body is not None:
            raw = all("json" not in name for name in body["content"])
            if not raw or self._serving.body_limit is not None:
                found["413"] = "PayloadTooLarge"
            if not raw:
                found["415"] = "UnsupportedMediaType"
        return {**found, "default": "Error"}

    def _refusal(self, name: str, *, line: bool) -> Schema:
        component = f"{name}{_LINE}" if line else name
        if component not in self.responses:
            self.responses[component] = self._bodies.error(self._text(name), line=line)
        return {"$ref": f"#/components/responses/{component}"}

    def _text(self, name: str) -> str:
        text = _TEXTS[name]
        if name != "PayloadTooLarge":
            return text
        limits = [
            f"{limit} bytes of {what}"
            for limit, what in (
                (self._serving.body_limit, "a body"),
                (self._serving.message_limit, "one message of a stream"),
            )
            if limit is not None
        ]
        return f"The body is over a limit: {', '.join(limits)}." if limits else text


def _told(comment: str) -> Schema:
    r"""Return the first paragraph of a comment as summary, the others as description.

    >>> _told("Returns a user.\n\nNOT_FOUND if there is none.")
    {'summary': 'Returns a user.', 'description': 'NOT_FOUND if there is none.'}
    """
    summary, _, description = comment.partition("\n\n")
    found: Schema = {"summary": " ".join(summary.split())} if summary else {}
    return {**found, "description": description.strip()} if description.strip() else found
