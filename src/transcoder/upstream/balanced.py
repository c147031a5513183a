"""A backend of several endpoints, which come and go.

    backend = Balanced(Dns("users.internal:50051"), balancing="least_request")
    gateway.route(service, backend)

Each endpoint has a channel of its own.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncGenerator, Callable
from typing import Any, Final

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import Message

from transcoder.discovery.source import Endpoint, Source, joined, split_address
from transcoder.errors import StatusError
from transcoder.measured import Readings
from transcoder.status import FAULTS, Code
from transcoder.upstream import Call, RawRequest, Request
from transcoder.upstream.balancers import Balancing
from transcoder.upstream.channel import Channel
from transcoder.upstream.endpoints import Endpoints, Passage
from transcoder.upstream.failures import Unprocessed, Unreached
from transcoder.upstream.member import Member, Standing
from transcoder.upstream.outliers import OutlierDetection
from transcoder.upstream.tls import Tls

_STANDINGS: Final = {
    grpc.ChannelConnectivity.READY: Standing.CONNECTED,
    grpc.ChannelConnectivity.TRANSIENT_FAILURE: Standing.LOST,
}


def connect(endpoint: Endpoint, *, tls: Tls | None = None, **options: Any) -> Channel:
    """Return a channel to one endpoint.

    A host that an address was found for stands in `:authority`, and on the certificate.

    Args:
        endpoint: which.
        tls: as that of `Channel`.
        options: the other arguments of `Channel`.
    """
    named: list[tuple[str, Any]] = []
    # gRPC refuses calls whose authority is another name than that on the certificate.
    if endpoint.name and not (tls is not None and tls.server_name):
        port = split_address(endpoint.address)[1]
        named.append(("grpc.default_authority", joined(endpoint.name, port)))
        if tls is not None:
            named.append(("grpc.ssl_target_name_override", endpoint.name))
    given = options.pop("options", ())
    return Channel(endpoint.address, tls=tls, options=(*named, *given), **options)


class Balanced:
    """Passes calls on to one of the endpoints of a backend.

    A call with one request and one reply that found no connection, or was refused before the
    endpoint began with it, is tried once more at another one.

    Args:
        source: tells the endpoints; see `transcoder.discovery`. It is asked when the first call
            comes, or somebody wants to know whether the backend can be reached.
        balancing: who is next: `round_robin`, `weighted` or `least_request`.
        outliers: when an endpoint is ejected; None for never.
        connect: makes the channel to an endpoint, as `functools.partial(connect, tls=…)`.
        grace: seconds that calls get at an endpoint that is no longer there.
        clock: the time in seconds; it must not be one that is set.

    Raises:
        ConfigError: the balancing is none, or an option of the channels.
    """

    def __init__(
        self,
        source: Source,
        *,
        balancing: Balancing = "round_robin",
        outliers: OutlierDetection | None = OutlierDetection(),  # noqa: B008  frozen
        connect: Callable[[Endpoint], Channel] = connect,
        grace: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        # Nothing is connected: what is wrong with a channel is told now.
        connect(Endpoint("unix:/"))
        self._connect = connect
        self._services: list[ServiceDescriptor] = []
        self._by_deadline = outliers is not None and outliers.deadline
        self._endpoints = Endpoints(
            source,
            self._channel,
            _standing,
            balancing=balancing,
            outliers=outliers,
            grace=grace,
            clock=clock,
        )

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """Those that there are."""
        return tuple(member.endpoint for member in self._endpoints.members.values())

    def readings(self) -> Readings:
        """Tell of the endpoints; see `Measured`."""
        return self._endpoints.readings()

    def add(self, service: ServiceDescriptor) -> None:
        """Learn the methods of a service; see `Remote`."""
        self._services.append(service)
        for member in self._endpoints.members.values():
            member.connection.add(service)

    async def check(self) -> str:
        """Return why no endpoint can be reached; see `Reachable`."""
        return await self._endpoints.check()

    async def close(self) -> None:
        """Cancel what is called, and let go of all endpoints."""
        await self._endpoints.close()

    async def unary(self, call: Call, request: Request | RawRequest) -> Any:
        """Return the one reply of an endpoint; see `Upstream`."""
        member = await self._endpoints.next()
        try:
            return await self._single(member, call, request)
        except Unprocessed:
            other = self._endpoints.other(member)
            if other is None or not isinstance(request, Message | bytes):
                raise
        return await self._single(other, call, request)

    async def stream(self, call: Call, request: Request | RawRequest) -> AsyncGenerator[Any, None]:
        """Return the replies of an endpoint; see `Upstream`. The first says that it works."""
        member = await self._endpoints.next()
        with self._passage(member, call) as passage:
            async with contextlib.aclosing(member.connection.stream(call, request)) as replies:
                async for reply in replies:
                    passage.tell(works=True)
                    yield reply
            passage.tell(works=True)

    async def _single(
        self, member: Member[Channel], call: Call, request: Request | RawRequest
    ) -> Any:
        with self._passage(member, call) as passage:
            reply = await member.connection.unary(call, request)
            passage.tell(works=True)
            return reply

    def _channel(self, endpoint: Endpoint) -> Channel:
        channel = self._connect(endpoint)
        for service in self._services:
            channel.add(service)
        return channel

    def _passage(self, member: Member[Channel], call: Call) -> Passage[Channel]:
        return self._endpoints.passage(member, lambda error: self._is_fault(error, call))

    def _is_fault(self, error: BaseException, call: Call) -> bool | None:
        """Say whether an endpoint is at fault; None where that cannot be told."""
        if isinstance(error, Unreached):
            # The channel knows when it is lost, and when it is back.
            return None
        if isinstance(error, StatusError) and error.status.code is not Code.DEADLINE_EXCEEDED:
            return error.status.code in FAULTS
        is_late = isinstance(error, StatusError) or call.time_remaining() == 0
        return True if is_late and self._by_deadline else None


def _standing(channel: Channel) -> Standing:
    return _STANDINGS.get(channel.get_state(try_to_connect=True), Standing.UNTRIED)
