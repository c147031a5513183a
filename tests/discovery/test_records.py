from __future__ import annotations

import pytest

from transcoder.discovery.records import Addresses, Refresh, Service, of_host, of_services
from transcoder.discovery.source import LIMIT, Answer, Endpoint, Unknown

REFRESH = Refresh(minimum=5, maximum=60)


def test_host() -> None:
    """Each address of a host is an endpoint, once, in one order however they come."""
    found = Addresses(("10.0.0.2", "10.0.0.1", "::1", "10.0.0.2"), 30)

    assert of_host(found, "users", 1, REFRESH) == Answer(
        (
            Endpoint("10.0.0.1:1", name="users"),
            Endpoint("10.0.0.2:1", name="users"),
            Endpoint("[::1]:1", name="users"),
        ),
        30,
    )


def test_services() -> None:
    """Each address of each target is one, with priority, weight and port of the record."""
    services = [
        Service(2, 0, 3, "c"),
        Service(1, 70, 1, "a"),
        Service(1, 30, 2, "b"),
        Service(1, 30, 2, "gone"),
        Service(0, 30, 2, ""),
    ]
    hosts = {"a": Addresses(("10.0.0.1",), 9), "b": Addresses(("10.0.0.2",), 20)}
    hosts["c"] = Addresses(("10.0.0.3",), 30)

    assert of_services(services, 40, hosts, REFRESH) == Answer(
        (
            Endpoint("10.0.0.1:1", 70, 1, "a"),
            Endpoint("10.0.0.2:2", 30, 1, "b"),
            Endpoint("10.0.0.3:3", 1, 2, "c"),  # a weight of 0 is the smallest
        ),
        9,
    )


@pytest.mark.parametrize(("ttl", "seconds"), [(0, 5), (5, 5), (30, 30), (86_400, 60)])
def test_refresh(ttl: float, seconds: float) -> None:
    """Records hold as long as they say, within bounds."""
    assert of_host(Addresses(("10.0.0.1",), ttl), "a", 1, REFRESH).seconds == seconds


def test_nothing() -> None:
    """A service that is not to be had has no endpoints."""
    with pytest.raises(Unknown, match="there are no addresses"):
        of_services([Service(0, 0, 0, "")], 5, {}, REFRESH)


def test_too_many() -> None:
    """Of more addresses than an answer may have, the first are taken."""
    hosts = tuple(f"10.0.{number // 256}.{number % 256}" for number in range(LIMIT + 1))

    assert len(of_host(Addresses(hosts, 5), "a", 1, REFRESH).endpoints) == LIMIT
