"""One connection after the other, with applications that do what a cycle has to bear."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

import pytest

from transcoder.asgi import connection, send_payload
from transcoder.http_listener import HttpListener
from transcoder.listeners import Address, Claim
from transcoder.response import Payload

T = TypeVar("T")
App = Callable[[Any, Any, Any], Awaitable[None]]

GET = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\n"
OK = Payload(200, b"text/plain", b"fine")


class Client:
    """A connection, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def send(self, data: bytes) -> None:
        """Send bytes."""
        self._writer.write(data)

    async def head(self) -> bytes:
        """Return the head of the next answer."""
        return await self._reader.readuntil(b"\r\n\r\n")

    async def answer(self) -> bytes:
        """Return the body of the next answer, which is `OK`."""
        assert (await self.head()).startswith(b"HTTP/1.1 200 ")
        return await self._reader.readexactly(len(OK.body))

    async def rest(self) -> bytes:
        """Return what comes until the connection ends."""
        return await self._reader.read()

    def leave(self) -> None:
        """Close the connection."""
        self._writer.close()


@contextlib.asynccontextmanager
async def serving(app: App, keep_alive: Any) -> AsyncIterator[Client]:
    """Give a client of an application, under our listener."""
    claim = Claim.take("http", Address("127.0.0.1", 0))
    listener = HttpListener(
        app,
        {},
        claim,
        keep_alive=keep_alive,
        backlog=10,
        max_message=1,
        end_streams=lambda: None,
    )
    await listener.open()
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", claim.address.port)
        yield Client(reader, writer)
        writer.close()
    finally:
        await listener.close(5, 5)


def talk(app: App, use: Callable[[Client], Awaitable[T]], keep_alive: float = 5) -> T:
    """Have a client talk to an application over one connection, within twenty seconds."""

    async def run() -> T:
        async with asyncio.timeout(20), serving(app, keep_alive) as client:
            return await use(client)

    return asyncio.run(run())


async def fine(scope: Any, receive: Any, send: Any) -> None:
    """Answer in the usual way."""
    await send_payload(OK, scope, send)


def test_idle_after_reuse() -> None:
    """A connection is closed when it was idle for so long behind its last answer, not its first."""
    keep_alive = 0.4

    async def use(client: Client) -> float:
        client.send(GET)
        await client.answer()
        await asyncio.sleep(keep_alive / 2)
        client.send(GET)
        await client.answer()
        begin = asyncio.get_running_loop().time()
        assert await client.rest() == b""
        return asyncio.get_running_loop().time() - begin

    assert talk(fine, use, keep_alive) > keep_alive * 0.6


def test_not_idle_within_a_request() -> None:
    """A connection that waits for an answer is not idle, however old the answer before it is."""
    keep_alive = 0.1

    async def second_is_slow(scope: Any, receive: Any, send: Any) -> None:
        if scope["query_string"]:
            await asyncio.sleep(3 * keep_alive)
        await fine(scope, receive, send)

    async def use(client: Client) -> bytes:
        client.send(GET)
        await client.answer()
        client.send(GET.replace(b"/ ", b"/?slow "))
        await client.answer()
        return await client.rest()

    assert talk(second_is_slow, use, keep_alive) == b""


@pytest.mark.parametrize("waits", [False, True])
def test_body_that_came_before(*, waits: bool) -> None:
    """A body that is there before the application asks is what it receives; so is a later one."""
    came = asyncio.Event()
    seen = []

    async def late(scope: Any, receive: Any, send: Any) -> None:
        if not waits:
            await came.wait()
        event = await receive()
        while event["more_body"]:
            seen.append(event["body"])
            event = await receive()
        seen.append(event["body"])
        await fine(scope, receive, send)

    async def use(client: Client) -> bytes:
        client.send(POST + b"ab")
        await asyncio.sleep(0.05)
        client.send(b"cd")
        await asyncio.sleep(0.05)
        came.set()
        return await client.answer()

    assert talk(late, use) == OK.body
    assert b"".join(seen) == b"abcd"


def test_receive_behind_the_answer() -> None:
    """Who receives behind the answer learns that the request is over, and does not wait."""
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await fine(scope, receive, send)
        seen.append(await receive())

    assert talk(app, ask) == OK.body
    assert seen == [{"type": "http.disconnect"}]


async def ask(client: Client) -> bytes:
    """Return the body of an answer."""
    client.send(GET)
    return await client.answer()


def test_client_that_leaves() -> None:
    """Who waits to receive learns that the client has gone; what is sent then goes nowhere."""
    seen = []
    runs, over = asyncio.Event(), asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        runs.set()
        seen.append(await receive())
        await fine(scope, receive, send)
        over.set()

    async def use(client: Client) -> None:
        client.send(GET)
        await runs.wait()
        client.leave()
        await over.wait()

    talk(app, use)

    assert seen == [{"type": "http.disconnect"}]


def test_refused_with_its_head() -> None:
    """A request whose body breaks in the packet of its head is refused, and runs nothing."""
    runs = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        runs.append(scope)
        await fine(scope, receive, send)

    async def use(client: Client) -> bytes:
        client.send(b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n")
        return await client.head()

    assert talk(app, use).startswith(b"HTTP/1.1 400 ")
    assert runs == []


def test_refused_behind_another() -> None:
    """What breaks behind a request is not told: that is answered, and the connection ends."""

    async def use(client: Client) -> tuple[bytes, bytes]:
        client.send(GET + b"\x00\x00\r\n\r\n")
        return await client.answer(), await client.rest()

    assert talk(fine, use) == (OK.body, b"")


@pytest.mark.parametrize(
    "payload",
    [
        OK._replace(headers=[(b"x-a", b"1\r\nx-b: 2")]),
        OK._replace(headers=[(b"x-a", b"1\nx-b: 2")]),
        OK._replace(headers=[(b"x-a\r\nx-b", b"2")]),
        OK._replace(headers=[(b"x-a", b"1\x00")]),
        OK._replace(headers=((b"x-a", b"1\r\n\r\n<script>"),)),
        OK._replace(content_type=b"text/plain\r\nx-b: 2"),
        OK._replace(status=404, headers=[(b"x-a", b"1\r\nx-b: 2")]),
    ],
)
def test_no_line_is_slipped_in(payload: Payload, caplog: pytest.LogCaptureFixture) -> None:
    """A head with lines that are none of its headers is not sent, and told in the log once."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send_payload(payload, scope, send)

    async def use(client: Client) -> bytes:
        client.send(GET)
        return await client.rest()

    assert talk(app, use) == b""
    assert [each.levelno for each in caplog.records] == [logging.ERROR]
    assert "Invalid HTTP header" in caplog.text


@pytest.mark.parametrize("begins", [False, True])
@pytest.mark.parametrize("raises", [False, True])
def test_undone(*, begins: bool, raises: bool, caplog: pytest.LogCaptureFixture) -> None:
    """An application that leaves its answer undone is told of in the log; a begun one is cut."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if begins:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"half", "more_body": True})
        if raises:
            raise ValueError("secret")

    async def use(client: Client) -> tuple[bytes, bytes]:
        client.send(GET)
        return await client.head(), await client.rest()

    head, rest = talk(app, use)

    assert head.startswith(b"HTTP/1.1 200 " if begins else b"HTTP/1.1 500 ")
    assert rest == (b"4\r\nhalf\r\n" if begins else b"Internal Server Error")
    assert len(caplog.records) == 1


def test_answering_twice(caplog: pytest.LogCaptureFixture) -> None:
    """An application that answers twice is told of in the log; its client sees one answer."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await fine(scope, receive, send)
        await fine(scope, receive, send)

    async def use(client: Client) -> tuple[bytes, bytes]:
        return await ask(client), await client.rest()

    assert talk(app, use) == (OK.body, b"")
    assert len(caplog.records) == 1


@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_cut(version: str, *, at_once: bool) -> None:
    """A stream that is cut does not look whole: without chunks the connection is reset."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        hold = connection(scope)
        assert hold is not None
        hold.begin_stream()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        await receive()
        hold.cut(at_once=at_once)

    async def use(client: Client) -> tuple[bytes, Any]:
        client.send(POST.replace(b"1.1", version.encode()))
        head = await client.head()
        client.send(b"abcd")
        try:
            return head, await client.rest()
        except ConnectionResetError:
            return head, "reset"

    head, rest = talk(app, use)

    assert (b"transfer-encoding: chunked" in head) == (version == "1.1")
    assert rest == ("reset" if version == "1.0" else b"4\r\nhalf\r\n")


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_whole_stream(version: str) -> None:
    """A stream that ends looks whole, with chunks and without."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        hold = connection(scope)
        assert hold is not None
        hold.begin_stream()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"whole", "more_body": True})
        hold.end_stream()
        await send({"type": "http.response.body", "body": b""})

    async def use(client: Client) -> bytes:
        client.send(GET.replace(b"1.1\r\n", version.encode() + b"\r\nconnection: close\r\n"))
        await client.head()
        return await client.rest()

    assert talk(app, use) == (b"whole" if version == "1.0" else b"5\r\nwhole\r\n0\r\n\r\n")


def test_cut_too_late() -> None:
    """Who cuts a connection behind the end of the request cuts no other request's."""
    holds: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        holds.append(connection(scope))
        await fine(scope, receive, send)

    async def use(client: Client) -> bytes:
        await ask(client)
        holds[0].cut(at_once=True)
        return await ask(client)

    assert talk(app, use) == OK.body


def test_answer_through_a_middleware() -> None:
    """A middleware that has a `send` of its own sees the whole answer, of the usual kind too."""
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async def noting(event: Any) -> None:
            seen.append(event["type"])
            await send(event)

        await fine(scope, receive, noting)

    assert talk(app, ask) == OK.body
    assert seen == ["http.response.start", "http.response.body"]


def test_head_alone() -> None:
    """What began an answer and waits sends its head without waiting for the body."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await receive()
        await send({"type": "http.response.body", "body": b""})

    async def use(client: Client) -> bytes:
        client.send(POST)
        head = await client.head()
        client.send(b"abcd")
        return head

    assert talk(app, use).startswith(b"HTTP/1.1 200 ")
