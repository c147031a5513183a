"""The servicer's part in an HTTP answer: its metadata as headers, and the HTTP status that it set.

The status is metadata too, `x-http-code`, initial or trailing: of several the last one counts. It
is consumed here. A reply is told with 200 to 399, an error with 400 to 599; what is neither is the
servicer's defect, and beside an error it says nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from transcoder.errors import StatusError
from transcoder.metadata import HTTP_CODE, RawHeaders
from transcoder.outbound import Outbound, announced, split
from transcoder.response import Payload
from transcoder.status import Code

Metadata = Sequence[tuple[str, str | bytes]]

WITHOUT_BODY: Final = frozenset({204, 205, 304})
"""HTTP statuses of answers that end behind their head (RFC 9110, sections 15.3.5 and 15.4.5)."""

_OUTBOUND = Outbound()
_OF_REPLIES = {str(status): status for status in range(200, 400)}
_OF_ERRORS = {str(status): status for status in range(400, 600)}
# Of these the servicer's own are better than ours.
_DEFAULTS = frozenset({b"www-authenticate", b"retry-after"})


def with_metadata(
    payload: Payload,
    initial: Metadata,
    trailing: Metadata,
    outbound: Outbound = _OUTBOUND,
    *,
    trailers: bool = False,
) -> Payload:
    """Return an answer with what the servicer said beside its reply, or beside its error.

    Args:
        payload: the answer without it.
        initial: metadata that were sent first.
        trailing: metadata that come with the status; they are promoted to headers.
        outbound: how metadata become headers.
        trailers: whether trailing metadata become HTTP trailers instead, but for those that HTTP
            wants to know before the body.

    Raises:
        StatusError: 502, the HTTP status for a reply is none of a reply.

    >>> with_metadata(Payload(200, b"text/plain", b"a"), [("x-http-code", "201")], []).status
    201
    """
    if not initial and not trailing:
        return payload
    status = payload.status if payload.status >= 400 else _status(payload.status, initial, trailing)
    if status in WITHOUT_BODY:
        payload, trailers = Payload(status, b"", b"", payload.headers), False
    promoted, after = split(trailing) if trailers else (trailing, [])
    behind: RawHeaders = outbound.trailers(after) if after else ()
    sent = outbound.headers(initial, promoted)
    if behind:
        sent.append(announced(behind))
    headers = _merged(payload.headers, sent)
    return payload._replace(status=status, headers=headers, trailers=behind)


def with_http_status(error: StatusError, initial: Metadata, trailing: Metadata) -> StatusError:
    """Return an error with the HTTP status that the servicer set for it, if it set one.

    >>> error = StatusError(Code.FAILED_PRECONDITION, "it was changed meanwhile")
    >>> with_http_status(error, [], [("x-http-code", "412")]).http
    412
    """
    code = _code(initial, trailing)
    http = None if code is None else _OF_ERRORS.get(code)
    if http is None:
        return error
    status = error.status
    changed = StatusError(
        status.code, status.message, status.details, http=http, headers=error.headers
    )
    changed.__cause__, changed.log = error.__cause__, error.log
    return changed


def _merged(ours: RawHeaders, sent: RawHeaders) -> list[tuple[bytes, bytes]]:
    better = _DEFAULTS.intersection(name for name, _ in sent)
    kept = [header for header in ours if header[0] not in better]
    # Of Vary there may be several.
    names = {name for name, _ in kept} - {b"vary"}
    return [*kept, *(header for header in sent if header[0] not in names)]


def _status(status: int, initial: Metadata, trailing: Metadata) -> int:
    code = _code(initial, trailing)
    found = status if code is None else _OF_REPLIES.get(code)
    if found is None:
        cause = ValueError(f"metadata {HTTP_CODE} {code!r}: 200 to 399 is expected with a reply")
        problem = "the service set an HTTP status that cannot be sent"
        raise StatusError(Code.INTERNAL, problem, http=502) from cause
    return found


def _code(*metadata: Metadata) -> str | None:
    found = None
    for pairs in metadata:
        for key, value in pairs:
            if key == HTTP_CODE:
                found = str(value)
    return found
