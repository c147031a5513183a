"""Smaller answers, and smaller requests: gzip over HTTP.

Answers that hold both a secret and what a client sent tell the secret by their length (BREACH), so
this is switched on, not off. On the gRPC port gRPC compresses by itself.
"""

from __future__ import annotations

import zlib
from typing import Any, Final

from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from transcoder.call_details import CALL, CallDetails
from transcoder.errors import ConfigError, InvalidRequest, PayloadTooLarge
from transcoder.policies.policy import Now, Stage

_LEAST_RATIO: Final = 1 << 16
"""Bytes that may come of few: how well so little is compressed says nothing."""

_PIECE: Final = 1 << 16
_GZIP: Final = 16 + zlib.MAX_WBITS


class Compression:
    """Sends answers as gzip to clients that accept it; streams as they are.

    Args:
        minimum: bytes of an answer from which on that pays.
        level: of gzip, from 1 (fast) to 9 (small).
        name: of the policy, for logs and overrides.

    Raises:
        ConfigError: an option is none.
    """

    stage: Final = Stage.REQUEST_ID

    def __init__(self, *, minimum: int = 1024, level: int = 5, name: str = "compression") -> None:
        if minimum < 0 or level not in range(1, 10):
            raise ConfigError(f"{name}: a minimum from 0 and a level from 1 to 9 are expected")
        self.name: Final = name
        self._minimum = minimum
        self._level = level

    def decide(self, call: CallDetails, now: Now) -> None:
        """Let every call pass."""

    def wrap(self, app: ASGIApp) -> ASGIApp:
        """Return an application whose answers are compressed."""
        compressing = GZipMiddleware(app, self._minimum, self._level)

        async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
            # A compressor holds back what a stream has to say now.
            chosen = app if scope[CALL].streams else compressing
            await chosen(scope, receive, send)

        return wrapped


class Decompression:
    """Takes requests whose body is gzip; without this policy they are answered 415.

    Args:
        limit: bytes of a body, once it is what it was; more is answered 413.
        ratio: how many times a body may grow, above 64 KiB; more is answered 413.
        name: of the policy, for logs and overrides.

    Raises:
        ConfigError: an option is none.
    """

    stage: Final = Stage.SIZE

    def __init__(
        self, *, limit: int = 1 << 20, ratio: int = 100, name: str = "decompression"
    ) -> None:
        if limit < 1 or ratio < 1:
            raise ConfigError(f"{name}: limit and ratio: numbers above 0 are expected")
        self.name: Final = name
        self._limit = limit
        self._ratio = ratio

    @property
    def limits(self) -> str:
        """What it allows."""
        return f"{self._limit} B, {self._ratio} times what came"

    def decide(self, call: CallDetails, now: Now) -> None:
        """Let every call pass."""

    def wrap(self, app: ASGIApp) -> ASGIApp:
        """Return an application that reads bodies as what they were."""

        async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
            call: CallDetails = scope[CALL]
            if call.door == "http" and call.all(b"content-encoding") == [b"gzip"]:
                hidden = {b"content-encoding", b"content-length"}
                headers = [pair for pair in scope["headers"] if pair[0] not in hidden]
                scope = {**scope, "headers": headers}
                receive = _Inflating(receive, self._limit, self._ratio).receive
            await app(scope, receive, send)

        return wrapped


class _Inflating:
    """A body as it was before it was compressed, piece by piece."""

    def __init__(self, receive: Receive, limit: int, ratio: int) -> None:
        self._receive = receive
        self._limit = limit
        self._ratio = ratio
        self._inflate: Any = zlib.decompressobj(_GZIP)
        self._pending = b""
        self._taken = 0
        self._given = 0
        self._more = True
        self._over = False

    async def receive(self) -> Message:
        """Return the next event of the request; of a body that is too large, an error.

        Raises:
            PayloadTooLarge: the body is, or grows as nothing honest does.
            InvalidRequest: it is no gzip.
        """
        if self._over or (self._more and not self._pending):
            event = await self._receive()
            if self._over or event["type"] != "http.request":
                return event
            self._pending = event.get("body", b"")
            self._more = event.get("more_body", False)
            self._taken += len(self._pending)
        # Whatever comes of it: what is wrong with a body is said once.
        self._over = True
        body = self._inflated()
        more = bool(self._pending) or self._more
        if not more and not self._inflate.eof:
            raise InvalidRequest("the gzip body ends before its end")
        self._over = not more
        return {"type": "http.request", "body": body, "more_body": more}

    def _inflated(self) -> bytes:
        """Return the next piece."""
        try:
            body: bytes = self._inflate.decompress(self._pending, _PIECE)
        except zlib.error:
            raise InvalidRequest("the body is not gzip, as Content-Encoding says") from None
        self._pending = self._inflate.unconsumed_tail
        self._given += len(body)
        if self._given > self._limit:
            raise PayloadTooLarge(self._limit)
        if self._given > max(_LEAST_RATIO, self._taken * self._ratio):
            raise PayloadTooLarge(self._taken * self._ratio)
        if self._inflate.unused_data:
            raise InvalidRequest("something stands behind the gzip body")
        return body
