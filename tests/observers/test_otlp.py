"""One trace across REST, a servicer and the service that it calls, as a collector gets it."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from entrances import open_doors
from services.user.v1.user_service_pb2 import GetUserRequest, User
from services.user.v1.user_service_pb2_grpc import (
    UserServiceServicer,
    UserServiceStub,
    add_UserServiceServicer_to_server,
)
from transcoder import Channel, Gateway
from transcoder.observers import Traces

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CLIENT = "00f067aa0ba902b7"


@dataclass(frozen=True)
class Span:
    """What the collector is told of one."""

    service: str
    name: str
    trace: str
    id: str
    parent: str


@contextlib.contextmanager
def collecting() -> Iterator[tuple[str, list[Span]]]:
    """Run a collector of OTLP over HTTP; give its address, and the spans that come."""
    spans: list[Span] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            data = self.rfile.read(int(self.headers["content-length"]))
            for of in ExportTraceServiceRequest.FromString(data).resource_spans:
                told = {each.key: each.value.string_value for each in of.resource.attributes}
                spans.extend(
                    Span(
                        told["service.name"],
                        span.name,
                        span.trace_id.hex(),
                        span.span_id.hex(),
                        span.parent_span_id.hex(),
                    )
                    for scope in of.scope_spans
                    for span in scope.spans
                )
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/traces", spans
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def provider(name: str, url: str) -> TracerProvider:
    """Return what sends a service's spans to a collector."""
    made = TracerProvider(resource=Resource({"service.name": name}), shutdown_on_exit=False)
    made.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=url)))
    return made


class Users(UserServiceServicer):
    """Knows everybody, or asks who does."""

    def __init__(self, others: Any = None) -> None:
        self._others = others

    async def GetUser(self, request: GetUserRequest, context: Any) -> User:
        if self._others is None:
            return User(id=request.id)
        reply: User = await self._others.GetUser(request)
        return reply


def gateway(servicer: Users, traces: Traces) -> Gateway:
    """Return a gateway with a servicer."""
    made = Gateway(observers=[traces])
    add_UserServiceServicer_to_server(servicer, made)  # type: ignore[arg-type]
    return made


def ask(target: str) -> int:
    """Ask over REST, within a trace of the client's; return the status."""
    connection = http.client.HTTPConnection(target, timeout=30)
    headers = {"traceparent": f"00-{TRACE}-{CLIENT}-01"}
    connection.request("GET", "/v1/users/7", headers=headers)
    status = connection.getresponse().status
    connection.close()
    return status


def test_one_trace() -> None:
    """Each span is of the client's trace, and has the one before it for its parent."""

    async def run(url: str) -> int:
        providers = provider("front", url), provider("back", url)
        behind = gateway(Users(), Traces(providers[1]))
        async with open_doors(behind) as back, Channel(back.grpc.target) as channel:
            users = Users(UserServiceStub(channel))
            async with open_doors(gateway(users, Traces(providers[0]))) as front:
                status = await asyncio.to_thread(ask, front.http.target)
        for each in providers:
            assert await asyncio.to_thread(each.force_flush)
            await asyncio.to_thread(each.shutdown)
        return status

    with collecting() as (url, spans):
        assert asyncio.run(run(url)) == 200

    found = {span.service: span for span in spans}
    assert [span.service for span in sorted(spans, key=lambda span: span.service)] == [
        "back",
        "front",
    ]
    assert {span.trace for span in spans} == {TRACE}
    assert found["front"].parent == CLIENT
    assert found["back"].parent == found["front"].id
    assert found["front"].name == "GET /v1/users/{id}"
    assert found["back"].name == "services.user.v1.UserService/GetUser"
