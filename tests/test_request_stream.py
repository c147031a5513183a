from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from transcoder.errors import InvalidRequest, PayloadTooLarge, StatusError
from transcoder.json_stream import JsonCutter
from transcoder.message_stream import Cutter, RawCutter
from transcoder.pace import Pace
from transcoder.request_stream import RequestStream

GONE = {"type": "http.disconnect"}


def chunk(data: bytes, *, more: bool = True) -> dict[str, Any]:
    """Return a message of the ASGI channel."""
    return {"type": "http.request", "body": data, "more_body": more}


async def decoded(data: bytes, first: bool) -> tuple[bytes, bool]:  # noqa: FBT001  a callback
    """Return what a message is decoded of."""
    return data, first


class Client:
    """The ASGI channel of a client that sends this, and then nothing until it is told to go."""

    def __init__(self, *messages: dict[str, Any]) -> None:
        self.messages = list(messages)
        self.asked = 0
        self.gone = asyncio.Event()

    async def receive(self) -> dict[str, Any]:
        self.asked += 1
        if self.messages:
            return self.messages.pop(0)
        await self.gone.wait()
        return GONE


def run(
    test: Callable[[RequestStream[Any], Client, asyncio.Task[None]], Awaitable[Any]],
    *messages: dict[str, Any],
    cutter: Cutter | None = None,
    pace: Pace = Pace(),  # noqa: B008  it is frozen
) -> Any:
    """Run a test over a stream that is pumped meanwhile."""

    async def main() -> Any:
        client = Client(*messages)
        stream = RequestStream(cutter or JsonCutter(100), decoded, pace)
        pump = asyncio.create_task(stream.pump(client.receive))
        try:
            async with asyncio.timeout(10):
                return await test(stream, client, pump)
        finally:
            pump.cancel()

    return asyncio.run(main())


async def everything(stream: RequestStream[Any], *_: Any) -> list[Any]:
    """Return all messages."""
    return [message async for message in stream]


def test_messages() -> None:
    """Messages come in order, however the body is cut; the first is told as such."""
    told = run(everything, chunk(b'{"a":1}{"b"'), chunk(b":2} 3"), chunk(b"", more=False))

    assert told == [(b'{"a":1}', True), (b'{"b":2}', False), (b"3", False)]


def test_error() -> None:
    """What comes before something wrong is taken, and then it is told."""

    async def test(stream: RequestStream[Any], *_: Any) -> None:
        assert await anext(stream) == (b"{}", True)
        with pytest.raises(InvalidRequest):
            await anext(stream)
        with pytest.raises(InvalidRequest):
            await anext(stream)
        assert stream.complete

    run(test, chunk(b"{}}"), chunk(b"{}"))


def test_error_on_the_way() -> None:
    """What stands before the stream may refuse the body, behind the messages that came."""

    async def run_() -> list[Any]:
        answers = iter([chunk(b"1 "), PayloadTooLarge(100), GONE])

        async def receive() -> Any:
            answer = next(answers)
            if isinstance(answer, Exception):
                raise answer
            return answer

        stream = RequestStream[Any](JsonCutter(100), decoded, Pace())
        pump = asyncio.create_task(stream.pump(receive))
        found: list[Any] = [await anext(stream)]
        with pytest.raises(PayloadTooLarge):
            await anext(stream)
        await pump
        return found

    assert asyncio.run(run_()) == [(b"1", True)]


def test_one_chunk_ahead() -> None:
    """What is not taken is not read: the client waits."""

    async def test(stream: RequestStream[Any], client: Client, _: Any) -> None:
        await asyncio.sleep(0.01)
        assert client.asked == 1
        await anext(stream)
        await asyncio.sleep(0.01)
        assert client.asked == 2

    run(test, chunk(b"1 "), chunk(b"2 "), chunk(b"3 "))


def test_client_goes() -> None:
    """The pump returns when the client has gone, also behind the end of the body."""

    async def test(stream: RequestStream[Any], client: Client, pump: asyncio.Task[None]) -> None:
        assert await everything(stream) == [(b"1", True)]
        client.messages.append(chunk(b"not read"))
        client.gone.set()
        await pump

    run(test, chunk(b"1", more=False))


@pytest.mark.parametrize("cutter", [JsonCutter(100), RawCutter(100)])
def test_too_slow(cutter: Cutter) -> None:
    """A message that has begun and does not go on is refused, and raw bytes likewise."""

    async def test(stream: RequestStream[Any], *_: Any) -> None:
        with pytest.raises(StatusError) as caught:
            await everything(stream)
        assert caught.value.http == 408

    run(test, chunk(b'{"a"'), cutter=cutter, pace=Pace(grace=0, rate=1e9))


def test_patience_between_messages() -> None:
    """Who has sent whole messages may take all the time it likes for the next."""

    async def test(stream: RequestStream[Any], client: Client, _: Any) -> None:
        await anext(stream)
        await asyncio.sleep(0.05)
        assert not stream.complete
        assert client.asked == 2

    run(test, chunk(b"{}"), pace=Pace(grace=0, rate=1e9))
