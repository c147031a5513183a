"""Traces: a span for each call, as OpenTelemetry has them. Needs the extra `traces`.

A call's context comes in `traceparent` and `tracestate` (W3C Trace Context). The span is its child,
and current while the servicer runs: spans that the servicer begins are the span's children. The
servicer sees the span's context in its metadata, and so does whoever the call is passed on to.

Names and attributes are those of OpenTelemetry's semantic conventions for HTTP and RPC: a span is
named by the route's template, never by a path.
"""

from __future__ import annotations

from collections.abc import Collection
from contextvars import Token
from typing import Any, Final, NamedTuple

try:
    from opentelemetry import context, trace
    from opentelemetry.semconv._incubating.attributes import rpc_attributes as rpc
    from opentelemetry.semconv.attributes import (
        client_attributes,
        error_attributes,
        http_attributes,
        url_attributes,
        user_agent_attributes,
    )
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
except ImportError as error:
    raise ImportError(f"{error.name} is missing: install transcoder[traces]") from error

from transcoder.call_details import CallDetails
from transcoder.metadata import Metadatum, checked
from transcoder.status import Code

_PROPAGATOR: Final = TraceContextTextMapPropagator()
_KEYS: Final = ("traceparent", "tracestate")
_TEXT_LIMIT: Final = 256
_FAULTS: Final = frozenset(
    {Code.UNKNOWN, Code.DEADLINE_EXCEEDED, Code.UNIMPLEMENTED, Code.INTERNAL, Code.UNAVAILABLE}
    | {Code.DATA_LOSS}
)


class _Open(NamedTuple):
    span: trace.Span
    token: Token[context.Context]


class Traces:
    """Begins and ends the spans of calls.

    Args:
        provider: makes the tracer; the default is OpenTelemetry's global one. What is sampled, and
            where spans go, is the provider's to say.
    """

    writes: Final[Collection[str]] = _KEYS

    def __init__(self, provider: trace.TracerProvider | None = None) -> None:
        self._tracer = trace.get_tracer("transcoder", tracer_provider=provider)
        self._open: dict[int, _Open] = {}

    def began(self, call: CallDetails) -> None:
        """Begin the span of a call, in the task that is going to answer it."""
        carrier: dict[str, str] = {}
        for key, value in call.headers:
            if key in {b"traceparent", b"tracestate"}:
                carrier.setdefault(key.decode(), value.decode("latin-1"))
        parent = _PROPAGATOR.extract(carrier) if carrier else context.Context()
        span = self._tracer.start_span(
            _name(call),
            parent,
            trace.SpanKind.SERVER,
            attributes=_asked(call),
            start_time=int(call.wall * 1e9),
        )
        current = trace.set_span_in_context(span)
        self._open[id(call)] = _Open(span, context.attach(current))
        call.metadata += _context_of(span.get_span_context())

    def ended(self, call: CallDetails) -> None:
        """End it."""
        found = self._open.pop(id(call), None)
        if found is None:
            return
        span, token = found
        context.detach(token)
        if span.is_recording():
            for name, value in _answered(call).items():
                span.set_attribute(name, value)
            if call.http_status >= 500 or (not call.http_status and call.code in _FAULTS):
                span.set_status(trace.StatusCode.ERROR)
        span.end(int((call.wall + call.ended - call.started) * 1e9))


def _context_of(span: trace.SpanContext) -> tuple[Metadatum, ...]:
    """Return a span's context as W3C Trace Context has it, which metadata can carry."""
    if not span.is_valid:
        return ()
    parent = f"00-{span.trace_id:032x}-{span.span_id:016x}-{span.trace_flags:02x}"
    told = (Metadatum("traceparent", parent),)
    state = span.trace_state.to_header() if span.trace_state else ""
    return (*told, *checked([("tracestate", state)])) if state else told


def _name(call: CallDetails) -> str:
    if call.door == "grpc":
        return call.template[1:] or "unknown"
    # A method that a client makes up is no part of a name.
    method = call.http_method if call.template else "HTTP"
    return f"{method} {call.template}" if call.template else method


def _asked(call: CallDetails) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if call.method:
        service, _, method = call.method.rpartition(".")
        found[rpc.RPC_SYSTEM_NAME] = "grpc"
        found[rpc.RPC_METHOD] = f"{service}/{method}"
    if call.door != "grpc":
        found[http_attributes.HTTP_REQUEST_METHOD] = call.http_method[:32]
        found[url_attributes.URL_PATH] = call.path[:_TEXT_LIMIT]
        found[url_attributes.URL_SCHEME] = "https" if call.secure else "http"
        if call.template:
            found[http_attributes.HTTP_ROUTE] = call.template
    if call.peer:
        found[client_attributes.CLIENT_ADDRESS] = call.peer
    agent = call.all(b"user-agent")
    if agent:
        text = agent[0].decode("latin-1")[:_TEXT_LIMIT]
        found[user_agent_attributes.USER_AGENT_ORIGINAL] = text
    return found


def _answered(call: CallDetails) -> dict[str, Any]:
    found: dict[str, Any] = {"transcoder.request_id": call.request_id}
    if call.http_status:
        found[http_attributes.HTTP_RESPONSE_STATUS_CODE] = call.http_status
    if call.code is not None:
        if call.method:
            found[rpc.RPC_RESPONSE_STATUS_CODE] = call.code.name
        if call.code is not Code.OK:
            found[error_attributes.ERROR_TYPE] = call.code.name
    if call.denied_by:
        found["transcoder.denied_by"] = call.denied_by
        found["transcoder.reason"] = call.reason
    return found
