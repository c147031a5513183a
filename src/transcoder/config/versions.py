"""How a version is chosen, as a file says it."""

from __future__ import annotations

from transcoder.config.models.services import Versioned
from transcoder.upstream.choice import Condition, Sticky, VersionMatch


def matches_of(given: Versioned) -> list[VersionMatch]:
    """Return which calls get which version."""
    return [
        VersionMatch(match.to, [Condition(**each.told()) for each in match.conditions])
        for match in given.matches
    ]


def sticky_of(given: Versioned) -> Sticky | str:
    """Return what calls stick by; an empty text for nothing."""
    return "" if given.sticky is None else Sticky(**given.sticky.told())
