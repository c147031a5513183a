"""Counts by endpoint, where endpoints come and go without end. Pure."""

from __future__ import annotations

from collections.abc import Container
from typing import Final

LIMIT: Final = 64
"""Endpoints that metrics tell apart; what is beyond counts as one."""

OTHERS: Final = "others"


class EndpointCounts:
    """Counts by endpoint, of as many as metrics tell apart."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def count(self, address: str, known: Container[str]) -> None:
        """Count one.

        Args:
            address: of which endpoint.
            known: those that there are; where counts are many, others give way.
        """
        counts = self._counts
        if address not in counts and len(counts) >= LIMIT:
            gone = next((each for each in counts if each not in known and each != OTHERS), None)
            if gone is None:
                address = OTHERS
            else:
                counts[OTHERS] = counts.get(OTHERS, 0) + counts.pop(gone)
        counts[address] = counts.get(address, 0) + 1

    def told(self) -> list[tuple[str, int]]:
        """Return the count of each."""
        return list(self._counts.items())
