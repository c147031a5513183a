"""Names that a real name server answers for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from nameserver import NameServer, name_server
from transcoder.discovery import Dns, Endpoint, Srv, Unknown
from transcoder.discovery.records import Refresh
from transcoder.errors import ConfigError

RECORDS = (
    "host-record=both.test,127.0.0.2,::1,30",
    "host-record=both.test,127.0.0.3,30",
    "host-record=four.test,127.0.0.4",
    "host-record=six.test,::1",
    "txt-record=text.test,hello",
    "srv-host=_grpc._tcp.users.test,both.test,50051,0,60",
    "srv-host=_grpc._tcp.users.test,four.test,50052,0,40",
    "srv-host=_grpc._tcp.users.test,six.test,50053,1,0",
    "srv-host=_grpc._tcp.half.test,four.test,50052,0,40",
    "srv-host=_grpc._tcp.half.test,none.test,50053,0,40",
    "srv-host=_grpc._tcp.lost.test,none.test,50053,0,40",
    "srv-host=_none._tcp.users.test",
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NameServer]:
    with name_server(tmp_path_factory.mktemp("names"), *RECORDS) as server:
        yield server


@pytest.mark.parametrize(
    ("target", "addresses"),
    [
        ("both.test:1", ["127.0.0.2:1", "127.0.0.3:1", "[::1]:1"]),
        ("four.test:2", ["127.0.0.4:2"]),
        ("FOUR.test.:2", ["127.0.0.4:2"]),
        ("six.test:3", ["[::1]:3"]),
        ("127.0.0.9:4", ["127.0.0.9:4"]),  # no name is asked for
        ("[::1]:4", ["[::1]:4"]),
    ],
)
def test_addresses(server: NameServer, target: str, addresses: list[str]) -> None:
    """A name is all addresses of it, of both kinds."""
    answer = asyncio.run(Dns(target, nameserver=server.address).look())

    assert [endpoint.address for endpoint in answer.endpoints] == addresses


def test_ttl(server: NameServer) -> None:
    """An answer holds as long as its records."""
    source = Dns("both.test:1", nameserver=server.address, refresh=Refresh(1, 60))

    assert asyncio.run(source.look()).seconds == 30


def test_services(server: NameServer) -> None:
    """A service is the addresses of its targets, by priority and weight, and their names."""
    answer = asyncio.run(Srv("_grpc._tcp.users.test", nameserver=server.address).look())

    assert answer.endpoints == (
        Endpoint("127.0.0.2:50051", 60, 0, "both.test"),
        Endpoint("127.0.0.3:50051", 60, 0, "both.test"),
        Endpoint("127.0.0.4:50052", 40, 0, "four.test"),
        Endpoint("[::1]:50051", 60, 0, "both.test"),
        Endpoint("[::1]:50053", 1, 1, "six.test"),
    )


def test_a_target_without_an_address(server: NameServer) -> None:
    """A target that is nowhere is left out."""
    answer = asyncio.run(Srv("_grpc._tcp.half.test", nameserver=server.address).look())

    assert [endpoint.address for endpoint in answer.endpoints] == ["127.0.0.4:50052"]


@pytest.mark.parametrize(
    ("kind", "name", "problem"),
    [
        (Dns, "none.test:1", "there is no such name"),
        (Dns, "text.test:1", "there are no such records of the name"),
        (Dns, "else.where:1", "no name server can answer"),
        (Dns, f"{'a' * 64}.test:1", "A DNS label is > 63 octets long."),
        (Srv, "_grpc._tcp.none.test", "there is no such name"),
        (Srv, "four.test", "there are no such records of the name"),
        (Srv, "_grpc._tcp.lost.test", "there is no such name"),
        (Srv, "_none._tcp.users.test", "there are no addresses"),
    ],
)
def test_unknown(server: NameServer, kind: Any, name: str, problem: str) -> None:
    """Why there is no answer is told."""
    with pytest.raises(Unknown) as raised:
        asyncio.run(kind(name, nameserver=server.address).look())

    assert str(raised.value) == problem


def test_silence() -> None:
    """So it is when nobody listens."""
    with pytest.raises(Unknown, match="the name server does not answer"):
        asyncio.run(Dns("four.test:1", nameserver="127.0.0.1:1").look())


def test_the_system_s_own_servers() -> None:
    """Without a name server the system's own are asked, which know no such name either."""
    with pytest.raises(Unknown):
        asyncio.run(Dns("none.invalid:1").look())


@pytest.mark.parametrize("nameserver", ["names.internal", "names.internal:53", "127.0.0.1:x"])
def test_wrong(nameserver: str) -> None:
    """A name server has an address in numbers."""
    with pytest.raises(ConfigError):
        Dns("four.test:1", nameserver=nameserver)


@pytest.mark.parametrize("nameserver", ["127.0.0.1", "::1", "[::1]", "[::1]:53"])
def test_right(nameserver: str) -> None:
    """Its port may be left out."""
    Srv("a", nameserver=nameserver)
