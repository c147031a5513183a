"""How many connections there may be, and how long they may take: pure, the clock is handed in.

A connection is overdue when its head does not come: from the moment when it is accepted, and from
the first byte of each further request. It is overdue too when its client does not read what it was
sent. Whoever owns the connections asks now and then which ones are.
"""

from __future__ import annotations

import resource
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from transcoder.errors import ConfigError

C = TypeVar("C", bound=Hashable)

MOST: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """The limits of HTTP connections.

    Args:
        total: at once in one process; the default is half of the files that it may open, and not
            more than 10,000. One more is answered 503; over TLS it is cut before its handshake,
            and handshakes count.
        per_address: at once from one address; 0 for no such limit, for behind a proxy all come
            from one.
        head: seconds until the head of a request must have come; then it is answered 408.
        stall: seconds for which a client may not read what it was sent.

    Raises:
        ConfigError: one of them is below what it can be.
    """

    total: int = 0
    per_address: int = 0
    head: float = 10.0
    stall: float = 60.0

    def __post_init__(self) -> None:
        """Check them, and find the default."""
        if self.total < 0 or self.per_address < 0 or not self.head > 0 or not self.stall > 0:
            problem = "counts from 0 and seconds above 0 are expected"
            raise ConfigError(f"connections: {problem}")
        if self.total == 0:
            files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
            object.__setattr__(self, "total", max(1, min(MOST, files // 2)))


DEFAULT_CONNECTION_LIMITS: Final = ConnectionLimits()


class Connections(Generic[C]):
    """The connections of a listener.

    Args:
        limits: of them.

    >>> connections = Connections(ConnectionLimits(total=1))
    >>> connections.admit("a", "192.0.2.1", 0.0), connections.admit("b", "192.0.2.2", 1.0)
    ('', 'total')
    >>> connections.overdue(10.0)
    (['a'], [])
    """

    __slots__ = ("_addresses", "_counts", "_heads", "_limits", "_stalled")

    def __init__(self, limits: ConnectionLimits = DEFAULT_CONNECTION_LIMITS) -> None:
        self._limits = limits
        self._addresses: dict[C, str] = {}
        self._counts: dict[str, int] = {}
        self._heads: dict[C, float] = {}
        self._stalled: dict[C, float] = {}

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._addresses)

    def admit(self, connection: C, address: str, now: float) -> str:
        """Take a connection among the others; return why not, `total` or `address`, else nothing.

        Args:
            connection: which.
            address: of its client; empty for a Unix socket, whose clients are not told apart.
            now: the time in seconds.
        """
        limits = self._limits
        if len(self._addresses) >= limits.total:
            return "total"
        count = self._counts.get(address, 0)
        if limits.per_address and address and count >= limits.per_address:
            return "address"
        self._addresses[connection] = address
        self._counts[address] = count + 1
        self._heads[connection] = now
        return ""

    def forget(self, connection: C) -> None:
        """Let go of a connection that is closed."""
        address = self._addresses.pop(connection, None)
        if address is None:
            return
        self._heads.pop(connection, None)
        self._stalled.pop(connection, None)
        left = self._counts[address] - 1
        if left:
            self._counts[address] = left
        else:
            del self._counts[address]

    def head_began(self, connection: C, now: float) -> None:
        """Take note that a request has begun to come."""
        if connection in self._addresses:
            self._heads.setdefault(connection, now)

    def head_came(self, connection: C) -> None:
        """Take note that its head is there."""
        self._heads.pop(connection, None)

    def stalled(self, connection: C, now: float) -> None:
        """Take note that a client does not read."""
        if connection in self._addresses:
            self._stalled.setdefault(connection, now)

    def reads(self, connection: C) -> None:
        """Take note that it does again."""
        self._stalled.pop(connection, None)

    def overdue(self, now: float) -> tuple[list[C], list[C]]:
        """Return the connections whose head is overdue, and those whose client does not read."""
        limits = self._limits
        return (
            [each for each, since in self._heads.items() if now - since >= limits.head],
            [each for each, since in self._stalled.items() if now - since >= limits.stall],
        )
