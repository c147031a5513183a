"""Every way into a gateway, on a real server: HTTP, SSE, WebSocket and gRPC, asked the same."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import grpc
import grpc.aio
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

import streams
from streams import POOL, Ask, Streams, Told
from transcoder import Code, Gateway, Listening, Server
from transcoder.call_details import Principal
from transcoder.http_port import Ports

T = TypeVar("T")

SINGLE = "/streams.v1.Streams/Single"
TELL = "/streams.v1.Streams/Tell"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a client saw of one call.

    Args:
        code: OK, or why not.
        message: beside the code.
        headers: of the answer; on the gRPC door the trailing metadata. Names in lower case.
        seen: the metadata that the servicer saw, by key; empty for a refused call.
    """

    code: Code
    message: str
    headers: Mapping[str, str]
    seen: Mapping[str, list[str]]


class Enter(Protocol):
    """Makes one call with these headers, or this metadata."""

    async def __call__(self, running: Running, headers: Mapping[str, str]) -> Outcome: ...


class Seeing(Streams):
    """The servicer of the streams service, which answers with the metadata that it sees."""

    def __init__(self) -> None:
        super().__init__(lambda _: None)
        self.seen: list[dict[str, list[str]]] = []

    async def Single(self, request: Any, context: Any) -> Any:
        """Answer what a test wants to know."""
        self._see(context)
        return await super().Single(request, context)

    async def Tell(self, request: Any, context: Any) -> AsyncGenerator[Any, None]:
        """Answer the same as a stream."""
        self._see(context)
        yield Told(text=request.topic)

    def _see(self, context: Any) -> None:
        found: dict[str, list[str]] = {}
        for key, value in context.invocation_metadata():
            text = value if isinstance(value, str) else value.hex()
            found.setdefault(key, []).append(text)
        self.seen.append(found)


@dataclass(slots=True)
class Running:
    """A server that runs in the test's own process.

    Args:
        listening: where.
        servicer: which notes what it sees.
        gateway: what is served.
    """

    listening: Listening
    servicer: Seeing
    gateway: Gateway

    def seen(self, before: int) -> dict[str, list[str]]:
        """Return what the servicer saw of the call after so many; nothing, if it saw none."""
        return self.servicer.seen[before] if len(self.servicer.seen) > before else {}


async def over_http(
    running: Running, headers: Mapping[str, str], path: str = "/v1/a/single"
) -> Outcome:
    """Call the method of one reply, as REST."""
    return await _get(running, path, headers)


async def over_sse(running: Running, headers: Mapping[str, str]) -> Outcome:
    """Call the method of a stream of replies, as Server-Sent Events."""
    given = {**headers, "accept": "text/event-stream"}
    return await _get(running, "/v1/a/told?count=1", given)


async def over_websocket(
    running: Running, headers: Mapping[str, str], path: str = "/v1/a/told?count=1"
) -> Outcome:
    """Call the same method, by WebSocket."""
    before = len(running.servicer.seen)
    url = f"ws://{running.listening.http.target}{path}"
    try:
        async with connect(url, additional_headers=headers, proxy=None) as client:
            answer = client.response
            assert answer is not None
            with contextlib.suppress(ConnectionClosed):
                while True:
                    await client.recv()
            told = {name.lower(): value for name, value in answer.headers.raw_items()}
            code = client.close_code or 0
            number = 0 if code == 1000 else code - 4000
            return Outcome(Code(number), client.close_reason or "", told, running.seen(before))
    except InvalidStatus as error:
        told = {name.lower(): value for name, value in error.response.headers.raw_items()}
        status = json.loads(error.response.body)
        return Outcome(Code(status["code"]), status["message"], told, {})


async def over_grpc(running: Running, headers: Mapping[str, str]) -> Outcome:
    """Call the method of one reply on the gRPC port."""
    before = len(running.servicer.seen)
    async with grpc.aio.insecure_channel(running.listening.grpc.target) as channel:
        method = channel.unary_unary(
            SINGLE, request_serializer=Ask.SerializeToString, response_deserializer=Told.FromString
        )
        call = method(Ask(topic="a"), metadata=_metadata(headers))
        return await _ended(call, running, before)


async def over_grpc_stream(running: Running, headers: Mapping[str, str]) -> Outcome:
    """Call the method of a stream of replies on the gRPC port."""
    before = len(running.servicer.seen)
    async with grpc.aio.insecure_channel(running.listening.grpc.target) as channel:
        method = channel.unary_stream(
            TELL, request_serializer=Ask.SerializeToString, response_deserializer=Told.FromString
        )
        call = method(Ask(topic="a", count=1), metadata=_metadata(headers))
        with contextlib.suppress(grpc.aio.AioRpcError):
            async for _ in call:
                pass
        return await _ended(call, running, before)


ENTRANCES: dict[str, Enter] = {
    "http": over_http,
    "sse": over_sse,
    "websocket": over_websocket,
    "grpc": over_grpc,
    "grpc-stream": over_grpc_stream,
}


@contextlib.asynccontextmanager
async def open_doors(
    gateway: Gateway, http: Ports = "127.0.0.1:0", **options: Any
) -> AsyncGenerator[Listening, None]:
    """Serve a gateway on both ports.

    Args:
        gateway: any.
        http: where.
        options: of the server.
    """
    ready: asyncio.Future[Listening] = asyncio.get_running_loop().create_future()
    server = Server(gateway, settle=0, grace=5, on_ready=ready.set_result, **options)
    task = asyncio.create_task(server.serve(http, "127.0.0.1:0"))
    waiting: set[asyncio.Future[Any]] = {task, ready}
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    if not ready.done():
        await task
        raise AssertionError("the server ended before it was ready")
    try:
        yield await ready
    finally:
        server.stop()
        await task


@contextlib.asynccontextmanager
async def serving(gateway: Gateway, **options: Any) -> AsyncGenerator[Running, None]:
    """Serve a gateway of the streams service on both ports.

    Args:
        gateway: made with `pool=POOL`; the servicer is registered here.
        options: of the server.
    """
    servicer = Seeing()
    streams.register(servicer, gateway)
    async with open_doors(gateway, **options) as listening:
        yield Running(listening, servicer, gateway)


def run(fact: Callable[[Running], Coroutine[Any, Any, T]], **options: Any) -> T:
    """Serve a gateway with these options while a test looks at it."""

    async def all_of_it() -> T:
        async with asyncio.timeout(50), serving(Gateway(pool=POOL, **options)) as running:
            return await fact(running)

    return asyncio.run(all_of_it())


def call_each(*headers: Mapping[str, str], **options: Any) -> dict[str, list[Outcome]]:
    """Return the outcome of calls through each entrance, one for each set of headers, in order.

    Args:
        headers: of the calls; none is one call without any.
        options: of the gateway, which is the same for all entrances.
    """

    async def fact(running: Running) -> dict[str, list[Outcome]]:
        asked = headers or ({},)
        return {
            name: [await enter(running, each) for each in asked]
            for name, enter in ENTRANCES.items()
        }

    return run(fact, **options)


def known(subject: str = "ann", **more: Any) -> Principal:
    """Return a principal."""
    return Principal(subject=subject, scheme="test", **more)


async def _get(running: Running, path: str, headers: Mapping[str, str]) -> Outcome:
    before = len(running.servicer.seen)

    def ask() -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(running.listening.http.target, timeout=20)
        try:
            connection.request("GET", path, headers=dict(headers))
            answer = connection.getresponse()
            told = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, told, answer.read()
        finally:
            connection.close()

    status, told, body = await asyncio.to_thread(ask)
    if status < 400:
        return Outcome(Code.OK, "", told, running.seen(before))
    error = json.loads(body)
    return Outcome(Code(error["code"]), error["message"], told, {})


async def _ended(call: Any, running: Running, before: int) -> Outcome:
    code = Code((await call.code()).value[0])
    trailing = await call.trailing_metadata()
    told = {key: value for key, value in trailing if isinstance(value, str)}
    seen = running.seen(before)
    return Outcome(code, await call.details() or "", told, seen)


def _metadata(headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple((name.lower(), value) for name, value in headers.items())
