from __future__ import annotations

import asyncio
from typing import Any

from sockets import Hold
from transcoder.asgi import CONNECTION
from transcoder.errors import StatusError
from transcoder.socket_answer import SocketAnswer
from transcoder.status import Code


def test_a_long_reason() -> None:
    """The reason of a close is cut to what its frame holds, between two letters."""
    sent: list[Any] = []

    async def send(event: Any) -> None:
        sent.append(event)

    async def fact() -> None:
        answer = SocketAnswer({"type": "websocket"}, send, binary=False)
        await answer.fail(StatusError(Code.NOT_FOUND, "ü" * 200), 1)

    asyncio.run(fact())
    reason = sent[-1]["reason"]

    assert 120 <= len(reason.encode()) <= 123
    assert reason == f"NOT_FOUND: {'ü' * ((123 - 11 - 3) // 2)}…"


def test_a_close_that_nobody_reads() -> None:
    """A client that does not take the close of its stream is cut off."""
    hold = Hold()

    async def send(event: Any) -> None:
        await asyncio.get_running_loop().create_future()

    async def fact() -> None:
        scope = {"type": "websocket", "extensions": {CONNECTION: hold}}
        await SocketAnswer(scope, send, binary=False).close(1000, "", 0.01)

    asyncio.run(fact())

    assert hold.cuts == [True]
