"""Several versions of a service, of which each call gets one.

    stable, canary = Version("v1", Channel("orders:1"), 95), Version("v2", Channel("orders:2"), 5)
    tried = HeaderMatch("x-experiment", "v2", exact="new")
    gateway.route(service, Split([stable, canary], matches=[tried]))

By what a call says of itself, and else by weights. Metadata is what both doors have: the headers of
a REST request, and what policies say of the caller, which no client can say itself. So whom a token
names decides, where a policy forwards that claim, or a condition asks for the claim.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import ServiceDescriptor

from transcoder.measured import Measured, Reading, Readings, labelled
from transcoder.upstream import Call, Request
from transcoder.upstream.proxy import Remote
from transcoder.upstream.versions import CALLS, Versions, unreachable


@dataclass(frozen=True, slots=True)
class Version:
    """One of the versions.

    Args:
        name: for matches and metrics.
        upstream: who answers.
        weight: of a hundred calls that no match decides, how many are its own; None for a version
            that has calls by matches alone.
    """

    name: str
    upstream: Remote
    weight: int | None = None


class Split(Versions[Version]):
    """Passes calls on to one of several versions; `Versions` has the arguments."""

    def readings(self) -> Readings:
        """Tell how many calls each version has got, and what it counts itself; see `Measured`."""
        for name, count in self.counts.items():
            yield Reading(CALLS, count, {"version": name})
        for name, version in self._versions.items():
            if isinstance(version.upstream, Measured):
                yield from labelled(version.upstream.readings(), version=name)

    def add(self, service: ServiceDescriptor) -> None:
        """Learn the methods of a service; see `Remote`."""
        for version in self._versions.values():
            version.upstream.add(service)

    async def check(self) -> str:
        """Return why none of the versions that weigh can be reached; see `Reachable`."""
        return await unreachable([each.upstream for each in self._weighing])

    async def close(self) -> None:
        """Let go of all versions."""
        for version in self._versions.values():
            await version.upstream.close()

    async def unary(self, call: Call, request: Request) -> Any:
        """Return the one reply of a version; see `Upstream`."""
        return await self._chosen(call).upstream.unary(call, request)

    def stream(self, call: Call, request: Request) -> AsyncGenerator[Any, None]:
        """Return the replies of a version; see `Upstream`."""
        return self._chosen(call).upstream.stream(call, request)
