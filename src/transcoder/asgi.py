"""What an ASGI scope says, and an answer as ASGI sends it."""

from __future__ import annotations

import functools
import logging
import urllib.parse
from typing import Any, Final, Protocol

from starlette.types import Scope, Send

from transcoder.call_details import CALL, CallDetails
from transcoder.metadata import RawHeaders
from transcoder.outbound import takes_trailers
from transcoder.response import Payload
from transcoder.status import Code

_log = logging.getLogger(__name__)

CONNECTION: Final = "transcoder.connection"
"""The ASGI extension by which our own server gives a hold on the connection."""

NO_SNIFFING: Final = (b"x-content-type-options", b"nosniff")
"""Keeps browsers from taking an answer for what its content type does not say."""

_REMEMBERED = 64

TRAILERS: Final = "http.response.trailers"
"""The ASGI extension for HTTP trailers, and its message."""

WITHOUT_LENGTH: Final = frozenset({204, 304})
"""HTTP statuses of answers whose length is no length of theirs (RFC 9110, section 8.6)."""


class Connection(Protocol):
    """One HTTP connection, as far as a streamed answer needs it beside ASGI."""

    def answer(self, send: Send, head: bytes, body: bytes) -> bool:
        """Send an answer with status 200 at once; False, and nothing sent, where that cannot be.

        Args:
            send: the ASGI channel of the request.
            head: the lines of its headers, each with its end.
            body: all of it.
        """
        ...

    def begin_stream(self) -> None:
        """Prepare for an answer without a length."""
        ...

    def end_stream(self) -> None:
        """Prepare for its last, empty piece."""
        ...

    def cut(self, *, at_once: bool = False) -> None:
        """End the connection so that the client sees that the answer is not whole."""
        ...


def connection(scope: Scope) -> Connection | None:
    """Return the hold on the connection; None under another server."""
    extensions = scope.get("extensions")
    found: Connection | None = extensions.get(CONNECTION) if extensions else None
    return found


def raw_path(scope: Scope) -> str:
    """Return the path as the client sent it, below the root path of a mount."""
    raw = scope.get("raw_path")
    path: str = _encoded(scope["path"]) if raw is None else raw.decode("latin-1")
    root = scope.get("root_path")
    if not root:
        return path
    # A mount compares decoded paths: the client may have spelled the prefix in its own way.
    depth = root.count("/") + 1
    segments = path.split("/", depth)
    below = urllib.parse.unquote("/".join(segments[:depth])) == root
    return "/" + "".join(segments[depth:]) if below else path


def asked_host(scope: Scope) -> tuple[str, int | None]:
    """Return the Host header, and the port that the connection came to; None for a Unix socket."""
    server = scope.get("server")
    return header(scope["headers"], b"host"), None if server is None else server[1]


def _encoded(path: str) -> str:
    _warn_of_decoded_paths()
    return urllib.parse.quote(path, safe="/:@!$&'()*+,;=")


@functools.cache
def _warn_of_decoded_paths() -> None:
    _log.warning(
        "this ASGI server gives no raw_path: an escaped slash in a path cannot be told from a slash"
    )


def header(headers: RawHeaders, name: bytes) -> str:
    """Return the first header of that name, empty when there is none.

    Args:
        headers: as ASGI has them.
        name: in lower case.
    """
    for key, value in headers:
        if key == name:
            return value.decode("latin-1")
    return ""


async def send_payload(payload: Payload, scope: Scope, send: Send) -> None:
    """Send a whole answer; to HEAD without its body."""
    left = send_now(payload, scope, send)
    if left is not None:
        await send_left(left, scope, send)


def send_now(payload: Payload, scope: Scope, send: Send) -> Payload | None:
    """Send a whole answer without a wait, as our own server can most of them.

    Returns:
        What is left for `send_left`: None, or all of it, with what the policies say.
    """
    call: CallDetails | None = scope.get(CALL)
    if call is not None:
        payload = _noted(payload, call)
    hold = connection(scope)
    status, content_type, body, headers, trailers = payload
    if hold is None or status != 200 or trailers or not content_type:
        return payload
    # The headers of most answers are always the same.
    of = _usual_head if type(headers) is tuple else _head
    head = of(content_type, headers)
    if not head:
        return payload
    head += b"%d\r\n" % len(body)
    sent = hold.answer(send, head, b"" if scope["method"] == "HEAD" else body)
    return None if sent else payload


def _head(content_type: bytes, headers: RawHeaders) -> bytes:
    """Return the headers of an answer up to its length; empty if they do not make a head."""
    lines = [
        b"content-type: %b\r\n" % content_type,
        b"%b: %b\r\n" % NO_SNIFFING,
        *[b"%b: %b\r\n" % header for header in headers],
    ]
    head = b"".join(lines)
    whole = head.count(b"\n") == head.count(b"\r") == len(lines) and b"\0" not in head
    return head + b"content-length: " if whole else b""


_usual_head = functools.lru_cache(_REMEMBERED)(_head)


async def send_left(payload: Payload, scope: Scope, send: Send) -> None:
    """Send what `send_now` left, in the words of ASGI."""
    body = b"" if scope["method"] == "HEAD" else payload.body
    headers: list[tuple[bytes, bytes]] = []
    if payload.content_type:
        headers += (b"content-type", payload.content_type), NO_SNIFFING
    if payload.status not in WITHOUT_LENGTH and not payload.trailers:
        headers.append((b"content-length", b"%d" % len(payload.body)))
    headers += payload.headers
    start: dict[str, Any] = {
        "type": "http.response.start",
        "status": payload.status,
        "headers": headers,
    }
    if payload.trailers:
        start["trailers"] = True
    await send(start)
    await send({"type": "http.response.body", "body": body})
    if payload.trailers:
        await send({"type": TRAILERS, "headers": payload.trailers, "more_trailers": False})


def with_told(headers: RawHeaders, told: RawHeaders) -> list[tuple[bytes, bytes]]:
    """Return the headers of an answer with those that policies say, where it has none of the name.

    Args:
        headers: of the answer.
        told: what the policies say.
    """
    found = list(headers)
    # Few and short, and a set of the names would take longer than all of this.
    for pair in told:
        name = pair[0]
        for other, _ in headers:
            if other == name and name != b"vary":
                break
        else:
            found.append(pair)
    return found


def note_gone(scope: Scope) -> None:
    """Note that the client of a call went away before its answer."""
    call: CallDetails | None = scope.get(CALL)
    if call is not None:
        call.code, call.reason = Code.CANCELLED, "client-gone"


def _noted(payload: Payload, call: CallDetails) -> Payload:
    """Note how a call is answered; return the answer with what its policies say."""
    call.http_status = payload.status
    call.sent += len(payload.body)
    if call.code is None and payload.status < 400:
        call.code = Code.OK
    if not call.answer_headers:
        return payload
    status, content_type, body, headers, trailers = payload
    told = with_told(headers, call.answer_headers)
    # `_replace` takes as long as all the rest.
    return Payload(status, content_type, body, told, trailers)


def carries_trailers(scope: Scope, headers: RawHeaders) -> bool:
    """Say whether server and client both take HTTP trailers behind an answer."""
    extensions = scope.get("extensions")
    if not extensions or TRAILERS not in extensions:
        return False
    # They need chunks, and an answer that has a body.
    can_follow = scope.get("http_version") != "1.0" and scope["method"] != "HEAD"
    return can_follow and takes_trailers(headers)
