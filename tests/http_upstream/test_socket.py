"""WebSockets between clients and a backend, with the frames of `websockets` on both ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.http11 import Request, Response

from behind import PATIENCE, Backend, Front, Watching, before
from transcoder import StreamLimits, Thresholds
from transcoder.policies import Internal

T = TypeVar("T")
Handler = Callable[[ServerConnection], Awaitable[None]]


async def echo(socket: ServerConnection) -> None:
    """Send back what comes."""
    async for message in socket:
        await socket.send(message)


@asynccontextmanager
async def passing(
    handler: Handler = echo, *, serving: dict[str, Any] | None = None, **options: Any
) -> AsyncIterator[Front]:
    """Run a gateway before a backend of WebSockets."""
    async with serve(handler, "127.0.0.1", 0, compression=None, **(serving or {})) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with before(Backend(), at=f"127.0.0.1:{port}", **options) as front:
            yield front


def opened(front: Front, path: str = "/back/a", **options: Any) -> connect:
    """Return a WebSocket to be opened by `async with`."""
    return connect(f"ws://{front.target}{path}", proxy=None, open_timeout=PATIENCE, **options)


def run(fact: Callable[[Front], Awaitable[T]], handler: Handler = echo, **options: Any) -> T:
    """Run a test."""

    async def running() -> T:
        async with passing(handler, **options) as front, asyncio.timeout(PATIENCE):
            return await fact(front)

    return asyncio.run(running())


def refused(
    handler: Handler = echo, *, client: dict[str, Any] | None = None, **options: Any
) -> Any:
    """Return the answer to a handshake that is refused."""

    async def fact(front: Front) -> Any:
        with pytest.raises(InvalidStatus) as caught:
            async with opened(front, **(client or {})):
                pass
        return caught.value.response

    return run(fact, handler, **options)


@pytest.mark.parametrize("message", ["text", b"\x00bytes", "", b"", "ä" * 300_000])
def test_messages(message: str | bytes) -> None:
    """Messages pass both ways, as text or as bytes."""

    async def fact(front: Front) -> str | bytes:
        async with opened(front) as client:
            await client.send(message)
            return await client.recv()

    assert run(fact) == message


def test_handshake() -> None:
    """The backend sees path, query and headers; of the handshake's own, those of its own."""
    seen: list[Request] = []

    async def note(socket: ServerConnection) -> None:
        assert socket.request is not None
        seen.append(socket.request)

    async def fact(front: Front) -> str:
        sent = {"X-Internal": "forged", "Cookie": "a=b", "X-Other": "1"}
        async with opened(front, "/back/a%2Fb?x=%20&y", additional_headers=sent) as client:
            await client.wait_closed()
            return client.request.headers["Sec-WebSocket-Key"] if client.request else ""

    key = run(fact, note, policies=[Internal()], base="/v2")
    (request,) = seen
    headers = request.headers

    assert request.path == "/v2/back/a%2Fb?x=%20&y"
    assert headers.get_all("X-Internal") == ["true"]
    assert (headers["Cookie"], headers["X-Other"]) == ("a=b", "1")
    assert headers["X-Forwarded-For"] == "127.0.0.1"
    assert len(headers.get_all("Host")) == 1
    assert headers.get_all("Sec-WebSocket-Key") != [key]
    assert headers.get_all("Sec-WebSocket-Extensions") == []


@pytest.mark.parametrize(("host", "keeps"), [("backend", False), ("keep", True)])
def test_host(host: str, keeps: bool) -> None:  # noqa: FBT001  a case
    """The backend sees its own name as Host, or the client's where that is wanted."""
    seen: list[str] = []

    async def note(socket: ServerConnection) -> None:
        assert socket.request is not None
        seen.append(socket.request.headers["Host"])

    async def fact(front: Front) -> list[str]:
        async with opened(front) as client:
            await client.wait_closed()
        return [front.target if keeps else front.backend.target]

    assert run(fact, note, options={"host": host}) == seen


def test_subprotocol() -> None:
    """The backend selects among the client's subprotocols."""

    async def fact(front: Front) -> str | None:
        offered: Any = ["a", "b"]
        async with opened(front, subprotocols=offered) as client:
            return client.subprotocol

    assert run(fact, serving={"subprotocols": ["b", "c"]}) == "b"


def test_token() -> None:
    """A token among the subprotocols is a header to the backend, and no subprotocol."""
    seen: list[Any] = []

    async def note(socket: ServerConnection) -> None:
        assert socket.request is not None
        headers = socket.request.headers
        seen.append((headers.get("Authorization"), headers.get("Sec-WebSocket-Protocol")))

    async def fact(front: Front) -> None:
        offered: Any = ["a", "bearer.secret"]
        async with opened(front, subprotocols=offered) as client:
            await client.wait_closed()

    run(fact, note, serving={"subprotocols": ["a"]})

    assert seen == [("Bearer secret", "a")]


@pytest.mark.parametrize(
    ("code", "reason", "hears"),
    [(1000, "", 1000), (1001, "away", 1001), (4321, "odd", 4321), (1011, "", 1011)],
)
def test_backend_closes(code: int, reason: str, hears: int) -> None:
    """A backend's close has its code and its reason for the client."""

    async def close(socket: ServerConnection) -> None:
        await socket.send("last")
        await socket.close(code, reason)

    async def fact(front: Front) -> tuple[str | bytes, int | None, str | None]:
        async with opened(front) as client:
            message = await client.recv()
            await client.wait_closed()
            return message, client.close_code, client.close_reason

    assert run(fact, close) == ("last", hears, reason)


@pytest.mark.parametrize(("code", "hears"), [(1000, 1000), (4001, 4001), (1001, 1001)])
def test_client_closes(code: int, hears: int) -> None:
    """A client's close has its code and its reason for the backend, and is no failure."""
    watching = Watching()

    async def fact(front: Front) -> tuple[int | None, str | None]:
        async with opened(front) as client:
            await client.close(code, "why")
        return await ended

    ended: asyncio.Future[tuple[int | None, str | None]]

    async def note(socket: ServerConnection) -> None:
        await socket.wait_closed()
        ended.set_result((socket.close_code, socket.close_reason))

    async def running() -> tuple[int | None, str | None]:
        nonlocal ended
        ended = asyncio.get_running_loop().create_future()
        async with passing(note, observers=[watching]) as front, asyncio.timeout(PATIENCE):
            found = await fact(front)
            await watching.came.wait()
            return found

    assert asyncio.run(running()) == (hears, "why")
    (call,) = watching.calls
    assert (call.http_status, call.reason, call.code) == (101, "", 0)


def test_backend_cut() -> None:
    """A backend that is cut is cut for the client, which hears no close."""

    async def cut(socket: ServerConnection) -> None:
        socket.transport.abort()

    async def fact(front: Front) -> int | None:
        async with opened(front) as client:
            with pytest.raises(ConnectionClosed):
                await client.recv()
            return client.close_code

    assert run(fact, cut) == 1006


def test_client_gone() -> None:
    """A client that goes without a close is gone for the backend too."""
    watching = Watching()
    gone = asyncio.Event()

    async def note(socket: ServerConnection) -> None:
        await socket.wait_closed()
        assert socket.close_code == 1006
        gone.set()

    async def fact(front: Front) -> None:
        async with opened(front) as client:
            client.transport.abort()
            await gone.wait()
            await watching.came.wait()

    run(fact, note, observers=[watching])

    assert [call.reason for call in watching.calls] == ["client-gone"]


async def refuse(socket: ServerConnection, request: Request) -> Response:
    """Refuse a handshake."""
    answer = socket.respond(401, "who are you?\n")
    answer.headers["WWW-Authenticate"] = "Basic"
    return answer


def test_backend_refuses() -> None:
    """A backend's refusal of a handshake is the client's answer."""
    answer = refused(serving={"process_request": refuse})

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Basic"
    assert bytes(answer.body) == b"who are you?\n"


async def redirect(socket: ServerConnection, request: Request) -> Response:
    """Send a client elsewhere."""
    answer = socket.respond(302, "")
    answer.headers["Location"] = "ws://127.0.0.1:9/"
    return answer


def test_redirect() -> None:
    """A backend's redirection is the client's to follow."""

    async def fact(front: Front) -> bytes:
        return await front.raw(
            b"GET /back/a HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
            b"sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )

    answer = run(fact, serving={"process_request": redirect}).lower()

    assert answer.startswith(b"http/1.1 302 ")
    assert b"location: ws://127.0.0.1:9/" in answer


def test_down() -> None:
    """A backend that is not there is 503, before the handshake is complete."""

    async def running() -> int:
        async with before(Backend(), at="127.0.0.1:9") as front:
            with pytest.raises(InvalidStatus) as caught:
                async with opened(front):
                    pass
            return caught.value.response.status_code

    assert asyncio.run(running()) == 503


def test_no_websocket() -> None:
    """A backend that knows no WebSockets is 502, whatever it answers with 200."""

    async def running() -> int:
        async with before(Backend()) as front:
            with pytest.raises(InvalidStatus) as caught:
                async with opened(front):
                    pass
            return caught.value.response.status_code

    assert asyncio.run(running()) == 502


def test_origin() -> None:
    """A page of another origin may not connect, and the backend is not asked."""
    asked = []

    async def note(socket: ServerConnection) -> None:
        asked.append(socket)

    answer = refused(note, client={"origin": "https://evil.example"})

    assert (answer.status_code, asked) == (403, [])


def test_origin_listed() -> None:
    """A page of an origin that is listed may."""

    async def fact(front: Front) -> str | bytes:
        origin: Any = "https://app.example"
        async with opened(front, origin=origin) as client:
            await client.send("a")
            return await client.recv()

    assert run(fact, origins=["https://app.example"]) == "a"


def test_large_message() -> None:
    """A message of the backend's over the limit ends the WebSocket, on both sides, as too big."""

    async def large(socket: ServerConnection) -> None:
        await socket.send(b"x" * 2000)

    async def fact(front: Front) -> int | None:
        async with opened(front) as client:
            with pytest.raises(ConnectionClosed):
                await client.recv()
            return client.close_code

    assert run(fact, large, streams=StreamLimits(message=1000)) == 1009


def test_back_pressure() -> None:
    """A client that does not read stops the backend."""
    sent = 0
    stopped = asyncio.Event()

    async def flood(socket: ServerConnection) -> None:
        nonlocal sent
        piece = b"x" * 100_000
        try:
            while True:
                async with asyncio.timeout(2):
                    await socket.send(piece)
                sent += len(piece)
        except TimeoutError:
            stopped.set()

    async def fact(front: Front) -> None:
        async with opened(front, max_queue=1) as client:
            await stopped.wait()
            client.transport.abort()

    run(fact, flood)

    assert 0 < sent < 30_000_000


def test_deadline() -> None:
    """A client's deadline ends a WebSocket."""

    async def fact(front: Front) -> int | None:
        async with opened(front, "/back/a?$timeout=0.3") as client:
            await client.wait_closed()
            return client.close_code

    assert run(fact) == 4004


def test_breaker() -> None:
    """Handshakes that a backend fails open the breaker, which refuses more of them at once."""

    async def fail(socket: ServerConnection, request: Request) -> Response:
        asked.append(request)
        return socket.respond(500, "")

    asked: list[Request] = []

    async def fact(front: Front) -> list[int]:
        statuses = []
        for _ in range(3):
            with pytest.raises(InvalidStatus) as caught:
                async with opened(front):
                    pass
            statuses.append(caught.value.response.status_code)
        return statuses

    options = {"breaker": Thresholds(consecutive=2)}

    assert run(fact, serving={"process_request": fail}, options=options) == [500, 500, 503]
    assert len(asked) == 2


def test_stop() -> None:
    """A server that stops ends its WebSockets with a code that tells so."""

    async def running() -> tuple[int | None, int]:
        heard: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()

        async def note(socket: ServerConnection) -> None:
            await socket.wait_closed()
            heard.set_result(socket.close_code)

        async def waiting(client: ClientConnection) -> int | None:
            await client.wait_closed()
            return client.close_code

        async with asyncio.timeout(PATIENCE):
            async with passing(note) as front:
                client = await opened(front)
                ended = asyncio.create_task(waiting(client))
                await client.ping()
                front.gateway.end_streams()
                return await ended, await heard or 0

    assert asyncio.run(running()) == (1012, 1012)
