"""Which of some endpoints gets the next call. Pure.

    round_robin     each in its turn, whatever it weighs
    weighted        each as often as it weighs, of any stretch as long as the weights together
    least_request   the one with the fewest calls under way for its weight

The least of all is looked for, rather than that of two drawn by lot: endpoints are few, only this
process' own calls are known anyway, and so none is missed that is stuck, nor drawn twice in a row
while nobody has anything to do.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, Literal, Protocol, TypeAlias

from transcoder.upstream.round_robin import Smooth

Balancing: TypeAlias = Literal["round_robin", "weighted", "least_request"]


class Load(Protocol):
    """An endpoint, as a balancer sees it."""

    @property
    def active(self) -> int:
        """Calls under way."""
        ...


class Balancer(Protocol):
    """Chooses among endpoints, which stay the same."""

    def pick(self, loads: Sequence[Load]) -> int:
        """Return the index of the next.

        Args:
            loads: of all endpoints, in the order of their weights.
        """
        ...


class RoundRobin:
    """Takes them in turn.

    Args:
        weights: of the endpoints.
    """

    def __init__(self, weights: Sequence[int]) -> None:
        self._turns = itertools.cycle(range(len(weights)))

    def pick(self, loads: Sequence[Load]) -> int:
        """Return the index of the next; see `Balancer`."""
        return next(self._turns)


class Weighted:
    """Takes them by weight: smooth weighted round robin.

    Args:
        weights: of the endpoints, above 0.

    >>> balancer = Weighted([2, 1])
    >>> [balancer.pick(()) for _ in range(6)]
    [0, 1, 0, 0, 1, 0]
    """

    def __init__(self, weights: Sequence[int]) -> None:
        self._turns = Smooth(weights)

    def pick(self, loads: Sequence[Load]) -> int:
        """Return the index of the next; see `Balancer`."""
        return self._turns.next()


class LeastRequest:
    """Takes the one with the fewest calls under way for its weight; of equals, as `Weighted`.

    Args:
        weights: of the endpoints, above 0.
    """

    def __init__(self, weights: Sequence[int]) -> None:
        self._weights = weights
        self._turns = Smooth(weights)

    def pick(self, loads: Sequence[Load]) -> int:
        """Return the index of the next; see `Balancer`."""
        weights = self._weights
        least = self._turns.next()
        fewest = loads[least].active / weights[least]
        for index in (*range(least + 1, len(weights)), *range(least)):
            share = loads[index].active / weights[index]
            if share < fewest:
                least, fewest = index, share
        return least


BALANCERS: Final[Mapping[str, Callable[[Sequence[int]], Balancer]]] = MappingProxyType(
    {"round_robin": RoundRobin, "weighted": Weighted, "least_request": LeastRequest}
)
"""By the name of each."""
