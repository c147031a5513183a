"""How often requests may be sent again: pure.

When a backend fails, whoever sends all requests twice makes it worse. So what may be sent again is
a share of what was sent.
"""

from __future__ import annotations

from typing import Final

SHARE: Final = 0.2
"""Of requests, that may be sent again."""

SAVED: Final = 10.0
"""Requests that may be sent again at once, after a while without any."""


class RetryBudget:
    """What may be sent again.

    >>> budget = RetryBudget()
    >>> sum(budget.take() for _ in range(20))
    10
    """

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left = SAVED

    def sent(self) -> None:
        """Take note of a request that is sent for the first time."""
        if self._left < SAVED:
            self._left = min(SAVED, self._left + SHARE)

    def take(self) -> bool:
        """Say whether one may be sent again, which is then taken for done."""
        if self._left < 1:
            return False
        self._left -= 1
        return True
