"""Which endpoint of a backend gets a request, and what it says of the endpoint."""

from __future__ import annotations

import functools
from typing import Final, Protocol, Self

from transcoder.discovery.source import Endpoint, Source
from transcoder.errors import StatusError
from transcoder.http_upstream.client import Client
from transcoder.measured import Readings
from transcoder.status import FAULTS, Code
from transcoder.upstream import Call
from transcoder.upstream.balancers import Balancing
from transcoder.upstream.endpoints import Endpoints, Passage
from transcoder.upstream.member import Member, Standing
from transcoder.upstream.outliers import OutlierDetection

_UNSUPPORTED: Final = 501
_LATE: Final = 504


class Choosing(Protocol):
    """Chooses an endpoint for each request."""

    async def next(self) -> Member[Client]:
        """Return that of the next request.

        Raises:
            StatusError: UNAVAILABLE, there is none.
        """
        ...

    def other(self, tried: Member[Client]) -> Member[Client] | None:
        """Return one for a request that came to nothing at another; None where there is none."""
        ...

    def passage(self, member: Member[Client], call: Call) -> Passage[Client] | Open:
        """Return what a request to one passes through, a context manager."""
        ...

    def works(self, status: int) -> bool | None:
        """Say whether one that answers with a status works; None where that cannot be told."""
        ...

    def readings(self) -> Readings:
        """Tell of them; see `Measured`."""
        ...

    async def check(self) -> str:
        """Return why none can be reached; see `Reachable`."""
        ...

    async def close(self) -> None:
        """Let go of all."""
        ...


class Only:
    """The one that the URL of a backend names.

    Args:
        client: leads to it.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._member = Member(Endpoint(client.address.located), client)

    async def next(self) -> Member[Client]:
        """Return it."""
        return self._member

    def other(self, tried: Member[Client]) -> None:
        """Return none."""

    def passage(self, member: Member[Client], call: Call) -> Open:
        """Return what takes no note: nobody else could get the requests."""
        return OPEN

    def works(self, status: int) -> None:
        """Say nothing; as `passage`."""

    def readings(self) -> Readings:
        """Tell nothing."""
        return ()

    async def check(self) -> str:
        """Return why it cannot be reached; see `Reachable`."""
        return await self._client.check()

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


class Several:
    """Those that a source tells.

    Args:
        source: tells them.
        like: leads to where the URL says; those to the endpoints are like it.
        balancing: as that of `HttpUpstream`.
        outliers: as those of `HttpUpstream`.
        grace: as that of `HttpUpstream`.

    Raises:
        ConfigError: the balancing is none.
    """

    def __init__(
        self,
        source: Source,
        like: Client,
        *,
        balancing: Balancing,
        outliers: OutlierDetection | None,
        grace: float,
    ) -> None:
        self._by_deadline = outliers is not None and outliers.deadline
        self._endpoints = Endpoints(
            source, like.at, _standing, balancing=balancing, outliers=outliers, grace=grace
        )

    async def next(self) -> Member[Client]:
        """Return that of the next request; see `Endpoints`."""
        return await self._endpoints.next()

    def other(self, tried: Member[Client]) -> Member[Client] | None:
        """Return one that is not known to be lost."""
        other = self._endpoints.other(tried)
        return None if other is None or other.connection.standing is Standing.LOST else other

    def passage(self, member: Member[Client], call: Call) -> Passage[Client]:
        """Return what a request to one passes through."""
        return self._endpoints.passage(member, functools.partial(self._is_fault, call))

    def works(self, status: int) -> bool | None:
        """Say whether one that answers with a status works; as gRPC's codes of the same meaning."""
        if status == _LATE:
            return False if self._by_deadline else None
        return status < 500 or status == _UNSUPPORTED

    def readings(self) -> Readings:
        """Tell of them; see `Endpoints`."""
        return self._endpoints.readings()

    async def check(self) -> str:
        """Return why none can be reached; see `Endpoints`."""
        return await self._endpoints.check()

    async def close(self) -> None:
        """Let go of all; see `Endpoints`."""
        await self._endpoints.close()

    def _is_fault(self, call: Call, error: BaseException) -> bool | None:
        """Say whether an endpoint is at fault; None where that cannot be told."""
        if not isinstance(error, StatusError):
            return True if call.time_remaining() == 0 and self._by_deadline else None
        if error.status.code is Code.DEADLINE_EXCEEDED:
            # By another status a client hears that it is itself too slow.
            return True if error.http == _LATE and self._by_deadline else None
        return True if error.status.code in FAULTS else None


def _standing(client: Client) -> Standing:
    client.seek()
    return client.standing


class Open:
    """Lets all requests pass, and takes no note of them."""

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """End."""

    def tell(self, *, works: bool) -> None:
        """Take no note."""

    def work(self) -> None:
        """Take no note."""

    def fail(self) -> None:
        """Take no note."""


OPEN: Final = Open()
