"""Ports for HTTP, of which a server may have several."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from transcoder.errors import ConfigError
from transcoder.hosts import Served, listed
from transcoder.listeners import Address, Claim
from transcoder.server_tls import ServerTls


@dataclass(frozen=True, slots=True)
class HttpPort:
    """A port for HTTP, with hosts and TLS of its own.

    Args:
        address: HOST:PORT, :PORT for all interfaces, or unix:/path.
        hosts: that are answered there, as `user.example.com` or `*.example.com`; at others a
            request is answered 421. None for all.
        tls: of this port; None to speak in the clear, "server" for what the server has for HTTP.

    Raises:
        ConfigError: the address or a host is none.

    >>> HttpPort(":8443", hosts=["*.example.com"]).hosts
    ('*.example.com',)
    """

    address: str
    hosts: Sequence[str] = ()
    tls: ServerTls | Literal["server"] | None = "server"

    def __post_init__(self) -> None:
        """Check the address and the hosts."""
        object.__setattr__(self, "hosts", listed(self.hosts))
        port = Address.parse(self.address).port
        try:
            Served(self.hosts).check_port(port)
        except ConfigError as error:
            raise ConfigError(f"{self.address}: {error}") from None

    @classmethod
    def told(cls, told: Mapping[str, Any]) -> HttpPort:
        """Return the port that `dataclasses.asdict` has made a mapping of."""
        tls = told["tls"]
        return cls(
            told["address"], told["hosts"], ServerTls(**tls) if isinstance(tls, dict) else tls
        )

    @classmethod
    def all_of(cls, given: Ports) -> tuple[HttpPort, ...]:
        """Return ports, of which those that are an address have what the server has.

        Raises:
            ConfigError: there is none, or an address is none.
        """
        ports = [given] if isinstance(given, str | HttpPort) else list(given)
        if not ports:
            raise ConfigError("http: an address is expected")
        return tuple(HttpPort(each) if isinstance(each, str) else each for each in ports)


Ports: TypeAlias = "str | HttpPort | Iterable[str | HttpPort]"


@dataclass(frozen=True, slots=True)
class HttpClaim:
    """A port that this process holds.

    Args:
        port: what is said of it.
        claim: its address, with its real port.
    """

    port: HttpPort
    claim: Claim


@contextlib.contextmanager
def claimed(ports: Iterable[HttpPort]) -> Iterator[tuple[HttpClaim, ...]]:
    """Hold the addresses of ports.

    Raises:
        ConfigError: as `Claim.take`; none is held then.
    """
    with contextlib.ExitStack() as held:
        yield tuple(
            HttpClaim(each, held.enter_context(Claim.take("http", Address.parse(each.address))))
            for each in ports
        )
