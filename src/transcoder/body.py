"""The body of a request, read from ASGI within a limit."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

from starlette.types import Receive

from transcoder.errors import (
    InvalidRequest,
    PayloadTooLarge,
    StatusError,
    TranscoderError,
    UnsupportedMedia,
)
from transcoder.metadata import RawHeaders
from transcoder.pace import DEFAULT_PACE, Pace
from transcoder.status import Code

if TYPE_CHECKING:
    from transcoder.multipart import Multipart


TOO_SLOW = StatusError(
    Code.DEADLINE_EXCEEDED,
    "the body arrives too slowly",
    http=408,
    # The rest of the body is not read.
    headers=[("connection", "close")],
)


class Disconnected(TranscoderError):
    """The client went away before its body had arrived; there is nobody to answer."""


def check_headers(headers: RawHeaders, limit: int | None) -> None:
    """Refuse a body by its headers, before any of it is read.

    Args:
        headers: of the request.
        limit: bytes of the body; None for a stream, which has none.

    Raises:
        InvalidRequest: Content-Length is not a number, or there are two media types.
        PayloadTooLarge: it is over the limit.
        UnsupportedMedia: the body is compressed.
    """
    typed = False
    for name, value in headers:
        if name == b"content-type":
            # Another server in front may have judged by the other one.
            if typed:
                raise InvalidRequest("sent twice: a body is of one media type", "content-type")
            typed = True
        elif name == b"content-length":
            if not value.isdigit():
                problem = "expected a number of bytes"
                raise InvalidRequest(problem, "content-length")
            if limit is not None and (len(value) > 18 or int(value) > limit):
                raise PayloadTooLarge(limit)
        elif name == b"content-encoding" and value.strip().lower() not in {b"identity", b""}:
            refusal = UnsupportedMedia("Content-Encoding: a compressed body is not taken")
            # What to send instead (RFC 9110, section 12.5.3).
            refusal.headers = (("accept-encoding", "identity"),)
            raise refusal


class Paced:
    """Refuses a body that arrives too slowly; a context manager.

    Args:
        pace: that the body must keep.

    Raises (on exit):
        StatusError: TOO_SLOW.
    """

    __slots__ = ("_began", "_is_late", "_loop", "_pace", "_task", "_timer", "received")

    def __init__(self, pace: Pace) -> None:
        self.received = 0
        """Bytes that have come."""
        self._pace = pace
        self._is_late = False
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._task = asyncio.current_task()
        self._timer = self._loop.call_later(pace.grace, self._look)

    def __enter__(self) -> Self:
        """Return itself, to be told what is received."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop looking."""
        self._timer.cancel()
        if self._is_late:
            if self._task is not None:
                self._task.uncancel()
            raise TOO_SLOW from None

    def _look(self) -> None:
        if self._pace.is_kept(self.received, self._loop.time() - self._began):
            self._timer = self._loop.call_later(1.0, self._look)
        elif self._task is not None:
            self._is_late = True
            self._task.cancel()


class Bodies:
    """The bodies that are held at once, of all requests.

    Args:
        limit: bytes of them.
    """

    __slots__ = ("_limit", "held")

    def __init__(self, limit: int) -> None:
        self.held = 0
        """Bytes of those that have come and are not read yet."""
        self._limit = limit

    def take(self, size: int) -> None:
        """Hold so many bytes more.

        Raises:
            StatusError: UNAVAILABLE, they would be too many.
        """
        if self.held + size > self._limit:
            message = "too much is sent at once"
            # The rest of the body is not read.
            headers = [("retry-after", "1"), ("connection", "close")]
            raise StatusError(Code.UNAVAILABLE, message, headers=headers)
        self.held += size

    def give(self, size: int) -> None:
        """Let go of so many."""
        self.held -= size


class Holding:
    """What one request holds of them; a context manager, which lets go of it in the end."""

    __slots__ = ("_bodies", "_size")

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies
        self._size = 0

    def __enter__(self) -> Self:
        """Return itself, to be told what comes."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let go."""
        self._bodies.give(self._size)

    def take(self, size: int) -> None:
        """Hold so many bytes more; see `Bodies`."""
        self._bodies.take(size)
        self._size += size


async def read_body(
    headers: RawHeaders,
    receive: Receive,
    limit: int,
    pace: Pace = DEFAULT_PACE,
    holding: Holding | None = None,
) -> bytes:
    """Return the whole body.

    Args:
        headers: of the request; what they refuse is not read, see `check_headers`.
        receive: the ASGI channel.
        limit: in bytes.
        pace: at which it must arrive.
        holding: is told what comes.

    Raises:
        PayloadTooLarge: the body is over the limit, or says that it will be.
        StatusError: it arrives too slowly; 408. Or too much is held already; 503.
        InvalidRequest, UnsupportedMedia: by its headers.
        Disconnected: the client went away.
    """
    check_headers(headers, limit)
    chunks: list[bytes] = []
    more = True
    with Paced(pace) as paced:
        while more:
            chunk, more = await _chunk(receive, limit - paced.received, limit)
            paced.received += len(chunk)
            if holding is not None:
                holding.take(len(chunk))
            chunks.append(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def read_form(
    headers: RawHeaders,
    receive: Receive,
    limit: int,
    form: Multipart,
    pace: Pace = DEFAULT_PACE,
) -> Multipart:
    """Return the form, fed with the whole body; closed when that fails.

    What is written to disk is written on a thread.

    Raises:
        InvalidRequest, UnsupportedMedia: it is no such form; besides what `read_body` raises.
    """
    more = True
    try:
        check_headers(headers, limit)
        with Paced(pace) as paced:
            while more:
                chunk, more = await _chunk(receive, limit - paced.received, limit)
                paced.received += len(chunk)
                if form.spools(len(chunk)):
                    await asyncio.to_thread(form.feed, chunk)
                else:
                    form.feed(chunk)
        form.end()
    except BaseException:
        form.close()
        raise
    return form


async def _chunk(receive: Receive, left: int, limit: int) -> tuple[bytes, bool]:
    """Return the next bytes, of which so many are left, and whether more come."""
    message = await receive()
    if message["type"] == "http.disconnect":
        raise Disconnected
    chunk = message.get("body", b"")
    if len(chunk) > left:
        raise PayloadTooLarge(limit)
    return chunk, message.get("more_body", False)
