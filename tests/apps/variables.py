"""A gateway whose methods keep the topic of their call in a context variable, in every style."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextvars import ContextVar
from typing import Any

from streams import POOL, Streams, Sum, Told, register
from transcoder import Gateway

topic: ContextVar[str] = ContextVar("topic", default="")


class Variables(Streams):
    """The servicer; what it replies is what it found in the variable, and what is left there."""

    def __init__(self) -> None:
        super().__init__(print)

    async def Single(self, request: Any, context: Any) -> Any:
        """Answer on the loop."""
        found = topic.get()
        topic.set(request.topic)
        await asyncio.sleep(0)
        return Told(text=f"{found}>{topic.get()}")

    async def Tell(self, request: Any, context: Any) -> AsyncIterator[Any]:  # type: ignore[override]
        """Answer with a generator."""
        for number in range(request.count):
            found = topic.get()
            topic.set(f"{request.topic}.{number}")
            await asyncio.sleep(0)
            yield Told(text=f"{found}>{topic.get()}")

    def Collect(self, requests: Iterator[Any], context: Any) -> Any:  # type: ignore[override]
        """Answer on a thread."""
        found = ""
        for request in requests:
            found = topic.get()
            topic.set(request.topic)
        return Sum(topic=f"{found}>{topic.get()}")

    async def Echo(self, requests: AsyncIterator[Any], context: Any) -> None:  # type: ignore[override]
        """Answer from a task, by writing."""
        async for request in requests:
            found = topic.get()
            topic.set(request.topic)
            await context.write(Told(text=f"{found}>{topic.get()}"))


def create() -> Gateway:
    """Return the gateway."""
    gateway = Gateway(pool=POOL)
    register(Variables(), gateway)
    return gateway
