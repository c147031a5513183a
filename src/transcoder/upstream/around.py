"""What stands around a backend, and leaves to it all but its calls."""

from __future__ import annotations

from google.protobuf.descriptor import ServiceDescriptor

from transcoder.measured import Measured, Readings
from transcoder.upstream.proxy import Reachable, Remote


class Around:
    """The part of a `Remote` that is the backend's own.

    Args:
        upstream: the backend.
    """

    def __init__(self, upstream: Remote) -> None:
        self._upstream = upstream

    def readings(self) -> Readings:
        """Tell what the backend counts; see `Measured`."""
        if isinstance(self._upstream, Measured):
            yield from self._upstream.readings()

    def add(self, service: ServiceDescriptor) -> None:
        """Learn the methods of a service; see `Remote`."""
        self._upstream.add(service)

    async def check(self) -> str:
        """Return why the backend cannot be reached; see `Reachable`."""
        upstream = self._upstream
        return await upstream.check() if isinstance(upstream, Reachable) else ""

    async def close(self) -> None:
        """Let go of the backend."""
        await self._upstream.close()
