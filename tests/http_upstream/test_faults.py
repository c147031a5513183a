"""Backends that are down, slow, cut or out of their mind, and clients that go away."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import uvloop

from behind import (
    OK,
    PATIENCE,
    Answer,
    Backend,
    Front,
    Request,
    Told,
    Watching,
    before,
    pause,
    resume,
    run,
    told,
)
from transcoder import Pace, Thresholds, Timeouts
from transcoder.call_details import CallDetails
from transcoder.measured import Reading

GET = b"GET /back/a HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
POST = b"POST /back/a HTTP/1.1\r\nhost: a\r\nconnection: close\r\n"
HEAD = b"HTTP/1.1 200 OK\r\n"


def closing(raw: bytes) -> Answer:
    """Return a backend that writes bytes and ends the connection."""

    async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        writer.close()

    return answer


@contextlib.contextmanager
def resetting() -> Iterator[str]:
    """Reset connections in a thread of its own, which is as quick as another process."""

    def reset() -> None:
        with contextlib.suppress(OSError):
            while True:
                peer, _ = listener.accept()
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                peer.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=reset)
        thread.start()
        try:
            yield f"127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


async def never(request: Request, writer: asyncio.StreamWriter) -> None:
    """Answer nothing."""
    await request.reader.read()


def check_refusal(answer: Told, status: int, code: int) -> None:
    """Check that a refusal is a `google.rpc.Status` that tells nothing of the inside."""
    assert answer.status == status
    assert answer.all(b"content-type") == [b"application/json"]
    body = json.loads(answer.body)
    assert (list(body), body["code"]) == (["code", "message", "details"], code)
    assert "127.0.0.1" not in body["message"]
    assert "Error" not in body["message"]
    assert len(answer.all(b"x-request-id")) == 1


def refused(answer: Answer | bytes, sent: bytes = GET, **options: Any) -> Told:
    """Return what a client is told; there must be one line of log, and one call that is over."""
    watching = Watching()

    async def fact(front: Front) -> bytes:
        return await front.raw(sent)

    raw = run(fact, answer, observers=[watching], **options)
    assert [call.http_status for call in watching.calls] == [told(raw).status]
    return told(raw)


def test_down() -> None:
    """A backend that is not there is 503."""

    async def running() -> Told:
        async with before(Backend(), at="127.0.0.1:9") as front:
            return await front.get()

    check_refusal(asyncio.run(running()), 503, 14)


def test_reset_at_once() -> None:
    """A backend that resets each connection as soon as it is made is 503, whenever that is seen."""

    async def running() -> set[int]:
        with resetting() as target:
            async with before(Backend(), at=target) as front:
                rounds = [
                    await asyncio.gather(*(front.get() for _ in range(32))) for _ in range(10)
                ]
        return {answer.status for answers in rounds for answer in answers}

    # Its connections lose their socket sooner than those of asyncio.
    assert uvloop.run(running()) == {503}


@pytest.mark.parametrize("raw", [b"", b"HTTP/1.1 200", HEAD + b"content-type: a\r\n"])
@pytest.mark.parametrize("sent", [GET, POST + b"content-length: 1\r\n\r\na"])
def test_cut_before_the_answer(raw: bytes, sent: bytes) -> None:
    """A backend that ends the connection before its answer has a head is 503."""
    check_refusal(refused(closing(raw), sent), 503, 14)


@pytest.mark.parametrize(
    "raw",
    [
        b"\xff\xfe garbage\r\n\r\n",
        b"HTTP/1.1 OK\r\n\r\n",
        b"HTTP/1.1 999 Odd\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: a\r\nconnection: upgrade\r\n\r\n",
        HEAD + b"content-length: 1\r\ncontent-length: 2\r\n\r\nab",
        HEAD + b"content-length: -1\r\n\r\n",
        HEAD + b"transfer-encoding: gzip\r\n\r\n",
        HEAD + b"a b: c\r\n\r\n",
        HEAD + b"x: a\0b\r\n\r\n",
        HEAD + b"x: " + b"a" * 200_000 + b"\r\n\r\n",
    ],
    ids=["bytes", "status", "999", "101", "lengths", "below", "coding", "name", "nul", "long"],
)
def test_garbage(raw: bytes) -> None:
    """What is no answer is 502, and none of it reaches the client."""
    check_refusal(refused(closing(raw)), 502, 13)


@pytest.mark.parametrize(
    "raw",
    [
        b"content-length: 5\r\n\r\nab",
        b"transfer-encoding: chunked\r\n\r\n2\r\nab\r\n",
        b"transfer-encoding: chunked\r\n\r\n2\r\nab\r\nnone\r\n",
    ],
    ids=["length", "chunks", "garbage"],
)
@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
def test_cut_within_the_answer(raw: bytes, version: bytes) -> None:
    """An answer that is not whole is not whole for the client either."""
    watching = Watching()

    async def fact(front: Front) -> bytes:
        reader, writer = await front.connect()
        writer.write(GET.replace(b"1.1", version))
        received = b""
        try:
            async with asyncio.timeout(PATIENCE):
                while data := await reader.read(1000):
                    received += data
            received += b" ended"
        except ConnectionError:
            received += b" reset"
        writer.transport.abort()
        return received

    answer = run(fact, closing(HEAD + raw), observers=[watching])

    assert b" 200 OK\r\n" in answer
    assert b"\r\n0\r\n" not in answer
    assert b"content-length: 2" not in answer
    if version == b"1.0" and b"length" not in raw:
        assert answer.endswith(b" reset")
    assert [(call.http_status, call.reason) for call in watching.calls] == [(200, "cut")]


def test_late() -> None:
    """A backend that does not answer within the client's deadline is 504."""
    sent = GET.replace(b"host", b"x-request-timeout: 0.2\r\nhost")

    check_refusal(refused(never, sent), 504, 4)


def test_late_by_default() -> None:
    """A backend that does not answer in the time that the gateway gives it is 504."""
    check_refusal(refused(never, timeouts=Timeouts(default=0.2)), 504, 4)


def test_late_by_option() -> None:
    """A backend that does not answer in the time that it has itself is 504."""
    check_refusal(refused(never, options={"timeout": 0.2}), 504, 4)


@pytest.mark.parametrize(
    ("value", "status"), [("0n", 504), ("x", 400), ("1S\r\ngrpc-timeout: 2S", 400)]
)
def test_no_time(value: str, status: int) -> None:
    """A deadline that is none, or has passed, is told before the backend is asked."""

    async def fact(front: Front) -> tuple[int, int]:
        answer = await front.get("/back/a", f"Grpc-Timeout: {value}")
        return answer.status, len(front.backend.asked)

    assert run(fact) == (status, 0)


def test_late_within_the_answer() -> None:
    """A deadline that passes within an answer cuts it."""

    async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + b"content-length: 5\r\n\r\nab")
        await request.reader.read()

    sent = GET.replace(b"host", b"x-request-timeout: 0.3\r\nhost")
    answered = refused(answer, sent)

    assert (answered.status, answered.body) == (200, b"ab")


def test_a_stream_may_be_silent() -> None:
    """Once an answer has begun, it may pause for longer than a backend may think."""

    async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + b"content-length: 4\r\n\r\nab")
        await asyncio.sleep(0.5)
        writer.write(b"cd")

    assert refused(answer, options={"timeout": 0.1}).body == b"abcd"


def gone(sent: bytes, answer: Callable[[asyncio.Event], Answer]) -> list[CallDetails]:
    """Let a client go once the backend has begun; return the calls when the backend hears of it."""
    watching = Watching()

    async def fact(front: Front) -> None:
        begun = asyncio.Event()
        front.backend.answer = answer(begun)
        _, writer = await front.connect()
        writer.write(sent)
        async with asyncio.timeout(PATIENCE):
            await begun.wait()
            # Longer than a call runs unwatched.
            await asyncio.sleep(0.1)
            writer.transport.abort()
            await front.backend.gone.wait()
            await watching.came.wait()

    run(fact, observers=[watching])
    return watching.calls


@pytest.mark.parametrize(
    "sent", [GET, POST + b"content-length: 5\r\n\r\nab"], ids=["get", "upload"]
)
def test_client_gone(sent: bytes) -> None:
    """A client that goes away ends the backend's request, and is told of in one line."""

    def answer(begun: asyncio.Event) -> Answer:
        async def waiting(request: Request, writer: asyncio.StreamWriter) -> None:
            begun.set()
            await request.reader.read()

        return waiting

    calls = gone(sent, answer)

    assert [(call.reason, call.http_status) for call in calls] == [("client-gone", 0)]


def test_client_gone_within_the_answer() -> None:
    """A client that goes away within an answer ends it."""

    def answer(begun: asyncio.Event) -> Answer:
        async def endless(request: Request, writer: asyncio.StreamWriter) -> None:
            writer.write(HEAD + b"transfer-encoding: chunked\r\n\r\n")
            begun.set()
            while not writer.is_closing():
                writer.write(b"1\r\na\r\n")
                await writer.drain()
                await asyncio.sleep(0.01)

        return endless

    calls = gone(GET, answer)

    assert [call.reason for call in calls] == ["client-gone"]


def test_client_gone_while_the_backend_does_not_read() -> None:
    """A client that goes away is noticed while the backend takes nothing of its body."""

    def answer(begun: asyncio.Event) -> Answer:
        async def stuck(request: Request, writer: asyncio.StreamWriter) -> None:
            pause(writer)
            begun.set()
            await asyncio.sleep(0.3)
            resume(writer)
            await request.reader.read()

        return stuck

    calls = gone(POST + b"content-length: 99999999\r\n\r\n" + b"x" * 9_000_000, answer)

    assert [call.reason for call in calls] == ["client-gone"]


def test_stop() -> None:
    """A server that stops does not wait for the end of a stream of events."""

    async def endless(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + b"content-type: text/event-stream\r\n\r\ndata: 1\n\n")
        await request.reader.read()

    async def fact(front: Front) -> bytes:
        reader, writer = await front.connect()
        writer.write(GET)
        async with asyncio.timeout(PATIENCE):
            received = await reader.readuntil(b"data: 1\n\n")
            front.gateway.end_streams()
            received += await reader.read()
            await front.backend.gone.wait()
        writer.transport.abort()
        return received

    answer = run(fact, endless)

    assert b" 200 OK\r\n" in answer
    assert not answer.endswith(b"0\r\n\r\n")


def test_slow_body() -> None:
    """A client that is slower with its body than it may be is 408."""
    check_refusal(
        refused(OK_WHEN_READ, POST + b"content-length: 9\r\n\r\na", pace=Pace(0.2, 1000)), 408, 4
    )


async def OK_WHEN_READ(request: Request, writer: asyncio.StreamWriter) -> None:
    """Answer once the body has come."""
    try:
        await request.read()
    except asyncio.IncompleteReadError:
        return
    writer.write(OK)


def test_a_slow_backend_is_not_the_client() -> None:
    """The time for which the backend takes nothing is not the client's."""

    async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
        pause(writer)
        await asyncio.sleep(0.6)
        resume(writer)
        await request.read()
        writer.write(OK)

    body = b"x" * 20_000_000
    sent = POST + b"content-length: %d\r\n\r\n" % len(body) + body

    assert refused(answer, sent, pace=Pace(0.3, 1)).status == 200


@pytest.mark.parametrize(
    "framed",
    [
        b"content-length: 9\r\n\r\n" + b"x" * 9,
        b"transfer-encoding: chunked\r\n\r\n9\r\nxxxxxxxxx\r\n0\r\n\r\n",
    ],
    ids=["length", "chunks"],
)
def test_body_limit(framed: bytes) -> None:
    """A body over the upstream's limit is 413."""
    check_refusal(refused(OK_WHEN_READ, POST + framed, options={"body_limit": 8}), 413, 8)


def test_early_answer() -> None:
    """A backend that answers before it has read a body, and takes no more of it, is heard."""

    async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 401 No\r\nconnection: close\r\ncontent-length: 2\r\n\r\nno")
        await writer.drain()

    async def fact(front: Front) -> bytes:
        reader, writer = await front.connect()
        writer.write(POST + b"content-length: 5\r\n\r\nabcde")
        async with asyncio.timeout(PATIENCE):
            received = await reader.read()
        writer.transport.abort()
        return received

    assert told(run(fact, answer)).body == b"no"


def test_many_at_once() -> None:
    """More requests than the backend may have at once are 503, with when to come again."""

    async def fact(front: Front) -> Told:
        first = asyncio.create_task(front.get())
        await front.backend.came.wait()
        second = await front.get()
        first.cancel()
        return second

    answer = run(fact, never, options={"connections": 1, "connect": 0.2})

    check_refusal(answer, 503, 8)
    assert answer.all(b"retry-after") == [b"1"]


@pytest.mark.parametrize(
    ("method", "asked"),
    [("GET", 2), ("HEAD", 2), ("OPTIONS", 2), ("PUT", 2), ("DELETE", 2), ("POST", 1), ("PATCH", 1)],
)
def test_retry(method: str, asked: int) -> None:
    """Of requests without a body, those are sent again that may be, once, if nothing came."""

    async def fact(front: Front) -> tuple[int, int]:
        answer = await front.get(method=method)
        return answer.status, len(front.backend.asked)

    assert run(fact, closing(b"")) == (503, asked)


def test_retry_works() -> None:
    """A kept connection that the backend has closed meanwhile costs no request."""

    async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
        if len(request.line) > 30:
            writer.close()
        else:
            writer.write(OK)

    async def fact(front: Front) -> tuple[list[int], int]:
        backend = front.backend
        statuses = [(await front.get()).status]

        async def dying(request: Request, writer: asyncio.StreamWriter) -> None:
            backend.answer = OK
            writer.close()

        backend.answer = dying
        statuses.append((await front.get()).status)
        return statuses, backend.connections

    assert run(fact, answer) == ([200, 200], 2)


@pytest.mark.parametrize(
    ("sent", "options"),
    [
        (GET, {"retries": False}),
        (GET.replace(b"GET", b"PUT").replace(b"host", b"content-length: 1\r\nhost") + b"a", {}),
    ],
    ids=["option", "body"],
)
def test_no_retry(sent: bytes, options: dict[str, Any]) -> None:
    """A request with a body is sent once, and each one is where that is wanted."""

    async def fact(front: Front) -> int:
        await front.raw(sent)
        return len(front.backend.asked)

    assert run(fact, closing(b""), options=options) == 1


def test_no_retry_after_an_answer() -> None:
    """A request is not sent again of which something came, whatever that is."""

    async def fact(front: Front) -> int:
        await front.get()
        return len(front.backend.asked)

    assert run(fact, closing(b"garbage\r\n\r\n")) == 1


@pytest.mark.parametrize(
    "answer",
    [b"HTTP/1.1 500 Oh\r\ncontent-length: 2\r\n\r\noh", closing(b""), closing(b"garbage\r\n\r\n")],
    ids=["500", "cut", "garbage"],
)
def test_breaker(answer: Answer | bytes) -> None:
    """A backend that fails again and again is not asked any more, until it works."""

    async def fact(front: Front) -> None:
        for _ in range(3):
            assert (await front.get()).status >= 500
        asked = len(front.backend.asked)
        refusal = await front.get()
        check_refusal(refusal, 503, 14)
        assert refusal.all(b"retry-after") == [b"1"]
        assert len(front.backend.asked) == asked
        assert _state(front) == "open"
        front.backend.answer = OK
        async with asyncio.timeout(PATIENCE):
            while (await front.get()).status != 200:  # noqa: ASYNC110  the breaker has no event
                await asyncio.sleep(0.05)
        assert _state(front) == "closed"

    run(fact, answer, options={"breaker": Thresholds(consecutive=3, pause=0.3), "retries": False})


def _state(front: Front) -> str:
    """Return the state of the breaker, as metrics tell it."""
    found = {
        reading.labels["state"]: reading.labels["upstream"]
        for reading in front.gateway.readings()
        if isinstance(reading, Reading)
        and reading.metric.name == "transcoder_breaker_state"
        and reading.value
    }
    ((state, upstream),) = found.items()
    assert upstream == front.backend.target
    return state


def test_breaker_and_clients() -> None:
    """What is a client's fault does not open a breaker."""

    async def fact(front: Front) -> str:
        for _ in range(5):
            assert (await front.get()).status == 404
        return _state(front)

    answer = b"HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n"
    options = {"breaker": Thresholds(consecutive=2)}

    assert run(fact, answer, options=options) == "closed"


def test_breaker_by_route() -> None:
    """One breaker for each route leaves the other ones alone."""

    async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
        bad = b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n"
        writer.write(bad if b"/back/" in request.line else OK)

    async def fact(front: Front) -> list[int]:
        front.gateway.forward("/other/**", front.upstream)
        for _ in range(2):
            await front.get()
        return [(await front.get("/back/a")).status, (await front.get("/other/a")).status]

    options = {"breaker": Thresholds(consecutive=2), "by": "method"}

    assert run(fact, answer, options=options) == [503, 200]


def test_cause(caplog: pytest.LogCaptureFixture) -> None:
    """The log tells in one line where the backend is, and what was wrong with its answer."""
    caplog.set_level(logging.INFO, "transcoder")
    refused(closing(b"\xff\r\n\r\n"))
    lines = [record.getMessage() for record in caplog.records if "/back/a" in record.getMessage()]

    assert len(lines) == 1
    assert "http://127.0.0.1:" in lines[0]
    assert "RemoteProtocolError" in lines[0]


def test_readiness() -> None:
    """A gateway is not ready while a backend cannot be reached, and is again when it can."""

    async def running() -> list[int]:
        async with before(Backend()) as front:
            up = (await front.get("/readyz")).status
        async with before(Backend(), at="127.0.0.1:9") as front:
            return [up, (await front.get("/readyz")).status]

    assert asyncio.run(running()) == [200, 503]
