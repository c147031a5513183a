"""What a WebSocket's client may do to the server, byte by byte."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
import struct
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

import streams
from sockets import Door, Ended, run
from streams import POOL, Streams
from transcoder import Gateway
from transcoder.http_protocol import Protocol, State
from transcoder.stream_limits import StreamLimits
from transcoder.websocket_protocol import FRAGMENTS, WebSocketProtocol

TEXT, BINARY, CLOSE, PING, PONG = 0x81, 0x82, 0x88, 0x89, 0x8A
BEGIN, CONTINUE, END = 0x01, 0x00, 0x80
OURS = [
    "Host: localhost",
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
]


def handshake(path: str, *headers: str, method: str = "GET") -> bytes:
    """Return the bytes of a handshake."""
    return "\r\n".join([f"{method} {path} HTTP/1.1", *OURS, *headers, "", ""]).encode()


def frame(first: int, data: bytes = b"") -> bytes:
    """Return a client's frame, masked with zeros."""
    size = bytes([0x80 | len(data)]) if len(data) < 126 else struct.pack("!BH", 0xFE, len(data))
    return bytes([first]) + size + bytes(4) + data


class Wire:
    """A connection on which every byte is the test's."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def head(self) -> bytes:
        """Return the head of an HTTP answer."""
        return await self.reader.readuntil(b"\r\n\r\n")

    async def frame(self) -> tuple[int, bytes]:
        """Return the next frame of the server."""
        first, size = await self.reader.readexactly(2)
        if size == 126:
            size = struct.unpack("!H", await self.reader.readexactly(2))[0]
        return first, await self.reader.readexactly(size)

    async def until_close(self) -> tuple[list[bytes], int]:
        """Return the data frames up to a close, and its code."""
        found: list[bytes] = []
        while True:
            first, data = await self.frame()
            if first == CLOSE:
                return found, struct.unpack("!H", data[:2])[0]
            if first in {TEXT, BINARY}:
                found.append(data)


@contextlib.asynccontextmanager
async def wire(door: Door) -> AsyncIterator[Wire]:
    """Connect to a server."""
    reader, writer = await asyncio.open_connection(*door.target.split(":"))
    try:
        yield Wire(reader, writer)
    finally:
        writer.close()


@contextlib.asynccontextmanager
async def opened(door: Door, path: str) -> AsyncIterator[Wire]:
    """Connect to a server, and shake hands."""
    async with wire(door) as client:
        client.writer.write(handshake(path))
        assert (await client.head()).startswith(b"HTTP/1.1 101 ")
        yield client


def refusal(raw: bytes) -> tuple[int, Any]:
    """Return status and JSON of what answers these bytes, and ends the connection."""

    async def fact(door: Door) -> bytes:
        async with wire(door) as client:
            client.writer.write(raw)
            return await client.reader.read()

    head, _, body = run(fact).partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


def test_a_handshake() -> None:
    """A handshake is answered as RFC 6455 has it in section 1.3, without an extension."""

    async def fact(door: Door) -> bytes:
        async with wire(door) as client:
            deflate = "Sec-WebSocket-Extensions: permessage-deflate"
            client.writer.write(handshake("/v1/a/told", deflate))
            return await client.head()

    head = run(fact).lower()

    assert b"sec-websocket-accept: icx+yqv66kxgm0fcwalwlflwtai=\r\n" in head
    assert b"sec-websocket-extensions" not in head


def test_a_handshake_that_is_malformed() -> None:
    """A header that the parser of handshakes does not take is refused, and ends the connection."""
    status, body = refusal(handshake("/v1/a/told", f"X: {'x' * 9000}"))

    assert (status, body["message"]) == (400, "the handshake of a WebSocket is malformed")


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (handshake("/v1/a/single").replace(b"Sec-WebSocket-Key", b"X"), 200),
        (handshake("/v1/a/single").replace(b"HTTP/1.1", b"HTTP/1.0"), 200),
        (handshake("/v1/a/single", "Content-Length: 0"), 200),
        (handshake("/v1/a/asks", "Content-Length: 2", method="POST") + b"{}", 200),
    ],
)
def test_what_is_no_handshake(raw: bytes, status: int) -> None:
    """A request that asks to upgrade without being a handshake is answered as any other."""
    assert refusal(raw)[0] == status


def test_a_handshake_behind_a_request() -> None:
    """A handshake cannot be pipelined: the request before it gets its answer, and no frames."""

    async def fact(door: Door) -> bytes:
        async with wire(door) as client:
            first = b"GET /v1/a/single?pause=0.2 HTTP/1.1\r\nHost: x\r\n\r\n"
            client.writer.write(first + handshake("/v1/a/told"))
            return await client.reader.read()

    answers = run(fact)

    assert answers.count(b"HTTP/1.1") == 1
    assert b"200 OK" in answers


def test_a_server_without_the_extra(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Without the library for it a handshake is answered 501, and the log says what is missing."""
    caplog.set_level(logging.INFO)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    status, body = refusal(handshake("/v1/a/told"))

    assert (status, body["message"]) == (501, "this server takes no WebSockets")
    assert caplog.text.count("they need the extra transcoder[websocket]") == 1


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        ([frame(TEXT, b"\xff")], 1007),
        ([frame(BEGIN, b'"\xc3'), frame(END, b'("')], 1007),
        ([frame(TEXT, b"{}")[:1] + b"\x02{}"], 1002),  # Not masked.
        ([frame(0x83, b"{}")], 1002),  # An opcode that is reserved.
        ([frame(0xC1, b"{}")], 1002),  # A bit of an extension.
        ([frame(END, b"{}")], 1002),  # The end of nothing.
        ([frame(0x09, b"")], 1002),  # A ping in fragments.
        ([frame(BEGIN, b"{")] + [frame(CONTINUE)] * (FRAGMENTS + 1), 1009),
        ([frame(TEXT, b"x" * 2000)], 1009),
        ([frame(BEGIN, b"x" * 600), frame(END, b"x" * 600)], 1009),
    ],
)
def test_frames_that_are_wrong(
    frames: list[bytes], code: int, caplog: pytest.LogCaptureFixture
) -> None:
    """A client that breaks the protocol is told so, its call ends, and the log has no traceback."""

    async def fact(door: Door) -> tuple[int, list[str]]:
        async with opened(door, "/v1/a/echo") as client:
            client.writer.write(b"".join(frames))
            return (await client.until_close())[1], await door.noted(bool)

    told, notes = run(fact, streams=StreamLimits(message=1000))

    assert (told, notes) == (code, ["cancelled 0"])
    assert caplog.text == ""


def test_fragments() -> None:
    """A message may come in fragments, with a ping between them, byte by byte."""
    parts = [frame(BEGIN, b'{"top'), frame(PING, b"p"), frame(CONTINUE), frame(END, b'ic":"b"}')]

    async def fact(door: Door) -> list[tuple[int, bytes]]:
        async with opened(door, "/v1/b/echo") as client:
            for byte in b"".join(parts):
                client.writer.write(bytes([byte]))
                await client.writer.drain()
            return [await client.frame(), await client.frame()]

    assert run(fact) == [(PONG, b"p"), (TEXT, b'{"text":"b"}')]


def test_many_small_messages() -> None:
    """Messages that come all at once are all taken, in their order."""
    count = 5000

    async def fact(door: Door) -> list[int]:
        async with opened(door, "/v1/a/echo") as client:
            client.writer.write(frame(TEXT, b"{}") * count + frame(TEXT))
            replies, code = await client.until_close()
            assert code == 1000
            return [int(json.loads(reply).get("number", 0)) for reply in replies]

    assert run(fact) == list(range(count))


def test_messages_that_nobody_takes() -> None:
    """What a servicer does not take is not read: it stays with the client."""

    async def fact(door: Door) -> int:
        async with opened(door, "/v1/a/asks") as client:
            client.writer.write(frame(TEXT, b'{"pause":20}'))
            sent, piece = 0, frame(TEXT, b"{}" + b" " * 60_000)
            with contextlib.suppress(TimeoutError):
                while True:
                    client.writer.write(piece)
                    async with asyncio.timeout(0.5):
                        await client.writer.drain()
                    sent += len(piece)
            return sent

    # What the sockets of the system hold on both sides is most of it.
    assert run(fact) < 16 << 20


class Written(asyncio.Transport):
    """A transport of whose other end only the test knows."""

    def __init__(self) -> None:
        super().__init__()
        self.data = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.data += data

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def close(self) -> None:
        pass


def test_pings_without_reading() -> None:
    """A client that pings and does not read is sent no pongs until it reads again."""

    async def accepting(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})
        while (await receive())["type"] != "websocket.disconnect":
            pass

    async def main() -> list[int]:
        config = uvicorn.Config(accepting, lifespan="off", log_config=None)
        config.load()
        protocol, written = WebSocketProtocol(config, State(), {}), Written()
        protocol.connection_made(written)
        protocol.data_received(handshake("/"))
        [task] = protocol.tasks
        await asyncio.sleep(0)
        counts = []
        for change in (protocol.pause_writing, protocol.resume_writing):
            change()
            protocol.data_received(frame(PING, b"payload") * 3)
            counts.append(written.data.count(b"payload"))
        protocol.connection_lost(None)
        await task
        return counts

    assert asyncio.run(main()) == [0, 3]


def pinged(fact: Callable[[Door], Any]) -> Any:
    """Return what a coroutine function makes of a server that pings often."""

    async def main() -> Any:
        gateway = Gateway(pool=POOL)
        config = uvicorn.Config(
            gateway,
            http=Protocol,
            ws=WebSocketProtocol,
            ws_ping_interval=0.05,
            ws_ping_timeout=0.1,
            lifespan="off",
            log_config=None,
        )
        server = uvicorn.Server(config)
        server.server_state = State()
        with socket.create_server(("127.0.0.1", 0)) as listening:
            host, port = listening.getsockname()
            door = Door(f"{host}:{port}", server)
            streams.register(Streams(door.note), gateway)
            running = asyncio.create_task(server.serve([listening]))
            async with asyncio.timeout(30):
                found = await fact(door)
            server.should_exit = True
            await running
        return found

    return asyncio.run(main())


def test_a_client_that_is_dead() -> None:
    """A client that answers no ping is given up, and its call with it."""

    async def fact(door: Door) -> tuple[int, list[str]]:
        async with opened(door, "/v1/a/echo") as client:
            return (await client.until_close())[1], await door.noted(bool)

    assert pinged(fact) == (1011, ["cancelled 0"])


def test_a_client_whose_pongs_wait() -> None:
    """A client is not dead whose pongs stand behind messages that nobody takes yet."""

    async def fact(door: Door) -> Ended:
        return await door.exchange("/v1/a/asks", *['{"pause":0.3}'] * 3, "")

    assert pinged(fact) == Ended(['{"topic":"a","count":"3"}'], 1000, "")
