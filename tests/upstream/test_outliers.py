from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcoder.errors import ConfigError
from transcoder.upstream.outliers import OutlierDetection, Outliers

NAMES = ["a:1", "b:1", "c:1", "d:1", "e:1", "f:1"]

steps = st.lists(
    st.tuples(
        st.sampled_from(["worked", "failed", "failed", "failed", "keep"]),
        st.sampled_from(NAMES),
        st.floats(0, 2),
        st.sets(st.sampled_from(NAMES)),
    ),
    max_size=200,
)


def outliers(*names: str, **options: Any) -> Outliers:
    """Return what watches some endpoints."""
    made = Outliers(OutlierDetection(**options))
    made.keep(names, 0.0)
    return made


def eject(made: Outliers, name: str, now: float, faults: int = 5) -> bool:
    """Have an endpoint fail so often; whether that ejected it."""
    return True in [made.failed(name, now) for _ in range(faults)]


@given(steps, st.integers(1, 3), st.integers(1, 100))
def test_never_more_than_the_maximum(
    steps: list[tuple[str, str, float, set[str]]], consecutive: int, percent: int
) -> None:
    """Whatever happens, no more are ejected than may be, and never all."""
    detection = OutlierDetection(consecutive=consecutive, maximum_percent=percent)
    made = Outliers(detection)
    there = set(NAMES)
    made.keep(there, 0.0)
    now = 0.0
    for step, name, seconds, others in steps:
        now += seconds
        if step == "keep":
            there = others
            made.keep(there, now)
        elif step == "failed":
            made.failed(name, now)
        else:
            made.worked(name)
        ejected = sum(made.is_ejected(each, now) for each in NAMES)

        assert ejected <= detection.allowed(len(there))
        assert ejected < len(there) or not there


@pytest.mark.parametrize(
    ("percent", "endpoints", "allowed"),
    [
        (50, 10, 5),
        (50, 3, 1),
        (10, 3, 1),  # one always may
        (100, 3, 2),  # never all
        (100, 1, 0),
        (50, 0, 0),
    ],
)
def test_allowed(percent: int, endpoints: int, allowed: int) -> None:
    """How many may be ejected is a share, at least one, and not all."""
    assert OutlierDetection(maximum_percent=percent).allowed(endpoints) == allowed


def test_in_a_row() -> None:
    """Only faults in a row count."""
    made = outliers("a:1", "b:1", consecutive=3)
    for _ in range(10):
        assert not eject(made, "a:1", 0.0, 2)
        made.worked("a:1")

    assert eject(made, "a:1", 0.0, 3)


def test_time_grows() -> None:
    """Each time lasts longer by the first, up to ten times as long."""
    made = outliers("a:1", "b:1", base=2.0)
    now, lasted = 0.0, []
    for _ in range(12):
        assert eject(made, "a:1", now)
        began = now
        while made.is_ejected("a:1", now):
            now += 1.0
        lasted.append(now - began)

    assert lasted == [2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 20, 20]


def test_time_shrinks() -> None:
    """For each ten times the first that an endpoint works on, it counts one less."""
    made = outliers("a:1", "b:1", base=1.0)
    eject(made, "a:1", 0.0)
    eject(made, "a:1", 1.0)
    eject(made, "a:1", 3.0)  # until 6
    eject(made, "a:1", 27.0)  # two less, and one more

    assert made.is_ejected("a:1", 28.9)
    assert not made.is_ejected("a:1", 29.0)


def test_while_ejected() -> None:
    """Faults of calls that began before say nothing more."""
    made = outliers("a:1", "b:1", base=1.0)
    eject(made, "a:1", 0.0)
    eject(made, "a:1", 0.9, 50)

    assert not made.is_ejected("a:1", 1.0)


def test_fewer_endpoints() -> None:
    """Where those that work go away, the ones that return first do so at once."""
    made = outliers(*NAMES, maximum_percent=50)
    for number, name in enumerate(NAMES[:3]):
        eject(made, name, number / 10)
    made.keep(NAMES[:3], 0.5)

    assert [made.is_ejected(name, 0.5) for name in NAMES[:3]] == [False, False, True]


def test_strangers() -> None:
    """What is told of an endpoint that is not there counts for nothing."""
    made = outliers("a:1", "b:1")
    made.worked("z:1")

    assert not eject(made, "z:1", 0.0)
    assert not made.is_ejected("z:1", 0.0)


@pytest.mark.parametrize(
    "options",
    [
        {"consecutive": 0},
        {"consecutive": -1},
        {"base": 0.0},
        {"base": float("nan")},
        {"maximum_percent": 0},
        {"maximum_percent": 101},
    ],
)
def test_wrong(options: dict[str, Any]) -> None:
    """Numbers that are none are told."""
    with pytest.raises(ConfigError, match="outliers: numbers above 0 are expected"):
        OutlierDetection(**options)
