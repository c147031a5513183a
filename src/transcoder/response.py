"""What goes back to the client, as status, headers and bytes; and errors as such."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

from google.protobuf.descriptor_pool import DescriptorPool

from transcoder.errors import StatusError
from transcoder.metadata import RawHeaders, is_header
from transcoder.problem import PROBLEM, is_wanted, to_problem
from transcoder.status import Code, Status

_log = logging.getLogger(__name__)

JSON = b"application/json"
OCTETS = b"application/octet-stream"
INTERNAL = StatusError(Code.INTERNAL, "internal error")
"""What a client is told of any defect on our side."""

_PROBLEM = PROBLEM.encode()


class Payload(NamedTuple):
    """An HTTP answer without the wire: what `send` needs, and nothing else.

    Args:
        status: of HTTP.
        content_type: empty for an answer without a body.
        body: all of it.
        headers: further ones, names in lower case.
        trailers: what follows the body, announced among the headers.
    """

    status: int
    content_type: bytes
    body: bytes
    headers: RawHeaders = ()
    trailers: RawHeaders = ()


ErrorShape: TypeAlias = Callable[[Status, int], "Payload | None"]
"""From a call's status and its HTTP status to the answer; None for the usual one."""


_MEDIA_TYPE = re.compile(r"[!#$&^_.+\w-]+/[!#$&^_.+\w-]+(?: *;[ -~]*)?", re.ASCII)


def content_type(text: str) -> bytes:
    r"""Return a content type that is safe in a header; what is not one becomes octets.

    >>> content_type("image/png"), content_type("image/png\r\nx: y")
    (b'image/png', b'application/octet-stream')
    """
    if len(text) <= 255 and _MEDIA_TYPE.fullmatch(text):
        return text.encode("ascii")
    return OCTETS


def error_payload(
    error: BaseException,
    accept: str = "",
    shape: ErrorShape | None = None,
    pool: DescriptorPool | None = None,
) -> Payload:
    """Return the answer that tells a client of an error.

    Only a StatusError speaks for itself; of anything else the client learns INTERNAL.

    Args:
        error: what went wrong.
        accept: what the client takes; who names `application/problem+json` gets it (RFC 9457).
        shape: asked first for the answer. What it raises, or returns and cannot be sent, is logged
            and changes nothing.
        pool: where the types of an error's details are looked up first.

    >>> error_payload(StatusError(Code.NOT_FOUND, "no such user")).status
    404
    >>> error_payload(KeyError("secret")).body
    b'{"code":13,"message":"internal error","details":[]}'
    """
    told = error if isinstance(error, StatusError) else INTERNAL
    headers = told.answer_headers()
    own = None if shape is None else _shaped(told, shape)
    if own is not None:
        names = {name for name, _ in own.headers}
        rest = [header for header in headers if header[0] not in names]
        return own._replace(headers=[*own.headers, *rest])
    if accept and is_wanted(accept):
        return Payload(told.http, _PROBLEM, to_problem(told.status, told.http, pool=pool), headers)
    return Payload(told.http, JSON, told.status.to_json(pool), headers)


def _shaped(told: StatusError, shape: ErrorShape) -> Payload | None:
    try:
        own = shape(told.status, told.http)
        if own is None or _can_be_sent(own):
            return own
    except Exception:  # noqa: BLE001  whatever a stranger's function raises
        _log.exception("shaping an error failed; it is told as usual")
    else:
        _log.error("shaping an error gave no payload that can be sent; it is told as usual")
    return None


def _can_be_sent(payload: Any) -> bool:
    if not isinstance(payload, Payload):
        return False
    body: Any = payload.body
    return (
        isinstance(body, bytes)
        and payload.status in range(200, 600)
        and _MEDIA_TYPE.fullmatch(payload.content_type.decode("latin-1")) is not None
        and all(is_header(name, value) for name, value in payload.headers)
    )
