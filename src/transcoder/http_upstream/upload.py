"""The body of a request, on its way to the backend as it arrives.

The ASGI channel tells of the client's going too. So while the backend takes its time, somebody else
reads the channel, one piece ahead, and waits then: what the backend does not take stays with the
client.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx2
from starlette.types import Receive, Scope

from transcoder.body import TOO_SLOW, Disconnected
from transcoder.call_details import CALL, CallDetails
from transcoder.errors import PayloadTooLarge
from transcoder.metadata import RawHeaders
from transcoder.pace import Pace
from transcoder.watch import disconnected

_BODILESS = frozenset({"GET", "HEAD", "OPTIONS", "DELETE"})


def framing(scope: Scope) -> tuple[bytes, bytes] | None:
    """Return the header that says how long the body is; None for a request without one.

    Args:
        scope: of the request; a policy may have taken the length away, where it changes the body.
    """
    found = _framing(scope["headers"])
    if found is not None:
        return found
    call: CallDetails | None = scope.get(CALL)
    declared = call is not None and _framing(call.headers) is not None
    # HTTP/2 and its kin need not say.
    untold = scope.get("http_version", "1.1") >= "2" and scope["method"] not in _BODILESS
    return (b"transfer-encoding", b"chunked") if declared or untold else None


def _framing(headers: RawHeaders) -> tuple[bytes, bytes] | None:
    length = None
    for pair in headers:
        if pair[0] == b"transfer-encoding":
            return b"transfer-encoding", b"chunked"
        if pair[0] == b"content-length":
            length = pair
    return length


class Upload(httpx2.AsyncByteStream):
    """A body on its way.

    Args:
        receive: the ASGI channel.
        pace: at which the client must send what the backend is ready to take.
        limit: in bytes; None for none.

    Raises (when iterated):
        Disconnected: the client went away.
        PayloadTooLarge: it is over the limit.
        StatusError: TOO_SLOW.
    """

    def __init__(self, receive: Receive, pace: Pace, limit: int | None) -> None:
        self.received = 0
        """Bytes that have come."""
        self._receive = receive
        self._pace = pace
        self._limit = limit
        self._waited = 0.0
        self._lock = asyncio.Lock()
        self._ahead: list[Mapping[str, Any]] = []
        self._taken = asyncio.Event()
        self._over = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the pieces."""
        more = True
        while more:
            event = await self._next()
            if event["type"] == "http.disconnect":
                raise Disconnected
            piece, more = event.get("body", b""), event.get("more_body", False)
            self.received += len(piece)
            if self._limit is not None and self.received > self._limit:
                raise PayloadTooLarge(self._limit)
            if piece:
                yield piece

    async def gone(self) -> None:
        """Return when the client has gone away."""
        while True:
            async with self._lock:
                if self._over:
                    break
                event = await self._event()
                if event["type"] == "http.disconnect":
                    return
                self._ahead.append(event)
            self._taken.clear()
            if self._ahead:
                await self._taken.wait()
        await disconnected(self._receive)

    def drop(self) -> None:
        """Take no more of it: the backend has answered."""
        self._over = True
        self._taken.set()

    async def _next(self) -> Mapping[str, Any]:
        if self._ahead:
            self._taken.set()
            return self._ahead.pop()
        now = asyncio.get_running_loop().time
        began = now()
        patience = max(self._pace.grace, self.received / self._pace.rate) - self._waited
        try:
            async with asyncio.timeout(patience), self._lock:
                if not self._ahead:
                    return await self._event()
        except TimeoutError:
            raise TOO_SLOW from None
        finally:
            self._waited += now() - began
        self._taken.set()
        return self._ahead.pop()

    async def _event(self) -> Mapping[str, Any]:
        event = await self._receive()
        if event["type"] == "http.disconnect" or not event.get("more_body", False):
            self._over = True
        return event
