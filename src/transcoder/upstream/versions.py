"""Versions of whatever answers, of which each call gets one, and how many it got."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, Protocol, TypeVar

from transcoder.errors import ConfigError
from transcoder.measured import Metric
from transcoder.upstream.choice import Asked, Choice, Condition, Sticky, VersionMatch
from transcoder.upstream.proxy import Reachable

CALLS: Final = Metric("transcoder_split_calls", "Calls that a version got.", rises=True)


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


class Weighing(Protocol):
    """A version of whatever kind."""

    @property
    def name(self) -> str:
        """For matches and metrics."""
        ...

    @property
    def weight(self) -> int | None:
        """Of a hundred calls that no match decides, how many are its own."""
        ...


V = TypeVar("V", bound=Weighing)


class Versions(Generic[V]):
    """Several versions, one of which is chosen for each call; see `choice`.

    Args:
        versions: with weights that make up 100.
        matches: in the order in which they are asked.
        sticky: what calls stick by; a text is the name of a header, an empty one is nothing.

    Raises:
        ConfigError: a weight is not from 1 to 100 or they do not make up 100, two versions have one
            name, or a match names no version, or not what it is to fit.
    """

    def __init__(
        self,
        versions: Sequence[V],
        *,
        matches: Sequence[HeaderMatch | VersionMatch] = (),
        sticky: str | Sticky = "",
    ) -> None:
        self._versions = {version.name: version for version in versions}
        self._choice = choice_of(versions, matches, sticky)
        self._counts = dict.fromkeys(self._versions, 0)

    @property
    def needs_details(self) -> bool:
        """Whether calls are looked at beyond what a servicer is told of them."""
        return self._choice.needs_details

    @property
    def counts(self) -> dict[str, int]:
        """How many calls each version has got, by its name."""
        return dict(self._counts)

    def _chosen(self, call: Asked) -> V:
        name = self._choice(call)
        self._counts[name] += 1
        return self._versions[name]

    @property
    def _weighing(self) -> list[V]:
        return [version for version in self._versions.values() if version.weight]


def choice_of(
    versions: Sequence[Weighing],
    matches: Sequence[HeaderMatch | VersionMatch],
    sticky: str | Sticky,
) -> Choice:
    """Return what chooses among versions; see `Versions`.

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
