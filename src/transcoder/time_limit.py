"""How long a call on the gRPC port may take, whatever its client says.

The deadlines that clients set are gRPC's to keep. Where a client sets none, or one that is too far
away, the call's task is cancelled when its time is over.
"""

from __future__ import annotations

import asyncio
import time
from types import TracebackType

import grpc.aio

from transcoder.errors import StatusError
from transcoder.status import Code
from transcoder.upstream.passing import PASSED


def limit(allowed: tuple[float | None, float], left: float | None) -> float | None:
    """Return the seconds after which a call is ended; None where its client's deadline does that.

    Args:
        allowed: seconds for who sets no deadline, None for no end, and the most of all.
        left: seconds until the client's deadline; None without one.

    >>> limit((30.0, 300.0), None), limit((30.0, 300.0), 1e9), limit((30.0, 300.0), 40.0)
    (30.0, 300.0, None)
    """
    default, most = allowed
    if left is None:
        return default
    return most if left > most else None


class Within:
    """Cancels what the running task does when the time is over; gives when that is.

    That time is on the clock of `time.monotonic`.

    Args:
        seconds: from now on; None for as many as it likes.

    Raises (on exit):
        StatusError: DEADLINE_EXCEEDED, whatever was made of the cancellation but an abort.
    """

    __slots__ = ("_seconds", "_timeout")

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._timeout: asyncio.Timeout | None = None

    async def __aenter__(self) -> float | None:
        """Begin."""
        if self._seconds is None:
            return None
        self._timeout = asyncio.timeout(self._seconds)
        await self._timeout.__aenter__()
        return time.monotonic() + self._seconds

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End; say so if the time is over."""
        timeout = self._timeout
        if timeout is None:
            return
        try:
            await timeout.__aexit__(kind, error, trace)
        except TimeoutError:
            raise StatusError(Code.DEADLINE_EXCEEDED, PASSED) from None
        ends = error is None or isinstance(error, Exception)
        if ends and timeout.expired() and not isinstance(error, grpc.aio.AbortError):
            raise StatusError(Code.DEADLINE_EXCEEDED, PASSED)
