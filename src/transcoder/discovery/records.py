"""What a name server says, as endpoints. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from transcoder.discovery.source import (
    HEAVIEST,
    LIMIT,
    Answer,
    Endpoint,
    Unknown,
    joined,
    split_address,
)
from transcoder.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Refresh:
    """When a name is looked up again: when its records no longer hold, within bounds.

    Args:
        minimum: seconds between two questions, at least.
        maximum: at most.

    Raises:
        ConfigError: they are no bounds.
    """

    minimum: float = 5.0
    maximum: float = 60.0

    def __post_init__(self) -> None:
        """Check the numbers."""
        if not 0 < self.minimum <= self.maximum:
            told = f"minimum {self.minimum:g} and maximum {self.maximum:g}"
            raise ConfigError(f"refresh: {told}: seconds above 0 are expected, the larger last")

    def after(self, ttl: float) -> float:
        """Return the seconds to the next question, by those for which the records hold.

        >>> Refresh().after(0), Refresh().after(30), Refresh().after(86_400)
        (5.0, 30, 60.0)
        """
        return min(max(ttl, self.minimum), self.maximum)


@dataclass(frozen=True, slots=True)
class Addresses:
    """The addresses of a host.

    Args:
        hosts: in numbers.
        ttl: seconds for which they hold.
    """

    hosts: tuple[str, ...]
    ttl: float


@dataclass(frozen=True, slots=True)
class Service:
    """One SRV record (RFC 2782).

    Args:
        priority: the lowest is to be used first.
        weight: its share among those of its priority.
        port: where.
        target: the name of a host, without the dot at its end; empty where the service is not to
            be had.
    """

    priority: int
    weight: int
    port: int
    target: str


def name_server(text: str) -> tuple[str, int]:
    """Return host and port of a name server.

    Raises:
        ConfigError: it is no address in numbers.

    >>> name_server("10.0.0.2"), name_server("127.0.0.1:5353")
    (('10.0.0.2', 53), ('127.0.0.1', 5353))
    """
    bare = text.strip("[]")
    host, port = (bare, 53) if is_number(bare) else split_address(text)
    if not is_number(host):
        raise ConfigError(f"nameserver: {text!r}: an address in numbers is expected")
    return host, port


def is_number(host: str) -> bool:
    """Say whether a host is an address rather than a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def of_host(found: Addresses, name: str, port: int, refresh: Refresh) -> Answer:
    """Return the endpoints of a host, one for each of its addresses.

    Raises:
        Unknown: it has none.
    """
    named = "" if name in found.hosts else name
    endpoints = [Endpoint(joined(host, port), name=named) for host in found.hosts]
    return _answer(endpoints, refresh.after(found.ttl))


def of_services(
    services: Sequence[Service], ttl: float, hosts: Mapping[str, Addresses], refresh: Refresh
) -> Answer:
    """Return the endpoints of a service.

    Args:
        services: its records.
        ttl: seconds for which they hold.
        hosts: the addresses of their targets; one that is not there has none.
        refresh: bounds.

    Raises:
        Unknown: there are none.
    """
    endpoints = [
        Endpoint(
            joined(host, each.port),
            # RFC 2782 gives a weight of 0 a very small chance: the smallest there is.
            weight=min(max(each.weight, 1), HEAVIEST),
            priority=each.priority,
            name=each.target,
        )
        for each in services
        if each.target in hosts and each.port
        for host in hosts[each.target].hosts
    ]
    seconds = min([ttl, *(found.ttl for found in hosts.values())])
    return _answer(endpoints, refresh.after(seconds))


def _answer(endpoints: Iterable[Endpoint], seconds: float) -> Answer:
    # Name servers shuffle: in one order, what is the same looks the same.
    found = {each.address: each for each in endpoints}
    ordered = sorted(found.values(), key=lambda each: (each.priority, each.address))
    if not ordered:
        raise Unknown("there are no addresses")
    return Answer(tuple(ordered[:LIMIT]), seconds)
