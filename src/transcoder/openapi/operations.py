"""Operations: one for each binding of a method."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

from transcoder.http_rule import Binding
from transcoder.openapi.bodies import Bodies, Serving
from transcoder.openapi.openapiv2 import responding
from transcoder.openapi.parameters import Parameters
from transcoder.openapi.paths import PathParameter
from transcoder.openapi.refusals import Refusals
from transcoder.openapi.scalars import Schema
from transcoder.openapi.schemas import Schemas
from transcoder.profile import Profile
from transcoder.security import Security
from transcoder.transcoder import Endpoint


class Operations:
    """Makes the operations of one document.

    Args:
        schemas: of the messages.
        profile: which of the answers to errors there are.
        serving: likewise.
        security: what clients must show.
        methods: all that are in the document.
    """

    def __init__(
        self,
        schemas: Schemas,
        profile: Profile,
        serving: Serving,
        security: Security,
        methods: Iterable[MethodDescriptor],
    ) -> None:
        self._schemas = schemas
        self._serving = serving
        self._security = security
        self._parameters = Parameters(schemas, profile)
        self._bodies = Bodies(schemas, profile, serving)
        self._refusals = Refusals(self._bodies, profile, serving, security)
        methods = dict.fromkeys(methods)
        services = dict.fromkeys(rpc.containing_service for rpc in methods)
        self._names = Counter(service.name for service in services)
        self._ids: set[str] = set()

    @property
    def components(self) -> dict[str, dict[str, Schema]]:
        """What operations refer to, by kind and name, apart from schemas."""
        return {
            "responses": self._refusals.responses,
            "parameters": self._parameters.shared,
            "headers": self._refusals.headers,
        }

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
        parameters += self._schemas.annotations.headers(rpc)
        if parameters:
            found["parameters"] = parameters
        body = self._bodies.request(endpoint)
        if body is not None:
            found["requestBody"] = body
        found["responses"] = self._responses(endpoint, body, has_input=bool(parameters))
        if self._security.schemes:
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
        return [
            {name: list(scopes) for name, scopes in requirement.items()}
            for requirement in self._security.of(rpc.full_name)
        ]

    def _responses(self, endpoint: Endpoint, body: Schema | None, *, has_input: bool) -> Schema:
        found: Schema = {"200": self._bodies.answer(endpoint)}
        found |= self._refusals.of(endpoint, body, has_input=has_input)
        annotated = self._schemas.annotations.responses(endpoint.binding.rpc)
        for status, said in annotated.items():
            if status.startswith("2"):
                # A servicer may choose the status; the body is the same.
                found[status] = responding(self._bodies.answer(endpoint), said)
            else:
                found[status] = self._refusals.described(endpoint, said)
        return {status: found[status] for status in sorted(found)}


def _told(comment: str) -> Schema:
    r"""Return the first paragraph of a comment as summary, the others as description.

    >>> _told("Returns a user.\n\nNOT_FOUND if there is none.")
    {'summary': 'Returns a user.', 'description': 'NOT_FOUND if there is none.'}
    """
    summary, _, description = comment.partition("\n\n")
    found: Schema = {"summary": " ".join(summary.split())} if summary else {}
    return {**found, "description": description.strip()} if description.strip() else found
