from __future__ import annotations

import random

import pytest

from transcoder.errors import ConfigError
from transcoder.upstream.breaker import Breaker, Thresholds


def state(breaker: Breaker) -> str:
    """Return the state of a breaker."""
    return breaker.state.value


def fail(breaker: Breaker, times: int, now: float) -> None:
    """Send calls that are the backend's fault."""
    for _ in range(times):
        breaker.failed(breaker.admit(now), now)


def opened(probes: int = 1) -> Breaker:
    """Return a breaker that opened at 0 and may try probes from 1 on."""
    breaker = Breaker(Thresholds(pause=1.0, probes=probes))
    fail(breaker, 5, 0.0)
    assert state(breaker) == "open"
    return breaker


def test_consecutive() -> None:
    """As many faults in a row as it takes open a breaker."""
    breaker = Breaker(Thresholds(consecutive=3))
    fail(breaker, 2, 0.0)
    assert state(breaker) == "closed"
    fail(breaker, 1, 0.0)
    assert state(breaker) == "open"


def test_in_a_row() -> None:
    """A call that works between faults ends the row."""
    breaker = Breaker(Thresholds(consecutive=3, least=1000))
    for _ in range(10):
        fail(breaker, 2, 0.0)
        breaker.worked(breaker.admit(0.0), 0.0)
    assert state(breaker) == "closed"


def test_ratio() -> None:
    """A share of faults among enough calls opens it, and not among fewer."""
    breaker = Breaker(Thresholds(consecutive=100, ratio=0.5, least=20))
    for index in range(19):
        turn = breaker.admit(0.0)
        (breaker.failed if index % 2 else breaker.worked)(turn, 0.0)
    assert state(breaker) == "closed"
    fail(breaker, 1, 0.0)
    assert state(breaker) == "open"


def test_small_share() -> None:
    """A smaller share opens nothing, however long it goes on."""
    breaker, source = Breaker(Thresholds(consecutive=100)), random.Random(7)
    for index in range(10_000):
        now = index / 100
        turn = breaker.admit(now)
        (breaker.failed if source.random() < 0.3 else breaker.worked)(turn, now)
    assert state(breaker) == "closed"


def test_window() -> None:
    """What is older than the window no longer counts."""
    breaker = Breaker(Thresholds(consecutive=100, least=10, window=10))
    fail(breaker, 9, 0.0)
    fail(breaker, 1, 11.0)
    assert state(breaker) == "closed"
    fail(breaker, 9, 11.0)
    assert state(breaker) == "open"


def test_open() -> None:
    """An open breaker lets nothing pass until its pause is over."""
    breaker = opened()
    assert [breaker.admit(now) for now in (0.0, 0.5, 0.999)] == [None] * 3
    assert breaker.retry_after(0.25) == 0.75
    assert breaker.admit(1.0) is not None


@pytest.mark.parametrize("probes", [1, 3])
def test_probes(probes: int) -> None:
    """A half-open one lets exactly the probes pass, of however many calls at once."""
    breaker = opened(probes)
    admitted = [turn for turn in (breaker.admit(1.0) for _ in range(100)) if turn is not None]
    assert len(admitted) == probes
    for turn in admitted[:-1]:
        breaker.worked(turn, 1.1)
        assert state(breaker) == "half-open"
        assert breaker.admit(1.1) is None
    breaker.worked(admitted[-1], 1.1)
    assert state(breaker) == "closed"


def test_failed_probe() -> None:
    """The first probe that fails opens it again, for a whole pause."""
    breaker = opened(2)
    first, second = breaker.admit(1.0), breaker.admit(1.0)
    breaker.failed(first, 1.2)
    assert state(breaker) == "open"
    breaker.worked(second, 1.3)
    assert state(breaker) == "open"
    assert breaker.admit(2.1) is None
    assert breaker.admit(2.2) is not None


def test_probe_given_up() -> None:
    """A probe that was given up is the next call's."""
    breaker = opened()
    turn = breaker.admit(1.0)
    assert breaker.admit(1.0) is None
    breaker.gave_up(turn)
    breaker.worked(breaker.admit(1.1), 1.2)
    assert state(breaker) == "closed"


def test_late_calls() -> None:
    """Calls that began before it opened neither close it nor open it again."""
    breaker = Breaker(Thresholds(consecutive=1))
    late = [breaker.admit(0.0) for _ in range(3)]
    breaker.failed(late[0], 0.0)
    probe = breaker.admit(1.0)
    breaker.worked(late[1], 1.0)
    breaker.failed(late[2], 1.0)
    breaker.gave_up(late[2])
    assert state(breaker) == "half-open"
    breaker.worked(probe, 1.1)
    assert state(breaker) == "closed"


def test_begins_anew() -> None:
    """What was counted before it opened does not count once it has closed."""
    breaker = opened()
    breaker.worked(breaker.admit(1.0), 1.0)
    fail(breaker, 4, 1.0)
    assert state(breaker) == "closed"


@pytest.mark.parametrize(
    "options", [{"consecutive": 0}, {"ratio": 1.1}, {"ratio": 0}, {"pause": -1}, {"probes": 0}]
)
def test_wrong_thresholds(options: dict[str, float]) -> None:
    """Numbers that make no sense are told at start."""
    with pytest.raises(ConfigError, match="breaker: numbers above 0"):
        Thresholds(**options)  # type: ignore[arg-type]
