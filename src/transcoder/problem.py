"""An error as `application/problem+json` (RFC 9457), for clients that ask for it.

The members of the RFC say what HTTP clients know. Beside them, as extension members, stand `code`
and `details` as `google.rpc.Status` has them.
"""

from __future__ import annotations

import http
import json
from typing import Final

from google.protobuf.descriptor_pool import DescriptorPool

from transcoder.marshaler import offers
from transcoder.status import Status

PROBLEM: Final = "application/problem+json"
"""The media type."""

_OFFER = offers(PROBLEM)


def is_wanted(accept: str) -> bool:
    """Say whether a client asks for its errors as problems, rather than as `google.rpc.Status`.

    It does when it names the media type: beside JSON too, which it wants where nothing fails.

    Args:
        accept: all values of the header, joined by commas.

    >>> is_wanted("application/json, application/problem+json"), is_wanted("*/*")
    (True, False)
    """
    return PROBLEM in accept.lower() and _OFFER.choose(accept) is not None


def to_problem(
    status: Status, http_status: int, instance: str = "", pool: DescriptorPool | None = None
) -> bytes:
    """Return a status as a problem.

    Args:
        status: of the call.
        http_status: of the answer.
        instance: a URI of this occurrence; empty for none.
        pool: where the types of details are looked up first.

    >>> from transcoder.status import Code
    >>> to_problem(Status(Code.ABORTED, "try again"), 409)[:64]
    b'{"type":"about:blank","title":"Conflict","status":409,"detail":"'
    """
    told = json.loads(status.to_json(pool))
    problem = {
        # Of this type it is said that the title is the HTTP status's own.
        "type": "about:blank",
        "title": _title(http_status),
        "status": http_status,
        "detail": told["message"],
        **({"instance": instance} if instance else {}),
        "code": told["code"],
        "details": told["details"],
    }
    return json.dumps(problem, ensure_ascii=False, separators=(",", ":")).encode()


def _title(http_status: int) -> str:
    try:
        return http.HTTPStatus(http_status).phrase
    except ValueError:
        return "Client Closed Request" if http_status == 499 else "Error"
