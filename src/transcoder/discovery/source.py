"""Endpoints, and whatever can be asked for them. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Protocol

from transcoder.errors import ConfigError, TranscoderError

LIMIT: Final = 1_000
"""Endpoints of one backend: each costs a connection."""

HEAVIEST: Final = 65_535
"""The largest weight, as SRV records have it (RFC 2782)."""

_ADDRESS: Final = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\[\]:/\s]+):(?P<port>[0-9]{1,5})")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One of those that answer for a backend.

    Args:
        address: `HOST:PORT`, `[IPv6]:PORT` or `unix:/path`.
        weight: its share, from 1 to 65,535.
        priority: it is called only where none of a lower number can be.
        name: the host that `address` was found for, as its certificate has it; empty where that is
            the address itself.

    Raises:
        ConfigError: the address is none, or the weight.
    """

    address: str
    weight: int = 1
    priority: int = 0
    name: str = ""

    def __post_init__(self) -> None:
        """Check what somebody wrote."""
        split_address(self.address)
        if type(self.weight) is not int or not 1 <= self.weight <= HEAVIEST:
            problem = f"a whole number from 1 to {HEAVIEST} is expected"
            raise ConfigError(f"{self.address}: weight {self.weight!r}: {problem}")


@dataclass(frozen=True, slots=True)
class Answer:
    """The endpoints of a moment.

    Args:
        endpoints: all of them.
        seconds: for which the answer holds; then it is time to look again.
    """

    endpoints: tuple[Endpoint, ...]
    seconds: float


class Unknown(TranscoderError):
    """No endpoints can be told, and why, in one line for the log."""


class Source(Protocol):
    """Can be asked where the endpoints are."""

    @property
    def name(self) -> str:
        """What it is, for messages."""
        ...

    async def look(self) -> Answer:
        """Return the endpoints of this moment.

        Raises:
            Unknown: there is no answer, or none that can be used.
        """
        ...


def split_address(address: object) -> tuple[str, int]:
    """Return host and port of an address; a path of a Unix socket with port 0.

    Raises:
        ConfigError: it is none.

    >>> split_address("[::1]:50051"), split_address("users:50051")
    (('::1', 50051), ('users', 50051))
    """
    if isinstance(address, str):
        if address.startswith("unix:/"):
            return address, 0
        match = _ADDRESS.fullmatch(address)
        if match is not None and 0 < int(match["port"]) <= 65_535:
            return match["host"].strip("[]"), int(match["port"])
    raise ConfigError(f"{address!r} is no address: HOST:PORT is expected")


def joined(host: str, port: int) -> str:
    """Return the address of a host and a port.

    >>> joined("::1", 50051)
    '[::1]:50051'
    """
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
