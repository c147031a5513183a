"""What a call to a backend failed of, as what its client is told.

grpc.aio has one exception for what a backend says and for what gRPC itself finds wrong on the way,
and gives both codes of the same table. They mean different things: a reply over our limit is
RESOURCE_EXHAUSTED to gRPC, but no client has exhausted anything. So what gRPC says of itself, known
by its words, becomes a status of the gateway's own, and its words, which name addresses, go to
the log. A backend that speaks in gRPC's words gains nothing by it.
"""

from __future__ import annotations

import re
from typing import Any, Final

import grpc
import grpc.aio

from transcoder.errors import StatusError
from transcoder.response import INTERNAL
from transcoder.status import Code, code_of
from transcoder.upstream.passing import PASSED, status_details

UNAVAILABLE: Final = "the backend is unavailable"
UNREADABLE: Final = "the backend's answer cannot be read"
TOO_LARGE: Final = "the backend's answer is over a limit"

_OF_GRPC = re.compile(
    r"Stream removed \(|Received http2 header with status|No status received|CLIENT: |"
    r"connections to all backends failing|failed to connect to all addresses|errors resolving |"
    r"Failed to create channel|empty address list|Compression bit set|Decompression failed|"
    r"Channel shutdown|Cannot invoke RPC|Too many pings"
)
_REFUSED = re.compile(r"Stream removed \(RST_STREAM \(Received RST_STREAM with error code 7\)\)")
_UNREACHED = re.compile(
    r"connections to all backends failing|failed to connect to all addresses|errors resolving |"
    r"empty address list"
)
_PARSING = re.compile(r"Stream removed \(Error parsing '")
_OVER = re.compile(r"CLIENT: Received message larger than max|received metadata size exceeds")
_SENT = re.compile(r"(CLIENT: Sent|SERVER: Received) message larger than max")
# So grpc.aio and grpc tell clients the text of an exception; other servers tell none.
_EXCEPTION = re.compile(r"Unexpected <class|Exception (calling application|iterating)|Traceback ")


def is_poisoned(error: grpc.aio.AioRpcError) -> bool:
    """Say whether a call failed of a header that gRPC will not forget.

    It stays in the connection's table of headers (RFC 7541, section 2.3.2), and whatever refers to
    it there fails as well, whosever call that is.
    """
    return _PARSING.match(error.details() or "") is not None


class Unprocessed(StatusError):
    """The backend did not begin with the call, which may be tried again."""

    def __init__(self) -> None:
        super().__init__(Code.UNAVAILABLE, UNAVAILABLE)


class Refused(Unprocessed):
    """It said so (RFC 9113, section 8.7)."""


class Unreached(Unprocessed):
    """There is no connection to it, and so the call never left."""


def failure(
    error: grpc.aio.AioRpcError, method: str, target: str, *, is_lost: bool = False
) -> StatusError:
    """Return what the client of a failed call is told.

    Args:
        error: what grpc.aio raised.
        method: the gRPC path, for the log.
        target: the backend, for the log.
        is_lost: whether there is no connection to the backend. Without that, gRPC's words for it
            are the backend's own, which tell of somebody behind it.
    """
    code = code_of(error.code().value[0])
    said = error.details() or ""
    if code is Code.DEADLINE_EXCEEDED:
        return StatusError(code, PASSED)
    if _SENT.search(said):
        return StatusError(code, "the request is over the backend's limit", http=413)
    if _OF_GRPC.match(said):
        lost = is_lost and code is Code.UNAVAILABLE and _UNREACHED.match(said)
        return _because(Unreached() if lost else _of_grpc(code, said), method, target, said)
    if _EXCEPTION.match(said):
        return _because(StatusError(code, INTERNAL.status.message), method, target, said)
    details: Any = status_details(error.trailing_metadata())
    return StatusError(code, said, details)


def unreadable(method: str, target: str, why: str) -> StatusError:
    """Return what the client is told when a backend's answer is none.

    Args:
        method: the gRPC path, for the log.
        target: the backend, for the log.
        why: for the log.
    """
    return _because(StatusError(Code.INTERNAL, UNREADABLE, http=502), method, target, why)


def too_large(method: str, target: str, why: str) -> StatusError:
    """Return what the client is told when a backend's answer is over a limit.

    Args:
        method: the gRPC path, for the log.
        target: the backend, for the log.
        why: which one, for the log.
    """
    return _because(StatusError(Code.INTERNAL, TOO_LARGE, http=502), method, target, why)


def _because(error: StatusError, method: str, target: str, why: str) -> StatusError:
    error.log = f"{method} at {target}: {why[:300]!r}"
    return error


def _of_grpc(code: Code, said: str) -> StatusError:
    if _REFUSED.match(said):
        return Refused()
    if _OVER.search(said):
        return StatusError(Code.INTERNAL, TOO_LARGE, http=502)
    # RESOURCE_EXHAUSTED is how gRPC tells that the backend reset the call to calm us.
    if code in {Code.UNAVAILABLE, Code.RESOURCE_EXHAUSTED}:
        return StatusError(Code.UNAVAILABLE, UNAVAILABLE)
    # HTTP 401 and 403 of a proxy before the backend, which has seen the client's credentials.
    if code in {Code.UNAUTHENTICATED, Code.PERMISSION_DENIED}:
        return StatusError(code, "the backend refused the call")
    return StatusError(Code.INTERNAL, UNREADABLE, http=502)
