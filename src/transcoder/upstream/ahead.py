"""Replies that a thread pulls from a plain generator, some ahead of the loop that reads them.

To cross from a thread to the loop costs as much as twenty small messages do. So a thread tells the
loop of the first reply and pulls on, and the loop takes at once what is there when it wakes; no
reply waits for a later one. The thread stops where enough is there, which bounds what a client that
reads slowly has in memory, and after a moment, so that streams take turns on the threads.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from google.protobuf.message import Message

MESSAGES = 64
"""Replies that are pulled at once."""

BYTES = 64 << 10
"""Serialized bytes of replies, over which no more are pulled."""

_MOMENT = 0.0005
"""Seconds after which no more are pulled; to cross to the loop takes a fifth of that."""

_END = object()


class Ahead:
    """What a thread has pulled and the loop has not read.

    Args:
        begin: called on the thread, returns the replies.
        goes_on: says whether they are still wanted, after each.
    """

    __slots__ = ("_arrived", "_begin", "_goes_on", "_loop", "_pulled", "_replies", "_told")

    def __init__(self, begin: Callable[[], Iterable[Any]], goes_on: Callable[[], bool]) -> None:
        self._begin = begin
        self._goes_on = goes_on
        self._loop = asyncio.get_running_loop()
        self._replies: Iterator[Any] | None = None
        self._pulled: deque[Any] = deque()
        self._arrived = asyncio.Event()
        self._told = False

    def pull(self) -> bool:
        """Pull some replies, on a thread; say whether there may be more.

        A reply is copied before the next is asked for: whoever yields a message may change it
        then, for gRPC would have sent it.
        """
        until = time.monotonic() + _MOMENT
        if self._replies is None:
            self._replies = iter(self._begin())
        room = BYTES
        for left in reversed(range(MESSAGES)):
            reply = next(self._replies, _END)
            if reply is _END or not self._goes_on():
                return False
            if left and time.monotonic() < until:
                room -= _size(reply)
                if room > 0:
                    self._put(_copy(reply))
                    continue
            self._put(reply)
            break
        return True

    def close(self) -> None:
        """Close the generator, on a thread, while nobody pulls."""
        replies, self._replies = self._replies, None
        close = getattr(replies, "close", None)
        if close is not None:
            close()

    async def taken(self, pulling: asyncio.Future[bool]) -> Sequence[Any]:
        """Return what is there; nothing after the last reply that one `pull` has pulled.

        Args:
            pulling: that `pull`, which tells `arrive` of its end.
        """
        while not self._pulled and not pulling.done():
            self._arrived.clear()
            if not self._pulled:
                await self._arrived.wait()
        return [self._pulled.popleft() for _ in range(len(self._pulled))]

    def arrive(self, _pulling: object = None) -> None:
        """Wake who waits for replies, on the loop."""
        # In this order: what is put from here on is told of again.
        self._told = False
        self._arrived.set()

    def _put(self, reply: Any) -> None:
        self._pulled.append(reply)
        if not self._told:
            self._told = True
            with contextlib.suppress(RuntimeError):
                # The loop is closed, and nobody reads any more.
                self._loop.call_soon_threadsafe(self.arrive)


def _size(reply: Any) -> int:
    """Return the bytes of a reply; of what is no message, as many as nothing may follow on."""
    if isinstance(reply, Message):
        return reply.ByteSize()
    return len(reply) if isinstance(reply, bytes) else BYTES


def _copy(reply: Any) -> Any:
    if isinstance(reply, bytes):
        return reply
    copied = type(reply)()
    copied.CopyFrom(reply)
    return copied
