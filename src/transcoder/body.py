"""The body of a request, read from ASGI within a limit."""

from __future__ import annotations

from starlette.types import Receive

from transcoder.errors import InvalidRequest, PayloadTooLarge, TranscoderError
from transcoder.metadata import RawHeaders


class Disconnected(TranscoderError):
    """The client went away before its body had arrived; there is nobody to answer."""


async def read_body(headers: RawHeaders, receive: Receive, limit: int) -> bytes:
    """Return the whole body.

    Args:
        headers: of the request; a Content-Length over the limit is refused before reading.
        receive: the ASGI channel.
        limit: in bytes.

    Raises:
        PayloadTooLarge: the body is over the limit, or says that it will be.
        Disconnected: the client went away.
    """
    for name, value in headers:
        if name == b"content-length":
            if not value.isdigit():
                problem = "expected a number of bytes"
                raise InvalidRequest(problem, "content-length")
            if len(value) > 18 or int(value) > limit:
                raise PayloadTooLarge(limit)
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise PayloadTooLarge(limit)
        chunks.append(chunk)
        if not message.get("more_body", False):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)
