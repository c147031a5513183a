"""Several versions of a service, of which each call gets one.

    stable, canary = Version("v1", Channel("orders:1"), 95), Version("v2", Channel("orders:2"), 5)
    tried = HeaderMatch("x-experiment", "v2", exact="new")
    gateway.route(service, Split([stable, canary], matches=[tried]))

By what a call says of itself in its metadata, and else by weights. Metadata is what both doors
have: the headers of a REST request, and what policies say of the caller, which no client can say
itself. So whom a token names decides, where a policy forwards that claim.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.descriptor import ServiceDescriptor

from transcoder.errors import ConfigError
from transcoder.measured import Measured, Metric, Reading, Readings, labelled
from transcoder.upstream import Call, Request
from transcoder.upstream.proxy import Reachable, Remote
from transcoder.upstream.round_robin import share, turns

_CALLS: Final = Metric("transcoder_split_calls", "Calls that a version got.", rises=True)


@dataclass(frozen=True, slots=True)
class Version:
    """One of the versions.

    Args:
        name: for matches and metrics.
        upstream: who answers.
        weight: of a hundred calls that no match decides, how many are its own.
    """

    name: str
    upstream: Remote
    weight: int = 0


@dataclass(frozen=True, slots=True)
class HeaderMatch:
    """Calls with this header, or metadata of this key, get that version.

    Where it is given several times, one value that fits is enough. Names have no case, and values
    do.

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

    def fits(self, value: str | bytes) -> bool:
        """Say whether a value is such a one."""
        if isinstance(value, bytes):
            return False
        return value == self.exact if self.prefix is None else value.startswith(self.prefix)


class Split:
    """Passes calls on to one of several versions.

    The first match that fits a call decides; then the value that it sticks by, for all calls of one
    value go to one version; and then it is whose turn it is, so that of any hundred such calls each
    version has as many as its weight.

    Args:
        versions: with weights that make up 100.
        matches: in the order in which they are asked.
        sticky: the key of metadata whose first value calls stick by, as `x-user-id`; empty for
            none.

    Raises:
        ConfigError: a weight is none or they do not make up 100, two versions have one name, or
            a match names no version, or not what it is to fit.
    """

    def __init__(
        self, versions: Sequence[Version], *, matches: Sequence[HeaderMatch] = (), sticky: str = ""
    ) -> None:
        self._versions = {version.name: version for version in versions}
        _check(versions, matches)
        self._matches = [(match.name.lower(), match) for match in matches]
        self._sticky = sticky.lower()
        self._named = list(self._versions)
        self._weights = [version.weight for version in versions]
        self._turns: Iterator[int] = itertools.cycle(turns(self._weights))
        self._counts = dict.fromkeys(self._versions, 0)

    @property
    def counts(self) -> dict[str, int]:
        """How many calls each version has got, by its name."""
        return dict(self._counts)

    def readings(self) -> Readings:
        """Tell how many calls each version has got, and what it counts itself; see `Measured`."""
        for name, count in self.counts.items():
            yield Reading(_CALLS, count, {"version": name})
        for name, version in self._versions.items():
            if isinstance(version.upstream, Measured):
                yield from labelled(version.upstream.readings(), version=name)

    def add(self, service: ServiceDescriptor) -> None:
        """Learn the methods of a service; see `Remote`."""
        for version in self._versions.values():
            version.upstream.add(service)

    async def check(self) -> str:
        """Return why none of the versions that weigh can be reached; see `Reachable`."""
        weighing = [version for version in self._versions.values() if version.weight]
        checks = [
            version.upstream.check()
            for version in weighing
            if isinstance(version.upstream, Reachable)
        ]
        reasons = await asyncio.gather(*checks)
        return "; ".join(reasons) if len(reasons) == len(weighing) and all(reasons) else ""

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
        name = self._name_of(call)
        self._counts[name] += 1
        return self._versions[name].upstream

    def _name_of(self, call: Call) -> str:
        if self._matches or self._sticky:
            metadata = call.metadata
            for name, match in self._matches:
                for given, value in metadata:
                    if given == name and match.fits(value):
                        return match.to
            for given, value in metadata:
                if given == self._sticky:
                    data = value if isinstance(value, bytes) else value.encode()
                    return self._named[share(self._weights, data)]
        return self._named[next(self._turns)]


def _check(versions: Sequence[Version], matches: Sequence[HeaderMatch]) -> None:
    names = [version.name for version in versions]
    if len(set(names)) != len(names):
        raise ConfigError(f"split: versions: {', '.join(names)}: each needs a name of its own")
    for version in versions:
        if type(version.weight) is not int or not 0 <= version.weight <= 100:
            problem = "a whole number from 0 to 100 is expected"
            raise ConfigError(f"split: {version.name}: weight {version.weight!r}: {problem}")
    total = sum(version.weight for version in versions)
    if total != 100:
        raise ConfigError(f"split: the weights make up {total}: 100 is expected")
    for match in matches:
        if match.to not in names:
            known = ", ".join(names) or "none"
            problem = f"no version is named {match.to!r}: there are {known}"
            raise ConfigError(f"split: {match.name}: {problem}")
        if (match.exact is None) == (match.prefix is None):
            raise ConfigError(f"split: {match.name}: one of exact and prefix is expected")
