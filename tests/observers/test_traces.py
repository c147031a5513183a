from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from entrances import ENTRANCES, Outcome, Running, Seeing, call_each, over_http, run
from streams import POOL, register
from transcoder import Code, Gateway
from transcoder.observers import AccessLog, Traces
from transcoder.policies.ip_filter import IpFilter

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"
HEADERS = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "acme=1", "user-agent": "test"}


class Spans:
    """A provider whose spans a test reads."""

    def __init__(self, **options: Any) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False, **options)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))

    def __call__(self) -> tuple[ReadableSpan, ...]:
        return self.exporter.get_finished_spans()


@pytest.fixture(scope="module")
def traced() -> tuple[Spans, Mapping[str, list[Outcome]]]:
    """The spans of one call through each entrance, and what came of the calls."""
    spans = Spans()
    outcomes = call_each(HEADERS, observers=[Traces(spans.provider)])
    return spans, outcomes


def test_names(traced: Any) -> None:
    """A span is named by the route's template, or the method."""
    assert [span.name for span in traced[0]()] == [
        "GET /v1/{topic}/single",
        "GET /v1/{topic}/told",
        "GET /v1/{topic}/told",
        "streams.v1.Streams/Single",
        "streams.v1.Streams/Tell",
    ]


def test_attributes(traced: Any) -> None:
    """Its attributes are those of the semantic conventions."""
    rest, grpc = dict(traced[0]()[0].attributes), dict(traced[0]()[3].attributes)
    assert len(rest.pop("transcoder.request_id")) == 32
    assert rest == {
        "rpc.system.name": "grpc",
        "rpc.method": "streams.v1.Streams/Single",
        "rpc.response.status_code": "OK",
        "http.request.method": "GET",
        "http.route": "/v1/{topic}/single",
        "http.response.status_code": 200,
        "url.path": "/v1/a/single",
        "url.scheme": "http",
        "client.address": "127.0.0.1",
        "user_agent.original": "test",
    }
    assert grpc["rpc.method"] == "streams.v1.Streams/Single"
    assert not any(name.startswith(("http.", "url.")) for name in grpc)


def test_parent(traced: Any) -> None:
    """It is the child of what the client says, and of the same trace."""
    for span in traced[0]():
        assert f"{span.context.trace_id:032x}" == TRACE
        assert f"{span.parent.span_id:016x}" == PARENT
        assert span.kind is trace.SpanKind.SERVER


@pytest.mark.parametrize("index", range(len(ENTRANCES)))
def test_onward(traced: Any, index: int) -> None:
    """The servicer sees the span's context in its metadata, and no longer the client's."""
    spans, outcomes = traced
    outcome, span = list(outcomes.values())[index][0], spans()[index]
    assert outcome.seen["traceparent"] == [f"00-{TRACE}-{span.context.span_id:016x}-01"]
    assert outcome.seen["tracestate"] == ["acme=1"]


def test_no_parent() -> None:
    """A call without a context, or with a malformed one, begins a trace."""
    spans = Spans()
    call_each({}, {"traceparent": "00-zz-1-1"}, observers=[Traces(spans.provider)])
    assert all(span.parent is None for span in spans())
    assert len({span.context.trace_id for span in spans() if span.context}) == 2 * len(ENTRANCES)


def test_current() -> None:
    """While the servicer runs the span is current: spans of its own are its children."""
    spans = Spans()
    tracer = spans.provider.get_tracer("servicer")

    class Tracing(Seeing):
        async def Single(self, request: Any, context: Any) -> Any:
            with tracer.start_as_current_span("inner"):
                return await super().Single(request, context)

        async def Tell(self, request: Any, context: Any) -> AsyncGenerator[Any, None]:
            tracer.start_span("inner").end()
            async for reply in super().Tell(request, context):
                yield reply

    gateway = Gateway(pool=POOL, observers=[Traces(spans.provider)])
    register(Tracing(), gateway)
    from starlette.testclient import TestClient  # noqa: PLC0415  of this test alone

    with TestClient(gateway) as client:
        client.get("/v1/a/single")
        client.get("/v1/a/told?count=1")
    inner = [span for span in spans() if span.name == "inner"]
    outer = [span for span in spans() if span.name != "inner"]
    parents = [span.parent.span_id for span in inner if span.parent is not None]
    assert parents == [span.context.span_id for span in outer if span.context is not None]


def test_refused() -> None:
    """The span of a refused call says by whom, and why; the servicer's fault it is not."""
    spans = Spans()
    policies = [IpFilter(deny=["127.0.0.1"])]
    call_each({}, observers=[Traces(spans.provider)], policies=policies)
    for span in spans():
        assert span.attributes is not None
        assert span.attributes["transcoder.denied_by"] == "ip-filter"
        assert span.attributes["error.type"] == "PERMISSION_DENIED"
        assert span.status.status_code is trace.StatusCode.UNSET


def test_fault() -> None:
    """The span of a call that the server failed is an error."""
    spans = Spans()

    async def fact(running: Running) -> Code:
        return (await over_http(running, {}, "/v1/a/single?fail_at=0&how=defect")).code

    assert run(fact, observers=[Traces(spans.provider)]) is Code.INTERNAL
    (span,) = spans()
    assert span.status.status_code is trace.StatusCode.ERROR


def test_no_route() -> None:
    """A path that there is not is no name of a span, nor is a method that a client makes up."""
    spans = Spans()

    async def fact(running: Running) -> None:
        await over_http(running, {}, "/secret/path")

    run(fact, observers=[Traces(spans.provider)])
    assert [span.name for span in spans()] == ["HTTP"]


def test_not_sampled() -> None:
    """A call that is not sampled is passed on as such."""
    spans = Spans(sampler=ALWAYS_OFF)
    outcomes = call_each(HEADERS, observers=[Traces(spans.provider)])
    assert spans() == ()
    assert all(calls[0].seen["traceparent"][0].endswith("-00") for calls in outcomes.values())


def test_logged(tmp_path: Path) -> None:
    """The access log names the same trace, whoever began it."""
    spans, path = Spans(), tmp_path / "log"
    call_each({}, observers=[Traces(spans.provider), AccessLog(path)])
    records = [json.loads(line) for line in path.read_text().splitlines()]
    over = [each["trace_id"] for each in records if each["event"] != "stream-start"]
    assert over == [f"{span.context.trace_id:032x}" for span in spans() if span.context]
