from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from google.protobuf.empty_pb2 import Empty

from transcoder.errors import StatusError
from transcoder.framing import Framing, Framings, Raw
from transcoder.metadata import Metadatum
from transcoder.outbound import Outbound
from transcoder.response import JSON, Payload
from transcoder.status import Code
from transcoder.streamed_answer import PIECE, StreamedAnswer
from transcoder.upstream import Call

ERROR = Payload(409, JSON, b'{"code":10}')


class Server:
    """An ASGI server without a hold on its connections; it takes a moment where told to."""

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.stalled = asyncio.Event()
        self.stalled.set()

    async def send(self, message: Any) -> None:
        await self.stalled.wait()
        self.sent.append(message)

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)

    @property
    def ended(self) -> bool:
        return not self.sent[-1].get("more_body", False)


def lines() -> Framing:
    """Return the framing of lines."""
    return Framings("array")("application/x-ndjson")


def run(
    test: Callable[[StreamedAnswer, Server], Awaitable[Any]],
    framing: Framing | None = None,
    call: Call | None = None,
) -> Server:
    """Run a test on an answer; return what the server was sent."""

    async def main() -> Server:
        server = Server()
        call_ = call or Call("/a.B/C")
        answer = StreamedAnswer({}, server.send, framing or lines(), call_, Outbound())
        async with asyncio.timeout(10):
            await test(answer, server)
        return server

    return asyncio.run(main())


def printed(body: bytes) -> Payload:
    """Return a message as it is printed."""
    return Payload(200, JSON, body)


def test_messages() -> None:
    """The status goes out with the first message, and the end after the last."""

    async def test(answer: StreamedAnswer, server: Server) -> None:
        assert not answer.begun
        await answer.message(Empty(), printed(b"{}"))
        assert (answer.begun, answer.count, len(server.sent)) == (True, 1, 2)
        await answer.end()

    server = run(test)

    assert (server.status, server.body, server.ended) == (200, b"{}\n", True)


def test_large_message_in_pieces() -> None:
    """A large message is handed over in pieces, so that little of it waits."""

    async def test(answer: StreamedAnswer, _: Server) -> None:
        await answer.message(Empty(), printed(b"1" * (3 * PIECE)))

    server = run(test)

    assert max(len(message.get("body", b"")) for message in server.sent) == PIECE
    assert len(server.body) == 3 * PIECE + 1


def test_opened_before_a_message() -> None:
    """The status goes out when the call is taken; once, however often that is said."""

    async def test(answer: StreamedAnswer, server: Server) -> None:
        answer.open_soon()
        answer.open_soon()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert answer.begun
        assert server.status == 200
        await answer.end()

    assert [message["type"] for message in run(test).sent].count("http.response.start") == 1


def test_heartbeat() -> None:
    """Events have something that means nothing; lines have not."""

    async def test(answer: StreamedAnswer, _: Server) -> None:
        answer.beat()
        await asyncio.sleep(0.01)
        answer.close()

    assert run(test, Framings("array")("text/event-stream")).body == b":\n\n"
    assert run(test).sent == []


def test_failure() -> None:
    """An error is told in the framing, after messages and before the end."""

    async def test(answer: StreamedAnswer, _: Server) -> None:
        await answer.message(Empty(), printed(b"{}"))
        await answer.fail(ERROR, 1)

    assert run(test).body == b'{}\n{"error":{"code":10}}\n'


def test_failure_that_cannot_be_told() -> None:
    """Under a server without a hold, only an exception ends a connection."""

    async def test(answer: StreamedAnswer, _: Server) -> None:
        await answer.message(Empty(), printed(b"1"))
        with pytest.raises(ConnectionAbortedError):
            await answer.fail(ERROR, 1)

    assert not run(test, Framings("array")("")).ended


def test_failure_that_nobody_reads() -> None:
    """A client that does not read an error is not waited for."""

    async def test(answer: StreamedAnswer, server: Server) -> None:
        await answer.message(Empty(), printed(b"1"))
        server.stalled.clear()
        with pytest.raises(ConnectionAbortedError):
            await answer.fail(ERROR, 0.01)

    run(test)


def test_cut_before_it_began() -> None:
    """What has not begun needs no cutting."""

    async def test(answer: StreamedAnswer, _: Server) -> None:
        answer.cut()

    assert run(test).sent == []


def test_refusal() -> None:
    """grpc-gateway's lines wrap an error that comes first too; problems stay as they are."""

    async def test(answer: StreamedAnswer, _: Server) -> None:
        assert answer.refused(ERROR).body == b'{"error":{"code":10}}\n'
        problem = Payload(409, b"application/problem+json", b"{}")
        assert answer.refused(problem) is problem

    run(test, Framings("result-lines")(""))


def test_raw_type() -> None:
    """Raw bytes have the type of their first piece; headers wait for it."""

    async def test(answer: StreamedAnswer, server: Server) -> None:
        answer.open_soon()
        await asyncio.sleep(0.01)
        assert server.sent == []
        await answer.message(Empty(), Payload(200, b"image/png", b"\x89"))
        await answer.message(Empty(), Payload(200, b"image/gif", b"P"))

    server = run(test, Raw(""))

    assert (b"content-type", b"image/png") in server.sent[0]["headers"]
    assert server.body == b"\x89P"


def test_waiting() -> None:
    """It is known since when a client does not read."""

    async def test(answer: StreamedAnswer, server: Server) -> None:
        server.stalled.clear()
        sending = asyncio.create_task(answer.message(Empty(), printed(b"1")))
        await asyncio.sleep(0.01)
        waiting = answer.waiting_since
        server.stalled.set()
        await sending
        assert (waiting or 0) > 0
        assert answer.waiting_since is None
        assert answer.last > 0

    run(test)


@pytest.mark.parametrize("code", ["204", "999"])
def test_status_that_cannot_be_told(code: str) -> None:
    """A stream with a status of no stream is refused before it begins."""
    call = Call("/a.B/C")
    call.open((Metadatum("x-http-code", code),))

    async def test(answer: StreamedAnswer, _: Server) -> None:
        answer.open_soon()
        await asyncio.sleep(0.01)
        with pytest.raises(StatusError) as caught:
            await answer.message(Empty(), printed(b"1"))
        assert (caught.value.http, caught.value.status.code) == (502, Code.INTERNAL)

    assert run(test, call=call).sent == []
