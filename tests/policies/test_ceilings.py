from __future__ import annotations

import pytest

from transcoder.errors import ConfigError
from transcoder.policies.ceilings import Fixed, Gradient


def settled(ceiling: Gradient, seconds: float, calls: int = 500) -> int:
    """Return the limit after calls of that duration, as many at once as may be."""
    for _ in range(calls):
        ceiling.sample(seconds, ceiling.limit)
    return ceiling.limit


def test_fixed() -> None:
    """A fixed ceiling learns nothing."""
    ceiling = Fixed(7)
    ceiling.sample(100.0, 7)
    assert ceiling.limit == 7


def test_rises() -> None:
    """While calls take what they have always taken, the ceiling rises to the most."""
    assert settled(Gradient(16, most=200), 0.01) == 200


def test_falls() -> None:
    """When they take longer, it falls."""
    ceiling = Gradient(16, most=200)
    settled(ceiling, 0.01)
    assert settled(ceiling, 0.1, 20) < 100


def test_least() -> None:
    """It does not fall below the least."""
    ceiling = Gradient(16, least=10)
    durations = [0.001 * 1.05**index for index in range(200)]
    for seconds in durations:
        ceiling.sample(seconds, ceiling.limit)
        assert ceiling.limit >= 10


def test_a_new_usual() -> None:
    """When a longer duration stays, it becomes the usual one, and the ceiling rises again."""
    ceiling = Gradient(16, most=200)
    settled(ceiling, 0.01)
    low = settled(ceiling, 0.1, 20)
    assert settled(ceiling, 0.1, 3000) > low


def test_idle() -> None:
    """Calls far below the ceiling say nothing about it."""
    ceiling = Gradient(100)
    for _ in range(500):
        ceiling.sample(0.01, 3)
    assert ceiling.limit == 100


@pytest.mark.parametrize("options", [{"least": 0}, {"initial": 5}, {"most": 10}, {"tolerance": 0}])
def test_wrong_options(options: dict[str, int]) -> None:
    """Numbers in no order are told at start."""
    with pytest.raises(ConfigError, match="concurrency: 1 <= least"):
        Gradient(**{"initial": 32, **options})


def test_wrong_limit() -> None:
    """A limit that lets nothing pass is told at start."""
    with pytest.raises(ConfigError, match="concurrency: limit 0"):
        Fixed(0)
