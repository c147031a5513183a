from __future__ import annotations

import pytest

from transcoder.durations import BUCKETS, Durations, quantile


def of(*seconds: float) -> list[int]:
    """Return the counts of some durations."""
    durations = Durations()
    for each in seconds:
        durations.add(each)
    return durations.counts


@pytest.mark.parametrize(
    ("counts", "share", "expected"),
    [
        (of(), 0.5, None),  # Of nothing there is no middle.
        (of(0.0005), 0.5, 0.0005),  # Half of the first bucket.
        (of(*[0.002] * 100), 1.0, 0.0025),  # All of a bucket is its bound.
        (of(0.0005, 0.0005, 0.3, 0.3), 0.5, 0.001),
        (of(*[0.0005] * 99, 7), 0.99, 0.001),  # The slowest of a hundred is beyond 99 %.
        (of(*[0.0005] * 98, 7, 7), 0.99, 7.5),
        (of(99, 99), 0.5, BUCKETS[-1]),  # How far beyond the last bound nobody knows.
    ],
)
def test_quantile(counts: list[int], share: float, expected: float | None) -> None:
    """A quantile lies in its bucket, as far as its share of that bucket."""
    assert quantile(counts, share) == (None if expected is None else pytest.approx(expected))


def test_total() -> None:
    """Durations are summed as well."""
    durations = Durations()
    durations.add(1)
    durations.add(0.5)
    assert (durations.total, sum(durations.counts)) == (1.5, 2)
