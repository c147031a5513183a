"""What is counted by those who know, in plain numbers, and told when somebody asks.

A counter and its labels cost nothing until then. Labels never hold what a client made up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeAlias, runtime_checkable


@dataclass(frozen=True, slots=True)
class Metric:
    """Something that is counted.

    Args:
        name: of it, in base units; without the `_total` of what only rises.
        text: what it tells.
        rises: whether it only rises.
    """

    name: str
    text: str
    rises: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """One number.

    Args:
        metric: of which.
        value: the number.
        labels: that tell it from others of the same metric.
    """

    metric: Metric
    value: float
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Spread:
    """How numbers are spread.

    Args:
        metric: of which.
        bounds: the upper bounds of the buckets but the last, which has none.
        counts: how many numbers are in each bucket.
        total: of all numbers.
        labels: as those of `Reading`.
    """

    metric: Metric
    bounds: Sequence[float]
    counts: Sequence[int]
    total: float
    labels: Mapping[str, str] = field(default_factory=dict)


Readings: TypeAlias = "Iterable[Reading | Spread]"


@runtime_checkable
class Measured(Protocol):
    """What counts."""

    def readings(self) -> Readings:
        """Return the numbers of this moment; it may be another thread that asks."""
        ...


def labelled(readings: Readings, **labels: str) -> Readings:
    """Yield readings with further labels."""
    for each in readings:
        yield replace(each, labels={**labels, **each.labels})
