"""How long a call on the gRPC port may take, whatever its client says.

The deadlines that clients set are gRPC's to keep. Where a client sets none, or one that is too far
away, the call's task is cancelled when its time is over.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator

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


@contextlib.asynccontextmanager
async def within(seconds: float | None) -> AsyncGenerator[float | None, None]:
    """Cancel what the running task does when the time is over; give when that is.

    That time is on the clock of `time.monotonic`.

    Raises (on exit):
        StatusError: DEADLINE_EXCEEDED, whatever was made of the cancellation.
    """
    if seconds is None:
        yield None
        return
    timeout = asyncio.timeout(seconds)
    try:
        async with timeout:
            yield time.monotonic() + seconds
    except grpc.aio.AbortError:
        raise
    except Exception:
        if not timeout.expired():
            raise
    if timeout.expired():
        raise StatusError(Code.DEADLINE_EXCEEDED, PASSED)
