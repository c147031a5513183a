"""How a version is chosen, as a file says it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from transcoder.config.models import Config
from transcoder.config.models.services import Versioned
from transcoder.upstream.choice import Condition, Sticky, VersionMatch, problems


def wrong_choices(config: Config) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield what is wrong with how versions are chosen, and where it is."""
    for section, listed in (("services", config.services), ("routes", config.routes)):
        for index, each in enumerate(listed):
            if each.versions:
                for keys, problem in _wrong(each):
                    yield (section, index, *keys), problem


def _wrong(given: Versioned) -> Iterator[tuple[tuple[str | int, ...], str]]:
    seen: Counter[str] = Counter()
    for index, version in enumerate(given.versions):
        seen[version.name] += 1
        if seen[version.name] > 1:
            yield ("versions", index, "name"), f"{version.name!r} is there twice"
            return
    weights = {version.name: version.weight for version in given.versions}
    yield from problems(weights, matches_of(given), sticky_of(given))


def matches_of(given: Versioned) -> list[VersionMatch]:
    """Return which calls get which version."""
    return [
        VersionMatch(match.to, [Condition(**each.told()) for each in match.conditions])
        for match in given.matches
    ]


def sticky_of(given: Versioned) -> Sticky | None:
    """Return what calls stick by; None for nothing."""
    return None if given.sticky is None else Sticky(**given.sticky.told())
