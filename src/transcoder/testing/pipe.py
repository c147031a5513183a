"""Messages from one side of a call to the other, as many ahead as fit."""

from __future__ import annotations

import asyncio


class Pipe:
    """A stream of messages in one event loop; its writer waits for its reader.

    Args:
        ahead: how many messages are written before one is read.
    """

    def __init__(self, ahead: int) -> None:
        self._messages: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._room = asyncio.Semaphore(ahead)
        self._is_over = False

    async def write(self, message: bytes) -> None:
        """Add a message, once there is room.

        Raises:
            BrokenPipeError: the stream is over.
        """
        await self._room.acquire()
        if self._is_over:
            self._room.release()
            raise BrokenPipeError("the call is over")
        self._messages.put_nowait(message)

    def end(self) -> None:
        """End the stream: what is written can still be read."""
        if not self._is_over:
            self._is_over = True
            self._messages.put_nowait(None)
            self._room.release()

    async def read(self) -> bytes | None:
        """Return the next message; None after the last."""
        message = await self._messages.get()
        if message is None:
            self._messages.put_nowait(None)
        else:
            self._room.release()
        return message

    def __aiter__(self) -> Pipe:
        """Return itself: there is one stream, whoever reads it."""
        return self

    async def __anext__(self) -> bytes:
        """Return the next message."""
        message = await self.read()
        if message is None:
            raise StopAsyncIteration
        return message
