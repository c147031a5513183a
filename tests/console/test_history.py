from __future__ import annotations

from collections.abc import Hashable

import pytest

from transcoder.console.history import KEPT, KEYS, SAMPLES, WINDOW, Counts, History
from transcoder.console.sparkline import Spot
from transcoder.durations import BUCKETS


def counts(calls: int, *, failed: int = 0, refused: int = 0) -> Counts:
    """Return so many calls, all of the first bucket."""
    return Counts(failed, refused, (calls, *[0] * len(BUCKETS)))


def test_first_look() -> None:
    """Who looks the first time sees the average since the beginning."""
    history = History(began=100)
    history.take(200, {"a": counts(1000, failed=100, refused=200)})
    rates = history.rates("a")

    assert (rates.rate, rates.failed, rates.refused) == (10, 0.1, 0.2)
    assert (rates.p50, rates.p99) == (0.0005, 0.00099)


def test_window() -> None:
    """Rates are those of the last seconds."""
    history = History(began=0)
    history.take(100, {"a": counts(5000)})
    for second in range(1, 31):
        history.take(100 + second, {"a": counts(5000 + 20 * max(0, second - 20))})

    assert history.rates("a").rate == pytest.approx(20)
    assert WINDOW == 10


def test_after_a_pause() -> None:
    """Who was away for long sees the average since then, and then the rate of now."""
    history = History(began=0)
    history.take(1, {"a": counts(0)})
    history.take(3601, {"a": counts(7200)})
    assert history.rates("a").rate == 2
    history.take(3602, {"a": counts(7250)})
    assert history.rates("a").rate == 50


def test_nothing() -> None:
    """Of what is not called there are no durations."""
    rates = History(began=0).rates("a")
    assert (rates.rate, rates.failed, rates.p50) == (0, 0, None)


def test_series() -> None:
    """A series tells when each rate was; the average over a long time is no point of it."""
    history = History(began=0)
    history.take(10, {"a": counts(10)})
    history.take(11, {"a": counts(15, failed=1)})
    history.take(12, {"a": counts(15, failed=1)})

    assert [each.rate for each in history.series("a")] == [None, Spot.of(1, 5), Spot.of(2, 0)]
    assert [each.failed for each in history.series("a")] == [None, Spot.of(1, 0.2), Spot.of(2, 0)]
    assert [each.p50 is None for each in history.series("a")] == [True, False, True]
    assert history.end == 2


def test_series_after_a_pause() -> None:
    """After a pause that is longer than all that is kept, a series begins anew."""
    history = History(began=0)
    history.take(1, {"a": counts(10)})
    history.take(2, {"a": counts(10)})
    history.take(10_000_000, {"a": counts(20)})
    history.take(10_000_001, {"a": counts(23)})

    assert [each.rate for each in history.series("a")] == [None, Spot.of(1, 3)]


def test_counting_anew() -> None:
    """What counts from the beginning again has made all that it tells."""
    history = History(began=0)
    history.take(1, {"a": counts(100)})
    history.take(2, {"a": counts(3)})
    assert history.series("a")[-1].rate == Spot.of(1, 3)


def test_due() -> None:
    """Two who look at the same moment see the same."""
    history = History(began=0)
    assert history.is_due(0)
    history.take(1, {})
    assert not history.is_due(1.4)
    assert history.is_due(1.5)


def test_bounded() -> None:
    """Only the busiest are followed, for a few minutes, whatever there is and how often."""
    history = History(began=0)
    for second in range(1, 401):
        history.take(second, {name: counts(second * (name + 1)) for name in range(2 * KEYS)})

    assert set(history.keys) == set(range(KEYS, 2 * KEYS))
    assert len(history.series(2 * KEYS - 1)) == min(SAMPLES, KEPT + 1)
    for number in range(1000):
        history.take(400 + number / 2, {})
    assert len(history.series(0)) == SAMPLES


def test_among_the_busiest() -> None:
    """What becomes one of the busiest was not called all at once."""
    history = History(began=0)
    many: dict[Hashable, Counts] = {name: counts(1000) for name in range(KEYS)}
    history.take(1, {**many, "late": counts(999)})
    history.take(2, {**many, "late": counts(1001)})
    assert history.rates("late").rate < 100
