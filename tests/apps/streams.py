"""A gateway whose methods stream in every way; the ledger says how each call ended."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.any_pb2 import Any as Any_
from google.protobuf.message_factory import GetMessageClass
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from compiled import pool as compiled_pool
from transcoder import Code, Gateway, Pace, StatusError, StreamLimits, set_http_status

POOL = compiled_pool()
SERVICE = POOL.FindServiceByName("streams.v1.Streams")
Ask: Any = GetMessageClass(POOL.FindMessageTypeByName("streams.v1.Ask"))
Told: Any = GetMessageClass(POOL.FindMessageTypeByName("streams.v1.Told"))
Part: Any = GetMessageClass(POOL.FindMessageTypeByName("streams.v1.Part"))
HttpBody: Any = GetMessageClass(POOL.FindMessageTypeByName("google.api.HttpBody"))
Sum: Any = GetMessageClass(POOL.FindMessageTypeByName("streams.v1.Sum"))

Edition: Any = GetMessageClass(POOL.FindMessageTypeByName("edition.v1.Edition"))
DETAILS = {"detail": Told(number=7), "foreign": Edition(explicit="of a file that none imports")}


class Streams:
    """The servicer.

    Args:
        note: is told how a stream ended: "done", or "cancelled" and after how many messages.
    """

    def __init__(self, note: Callable[[str], None]) -> None:
        self._note = note

    async def Single(self, request: Any, context: Any) -> Any:
        await asyncio.sleep(request.pause)
        await self._fail(request, context, 0)
        return Told(text=request.topic)

    async def Tell(self, request: Any, context: Any) -> AsyncGenerator[Any, None]:
        number, text = request.after, request.topic + "." * request.size
        if request.how.startswith("status "):
            set_http_status(context, int(request.how.removeprefix("status ")))
        await context.send_initial_metadata([("x-topic", request.topic)])
        try:
            for number in range(request.after, request.after + request.count):
                await self._fail(request, context, number)
                if request.pause:
                    try:
                        await asyncio.sleep(request.pause)
                    except asyncio.CancelledError:
                        if request.how == "return":
                            return
                        if request.how != "go on":
                            raise
                yield Told(number=number, text=text)
            await self._fail(request, context, number + 1)
        except (asyncio.CancelledError, GeneratorExit):
            self._note(f"cancelled {number}")
            raise
        self._note("done")

    async def Collect(self, requests: AsyncIterator[Any], context: Any) -> Any:
        total = Sum()
        try:
            async for request in requests:
                await self._fail(request, context, total.count)
                total.topic = total.topic or request.topic
                total.count += 1
                await asyncio.sleep(request.pause)
        except asyncio.CancelledError:
            self._note(f"cancelled {total.count}")
            raise
        self._note("done")
        return total

    async def Echo(self, requests: AsyncIterator[Any], context: Any) -> AsyncGenerator[Any, None]:
        number = 0
        try:
            async for request in requests:
                await self._fail(request, context, number)
                yield Told(number=number, text=request.topic)
                number += 1
        except (asyncio.CancelledError, GeneratorExit):
            self._note(f"cancelled {number}")
            raise
        self._note("done")

    async def Download(self, request: Any, context: Any) -> AsyncGenerator[Any, None]:
        piece = bytes(range(256)) * (request.size // 256)
        if request.topic == "early":
            await context.send_initial_metadata([("x-topic", request.topic)])
            await asyncio.sleep(request.pause)
        for number in range(request.count):
            await self._fail(request, context, number)
            yield HttpBody(content_type="application/x-tar" if number == 0 else "", data=piece)

    async def Upload(self, requests: AsyncIterator[Any], context: Any) -> Any:
        del context
        total, digest = Sum(), hashlib.sha256()
        async for request in requests:
            total.topic = total.topic or request.topic
            total.content_type = total.content_type or request.data.content_type
            total.count += 1
            total.bytes += len(request.data.data)
            digest.update(request.data.data)
        total.hash = digest.hexdigest()
        return total

    async def _fail(self, request: Any, context: Any, number: int) -> None:
        if not request.HasField("fail_at") or request.fail_at != number:
            return
        if request.how == "defect":
            raise KeyError("a secret")
        if request.how == "cancel":
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            await asyncio.sleep(9)
        if request.how in DETAILS:
            detail = Any_()
            detail.Pack(DETAILS[request.how])
            raise StatusError(Code.ABORTED, "with a detail", [detail])
        code = grpc.StatusCode.ABORTED if request.how == "abort" else grpc.StatusCode.OUT_OF_RANGE
        await context.abort(code, f"no message {number}")


def register(servicer: Any, gateway: Gateway) -> None:
    """Register a servicer of the service, as generated code does."""
    handlers = {}
    for rpc in SERVICE.methods:
        if not hasattr(servicer, rpc.name):
            continue
        takes, returns = rpc.client_streaming, rpc.server_streaming
        name = f"{'stream' if takes else 'unary'}_{'stream' if returns else 'unary'}"
        make = getattr(grpc, f"{name}_rpc_method_handler")
        handlers[rpc.name] = make(
            getattr(servicer, rpc.name),
            request_deserializer=GetMessageClass(rpc.input_type).FromString,
            response_serializer=GetMessageClass(rpc.output_type).SerializeToString,
        )
    handler = grpc.method_handlers_generic_handler(SERVICE.full_name, handlers)
    gateway.add_generic_rpc_handlers([handler])


def create(**options: Any) -> Gateway:
    """Return the gateway; what it notes goes to the test's ledger."""
    ledger = Path(os.environ["LEDGER"])

    def note(text: str) -> None:
        with ledger.open("a") as file:
            file.write(f"{text}\n")

    gateway = Gateway(pool=POOL, **options)
    register(Streams(note), gateway)
    return gateway


def bounded() -> Gateway:
    """Return the gateway with limits that a test can wait for."""
    limits = StreamLimits(count=1, idle=0.5, stall=0.5, life=1.5, heartbeat=0.2)
    return create(streams=limits)


def paced() -> Gateway:
    """Return the gateway that soon refuses who sends too slowly."""
    return create(pace=Pace(grace=0.5, rate=240))


def counted() -> Gateway:
    """Return the gateway; `/tasks` says how many there are, and the ledger has what is logged."""

    async def tasks(_: Request) -> PlainTextResponse:
        return PlainTextResponse(str(len(asyncio.all_tasks())))

    logging.basicConfig(filename=Path(os.environ["LEDGER"]).with_name("log"), level=logging.WARNING)
    return create(routes=[Route("/tasks", tasks)])
