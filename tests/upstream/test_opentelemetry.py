"""An interceptor from elsewhere: OpenTelemetry's, unchanged."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc
import pytest
from opentelemetry.instrumentation.grpc import aio_server_interceptor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from doors import DOORS, PATH, Ended, Trial
from services.user.v1.user_service_pb2 import User


async def one(request: User, context: Any) -> User:
    return User(name=request.name)


def one_plainly(request: User, context: Any) -> User:
    return User(name=request.name)


async def echo(requests: AsyncIterator[User], context: Any) -> AsyncIterator[User]:
    async for each in requests:
        yield each


def echo_plainly(requests: Iterator[User], context: Any) -> Iterator[User]:
    yield from requests


async def refuse(request: User, context: Any) -> None:
    await context.abort(grpc.StatusCode.NOT_FOUND, "no such user")


NOT_FOUND = Ended((), grpc.StatusCode.NOT_FOUND, "no such user")


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    ("kind", "behaviour", "expected"),
    [
        ("unary_unary", one, Ended(("a",), grpc.StatusCode.OK, "")),
        ("unary_unary", one_plainly, Ended(("a",), grpc.StatusCode.OK, "")),
        ("stream_stream", echo, Ended(("a", "b"), grpc.StatusCode.OK, "")),
        ("stream_stream", echo_plainly, Ended(("a", "b"), grpc.StatusCode.OK, "")),
        ("unary_unary", refuse, NOT_FOUND),
    ],
)
def test_spans(door: str, kind: str, behaviour: Any, expected: Ended) -> None:
    """A call has its span, which has the status, through either door."""
    spans = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(spans))
    make: Any = aio_server_interceptor
    tracing = make(tracer_provider=provider)

    assert asyncio.run(DOORS[door](Trial(kind, behaviour, [tracing]))) == expected

    (span,) = spans.get_finished_spans()
    assert span.name == PATH
    assert (span.attributes or {})["rpc.grpc.status_code"] == expected.code.value[0]
