"""The client's stream of messages: an HTTP body, decoded as it arrives.

Somebody reads the ASGI channel for as long as the call lasts, for that is where the client's going
is told. Who reads is one chunk ahead of who takes the messages, and then waits: what a servicer
does not take stays with the client.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, Generic, TypeVar

from starlette.types import Receive

from transcoder.body import TOO_SLOW
from transcoder.errors import StatusError
from transcoder.message_stream import Cutter
from transcoder.pace import DEFAULT_PACE, Pace

M = TypeVar("M")


class RequestStream(AsyncIterator[M], Generic[M]):
    """The messages of a body, in their order.

    Args:
        cutter: cuts the body into messages.
        decode: makes a message of its bytes, and of whether it is the first.
        pace: at which a message that has begun must arrive.

    Raises (when iterated):
        StatusError: the body is malformed, over a limit, or too slow.
    """

    def __init__(
        self,
        cutter: Cutter,
        decode: Callable[[bytes, bool], Awaitable[M]],
        pace: Pace = DEFAULT_PACE,
    ) -> None:
        self._cutter = cutter
        self._decode = decode
        self._pace = pace
        self._pieces: Iterator[bytes] | None = None
        self._ahead: bytes | None = None
        self._error: StatusError | None = None
        self._arrived = asyncio.Event()
        self._taken = asyncio.Event()
        self.complete = False
        """Whether the client has sent all, or something wrong."""
        self.count = 0
        """How many messages were taken."""

    async def pump(self, receive: Receive) -> None:
        """Read the body; return when the client has gone away."""
        loop = asyncio.get_running_loop()
        began, received = loop.time(), 0
        while True:
            try:
                message = await self._next(receive, began, received)
            except StatusError as error:
                # Whoever stands between the server and us finds something wrong with the body.
                self.fail(error)
                continue
            if message["type"] == "http.disconnect":
                return
            if self.complete:
                continue
            chunk = message.get("body", b"")
            received += len(chunk)
            since = loop.time()
            await self._hand_over(chunk, more=message.get("more_body", False))
            now = loop.time()
            if self._cutter.raw:
                began += now - since
            elif not self._cutter.partial:
                began, received = now, 0

    async def __anext__(self) -> M:
        while True:
            if self._ahead is None:
                self._look_ahead()
            if self._ahead is not None:
                data = self._ahead
                # Who takes the last message of a chunk may take no other for long, and the client
                # may go meanwhile: so the next chunk is asked for at once.
                self._look_ahead()
                self.count += 1
                return await self._decode(data, self.count == 1)
            if self._error is not None:
                raise self._error
            if self.complete:
                raise StopAsyncIteration
            self._arrived.clear()
            await self._arrived.wait()

    def fail(self, error: StatusError) -> None:
        """End the stream with an error, for who iterates it."""
        self._error = self._error or error
        self.complete = True
        self._arrived.set()
        self._taken.set()

    def _look_ahead(self) -> None:
        self._ahead = None
        if self._pieces is None:
            return
        try:
            self._ahead = next(self._pieces, None)
        except StatusError as error:
            self.fail(error)
        if self._ahead is None:
            self._pieces = None
            self._taken.set()

    async def _hand_over(self, chunk: bytes, *, more: bool) -> None:
        pieces = self._cutter.feed(chunk)
        if not more:
            pieces = itertools.chain(pieces, self._ending())
            self.complete = True
        self._pieces = pieces
        self._taken.clear()
        self._arrived.set()
        if more:
            await self._taken.wait()

    def _ending(self) -> Iterator[bytes]:
        # Asked for when the last chunk was read to its end.
        yield from self._cutter.end()

    async def _next(self, receive: Receive, began: float, received: int) -> Any:
        """Return what the channel has next; a message that has begun must go on arriving."""
        loop = asyncio.get_running_loop()
        while self._cutter.partial and not self.complete:
            if not self._pace.is_kept(received, loop.time() - began):
                self.fail(TOO_SLOW)
                break
            try:
                async with asyncio.timeout(max(1.0, began + self._pace.grace - loop.time())):
                    return await receive()
            except TimeoutError:
                continue
        return await receive()
