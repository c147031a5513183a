"""The call that the running code answers, so that calls to other services can be part of it."""

from __future__ import annotations

from collections.abc import Iterable
from contextvars import ContextVar
from typing import Final, Protocol


class Answering(Protocol):
    """What a servicer's context tells of the call it answers; every context of gRPC does."""

    def invocation_metadata(self) -> Iterable[tuple[str, str | bytes]] | None:
        """Return the metadata that the client sent."""
        ...

    def time_remaining(self) -> float | None:
        """Return the seconds that are left; None without a deadline."""
        ...


current: Final[ContextVar[Answering | None]] = ContextVar("transcoder.current", default=None)
"""The context of the servicer that runs, set before it is called, on both doors."""
