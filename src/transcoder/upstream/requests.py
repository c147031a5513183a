"""The client's stream of messages, as servicers read it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc.aio


class Requests:
    """The messages, for `async for` and for `context.read()` alike.

    Args:
        source: where they come from; it is closed with the call.
    """

    __slots__ = ("_freed", "_is_closed", "_reader", "_source")

    def __init__(self, source: AsyncIterator[Any]) -> None:
        self._source = source
        self._reader: asyncio.Task[Any] | None = None
        self._freed: asyncio.Future[None] | None = None
        self._is_closed = False

    def __aiter__(self) -> Requests:
        """Return itself: there is one stream, whoever reads it."""
        return self

    async def __anext__(self) -> Any:
        """Return the next message."""
        if self._is_closed:
            raise StopAsyncIteration
        self._reader = asyncio.current_task()
        try:
            return await self._source.__anext__()
        except asyncio.CancelledError:
            if not self._give_up():
                raise
            # A task that the servicer left behind: the stream is over for it, as in gRPC.
            raise StopAsyncIteration from None
        finally:
            self._reader = None
            if self._freed is not None and not self._freed.done():
                self._freed.set_result(None)

    async def read(self) -> Any:
        """Return the next message, or `grpc.aio.EOF` after the last."""
        try:
            return await self.__anext__()
        except StopAsyncIteration:
            return grpc.aio.EOF

    async def close(self) -> None:
        """End the stream for whoever still reads it."""
        self._is_closed = True
        if self._reader is not None:
            self._freed = asyncio.get_running_loop().create_future()
            self._reader.cancel()
            await self._freed
        close = getattr(self._source, "aclose", None)
        if close is not None:
            await close()

    def _give_up(self) -> bool:
        """Take back the cancellation of a read, if it was the stream's end that cancelled it."""
        return self._is_closed and self._reader is not None and not self._reader.uncancel()
