"""How slowly a client may send: a grace, and a rate after it.

Pure: who calls gives the clock.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """The least pace of a body or a message.

    Args:
        grace: seconds in which nothing is asked.
        rate: bytes a second, on average since the beginning, that are asked after that.

    >>> Pace().is_kept(received=100, seconds=31)
    False
    """

    grace: float = 30.0
    rate: float = 240.0

    def is_kept(self, received: int, seconds: float) -> bool:
        """Say whether so many bytes in so many seconds are enough."""
        return seconds < self.grace or received >= self.rate * seconds


DEFAULT_PACE = Pace()
