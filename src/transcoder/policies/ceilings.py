"""How many calls may run at once: a number, or one that follows what the calls tell.

The gradient is that of Netflix's concurrency-limits, its second kind: as long as calls take about
as long as they have long taken, the ceiling rises; when they take longer, they wait somewhere, and
it falls by as much.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from transcoder.errors import ConfigError

_LONGEST_MEMORY: Final = 600
"""Calls over which the usual duration is the mean."""


class Ceiling(Protocol):
    """How many calls may run at once."""

    @property
    def limit(self) -> int:
        """The number, now."""
        ...

    def sample(self, seconds: float, in_flight: int) -> None:
        """Learn from a call that has ended well.

        Args:
            seconds: that it ran.
            in_flight: how many ran when it began, itself included.
        """
        ...


@dataclass(frozen=True, slots=True)
class Fixed:
    """Always the same number."""

    limit: int

    def __post_init__(self) -> None:
        """Check the number."""
        if self.limit < 1:
            raise ConfigError(f"concurrency: limit {self.limit}: a number above 0 is expected")

    def sample(self, seconds: float, in_flight: int) -> None:
        """Learn nothing."""


class Gradient:
    """A number that follows the durations of calls.

    Args:
        initial: where it begins.
        least: below which it does not fall.
        most: above which it does not rise.
        tolerance: how many times the usual duration is no sign of waiting.

    Raises:
        ConfigError: these are in no order.
    """

    __slots__ = ("_least", "_limit", "_most", "_samples", "_tolerance", "_usual")

    def __init__(
        self, initial: int = 32, *, least: int = 8, most: int = 1000, tolerance: float = 1.5
    ) -> None:
        if not 1 <= least <= initial <= most or tolerance < 1:
            raise ConfigError("concurrency: 1 <= least <= initial <= most and 1 <= tolerance")
        self._limit = float(initial)
        self._least = least
        self._most = most
        self._tolerance = tolerance
        self._usual = 0.0
        self._samples = 0

    @property
    def limit(self) -> int:
        """The number, now."""
        return int(self._limit)

    def sample(self, seconds: float, in_flight: int) -> None:
        """Learn from a call that has ended well."""
        self._samples = min(self._samples + 1, _LONGEST_MEMORY)
        self._usual += (seconds - self._usual) / self._samples
        if self._usual > 2 * seconds:
            # What was usual belongs to a load that has gone: forget it faster.
            self._usual *= 0.95
        if in_flight * 2 < self._limit:
            # Nothing was near the ceiling, so nothing is known of it.
            return
        gradient = 1.0
        if seconds > 0:
            gradient = max(0.5, min(1.0, self._tolerance * self._usual / seconds))
        room = max(4.0, self._limit**0.5)
        wanted = self._limit * gradient + room * gradient
        changed = self._limit * 0.8 + wanted * 0.2
        self._limit = max(float(self._least), min(float(self._most), changed))
