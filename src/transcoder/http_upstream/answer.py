"""The backend's answer, on its way to the client as it comes.

Each piece is sent before the next is read, so a client that does not read stops the backend. How it
is framed is the gateway's to say: the length is kept where there is one, and an answer without is
sent in chunks, or to the end of the connection (HTTP/1.0). What the backend does not end, the
gateway does not end either: it cuts the connection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import httpx2
from starlette.types import Scope, Send

from transcoder.asgi import WITHOUT_LENGTH, connection, with_told
from transcoder.call_details import CALL, CallDetails
from transcoder.errors import StatusError
from transcoder.metadata import OF_THE_CONNECTION
from transcoder.refusal import refuse
from transcoder.status import Code
from transcoder.upstream.failures import UNREADABLE

IsOwned = Callable[[bytes], bool]

_NOT_TOLD: Final = frozenset(
    # Date is our own server's to say; the name of the backend's server tells of the inside.
    {*(name.encode() for name in OF_THE_CONNECTION), b"date", b"server"}
)
_LENGTH: Final = b"content-length"
_BODY: Final = "http.response.body"


def headers_of(raw: Iterable[tuple[bytes, bytes]], is_owned: IsOwned) -> list[tuple[bytes, bytes]]:
    """Return what a client is told of a backend's headers.

    Args:
        raw: of the answer.
        is_owned: says which are the gateway's own to say.
    """
    headers = [(name.lower(), value) for name, value in raw]
    named = {
        token.strip(b" \t").lower()
        for name, value in headers
        if name == b"connection"
        for token in value.split(b",")
    }
    chunked = any(name == b"transfer-encoding" for name, _ in headers)
    hidden = (named | {_LENGTH}) if chunked else named
    return [
        pair
        for pair in headers
        if pair[0] not in _NOT_TOLD and pair[0] not in hidden and not is_owned(pair[0])
    ]


class Answer:
    """An answer on its way.

    Args:
        scope: of the request.
        send: the ASGI channel.
        is_owned: says which headers are the gateway's own to say.
    """

    def __init__(self, scope: Scope, send: Send, is_owned: IsOwned) -> None:
        self.begun = False
        """Whether the client has been told a status."""
        self._complete = False
        self._scope = scope
        self._send = send
        self._is_owned = is_owned
        self._call: CallDetails | None = scope.get(CALL)
        self._connection = connection(scope)

    async def pass_on(self, response: httpx2.Response) -> None:
        """Send all of it.

        Raises:
            StatusError: it is no answer to a request.
            httpx2.TransportError: it is not whole.
        """
        left = await self._begin(response)
        if left == 0:
            await self._last(b"")
        stream: httpx2.AsyncByteStream = response.stream  # type: ignore[assignment]
        async for piece in stream:
            if self._call is not None:
                self._call.sent += len(piece)
            if left is None:
                await self._more(piece)
            else:
                left -= len(piece)
                await (self._last(piece) if left <= 0 else self._more(piece))
        if not self._complete:
            if self._connection is not None:
                self._connection.end_stream()
            await self._last(b"")

    def fail(self, error: BaseException) -> None:
        """Cut the connection, so that the client sees that the answer is not whole.

        Raises:
            ConnectionAbortedError: only an exception makes this server end the connection.
        """
        if self._complete:
            return
        call = self._call
        told = 0 if call is None else call.http_status
        refuse(error, self._scope)
        if call is not None:
            call.http_status, call.reason = told, "cut"
        self.cut()

    def cut(self) -> None:
        """Cut the connection; as `fail`."""
        if self._connection is not None:
            self._connection.cut()
        elif not self._complete:
            raise ConnectionAbortedError("the backend's answer is not whole")

    async def _begin(self, response: httpx2.Response) -> int | None:
        """Send the head; return how many bytes follow, None where nobody knows."""
        status = response.status_code
        if not 200 <= status < 600:
            refusal = StatusError(Code.INTERNAL, UNREADABLE, http=502)
            refusal.log = f"the backend answered with status {status}"
            raise refusal
        headers = headers_of(response.headers.raw, self._is_owned)
        left = None
        if status in WITHOUT_LENGTH:
            headers = [pair for pair in headers if pair[0] != _LENGTH]
            left = 0
        elif self._scope["method"] == "HEAD":
            left = 0
        else:
            for name, value in headers:
                if name == _LENGTH:
                    left = int(value)
        if left is None and self._connection is not None:
            self._connection.begin_stream()
        call = self._call
        if call is not None:
            call.http_status = status
            call.code = Code.OK if status < 400 else None
            headers = with_told(headers, call.answer_headers)
        self.begun = True
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        return left

    async def _more(self, piece: bytes) -> None:
        await self._send({"type": _BODY, "body": piece, "more_body": True})

    async def _last(self, piece: bytes) -> None:
        self._complete = True
        await self._send({"type": _BODY, "body": piece})
