"""What a scrape finds: metrics of one process or of several, as plain data and as text.

Processes tell each other in JSON. Several are told as their sum, as if they were one, or each by
itself, with the label `worker`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

try:
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import Metric
    from prometheus_client.exposition import choose_encoder
except ImportError as error:
    raise ImportError("prometheus-client is missing: install transcoder[metrics]") from error

Sample: TypeAlias = "tuple[str, dict[str, str], float]"

WORKER: Final = "worker"
"""The label that tells processes apart."""


@dataclass(frozen=True, slots=True)
class Family:
    """One metric.

    Args:
        name: of it.
        text: what it tells.
        kind: as Prometheus has it.
        samples: its values: name, labels, value.
    """

    name: str
    text: str
    kind: str
    samples: list[Sample]

    @property
    def rises(self) -> bool:
        """Whether its values only rise, and so count on when their process is gone."""
        return self.kind in {"counter", "histogram"}

    def together(self, one: float, other: float) -> float:
        """Return the value of two processes as if they were one."""
        if self.kind == "info":
            # What is only there to have labels is there once.
            return other
        if self.kind == "gauge" and self.name.endswith("_seconds"):
            # They ran side by side.
            return max(one, other)
        return one + other


def taken(registries: Iterable[CollectorRegistry]) -> list[Family]:
    """Return what is in some registries, each of which counts once."""
    found: dict[str, Family] = {}
    for registry in {id(each): each for each in registries}.values():
        for metric in registry.collect():
            # When a series began is of one process, and cannot be summed.
            samples: list[Sample] = [
                (each.name, dict(each.labels), each.value)
                for each in metric.samples
                if not each.name.endswith("_created")
            ]
            family = Family(metric.name, metric.documentation, metric.type, samples)
            found.setdefault(metric.name, family)
    return list(found.values())


def summed(groups: Iterable[Iterable[Family]]) -> list[Family]:
    """Return the families of several processes as if they were one."""
    found: dict[str, tuple[Family, dict[Any, Sample]]] = {}
    for family in (each for group in groups for each in group):
        _, samples = found.setdefault(family.name, (family, {}))
        for name, labels, value in family.samples:
            key = name, *sorted(labels.items())
            before = samples[key][2] if key in samples else 0.0
            samples[key] = name, labels, family.together(before, value)
    return [
        Family(family.name, family.text, family.kind, list(samples.values()))
        for family, samples in found.values()
    ]


def told_apart(groups: Mapping[str, Iterable[Family]]) -> list[Family]:
    """Return the families of several processes, with a label for each of these."""
    labelled = (
        Family(
            each.name,
            each.text,
            each.kind,
            [(name, {**labels, WORKER: worker}, value) for name, labels, value in each.samples],
        )
        for worker, families in groups.items()
        for each in families
    )
    return summed([labelled])


def exposition(families: Iterable[Family], accept: str) -> tuple[bytes, str]:
    """Return families as text, and its media type, as the client's `Accept` has it."""
    encode, media_type = choose_encoder(accept)
    text: bytes = encode(_Collected(families))
    return text, media_type


def to_plain(families: Iterable[Family]) -> list[list[Any]]:
    """Return families as JSON has them."""
    return [[each.name, each.text, each.kind, each.samples] for each in families]


def from_plain(told: Iterable[Any]) -> list[Family]:
    """Return the families that JSON has."""
    return [
        Family(name, text, kind, [(sample, labels, value) for sample, labels, value in samples])
        for name, text, kind, samples in told
    ]


class _Collected:
    """Families as prometheus-client's encoders ask for them."""

    def __init__(self, families: Iterable[Family]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        for each in self._families:
            metric = Metric(each.name, each.text, each.kind)
            for name, labels, value in each.samples:
                metric.add_sample(name, labels, value)
            yield metric
