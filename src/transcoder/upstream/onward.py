"""Calls of generated stubs, made part of the call that a servicer answers."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from transcoder.upstream.backend_calls import Attempt, Backend
from transcoder.upstream.current import current
from transcoder.upstream.passing import LONGEST

TRACE = frozenset({"x-request-id", "traceparent", "tracestate", "baggage"})
"""Metadata by which a call's parts find together."""


class Onward:
    """A method of a generated stub; it answers to grpc.aio's multi-callables.

    Args:
        opened: returns gRPC's own multi-callable; it can be made only inside the running loop.
        passed: keys of the metadata that go along, unless the stub's user gives others.
        timeout: seconds that a call may take at most; None for no bound.
        backend: counts the calls.
    """

    def __init__(
        self,
        opened: Callable[[], Any],
        passed: Collection[str],
        timeout: float | None,
        backend: Backend,
    ) -> None:
        self._opened = opened
        self._passed = passed
        self._timeout = timeout
        self._backend = backend

    def __call__(
        self, *request: Any, timeout: float | None = None, metadata: Any = None, **options: Any
    ) -> Any:
        """Call the method, within the deadline of the call that this is part of."""
        context = current.get()
        bounds = [timeout, self._timeout]
        if context is not None:
            bounds.append(context.time_remaining())
            given = tuple(metadata or ())
            named = {key for key, _ in given}
            metadata = (
                *given,
                *(
                    (key, value)
                    for key, value in context.invocation_metadata() or ()
                    if key in self._passed and key not in named
                ),
            )
        timeout = min((bound for bound in bounds if bound is not None), default=None)
        if timeout is not None:
            timeout = min(timeout, LONGEST)
        attempt = Attempt(self._backend)
        call = self._opened()(*request, timeout=timeout, metadata=metadata, **options)
        call.add_done_callback(attempt.done)
        return call
