"""How long things took, as counts in buckets: cheap to add to, and enough for quantiles."""

from __future__ import annotations

import itertools
from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

BUCKETS: Final = (
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
)
"""Upper bounds, in seconds; beyond the last there is one bucket more."""


class Durations:
    """Durations of one kind.

    >>> durations = Durations()
    >>> durations.add(0.002)
    >>> durations.counts[:3], durations.total
    ([0, 1, 0], 0.002)
    """

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS) + 1)
        self.total = 0.0

    def add(self, seconds: float) -> None:
        """Count one."""
        self.counts[bisect_left(BUCKETS, seconds)] += 1
        self.total += seconds


def quantile(counts: Sequence[int], share: float) -> float | None:
    """Return the duration below which a share of all is, in seconds; None of none.

    Within a bucket they are taken to be spread evenly, as Prometheus does; of what is beyond the
    last bound only that is known.

    >>> quantile([100, 100, *[0] * 13], 0.75)
    0.00175
    >>> quantile([*[0] * 14, 5], 0.5)
    30.0
    """
    wanted = sum(counts) * share
    if not wanted:
        return None
    bounds = [0.0, *BUCKETS]
    for place, below in enumerate(itertools.accumulate(counts)):
        if below >= wanted and counts[place]:
            if place == len(BUCKETS):
                break
            inside = (wanted - below + counts[place]) / counts[place]
            return bounds[place] + inside * (bounds[place + 1] - bounds[place])
    return BUCKETS[-1]
