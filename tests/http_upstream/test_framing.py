"""How bodies are framed on either side, and that nothing of them is held."""

from __future__ import annotations

import asyncio
import contextlib
import resource

import pytest

from behind import OK, PATIENCE, Front, Request, pause, run, told

MB = 1 << 20


def post(*headers: str, body: bytes = b"", path: str = "/back/a") -> bytes:
    """Return the bytes of a POST whose connection ends with the answer."""
    lines = "".join(f"{header}\r\n" for header in headers)
    head = f"POST {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{lines}\r\n"
    return head.encode() + body


def framing(request: Request) -> dict[bytes, bytes]:
    """Return what says how long a request's body is."""
    names = b"content-length", b"transfer-encoding"
    return {name: value for name, value in request.headers if name in names}


@pytest.mark.parametrize(
    ("sent", "framed", "body"),
    [
        (post("content-length: 3", body=b"abc"), {b"content-length": b"3"}, b"abc"),
        (post("content-length: 0"), {b"content-length": b"0"}, b""),
        (
            post("transfer-encoding: chunked", body=b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"),
            {b"transfer-encoding": b"chunked"},
            b"abc",
        ),
        (post(), {}, b""),
        (
            post("content-length: 3", body=b"abc").replace(b"POST", b"GET"),
            {b"content-length": b"3"},
            b"abc",
        ),
        (
            post("content-length: 3", "expect: 100-continue", body=b"abc"),
            {b"content-length": b"3"},
            b"abc",
        ),
    ],
    ids=["length", "empty", "chunks", "none", "get", "expect"],
)
def test_request(sent: bytes, framed: dict[bytes, bytes], body: bytes) -> None:
    """A body has its length upstream, if it had one; else chunks; and none where there is none."""

    async def fact(front: Front) -> Request:
        assert b" 200 OK\r\n" in await front.raw(sent)
        (request,) = front.backend.asked
        return request

    request = run(fact)

    assert framing(request) == framed
    assert request.body == body
    assert request.all(b"expect") == []


@pytest.mark.parametrize(
    ("raw", "body"),
    [
        (b"200 OK\r\ncontent-length: 2\r\n\r\nok", b"ok"),
        (
            b"200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            b"2\r\nok\r\n0\r\n\r\n",
        ),
        (
            b"200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-a: b\r\n\r\n",
            b"2\r\nok\r\n0\r\n\r\n",
        ),
        (b"200 OK\r\nconnection: close\r\n\r\nok", b"2\r\nok\r\n0\r\n\r\n"),
        (b"404 Not Here\r\ncontent-length: 0\r\n\r\n", b""),
        (b"204 No Content\r\ncontent-length: 0\r\n\r\n", b""),
        (b"304 Not Modified\r\ncontent-length: 5\r\netag: a\r\n\r\n", b""),
        (b"100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n" + OK, b"ok"),
        (b"302 Found\r\nlocation: http://elsewhere/\r\ncontent-length: 0\r\n\r\n", b""),
    ],
    ids=["length", "chunks", "trailers", "close", "error", "204", "304", "1xx", "redirect"],
)
def test_answer(raw: bytes, body: bytes) -> None:
    """An answer has its status, and its body as it came, in the gateway's own framing."""

    async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(raw if raw is OK else b"HTTP/1.1 " + raw)
        if b"connection: close" in raw:
            writer.close()

    async def fact(front: Front) -> bytes:
        return await front.raw(post())

    answered = told(run(fact, answer))
    status = 200 if raw.startswith(b"100") else int(raw.split()[0])

    assert (answered.status, answered.body) == (status, body)
    assert (answered.all(b"content-length") == []) == (status in {204, 304} or b"\r\n0\r\n" in body)


def test_head() -> None:
    """HEAD has the length that GET would have, and no body; the next request is not mistaken."""

    async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
        head, _, body = OK.partition(b"\r\n\r\n")
        writer.write(head + b"\r\n\r\n" + (b"" if request.line.startswith(b"HEAD") else body))

    async def fact(front: Front) -> bytes:
        head = b"HEAD /back/a HTTP/1.1\r\nhost: a\r\n\r\n"
        return await front.raw(
            head
            + head.replace(b"HEAD", b"GET").replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")
        )

    first, second = run(fact, answer).split(b"HTTP/1.1 ")[1:]

    assert b"content-length: 2\r\n" in first
    assert first.endswith(b"\r\n\r\n")
    assert second.endswith(b"\r\n\r\nok")


def test_http_1_0() -> None:
    """A client of HTTP/1.0 gets an answer without a length to the end of the connection."""

    async def fact(front: Front) -> bytes:
        return await front.raw(b"GET /back/a HTTP/1.0\r\nhost: a\r\n\r\n")

    chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    answered = told(run(fact, chunked))

    assert answered.body == b"ok"
    assert answered.all(b"transfer-encoding") == []


@pytest.mark.parametrize(
    ("path", "sees"),
    [
        ("/back/a%2Fb?x=%20&y=%zz&&=", b"/v2/back/a%2Fb?x=%20&y=%zz&&="),
        ("/back/a;b=1:verb/", b"/v2/back/a;b=1:verb/"),
        ("/back/%7Euser/~user?", b"/v2/back/%7Euser/~user"),
        ("/back", b"/v2/back"),
        ("/back/", b"/v2/back/"),
        ("/back/%252e%252e/a", b"/v2/back/%252e%252e/a"),
    ],
)
def test_target(path: str, sees: bytes) -> None:
    """The backend is asked for the path and the query that the client sent, byte for byte."""

    async def fact(front: Front) -> bytes:
        assert (await front.get(path)).status == 200
        return front.backend.asked[0].line

    assert run(fact, base="/v2") == b"GET %b HTTP/1.1" % sees


@pytest.mark.parametrize(
    "path",
    ["/back/../admin", "/back/%2e%2e/admin", "/back/..%2fadmin", "/back/..;/admin", "/back/a%00"],
)
def test_no_target(path: str) -> None:
    """A path that other servers may read in another way is refused, and nobody is asked."""

    async def fact(front: Front) -> tuple[int, int]:
        return (await front.get(path)).status, len(front.backend.asked)

    assert run(fact) == (400, 0)


def test_first_byte_at_once() -> None:
    """What a backend sends arrives before it sends more."""
    arrived = asyncio.Event()

    async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: 1\n\n")
        await arrived.wait()
        writer.write(b"data: 2\n\n")
        writer.close()

    async def fact(front: Front) -> bytes:
        reader, writer = await front.connect()
        writer.write(post())
        async with asyncio.timeout(PATIENCE):
            await reader.readuntil(b"data: 1\n\n")
            arrived.set()
            rest = await reader.read()
        writer.close()
        return rest

    assert run(fact, answer) == b"\r\n9\r\ndata: 2\n\n\r\n0\r\n\r\n"


def test_upload_at_once() -> None:
    """A piece of a body is with the backend before the client sends more."""
    arrived = asyncio.Event()

    async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
        assert await request.reader.readexactly(8) == b"3\r\nabc\r\n"
        arrived.set()
        assert await request.reader.readexactly(5) == b"0\r\n\r\n"
        writer.write(OK)

    async def fact(front: Front) -> bytes:
        reader, writer = await front.connect()
        writer.write(post("transfer-encoding: chunked", body=b"3\r\nabc\r\n"))
        async with asyncio.timeout(PATIENCE):
            await arrived.wait()
            writer.write(b"0\r\n\r\n")
            answered = await reader.read()
        writer.close()
        return answered

    assert told(run(fact, answer)).body == b"ok"


def peak() -> int:
    """Return the most memory that this process has held, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def test_large_bodies() -> None:
    """A hundred megabytes up, and down, take no memory of their size."""
    size, piece = 100 * MB, b"x" * (MB // 4)

    async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
        left = size
        while left:
            left -= len(await request.reader.read(MB))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
        for _ in range(size // len(piece)):
            writer.write(piece)
            await writer.drain()

    async def fact(front: Front) -> int:
        reader, writer = await front.connect()
        before = peak()

        async def send() -> None:
            writer.write(post(f"content-length: {size}"))
            for _ in range(size // len(piece)):
                writer.write(piece)
                await writer.drain()

        sending = asyncio.create_task(send())
        head = await reader.readuntil(b"\r\n\r\n")
        left = size
        while left:
            data = await reader.read(MB)
            assert data
            left -= len(data)
        await sending
        writer.close()
        assert head.startswith(b"HTTP/1.1 200 ")
        return peak() - before

    assert run(fact, answer) < 40 * MB


@pytest.mark.parametrize("way", ["down", "up"])
def test_back_pressure(way: str) -> None:
    """Who does not read stops the other side, of which a megabyte is held at most."""
    taken = 0
    piece = b"x" * 16_384

    async def stuff(writer: asyncio.StreamWriter) -> None:
        """Write until nothing is taken for a while."""
        nonlocal taken
        writer.transport.set_write_buffer_limits(0)
        with contextlib.suppress(TimeoutError):
            while True:
                writer.write(piece)
                async with asyncio.timeout(2):
                    await writer.drain()
                taken += len(piece)

    async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
        if way == "down":
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 999999999\r\n\r\n")
            await stuff(writer)
            done.set()
        else:
            pause(writer)
            await done.wait()

    done = asyncio.Event()

    async def fact(front: Front) -> None:
        _, writer = await front.connect()
        pause(writer)
        writer.write(post("content-length: 999999999") if way == "up" else post())
        if way == "up":
            await stuff(writer)
            done.set()
        await done.wait()
        writer.transport.abort()

    run(fact, answer)

    # Beside what the gateway holds, the system has a buffer at each of four ends.
    assert 0 < taken < 24 * MB
