"""The mark of calls that came through the gateway."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from transcoder.call_details import CallDetails
from transcoder.policies.policy import Now, Stage

_KEY: Final = "x-internal"


class Internal:
    """Marks calls with `X-Internal: true`, for the servicer and for backends.

    What a client sends under that name is removed, in every spelling. A service that gets it over
    a connection whose client it knows may believe it.
    """

    name: Final = "internal"
    stage: Final = Stage.AUTHORIZATION
    writes: Final[Collection[str]] = (_KEY,)

    def decide(self, call: CallDetails, now: Now) -> None:
        """Mark a call."""
        call.tell_servicer(_KEY, "true")
