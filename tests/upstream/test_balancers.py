from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcoder.upstream.balancers import BALANCERS, LeastRequest, RoundRobin, Weighted

weights = st.lists(st.integers(1, 20), min_size=1, max_size=5)


@dataclass
class Calls:
    active: int = 0


def test_round_robin() -> None:
    """Each has its turn, whatever it weighs."""
    balancer = RoundRobin([5, 1, 1])

    assert [balancer.pick(()) for _ in range(6)] == [0, 1, 2, 0, 1, 2]


@given(weights, st.integers(0, 100))
def test_weighted(weights: list[int], start: int) -> None:
    """Any stretch as long as the weights together has each as often as it weighs."""
    balancer = Weighted(weights)
    found = [balancer.pick(()) for _ in range(start + sum(weights))][start:]

    assert [found.count(index) for index in range(len(weights))] == weights


@given(weights, st.data())
def test_least_request(weights: list[int], data: st.DataObject) -> None:
    """No other one has fewer calls under way for its weight."""
    loads = [Calls(data.draw(st.integers(0, 9))) for _ in weights]
    shares = [load.active / weight for load, weight in zip(loads, weights, strict=True)]

    assert shares[LeastRequest(weights).pick(loads)] == min(shares)


def test_least_request_of_idle_ones() -> None:
    """Where nobody has anything to do, each is taken by its weight."""
    balancer = LeastRequest([3, 1])

    assert Counter(balancer.pick([Calls(), Calls()]) for _ in range(8)) == {0: 6, 1: 2}


def test_least_request_passes_by_one_that_is_stuck() -> None:
    """One whose calls do not end gets no more of them than the others have."""
    loads = [Calls(), Calls(), Calls()]
    balancer = LeastRequest([1, 1, 1])
    for _ in range(30):
        picked = balancer.pick(loads)
        if picked == 1:
            loads[picked].active += 1

    assert loads[1].active == 1


@pytest.mark.parametrize("name", BALANCERS)
def test_one(name: str) -> None:
    """One alone gets each call."""
    balancer = BALANCERS[name]([7])

    assert {balancer.pick([Calls(3)]) for _ in range(5)} == {0}
