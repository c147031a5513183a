"""One endpoint of a backend, whatever is spoken to it."""

from __future__ import annotations

import asyncio
import enum
from typing import Generic, Protocol, TypeVar

from transcoder.discovery.source import Endpoint


class Standing(enum.IntEnum):
    """How a connection is; the best comes first."""

    CONNECTED = 0
    UNTRIED = 1
    LOST = 2


class Connection(Protocol):
    """What leads to one endpoint."""

    async def close(self) -> None:
        """Cancel what is called, and disconnect."""
        ...


C = TypeVar("C", bound=Connection)


class Member(Generic[C]):
    """One endpoint, and what leads to it.

    Args:
        endpoint: which.
        connection: to it.
    """

    __slots__ = ("_ended", "active", "connection", "endpoint")

    def __init__(self, endpoint: Endpoint, connection: C) -> None:
        self.endpoint = endpoint
        self.connection = connection
        self.active = 0
        """Calls under way."""
        self._ended: asyncio.Event | None = None

    def end(self) -> None:
        """Take note of the end of a call."""
        self.active -= 1
        if self._ended is not None and not self.active:
            self._ended.set()

    async def ended(self) -> None:
        """Return when no call is under way."""
        if self.active:
            self._ended = asyncio.Event()
            await self._ended.wait()
