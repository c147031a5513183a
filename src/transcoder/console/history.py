"""What changed from one look to the next, for the last few minutes.

Nobody looks on the way of a call: whoever shows it takes what metrics count anyway, once a second
while somebody watches. What is kept are the differences.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from transcoder.console.sparkline import GAP, Spot
from transcoder.durations import BUCKETS, quantile

KEPT: Final = 180
"""Seconds that are kept."""

SAMPLES: Final = 180
"""Looks that are kept."""

KEYS: Final = 100
"""How many things are followed at once: those with the most calls."""

SOONEST: Final = 0.5
"""Seconds between two looks; who looks again sooner finds the same."""

WINDOW: Final = 10.0
"""Seconds over which a rate is told."""


class Counts(NamedTuple):
    """Calls of one kind.

    Args:
        failed: by the server's fault.
        refused: for another reason.
        durations: how many there are in each bucket; all of them together are the calls.
    """

    failed: int = 0
    refused: int = 0
    durations: tuple[int, ...] = (0,) * (len(BUCKETS) + 1)

    @property
    def calls(self) -> int:
        """How many there are."""
        return sum(self.durations)

    def plus(self, other: Counts) -> Counts:
        """Return both together."""
        durations = zip(self.durations, other.durations, strict=True)
        return Counts(
            self.failed + other.failed,
            self.refused + other.refused,
            tuple(a + b for a, b in durations),
        )

    def since(self, before: Counts) -> Counts:
        """Return what was added; all of it, if what counts began anew."""
        durations = zip(self.durations, before.durations, strict=True)
        found = Counts(
            max(0, self.failed - before.failed),
            max(0, self.refused - before.refused),
            tuple(a - b for a, b in durations),
        )
        return self if min(found.durations) < 0 else found


NOTHING: Final = Counts()


@dataclass(frozen=True, slots=True)
class Rates:
    """Calls of one kind, by the second.

    Args:
        rate: calls a second.
        failed: the share of those that failed by the server's fault.
        refused: the share of those that failed for another reason.
        p50: the seconds that half of them take at most; None where there are none.
        p99: the same of 99 in 100.
    """

    rate: float
    failed: float
    refused: float
    p50: float | None
    p99: float | None


class Spots(NamedTuple):
    """What was seen of calls of one kind by one look, to be drawn; None where there is no point.

    Args:
        rate: calls a second.
        failed: the share of those that failed by the server's fault.
        p50: the seconds that half of them took at most.
        p99: the same of 99 in 100.
    """

    rate: Spot | None = None
    failed: Spot | None = None
    p50: Spot | None = None
    p99: Spot | None = None


class _Sample(NamedTuple):
    at: float
    seconds: float
    changes: Mapping[Hashable, Counts]
    # What is drawn again and again is written once.
    spots: Mapping[Hashable, Spots]
    idle: Spots


class History:
    """The last few minutes of what is counted.

    Args:
        began: when counting began, on the clock that `take` is told of.

    >>> history = History(began=0)
    >>> _ = history.take(2, {"a": Counts(durations=(4, *[0] * 14))})
    >>> history.rates("a").rate
    2.0
    """

    def __init__(self, began: float) -> None:
        self._at = self._origin = began
        self._last: Mapping[Hashable, Counts] = {}
        self._samples: deque[_Sample] = deque(maxlen=SAMPLES)

    def is_due(self, now: float) -> bool:
        """Say whether it is worth to look again."""
        return not self._samples or now - self._at >= SOONEST

    def take(self, now: float, counted: Mapping[Hashable, Counts]) -> None:
        """Take note of what is counted by now."""
        busiest = heapq.nlargest(KEYS, counted.items(), key=lambda item: item[1].calls)
        last = dict(busiest)
        changes = {
            key: counts.since(self._last.get(key, NOTHING))
            for key, counts in busiest
            if counts != self._last.get(key)
        }
        # What comes among the busiest was counted before.
        if self._samples and len(counted) > KEYS:
            changes = {key: counts for key, counts in changes.items() if key in self._last}
        seconds = max(now - self._at, 1e-3)
        if not self._samples or self._samples[-1].at < now - KEPT:
            # What draws counts in single precision: the numbers shall be small.
            self._samples.clear()
            self._origin = now
        # An average over long is no point of a line.
        at = None if seconds > GAP else now - self._origin
        spots = {key: _spots(_rates(counts, seconds), at) for key, counts in changes.items()}
        self._samples.append(_Sample(now, seconds, changes, spots, _spots(_NONE, at)))
        self._at, self._last = now, last
        while self._samples[0].at < now - KEPT:
            self._samples.popleft()

    @property
    def end(self) -> float:
        """Where the last look is drawn."""
        return self._at - self._origin

    @property
    def keys(self) -> Iterable[Hashable]:
        """What is followed."""
        return self._last.keys()

    def counts(self, key: Hashable) -> Counts:
        """Return all that was counted."""
        return self._last.get(key, NOTHING)

    def rates(self, key: Hashable) -> Rates:
        """Return rates over the last seconds, or since the last look if that is longer ago."""
        seconds, counts = 0.0, NOTHING
        for sample in reversed(self._samples):
            if seconds and seconds + sample.seconds > WINDOW:
                break
            seconds += sample.seconds
            counts = counts.plus(sample.changes.get(key, NOTHING))
        return _rates(counts, seconds or 1.0)

    def series(self, key: Hashable) -> list[Spots]:
        """Return what was seen by each look, the oldest first."""
        return [sample.spots.get(key, sample.idle) for sample in self._samples]


def _spots(rates: Rates, at: float | None) -> Spots:
    if at is None:
        return Spots()
    p50, p99 = (None if each is None else Spot.of(at, each) for each in (rates.p50, rates.p99))
    return Spots(Spot.of(at, rates.rate), Spot.of(at, rates.failed), p50, p99)


def _rates(counts: Counts, seconds: float) -> Rates:
    calls = counts.calls
    if not calls:
        return _NONE
    return Rates(
        calls / seconds,
        # Both are counted a moment apart.
        min(1.0, counts.failed / calls),
        min(1.0, counts.refused / calls),
        quantile(counts.durations, 0.5),
        quantile(counts.durations, 0.99),
    )


_NONE: Final = Rates(0.0, 0.0, 0.0, None, None)
