"""Metrics of calls, as Prometheus reads them. Needs the extra `metrics`.

There are as many series as there are methods, codes, policies and reasons: no label holds what a
client made up. A path that no route answers counts under an empty route, whatever it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Final

try:
    from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
    from prometheus_client.openmetrics.exposition import generate_latest
except ImportError as error:
    raise ImportError("prometheus-client is missing: install transcoder[metrics]") from error

from transcoder import observe
from transcoder.call_details import CallDetails

BUCKETS: Final = (
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
)
"""Upper bounds of the durations, in seconds."""

_CALL = ("door", "method", "route")


class Metrics:
    """Counts calls, and keeps what others count.

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
        make: dict[str, Any] = {"registry": self.registry}
        self._calls = Counter(
            "transcoder_calls", "Calls that are over.", (*_CALL, "code", "http_status"), **make
        )
        self._seconds = Histogram(
            "transcoder_call_duration_seconds",
            "From the request to the end of its answer.",
            _CALL,
            buckets=BUCKETS,
            **make,
        )
        self._upstream = Histogram(
            "transcoder_upstream_duration_seconds",
            "For how long the servicer, or the backend, had the call.",
            _CALL,
            buckets=BUCKETS,
            **make,
        )
        self._flying = Gauge("transcoder_calls_in_flight", "Calls that run.", ("door",), **make)
        self._bytes = Counter(
            "transcoder_bytes", "Of bodies and messages.", ("door", "direction"), **make
        )
        self._messages = Counter(
            "transcoder_stream_messages", "Of streams.", ("door", "method", "direction"), **make
        )
        self._refusals = Counter(
            "transcoder_policy_refusals",
            "Calls that a policy refused.",
            ("policy", "reason"),
            **make,
        )
        Info("transcoder_build", "What serves.", **make).info({"version": version("transcoder")})
        self.registry.register(_Codec())
        self._known: dict[tuple[str, ...], _Series] = {}
        self._doors: dict[str, Any] = {}

    def began(self, call: CallDetails) -> None:
        """Count a call that has come."""
        gauge = self._doors.get(call.door)
        if gauge is None:
            gauge = self._doors[call.door] = self._flying.labels(call.door)
        gauge.inc()

    def ended(self, call: CallDetails) -> None:
        """Count a call that is over."""
        self._doors[call.door].dec()
        code = "" if call.code is None else call.code.name
        key = (call.door, call.method, call.template, code, str(call.http_status or ""))
        series = self._known.get(key)
        if series is None:
            series = self._known[key] = self._series(key)
        series.calls.inc()
        series.seconds.observe(call.ended - call.started)
        if call.called:
            series.upstream.observe(call.upstream_seconds)
        if call.received:
            series.received.inc(call.received)
        if call.sent:
            series.sent.inc(call.sent)
        if call.streams:
            series.messages_in.inc(call.received_messages)
            series.messages_out.inc(call.sent_messages)
        if call.denied_by:
            self._refusals.labels(call.denied_by, call.reason).inc()

    def gauge(
        self, name: str, text: str, label: str, read: Callable[[], Mapping[str, float]]
    ) -> None:
        """Keep a gauge that somebody else knows, as the state of a breaker.

        Args:
            name: of the metric.
            text: what it tells.
            label: what distinguishes its values.
            read: returns them, by the label's value; it is asked at each scrape.
        """
        self.registry.register(_Read(GaugeMetricFamily, name, text, label, read))

    def counter(
        self, name: str, text: str, label: str, read: Callable[[], Mapping[str, float]]
    ) -> None:
        """Keep a counter that somebody else counts; as `gauge`."""
        self.registry.register(_Read(CounterMetricFamily, name, text, label, read))

    def text(self) -> str:
        """Return all metrics as OpenMetrics has them."""
        data: bytes = generate_latest(self.registry)  # type: ignore[no-untyped-call]
        return data.decode()

    def _series(self, key: tuple[str, ...]) -> _Series:
        door, method, route, *_ = key
        return _Series(
            calls=self._calls.labels(*key),
            seconds=self._seconds.labels(door, method, route),
            upstream=self._upstream.labels(door, method, route),
            received=self._bytes.labels(door, "received"),
            sent=self._bytes.labels(door, "sent"),
            messages_in=self._messages.labels(door, method, "received"),
            messages_out=self._messages.labels(door, method, "sent"),
        )


@dataclass(frozen=True, slots=True)
class _Series:
    """The series of one kind of call, looked up once."""

    calls: Counter
    seconds: Histogram
    upstream: Histogram
    received: Counter
    sent: Counter
    messages_in: Counter
    messages_out: Counter


class _Read:
    """A metric that is read when it is scraped."""

    def __init__(
        self,
        family: Any,
        name: str,
        text: str,
        label: str,
        read: Callable[[], Mapping[str, float]],
    ) -> None:
        self._family, self._name, self._text, self._label = family, name, text, label
        self._read = read

    def collect(self) -> Iterator[Any]:
        """Return the values."""
        found = self._family(self._name, self._text, labels=[self._label])
        for value, number in self._read().items():
            found.add_metric([value], number)
        yield found


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
