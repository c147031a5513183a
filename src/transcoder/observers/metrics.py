"""Metrics of calls, as Prometheus reads them. Needs the extra `metrics`.

There are as many series as there are methods, codes, policies and reasons: no label holds what a
client made up. A path that no route answers counts under an empty route, whatever it is.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import version
from typing import Any, Final, TypeAlias, cast

try:
    from prometheus_client import CollectorRegistry, Info
    from prometheus_client.core import (
        CounterMetricFamily,
        GaugeMetricFamily,
        HistogramMetricFamily,
        Metric,
    )
    from prometheus_client.openmetrics.exposition import generate_latest
except ImportError as error:
    raise ImportError("prometheus-client is missing: install transcoder[metrics]") from error

from transcoder import observe
from transcoder.call_details import CallDetails
from transcoder.durations import BUCKETS
from transcoder.measured import Measured, Reading, Spread
from transcoder.observers.callers import Callers, with_clients
from transcoder.status import Code

_CALL = ("door", "method", "route")


class Metrics:
    """Counts calls, and keeps what others count.

    A call is counted in plain numbers, in the event loop; they become metrics when somebody reads.

    Args:
        registry: where the metrics are; a new one by default, so that several gateways of one
            process do not count together.

    >>> metrics = Metrics()
    >>> metrics.began(CallDetails("http"))
    >>> [line for line in metrics.text().splitlines() if line.startswith("transcoder_calls_in")]
    ['transcoder_calls_in_flight{door="http"} 1.0']
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry: Final = CollectorRegistry() if registry is None else registry
        self._tallies = _Tallies()
        self.registry.register(self._tallies)
        self.registry.register(_Codec())
        self._others = _Others()
        self.registry.register(self._others)
        build = Info("transcoder_build", "What serves.", registry=self.registry)
        build.info({"version": version("transcoder")})

    def began(self, call: CallDetails) -> None:
        """Count a call that has come."""
        flying = self._tallies.flying
        flying[call.door] = flying.get(call.door, 0) + 1

    def ended(self, call: CallDetails) -> None:
        """Count a call that is over."""
        tallies = self._tallies
        tallies.flying[call.door] -= 1
        key = call.door, call.method, call.template, call.code, call.http_status
        tally = tallies.calls.get(key)
        if tally is None:
            tally = tallies.calls[key] = _Tally()
        seconds = call.ended - call.started
        tally.seconds += seconds
        place = bisect_left(BUCKETS, seconds)
        tally.buckets[place] += 1
        if call.called:
            tally.upstream_seconds += call.upstream_seconds
            tally.upstream_buckets[bisect_left(BUCKETS, call.upstream_seconds)] += 1
        tally.received += call.received
        tally.sent += call.sent
        if call.streams:
            tally.received_messages += call.received_messages
            tally.sent_messages += call.sent_messages
        if call.identity and (call.method or call.called):
            tallies.callers.count(call, seconds, place)
        if call.denied_by:
            refusals, why = tallies.refusals, (call.denied_by, call.reason)
            refusals[why] = refusals.get(why, 0) + 1

    def follow(self, measured: Measured) -> None:
        """Tell what somebody counts too; see `Follower`."""
        self._others.measured = measured

    def text(self) -> str:
        """Return all metrics as OpenMetrics has them."""
        data: bytes = generate_latest(self.registry)  # type: ignore[no-untyped-call]
        return data.decode()


class _Tally:
    """What is counted of calls of one kind."""

    __slots__ = (
        "buckets",
        "received",
        "received_messages",
        "seconds",
        "sent",
        "sent_messages",
        "upstream_buckets",
        "upstream_seconds",
    )

    def __init__(self) -> None:
        self.buckets = [0] * (len(BUCKETS) + 1)
        self.upstream_buckets = [0] * (len(BUCKETS) + 1)
        self.seconds = self.upstream_seconds = 0.0
        self.received = self.sent = self.received_messages = self.sent_messages = 0


_Key: TypeAlias = "tuple[str, str, str, Code | None, int]"


class _Tallies:
    """All that is counted, and the metrics that it becomes."""

    def __init__(self) -> None:
        self.flying: dict[str, int] = {}
        self.calls: dict[_Key, _Tally] = {}
        self.refusals: dict[tuple[str, str], int] = {}
        self.callers = Callers()

    def collect(self) -> Iterator[Metric]:
        """Return the metrics."""
        # Copies: whoever reads may do so on another thread. The callers first: of those that are
        # counted meanwhile no call is missing in the whole.
        callers = self.callers.taken()
        calls = list(self.calls.items())
        yield _counter(
            "calls", "Calls that are over.", (*_CALL, "code", "http_status"), _ended(calls)
        )
        yield _histogram("call", "From the request to the end of its answer.", _whole(calls))
        yield _histogram("upstream", "For how long the servicer or backend had it.", _parts(calls))
        found = GaugeMetricFamily("transcoder_calls_in_flight", "Calls that run.", labels=["door"])
        for door, count in list(self.flying.items()):
            found.add_metric([door], count)
        yield found
        yield _counter("bytes", "Of bodies and messages.", ("door", "direction"), _bytes(calls))
        of_messages = "door", "method", "direction"
        yield _counter("stream_messages", "Of streams.", of_messages, _messages(calls))
        refusals: _Numbers = {(*key,): count for key, count in list(self.refusals.items())}
        yield _counter("policy_refusals", "Calls refused by one.", ("policy", "reason"), refusals)
        of_others = (
            (code, status, tally.buckets, tally.seconds)
            for (_, method, _, code, status), tally in calls
            if method or any(tally.upstream_buckets)
        )
        by_caller = with_clients(callers, of_others)
        told = "Calls of methods, and those that are passed on."
        yield _histogram("caller", told, by_caller, ("caller", "outcome"))


_Calls: TypeAlias = "list[tuple[_Key, _Tally]]"
_Numbers: TypeAlias = "dict[tuple[str, ...], float]"
_Durations: TypeAlias = "dict[tuple[str, ...], tuple[list[int], float]]"


def _ended(calls: _Calls) -> _Numbers:
    return {
        (*of, "" if code is None else code.name, str(status or "")): sum(tally.buckets)
        for (*of, code, status), tally in calls
    }


def _whole(calls: _Calls) -> _Durations:
    return _summed((key, tally.buckets, tally.seconds) for key, tally in calls)


def _parts(calls: _Calls) -> _Durations:
    return _summed((key, tally.upstream_buckets, tally.upstream_seconds) for key, tally in calls)


def _summed(rows: Iterable[tuple[_Key, list[int], float]]) -> _Durations:
    """Return durations by door, method and route, of all codes together."""
    found: _Durations = {}
    for (door, method, route, _, _), buckets, seconds in rows:
        key = door, method, route
        before, total = found.get(key, ([0] * len(buckets), 0.0))
        found[key] = [a + b for a, b in zip(before, buckets, strict=True)], total + seconds
    return found


def _bytes(calls: _Calls) -> _Numbers:
    found: _Numbers = {}
    for (door, *_), tally in calls:
        for direction, count in (("received", tally.received), ("sent", tally.sent)):
            found[door, direction] = found.get((door, direction), 0) + count
    return found


def _messages(calls: _Calls) -> _Numbers:
    found: _Numbers = {}
    for (door, method, *_), tally in calls:
        told = ("received", tally.received_messages), ("sent", tally.sent_messages)
        for direction, count in told:
            if count:
                found[door, method, direction] = found.get((door, method, direction), 0) + count
    return found


def _counter(name: str, text: str, labels: Sequence[str], numbers: _Numbers) -> Metric:
    found = CounterMetricFamily(f"transcoder_{name}", text, labels=labels)
    for values, number in numbers.items():
        found.add_metric(values, number)
    return found


def _histogram(
    name: str, text: str, durations: _Durations, labels: Sequence[str] = _CALL
) -> Metric:
    found = HistogramMetricFamily(f"transcoder_{name}_duration_seconds", text, labels=labels)
    for values, (buckets, seconds) in durations.items():
        counts = _buckets(BUCKETS, buckets)
        if counts[-1][1]:
            found.add_metric(values, counts, seconds)
    return found


class _Others:
    """The metrics that others count."""

    def __init__(self) -> None:
        self.measured: Measured | None = None

    def collect(self) -> Iterator[Metric]:
        """Return them."""
        found: dict[str, list[Reading | Spread]] = {}
        for each in () if self.measured is None else self.measured.readings():
            found.setdefault(each.metric.name, []).append(each)
        for readings in found.values():
            yield _family(readings)


def _family(readings: Sequence[Reading | Spread]) -> Metric:
    """Return readings of one metric; those of the same labels are one number."""
    metric = readings[0].metric
    # A backend is by itself, or one of several versions, which has a label more.
    names = list(dict.fromkeys(name for each in readings for name in each.labels))
    spreads = HistogramMetricFamily(metric.name, metric.text, labels=names)
    numbers: _Numbers = {}
    for each in readings:
        labels = tuple(each.labels.get(name, "") for name in names)
        if isinstance(each, Spread):
            spreads.add_metric(labels, _buckets(each.bounds, each.counts), each.total)
        else:
            numbers[labels] = numbers.get(labels, 0) + each.value
    if not numbers:
        return spreads
    make = CounterMetricFamily if metric.rises else GaugeMetricFamily
    found: Any = make(metric.name, metric.text, labels=names)
    for values, number in numbers.items():
        found.add_metric(values, number)
    return cast("Metric", found)


def _buckets(bounds: Sequence[float], counts: Sequence[int]) -> list[tuple[str, int]]:
    """Return upper bounds, and how many are below each."""
    names = [*map(repr, bounds), "+Inf"]
    return list(zip(names, itertools.accumulate(counts), strict=True))


class _Codec:
    """What the JSON codec counts."""

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Return the counts, by direction and path."""
        labels = ["direction", "path"]
        found = CounterMetricFamily("transcoder_json", "Messages printed and read.", labels=labels)
        rows = list(observe.counts().values())
        found.add_metric(["encode", "fast"], sum(row.encoded for row in rows))
        found.add_metric(["encode", "fallback"], sum(row.encoded_slowly for row in rows))
        found.add_metric(["decode", "fast"], sum(row.decoded for row in rows))
        found.add_metric(["decode", "fallback"], sum(row.decoded_slowly for row in rows))
        yield found
