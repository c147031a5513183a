"""Refusals: how the calls of an operation fail, by HTTP status."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from google.protobuf.descriptor import MethodDescriptor

from transcoder.openapi.bodies import Bodies, Serving
from transcoder.openapi.openapiv2 import responding
from transcoder.openapi.scalars import Schema
from transcoder.profile import Profile
from transcoder.security import Security
from transcoder.timeouts import LONGEST
from transcoder.transcoder import Endpoint

_TEXTS: Final = {
    "BadRequest": "The request does not fit the method.",
    "Unauthenticated": "The client is not known.",
    "PermissionDenied": "The client is known, and may not do this.",
    "NotAcceptable": "None of the media types that the client accepts is answered.",
    "UnsupportedMediaType": "The body is of a media type that is not taken.",
    "Error": "The call failed.",
}
_LINE: Final = "Line"
_REQUEST_ID: Final = "X-Request-Id"
_HEADERS: Final[dict[str, Schema]] = {
    "Retry-After": {
        "description": "Seconds after which the call may go well; there if the server knows.",
        "schema": {"type": "integer", "minimum": 0},
    },
    "WWW-Authenticate": {
        "description": "How clients show who they are.",
        "required": True,
        "schema": {"type": "string"},
    },
    _REQUEST_ID: {
        "description": "What the server's log calls this request, and whoever asks about it.",
        "required": True,
        "schema": {"type": "string"},
    },
}
_MORE_HEADERS: Final = {"Unauthenticated": ("WWW-Authenticate",), "Error": ("Retry-After",)}


class Refusals:
    """Makes the answers of one document to calls that fail.

    Args:
        bodies: of the document.
        profile: which of the answers there are.
        serving: likewise.
        security: likewise.
    """

    def __init__(
        self, bodies: Bodies, profile: Profile, serving: Serving, security: Security
    ) -> None:
        self._bodies = bodies
        self._profile = profile
        self._serving = serving
        self._security = security
        self.responses: dict[str, Schema] = {}
        """The answers that operations refer to, by name."""
        self.headers: dict[str, Schema] = {}
        """The headers that the answers refer to, by name."""

    def of(self, endpoint: Endpoint, body: Schema | None, *, has_input: bool) -> dict[str, Schema]:
        """Return the Response Objects of an operation, by status.

        Args:
            endpoint: of the operation.
            body: its Request Body Object.
            has_input: whether it has parameters.
        """
        line = self._is_line(endpoint)
        rpc = endpoint.binding.rpc
        found = {}
        if has_input or body is not None or self._profile.unknown_query == "reject":
            found["400"] = self._named("BadRequest", line=line)
        if any(self._security.of(rpc.full_name)):
            found["401"] = self._named("Unauthenticated", line=line)
            found["403"] = self._named("PermissionDenied", line=line)
        offers = endpoint.encode.offers if endpoint.framings is None else endpoint.framings.offers
        if offers.types and self._profile.not_acceptable == "reject":
            found["406"] = self._named("NotAcceptable", line=line)
        if body is not None:
            found |= self._of_body(rpc, body, line=line)
        if self._serving.timeouts is not None:
            found["504"] = self._deadline(endpoint, line=line)
        return {**found, "default": self._named("Error", line=line)}

    def described(self, endpoint: Endpoint, said: Mapping[str, Any]) -> Schema:
        """Return the Response Object of an error that the proto describes."""
        made = self._made(_TEXTS["Error"], line=self._is_line(endpoint))
        if self._serving.own_errors:
            made |= self._bodies.own_error(endpoint.binding.rpc, said)
        return responding(made, said)

    def _is_line(self, endpoint: Endpoint) -> bool:
        return endpoint.framings is not None and self._profile.stream == "result-lines"

    def _of_body(self, rpc: MethodDescriptor, body: Schema, *, line: bool) -> dict[str, Schema]:
        found = {}
        raw = all("json" not in name for name in body["content"])
        if rpc.client_streaming:
            limit, what, name = self._serving.message_limit, "One message", "MessageTooLarge"
        else:
            limit, what, name = self._serving.body_limit, "The body", "PayloadTooLarge"
        # Raw bytes are cut to messages as they come.
        if not raw or (limit is not None and not rpc.client_streaming):
            text = f"{what} is over a limit{f' of {limit} bytes' if limit is not None else ''}."
            found["413"] = self._named(name, text, line=line)
        if not raw:
            found["415"] = self._named("UnsupportedMediaType", line=line)
        return found

    def _deadline(self, endpoint: Endpoint, *, line: bool) -> Schema:
        timeouts: Any = self._serving.timeouts
        method, streams = endpoint.binding.rpc.full_name, endpoint.streams
        text = _of_time(*timeouts.allowed(method, streams=streams))
        if method in timeouts.methods:
            return self._made(text, line=line)
        name = "StreamDeadlineExceeded" if streams else "DeadlineExceeded"
        return self._named(name, text, line=line)

    def _named(self, name: str, text: str = "", *, line: bool) -> Schema:
        component = f"{name}{_LINE}" if line else name
        if component not in self.responses:
            more = _MORE_HEADERS.get(name, ())
            self.responses[component] = self._made(text or _TEXTS[name], *more, line=line)
        return {"$ref": f"#/components/responses/{component}"}

    def _made(self, description: str, *more: str, line: bool) -> Schema:
        names = sorted([_REQUEST_ID, *more])
        self.headers |= {name: _HEADERS[name] for name in names}
        headers = {name: {"$ref": f"#/components/headers/{name}"} for name in names}
        error = self._bodies.error(description, line=line)
        return {"description": error.pop("description"), "headers": headers, **error}


def _of_time(default: float | None, maximum: float) -> str:
    """Return what happened when a call took too long.

    >>> _of_time(30.0, 300.0)
    'It took over 30 seconds, or over those that X-Request-Timeout asked for, 300 at most.'
    >>> _of_time(None, LONGEST)
    'It took over the seconds that X-Request-Timeout asked for.'
    """
    own = "" if default is None else f"{default:g} seconds, or over "
    the = "those" if own else "the seconds"
    most = f", {maximum:g} at most" if maximum < LONGEST else ""
    return f"It took over {own}{the} that X-Request-Timeout asked for{most}."
