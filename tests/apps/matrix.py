"""A service whose methods do what their requests say, and gateways before it.

`serving` answers in process; `before` passes calls on to the one at BACKEND, and so does
`intercepted`, with an interceptor that stands before each method. Each asks for one kind
of method by name: its request says how many messages to answer, and how to end.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from streams import SERVICE, Sum, Told, create, register
from transcoder import Channel, Gateway, Timeouts

SECRET = "hunter2"
"""What no client may ever be told."""


class Matrix:
    """Does what `how` of the last request says, when `fail_at` messages were answered."""

    def __init__(self, note: Any) -> None:
        self._note = note

    async def Single(self, request: Any, context: Any) -> Any:
        await self._told(context)
        await self._do(request, context, "Single")
        return Told(text=request.topic, number=request.count)

    async def Tell(self, request: Any, context: Any) -> AsyncGenerator[Any, None]:
        await self._told(context)
        for number in range(request.count):
            if request.HasField("fail_at") and request.fail_at == number:
                break
            yield Told(text=request.topic, number=number)
        await self._do(request, context, "Tell")

    async def Collect(self, requests: AsyncIterator[Any], context: Any) -> Any:
        await self._told(context)
        total = Sum()
        async for request in requests:
            total.count += 1
            total.topic += request.topic
            await self._do(request, context, "Collect")
        return total

    async def Echo(self, requests: AsyncIterator[Any], context: Any) -> AsyncGenerator[Any, None]:
        await self._told(context)
        number = 0
        async for request in requests:
            await self._do(request, context, "Echo")
            yield Told(text=request.topic, number=number)
            number += 1

    async def _told(self, context: Any) -> None:
        """Send back what came beside the call."""
        sent = {key: value for key, value in context.invocation_metadata() if key.startswith("x-")}
        metadata: list[tuple[str, str | bytes]] = [("x-seen", json.dumps(_plain(sent)))]
        if "x-seal-bin" in sent:
            metadata.append(("seal-bin", sent["x-seal-bin"]))
        await context.send_initial_metadata(metadata)

    async def _do(self, request: Any, context: Any, name: str) -> None:
        how = request.how
        if how == "wait":
            try:
                await asyncio.sleep(30)
            except asyncio.CancelledError:
                self._note(f"{name} cancelled {request.topic}")
                raise
        elif how == "defect":
            raise KeyError(SECRET)
        elif how == "abort":
            await context.abort(grpc.StatusCode.ABORTED, "told so")
        elif how == "code":
            context.set_code(grpc.StatusCode.DATA_LOSS)
            context.set_details("lost")
        elif how == "trailing":
            context.set_trailing_metadata([("x-after", "1")])
        elif how == "details":
            await context.abort_with_status(rpc_status.to_status(_detailed()))
        elif how == "left":
            left = context.time_remaining()
            await context.abort(grpc.StatusCode.OUT_OF_RANGE, "none" if left is None else "some")


def _plain(sent: dict[str, str | bytes]) -> dict[str, str]:
    return {key: value for key, value in sent.items() if isinstance(value, str)}


def _detailed() -> status_pb2.Status:
    detail = any_pb2.Any()
    detail.Pack(error_details_pb2.ErrorInfo(reason="GONE", domain="tests"))
    return status_pb2.Status(code=code_pb2.FAILED_PRECONDITION, message="gone", details=[detail])


def serving() -> Gateway:
    """Return the gateway with the servicer in its process."""
    ledger = Path(os.environ["LEDGER"])

    def note(text: str) -> None:
        with ledger.open("a") as file:
            file.write(f"{text}\n")

    gateway = Gateway(pool=create().pool)
    register(Matrix(note), gateway)
    return gateway


class Around(grpc.aio.ServerInterceptor):
    """Stands before each method, and has it do all there is to do."""

    async def intercept_service(self, continuation: Any, details: Any) -> Any:
        """Return a handler around the method's."""
        handler = await continuation(details)
        if handler.unary_unary or handler.stream_unary:
            method = handler.unary_unary or handler.stream_unary

            async def single(request: Any, context: Any) -> Any:
                return await method(request, context)

            if handler.unary_unary:
                return grpc.unary_unary_rpc_method_handler(single)
            return grpc.stream_unary_rpc_method_handler(single)

        several = handler.unary_stream or handler.stream_stream

        async def stream(request: Any, context: Any) -> AsyncGenerator[Any, None]:
            async for reply in several(request, context):
                yield reply

        if handler.unary_stream:
            return grpc.unary_stream_rpc_method_handler(stream)
        return grpc.stream_stream_rpc_method_handler(stream)


def intercepted() -> Gateway:
    """Return the gateway before the servicer at BACKEND, with an interceptor."""
    return before([Around()])


def before(interceptors: Sequence[Any] = ()) -> Gateway:
    """Return the gateway before the servicer at BACKEND."""
    pool, timeouts = create().pool, Timeouts(maximum=60)
    gateway = Gateway(pool=pool, timeouts=timeouts, interceptors=interceptors)
    gateway.route(SERVICE, Channel(os.environ["BACKEND"]))
    return gateway


def names(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Return metadata or headers by name, in lower case."""
    return {name.lower(): value for name, value in pairs}
