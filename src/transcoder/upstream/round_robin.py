"""Who is next, where each has its share: smooth weighted round robin, and shares by a key. Pure."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence


def turns(weights: Sequence[int]) -> tuple[int, ...]:
    """Return whose turn it is, one after another, until it begins anew.

    Each has as many turns of a round as it weighs, so it has its share of any stretch as long as a
    round; and between two of its turns lie as many others as there may. What weighs nothing has
    none.

    Args:
        weights: not below 0, and not all of them 0.

    Returns:
        Indexes into the weights.

    >>> turns([95, 5]).count(1), len(turns([95, 5]))
    (1, 20)
    >>> turns([3, 1, 2])
    (0, 2, 0, 1, 2, 0)
    """
    smooth = Smooth(weights)
    return tuple(smooth.next() for _ in range(smooth.round))


class Smooth:
    """The same turns, found one at a time: a round may be long, and what weighs may change.

    Args:
        weights: as those of `turns`.
    """

    __slots__ = ("_credit", "_steps", "round")

    def __init__(self, weights: Sequence[int]) -> None:
        common = math.gcd(*weights)
        self._steps = [weight // common for weight in weights]
        self._credit = [0] * len(weights)
        self.round = sum(self._steps)
        """Turns until it begins anew."""

    def next(self) -> int:
        """Return whose turn it is, as an index into the weights."""
        credit = [have + step for have, step in zip(self._credit, self._steps, strict=True)]
        first = credit.index(max(credit))
        credit[first] -= self.round
        self._credit = credit
        return first


def share(weights: Sequence[int], key: bytes) -> int:
    """Return in whose share a key falls: the same in each process, for as long as weights last.

    When weights change, as few keys as can be change theirs between two neighbours.

    Args:
        weights: as those of `turns`.
        key: any bytes.

    Returns:
        An index into the weights.

    >>> share([100, 0], b"ann"), share([0, 100], b"ann")
    (0, 1)
    """
    place = int.from_bytes(hashlib.sha256(key).digest()[:8]) % sum(weights)
    for index, weight in enumerate(weights):
        place -= weight
        if place < 0:
            return index
    raise AssertionError("the place is below the sum")
