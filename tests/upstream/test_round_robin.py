from __future__ import annotations

from itertools import cycle, islice, pairwise

from hypothesis import given
from hypothesis import strategies as st

from transcoder.upstream.round_robin import share, turns

weights = st.lists(st.integers(0, 20), min_size=1, max_size=5).filter(any)


@given(weights, st.integers(0, 100))
def test_any_window(weights: list[int], start: int) -> None:
    """Any stretch as long as the weights together has each as often as it weighs."""
    found = list(islice(cycle(turns(weights)), start, start + sum(weights)))

    assert [found.count(index) for index in range(len(weights))] == weights


def test_spread() -> None:
    """Turns lie apart: no two of the rare one are closer than its share says."""
    found = turns([95, 5]) * 2
    places = [place for place, index in enumerate(found) if index == 1]

    assert [after - before for before, after in pairwise(places)] == [20]


def test_a_million() -> None:
    """Of a million calls the shares are exact."""
    found = list(islice(cycle(turns([93, 5, 2])), 1_000_000))

    assert [found.count(index) for index in range(3)] == [930_000, 50_000, 20_000]


@given(weights, st.binary())
def test_share_is_one_that_weighs(weights: list[int], key: bytes) -> None:
    """A key falls to one that weighs something, each time to the same."""
    found = share(weights, key)

    assert weights[found] > 0
    assert share(weights, key) == found


def test_shares() -> None:
    """Keys fall to each by its weight."""
    found = [share([70, 20, 10], f"user-{number}".encode()) for number in range(20_000)]
    counts = [found.count(index) / 20_000 for index in range(3)]

    assert all(
        abs(count - wanted) < 0.02 for count, wanted in zip(counts, [0.7, 0.2, 0.1], strict=True)
    )


def test_few_keys_move() -> None:
    """When the weights of two change, only keys between them do."""
    keys = [f"user-{number}".encode() for number in range(2_000)]
    moved = [(share([95, 5], key), share([50, 50], key)) for key in keys]

    assert (1, 0) not in moved
    assert 0.4 < moved.count((0, 1)) / 2_000 < 0.5
