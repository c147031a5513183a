"""What this process calls elsewhere, through channels: how often, how long, how it ended."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final, Self

import grpc
import grpc.aio

from transcoder.durations import BUCKETS, Durations
from transcoder.errors import StatusError
from transcoder.measured import Metric, Readings, Spread
from transcoder.status import FAULTS, Code

LIMIT: Final = 64
"""Backends that are told apart, a service at a target each; what is beyond counts as one."""

_OTHERS = ("others", "")
_METRIC: Final = Metric("transcoder_backend_duration_seconds", "Calls to backends.")


class Backend:
    """The calls to one service at one target."""

    __slots__ = ("answered", "failed")

    def __init__(self) -> None:
        self.answered = Durations()
        self.failed = Durations()


class BackendCalls:
    """The calls of a process, by the service and its target."""

    def __init__(self) -> None:
        self._backends: dict[tuple[str, str], Backend] = {}

    def to(self, path: str, target: str) -> Backend:
        """Return what counts the calls of a method, by its gRPC path.

        >>> calls = BackendCalls()
        >>> calls.to("/users.v1.Users/Get", "a:1") is calls.to("/users.v1.Users/List", "a:1")
        True
        """
        key = path[1:].rpartition("/")[0], target
        if key not in self._backends and len(self._backends) >= LIMIT:
            key = _OTHERS
        return self._backends.setdefault(key, Backend())

    def readings(self) -> Readings:
        """Tell them; see `Measured`."""
        for (service, target), backend in list(self._backends.items()):
            for outcome in ("answered", "failed"):
                durations: Durations = getattr(backend, outcome)
                labels = {"service": service, "target": target, "outcome": outcome}
                yield Spread(_METRIC, BUCKETS, durations.counts, durations.total, labels)


CALLS: Final = BackendCalls()
"""Those of this process."""


class Attempt:
    """One call to a backend, from its first byte to its status.

    Args:
        backend: which.
        time_remaining: returns the seconds until its deadline; a call that is given up then is the
            backend's failure, and one that is given up before is not.
    """

    __slots__ = ("_backend", "_begun", "_time_remaining")

    def __init__(
        self, backend: Backend, time_remaining: Callable[[], float | None] = lambda: None
    ) -> None:
        self._backend = backend
        self._time_remaining = time_remaining
        self._begun = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _type: object, error: BaseException | None, _tb: object) -> None:
        failed = error is not None and self._is_failure(error)
        self._count(failed=failed)

    def done(self, call: grpc.aio.Call) -> None:
        """Count a call of gRPC's own, which is over."""
        asking: Any = call.code()
        try:
            # What is over has its code, and answers without a wait.
            asking.send(None)
        except StopIteration as told:
            self._count(failed=Code(told.value.value[0]) in FAULTS)
        else:
            asking.close()

    def _is_failure(self, error: BaseException) -> bool:
        if isinstance(error, grpc.aio.AioRpcError):
            return Code(error.code().value[0]) in FAULTS
        if isinstance(error, StatusError):
            return error.status.code in FAULTS
        return isinstance(error, asyncio.CancelledError) and self._time_remaining() == 0

    def _count(self, *, failed: bool) -> None:
        backend = self._backend
        durations = backend.failed if failed else backend.answered
        durations.add(time.monotonic() - self._begun)
