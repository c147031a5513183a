"""What of a scrape the console shows."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import Any, Final, NamedTuple

from transcoder.console.history import Counts
from transcoder.observers.scrape import Family
from transcoder.status import FAULTS

_CALLS: Final = "transcoder_calls"
_DURATIONS: Final = "transcoder_call_duration_seconds"
_CALLERS: Final = "transcoder_caller_duration_seconds"
_BACKENDS: Final = "transcoder_backend_duration_seconds"
_FAULTS = frozenset(code.name for code in FAULTS)


class RouteKey(NamedTuple):
    """A route, as metrics tell it."""

    door: str
    method: str
    route: str


class Caller(NamedTuple):
    """Who calls this process."""

    name: str


class Backend(NamedTuple):
    """Whom this process calls."""

    service: str
    target: str


def counted(families: Iterable[Family]) -> dict[Hashable, Counts]:
    """Return what is counted of each route, each caller and each backend."""
    by_name = {each.name: each for each in families}
    found: dict[Hashable, Counts] = {}
    ends = _ends(by_name.get(_CALLS))
    for (*of,), counts in _histogram(by_name.get(_DURATIONS), "door", "method", "route").items():
        key = RouteKey(*of)
        failed, refused = ends.get(key, (0, 0))
        found[key] = Counts(failed, refused, counts)
    for (name, outcome), counts in _histogram(by_name.get(_CALLERS), "caller", "outcome").items():
        _add(found, Caller(name), outcome, counts)
    labels = "service", "target", "outcome"
    for (*of, outcome), counts in _histogram(by_name.get(_BACKENDS), *labels).items():
        _add(found, Backend(*of), outcome, counts)
    return found


def values(families: Iterable[Family], name: str) -> list[tuple[Mapping[str, str], float]]:
    """Return the values of a counter or gauge, each with its labels."""
    return [
        (labels, value)
        for family in families
        if family.name == name
        for _, labels, value in family.samples
    ]


def _add(found: dict[Hashable, Counts], key: Hashable, outcome: str, counts: Any) -> None:
    failed = sum(counts) if outcome == "failed" else 0
    found[key] = found.get(key, Counts()).plus(Counts(failed, 0, counts))


def _ends(calls: Family | None) -> dict[RouteKey, tuple[int, int]]:
    """Return how many calls of each route failed by the server's fault, and otherwise."""
    found: dict[RouteKey, tuple[int, int]] = {}
    for _, labels, value in () if calls is None else calls.samples:
        code, status = labels["code"], labels["http_status"]
        number = int(status) if status else 0
        failed = code in _FAULTS if code else number >= 500
        refused = not failed and (code != "OK" if code else number >= 400)
        key = RouteKey(labels["door"], labels["method"], labels["route"])
        before = found.get(key, (0, 0))
        found[key] = before[0] + int(value) * failed, before[1] + int(value) * refused
    return found


def _histogram(family: Family | None, *names: str) -> dict[tuple[str, ...], tuple[int, ...]]:
    """Return how many there are in each bucket, by labels."""
    below: dict[tuple[str, ...], list[int]] = {}
    for sample, labels, value in () if family is None else family.samples:
        if sample.endswith("_bucket"):
            # They come in the order of their bounds, each with all that are below it.
            below.setdefault(tuple(labels[name] for name in names), []).append(int(value))
    return {
        key: tuple(b - a for a, b in zip([0, *counts], counts, strict=False))
        for key, counts in below.items()
    }
