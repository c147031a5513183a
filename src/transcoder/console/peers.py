"""The admin ports of other processes, asked for what they see of who calls whom."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import orjson

from transcoder.errors import ConfigError
from transcoder.topology import Topology, topology_of

PATH: Final = "/topology"
TIMEOUT: Final = 1.0
"""Seconds within which a peer has answered."""

LONGEST: Final = 1 << 20
"""Bytes of an answer."""

KEPT: Final = 0.5
"""Seconds for which an answer holds."""

_ADDRESS = re.compile(r"(?:http://)?(?P<host>\[[0-9a-fA-F:.]+\]|[\w.-]+):(?P<port>[0-9]{1,5})/?")
_HEAD = re.compile(
    rb"HTTP/1\.[01] ([0-9]{3}) .*?\r\ncontent-length: *([0-9]+)\r\n", re.DOTALL | re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Address:
    """Where the admin port of a peer is.

    Args:
        host: a name, or an IP address.
        port: of TCP.
    """

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """Return the address that a text is.

        Raises:
            ConfigError: it is none.

        >>> Address.parse("http://[::1]:9901")
        Address(host='::1', port=9901)
        """
        found = _ADDRESS.fullmatch(text)
        if found is None or not 0 < int(found["port"]) < 1 << 16:
            raise ConfigError(f"admin: peer {text!r}: HOST:PORT or http://HOST:PORT is expected")
        return cls(found["host"].strip("[]"), int(found["port"]))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Peer:
    """What is known of a peer.

    Args:
        address: its own.
        topology: what it sees; None if it does not answer now.
        problem: why it does not.
        name: its name, if it ever told one; else the address.
    """

    address: Address
    topology: Topology | None
    problem: str
    name: str


class Peers:
    """Asks peers, while somebody wants to know.

    Args:
        addresses: theirs.
        token: that is shown to them; "" for none.
        now: the clock.
    """

    def __init__(self, addresses: Sequence[Address], token: str, now: Callable[[], float]) -> None:
        self._addresses = addresses
        self._token = token
        self._now = now
        self._names: dict[Address, str] = {}
        self._found: list[Peer] = []
        self._until = float("-inf")
        self._asking = asyncio.Lock()

    async def look(self) -> list[Peer]:
        """Return what they tell now, each within its time."""
        async with self._asking:
            if self._now() >= self._until:
                self._found = list(await asyncio.gather(*map(self._ask, self._addresses)))
                self._until = self._now() + KEPT
        return self._found

    async def _ask(self, address: Address) -> Peer:
        try:
            async with asyncio.timeout(TIMEOUT):
                topology = topology_of(orjson.loads(await _got(address, self._token)))
        except TimeoutError:
            problem = f"no answer within {TIMEOUT:g} s"
        except OSError as error:
            # The event loops have words of their own for what the system says.
            number = error.errno or 0
            problem = os.strerror(number) if number > 0 else error.strerror or str(error)
        except (EOFError, ValueError) as error:
            problem = f"not an answer of an admin port: {error}"
        else:
            self._names[address] = topology.name
            return Peer(address, topology, "", topology.name)
        return Peer(address, None, problem, self._names.get(address, str(address)))


async def _got(address: Address, token: str) -> bytes:
    """Return the body of an answer.

    Raises:
        OSError: there is no connection.
        EOFError: the connection ended too early.
        ValueError: the answer is none that is expected.
    """
    reader, writer = await asyncio.open_connection(address.host, address.port, limit=LONGEST)
    try:
        shown = f"authorization: Bearer {token}\r\n" if token else ""
        head = f"GET {PATH} HTTP/1.1\r\nhost: {address}\r\n{shown}connection: close\r\n\r\n"
        writer.write(head.encode())
        answer = await reader.readuntil(b"\r\n\r\n")
        found = _HEAD.match(answer)
        if found is None:
            raise ValueError("no HTTP")
        if found[1] != b"200":
            raise ValueError(f"status {found[1].decode()}")
        if int(found[2]) > LONGEST:
            raise ValueError(f"over {LONGEST} bytes")
        return await reader.readexactly(int(found[2]))
    except asyncio.LimitOverrunError as error:
        raise ValueError("no HTTP") from error
    finally:
        writer.close()
