"""A name for every call, the same in every place that tells of it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from transcoder.call_details import CallDetails
from transcoder.metadata import Metadatum
from transcoder.policies.policy import Now, Stage

_new = tuple.__new__
_KEY: Final = "x-request-id"
_HEADER: Final = b"x-request-id"


class RequestId:
    """Names each call, by `X-Request-ID`.

    The client's own name is kept when it is of 1 to 128 letters, digits, dots, underscores and
    hyphens; else the call gets a new one. The servicer sees it in its metadata, as whoever the call
    is passed on to does; the answer tells it to the client, and so do logs.
    """

    name: Final = "request-id"
    stage: Final = Stage.REQUEST_ID
    writes: Final[Collection[str]] = (_KEY,)

    def decide(self, call: CallDetails, now: Now) -> None:
        """Name a call."""
        # Well-formed by itself, it needs none of the looks that others' values get.
        name = call.request_id
        call.metadata += (_new(Metadatum, (_KEY, name)),)
        call.answer_headers = (*call.answer_headers, (_HEADER, name.encode()))
