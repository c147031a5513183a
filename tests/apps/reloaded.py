"""A gateway of a file, in the test's own process, before backends that say which they are."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any, Self

import grpc.aio
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from streams import SERVICE, Ask, Told
from transcoder import Listening, Server
from transcoder.reloading import GatewayFile

BACKENDS = "blue", "green"


def write_descriptors(path: Path, service: ServiceDescriptor = SERVICE) -> None:
    """Write the descriptor set of a service, and of all that it imports."""
    files = FileDescriptorSet()
    waiting, seen = [service.file], set()
    while waiting:
        file = waiting.pop()
        if file.name not in seen:
            seen.add(file.name)
            file.CopyToProto(files.file.add())
            waiting += file.dependencies
    path.write_bytes(files.SerializeToString())


class Backend:
    """Answers with its name, and counts the calls that it has."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.calls = 0
        self.go_on = asyncio.Event()
        """Calls of the topic "held" wait for it, streams after their first message."""
        self.failing = False
        self._server = grpc.aio.server()

    async def __aenter__(self) -> Self:
        """Serve."""
        read, write = Ask.FromString, Told.SerializeToString
        methods = {
            "Single": grpc.unary_unary_rpc_method_handler(self._single, read, write),
            "Tell": grpc.unary_stream_rpc_method_handler(self._tell, read, write),
        }
        handler = grpc.method_handlers_generic_handler(SERVICE.full_name, methods)
        self._server.add_generic_rpc_handlers([handler])
        self.target = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        await self._server.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """End."""
        await self._server.stop(0)

    async def _single(self, request: Any, context: Any) -> Any:
        self.calls += 1
        if self.failing:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "gone")
        if request.topic == "held":
            await self.go_on.wait()
        return Told(text=self.name)

    async def _tell(self, request: Any, context: Any) -> AsyncGenerator[Any, None]:
        self.calls += 1
        for number in range(request.count):
            yield Told(number=number, text=self.name)
            if request.topic == "held":
                await self.go_on.wait()


class Reloaded:
    """The gateway, and the file that it serves.

    Args:
        path: of the file.
        options: of the server.
    """

    def __init__(self, path: Path, **options: Any) -> None:
        self.path = path
        self.lines: list[str] = []
        """What was told of reloads."""
        self.file = GatewayFile(str(path), lambda _, line: self.lines.append(line))
        self._told = asyncio.Event()
        self._ready: asyncio.Future[Listening] = asyncio.get_running_loop().create_future()
        options = {"settle": 0, "grace": 5, **options}
        self.server = Server(self.file, on_ready=self._ready.set_result, **options)
        self.listening: Listening
        self.backends: dict[str, Backend] = {}
        self.channel: grpc.aio.Channel

    def said(self, name: str = "blue", **more: Any) -> dict[str, Any]:
        """Return what a file says whose calls one backend gets, under a limit of its name."""
        said: dict[str, Any] = {
            "upstreams": {
                each.name: {"target": each.target, "breaker": {"consecutive": 2, "pause": 60.0}}
                for each in self.backends.values()
            },
            "services": [
                {"descriptor_set": "streams.binpb", "names": [SERVICE.full_name], "upstream": name}
            ],
            "policies": {"rate_limits": [{"rate": "100000/second", "name": name}]},
        }
        return {**said, **more}

    def write(self, said: dict[str, Any] | str) -> None:
        """Write the file; JSON is YAML."""
        text = said if isinstance(said, str) else json.dumps(said)
        new = self.path.with_suffix(".new")
        new.write_text(text)
        new.replace(self.path)

    async def reload(self, said: dict[str, Any] | str | None = None) -> list[str]:
        """Write the file if there is one, and have it read; return what was told."""
        if said is not None:
            self.write(said)
        before = self.count()
        told = len(self.lines)
        self.server.reload()
        await until(lambda: self.count() > before)
        return self.lines[told:]

    def count(self) -> float:
        """Return how often the file was read anew."""
        return sum(self.readings("transcoder_config_reloads").values())

    def readings(self, name: str) -> dict[str, float]:
        """Return what the file counts under a name, by the values of its labels."""
        found: Any = self.file.readings()
        return {
            " ".join(each.labels.values()): each.value for each in found if each.metric.name == name
        }

    async def get(self, path: str = "/v1/a/single") -> tuple[int, str, bytes]:
        """Return status, the limit's name, and body of a request on a connection of its own."""
        reader, writer = await self.ask(path)
        head = await reader.readuntil(b"\r\n\r\n")
        body = await reader.read()
        writer.close()
        return int(head.split(b" ")[1]), limit_of(head), body

    async def ask(self, path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Send a request, for events where there are some, and return the connection."""
        port = self.listening.http.port
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        more = "accept: text/event-stream\r\n" if "told" in path else ""
        head = f"GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{more}\r\n"
        writer.write(head.encode())
        return reader, writer

    async def call(self, topic: str = "a") -> tuple[str, str]:
        """Return the backend's name and the limit's, of a gRPC call."""
        method = self.method("Single", "unary_unary")
        call = method(Ask(topic=topic), timeout=60)
        reply = await call
        told = dict(await call.trailing_metadata())
        return reply.text, told["ratelimit-policy"].split('"')[1]

    def method(self, name: str, kind: str) -> Any:
        """Return a method of the gRPC port."""
        make = getattr(self.channel, kind)
        return make(f"/{SERVICE.full_name}/{name}", Ask.SerializeToString, Told.FromString)

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncGenerator[Reloaded, None]:
        """Serve."""
        task = asyncio.create_task(self.server.serve("127.0.0.1:0", "127.0.0.1:0"))
        waiting: set[asyncio.Future[Any]] = {task, self._ready}
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if not self._ready.done():
            await task
        self.listening = await self._ready
        try:
            alone = [("grpc.use_local_subchannel_pool", 1)]
            async with grpc.aio.insecure_channel(self.listening.grpc.target, alone) as channel:
                self.channel = channel
                yield self
        finally:
            self.server.stop()
            await task


@contextlib.asynccontextmanager
async def reloaded(
    folder: Path, said: dict[str, Any] | None = None, **options: Any
) -> AsyncGenerator[Reloaded, None]:
    """Serve a gateway of a file in a folder, before both backends.

    Args:
        folder: where the file is.
        said: what it says beside the rest.
        options: of the server.
    """
    write_descriptors(folder / "streams.binpb")
    async with asyncio.timeout(120), contextlib.AsyncExitStack() as stack:
        running = Reloaded(folder / "gateway.yaml", **options)
        for name in BACKENDS:
            running.backends[name] = await stack.enter_async_context(Backend(name))
        running.write(running.said(**(said or {})))
        yield await stack.enter_async_context(running.serving())


async def until(true: Callable[[], Any]) -> None:
    """Wait until something is true; whoever calls has a time limit."""
    while not true():  # noqa: ASYNC110  what is asked has no event
        await asyncio.sleep(0.01)


def limit_of(head: bytes) -> str:
    """Return the name of the limit that an answer's head tells of; empty for none."""
    found = head.partition(b'ratelimit-policy: "')[2].partition(b'"')[0]
    return found.decode()
