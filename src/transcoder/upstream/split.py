"""Several versions of a service, of which each call gets one.

    stable, canary = Version("v1", Channel("orders:1"), 95), Version("v2", Channel("orders:2"), 5)
    tried = HeaderMatch("x-experiment", "v2", exact="new")
    gateway.route(service, Split([stable, canary], matches=[tried]))

By what a call says of itself, and else by weights. Metadata is what both doors have: the headers of
a REST request, and what policies say of the caller, which no client can say itself. So whom a token
names decides, where a policy forwards that claim, or a condition asks for the claim.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from google.protobuf.descriptor import ServiceDescriptor

from transcoder.errors import ConfigError
from transcoder.measured import Measured, Metric, Reading, Readings, labelled
from transcoder.upstream import Call, Request
from transcoder.upstream.choice import Choice, Condition, Sticky, VersionMatch
from transcoder.upstream.proxy import Reachable, Remote

CALLS: Final = Metric("transcoder_split_calls", "Calls that a version got.", rises=True)


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


@dataclass(frozen=True, slots=True)
class HeaderMatch:
    """Calls with this header, or metadata of this key, get that version.

    A `VersionMatch` of one condition, which is the most usual one.

    Args:
        name: of the header, as `user-agent`.
        to: the name of a version.
        exact: the whole of a value.
        prefix: how a value begins; one of the two is expected.
    """

    name: str
    to: str
    exact: str | None = None
    prefix: str | None = None


class Split:
    """Passes calls on to one of several versions; `choice` tells which.

    Args:
        versions: with weights that make up 100.
        matches: in the order in which they are asked.
        sticky: what calls stick by; a text is the key of metadata, as `x-user-id`, and an empty one
            is nothing.

    Raises:
        ConfigError: a weight is not from 1 to 100 or they do not make up 100, two versions have one
            name, or a match names no version, or not what it is to fit.
    """

    def __init__(
        self,
        versions: Sequence[Version],
        *,
        matches: Sequence[HeaderMatch | VersionMatch] = (),
        sticky: str | Sticky = "",
    ) -> None:
        self._versions = {version.name: version for version in versions}
        self._choice = choice_of(versions, matches, sticky)
        self._counts = dict.fromkeys(self._versions, 0)

    @property
    def needs_details(self) -> bool:
        """Whether calls are looked at beyond their metadata."""
        return self._choice.needs_details

    @property
    def counts(self) -> dict[str, int]:
        """How many calls each version has got, by its name."""
        return dict(self._counts)

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
        return await unreachable([each.upstream for each in self._versions.values() if each.weight])

    async def close(self) -> None:
        """Let go of all versions."""
        for version in self._versions.values():
            await version.upstream.close()

    async def unary(self, call: Call, request: Request) -> Any:
        """Return the one reply of a version; see `Upstream`."""
        return await self._chosen(call).unary(call, request)

    def stream(self, call: Call, request: Request) -> AsyncGenerator[Any, None]:
        """Return the replies of a version; see `Upstream`."""
        return self._chosen(call).stream(call, request)

    def _chosen(self, call: Call) -> Remote:
        name = self._choice(call)
        self._counts[name] += 1
        return self._versions[name].upstream


class _Weighs(Protocol):
    """A version of whatever kind."""

    @property
    def name(self) -> str: ...

    @property
    def weight(self) -> int | None: ...


def choice_of(
    versions: Sequence[_Weighs],
    matches: Sequence[HeaderMatch | VersionMatch],
    sticky: str | Sticky,
) -> Choice:
    """Return what chooses among versions; see `Split`.

    Raises:
        ConfigError: as there.
    """
    names = [version.name for version in versions]
    if len(set(names)) != len(names):
        raise ConfigError(f"split: versions: {', '.join(names)}: each needs a name of its own")
    by = Sticky(header=sticky) if isinstance(sticky, str) and sticky else sticky or None
    weights = {version.name: version.weight for version in versions}
    return Choice(weights, [_general(match) for match in matches], by)


def _general(match: HeaderMatch | VersionMatch) -> VersionMatch:
    if isinstance(match, VersionMatch):
        return match
    condition = Condition(header=match.name, exact=match.exact, prefix=match.prefix)
    return VersionMatch(match.to, [condition])


async def unreachable(weighing: Sequence[Any]) -> str:
    """Return why none of the upstreams of those versions that weigh can be reached.

    Args:
        weighing: the upstreams.
    """
    checks = [each.check() for each in weighing if isinstance(each, Reachable)]
    reasons = await asyncio.gather(*checks)
    return "; ".join(reasons) if len(reasons) == len(weighing) and all(reasons) else ""
