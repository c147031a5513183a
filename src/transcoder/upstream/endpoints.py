"""The endpoints of a backend, and which of them gets the next call, whatever is spoken to them.

Calls go to endpoints that are connected and not ejected, and of them to those of the lowest
priority; where there are none, to those that had better be tried. An endpoint that is no longer
there gets no more calls, and its connection is closed when the calls on it have ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import time
from collections.abc import Callable, Sequence
from typing import Final, Generic, Self

from transcoder.discovery.following import Following
from transcoder.discovery.source import Endpoint, Source
from transcoder.errors import ConfigError, StatusError
from transcoder.measured import Metric, Reading, Readings
from transcoder.status import Code
from transcoder.upstream.balancers import BALANCERS, Balancer, Balancing
from transcoder.upstream.endpoint_counts import EndpointCounts
from transcoder.upstream.failures import UNAVAILABLE
from transcoder.upstream.member import C, Member, Standing
from transcoder.upstream.outliers import OutlierDetection, Outliers

_log = logging.getLogger(__name__)

_LOOK: Final = 0.05
"""Seconds between two looks at endpoints that get no calls."""

_ENDPOINTS: Final = Metric("transcoder_endpoints", "Endpoints of a backend.")
_EJECTED: Final = Metric("transcoder_endpoints_ejected", "Endpoints that are ejected.")
_CALLS: Final = Metric("transcoder_endpoint_calls", "Calls that an endpoint got.", rises=True)
_EJECTIONS: Final = Metric(
    "transcoder_endpoint_ejections", "How often an endpoint was ejected.", rises=True
)


class Endpoints(Generic[C]):
    """Those of one backend.

    Args:
        source: tells them. It is asked when somebody first wants one.
        connect: makes what leads to one; it need not connect.
        standing: says how that is, and has it connect.
        balancing: who is next: `round_robin`, `weighted` or `least_request`.
        outliers: when one is ejected; None for never.
        grace: seconds that calls get on one that is no longer there.
        clock: the time in seconds; it must not be one that is set.

    Raises:
        ConfigError: the balancing is none.
    """

    def __init__(
        self,
        source: Source,
        connect: Callable[[Endpoint], C],
        standing: Callable[[C], Standing],
        *,
        balancing: Balancing = "round_robin",
        outliers: OutlierDetection | None = None,
        grace: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if balancing not in BALANCERS:
            known = ", ".join(BALANCERS)
            raise ConfigError(f"balancing: {balancing!r}: one of {known} is expected")
        self.members: dict[str, Member[C]] = {}
        """Those that there are, by their addresses."""
        self._source = source
        self._following = Following(source, self._take)
        self._connect = connect
        self._standing = standing
        self._make = BALANCERS[balancing]
        self._outliers = None if outliers is None else Outliers(outliers)
        self._grace = grace
        self._clock = clock
        self._usable: list[Member[C]] = []
        self._balancer: Balancer = self._make([1])
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._draining: dict[asyncio.Task[None], Member[C]] = {}
        self._calls = EndpointCounts()
        self._ejections = EndpointCounts()

    async def next(self) -> Member[C]:
        """Return the one of the next call.

        Raises:
            StatusError: UNAVAILABLE, there is none.
        """
        if self._loop is not asyncio.get_running_loop() or not self._usable:
            await self._known()
            if not self._usable:
                error = StatusError(Code.UNAVAILABLE, UNAVAILABLE)
                error.log = self._none()
                raise error
        member = self._picked()
        if self._standing(member.connection):
            self._choose()
            member = self._picked()
        return member

    def other(self, tried: Member[C]) -> Member[C] | None:
        """Return one for a call that another did not begin with; None where there is none."""
        self._choose()
        others = [member for member in self._usable if member is not tried]
        if not others:
            return None
        picked = self._picked()
        return others[0] if picked is tried else picked

    def passage(
        self, member: Member[C], judge: Callable[[BaseException], bool | None]
    ) -> Passage[C]:
        """Return what a call to one passes through.

        Args:
            member: which.
            judge: says of what a call raised whether it is the endpoint's fault; None where it
                says nothing of the endpoint.
        """
        return Passage(self, member, judge)

    async def check(self) -> str:
        """Return why none can be reached; see `Reachable`."""
        await self._known()
        while self.members:
            standings = {self._standing(each.connection) for each in self.members.values()}
            if Standing.CONNECTED in standings:
                return ""
            if standings == {Standing.LOST}:
                count = len(self.members)
                return f"{self._source.name}: none of the {count} endpoints can be reached"
            await asyncio.sleep(_LOOK)
        return self._none()

    def readings(self) -> Readings:
        """Tell of them; see `Measured`."""
        now = self._clock()
        addresses = list(self.members)
        yield Reading(_ENDPOINTS, len(addresses))
        yield Reading(_EJECTED, sum(self._is_ejected(address, now) for address in addresses))
        for metric, counts in ((_CALLS, self._calls), (_EJECTIONS, self._ejections)):
            for address, count in counts.told():
                yield Reading(metric, count, {"endpoint": address})

    async def close(self) -> None:
        """Cancel what is called, and let go of all."""
        await self._following.close()
        self._forget_timer()
        draining, self._draining = self._draining, {}
        for task in draining:
            task.cancel()
        members = [*draining.values(), *self.members.values()]
        self.members, self._usable = {}, []
        for member in members:
            await member.connection.close()

    def begin(self, member: Member[C]) -> None:
        """Take note that a call begins."""
        member.active += 1
        self._calls.count(member.endpoint.address, self.members)

    def worked(self, member: Member[C]) -> None:
        """Take note that an endpoint works."""
        if self._outliers is not None:
            self._outliers.worked(member.endpoint.address)

    def failed(self, member: Member[C]) -> None:
        """Take note of a fault."""
        address = member.endpoint.address
        # One that is no longer there says nothing of another at its address.
        if self._outliers is None or self.members.get(address) is not member:
            return
        if self._outliers.failed(address, self._clock()):
            name = self._source.name
            _log.warning("%s: %s is ejected, it failed too often in a row", name, address)
            self._ejections.count(address, self.members)
            self._choose()

    def _none(self) -> str:
        return f"{self._source.name}: no endpoints: {self._following.problem}"

    def _picked(self) -> Member[C]:
        return self._usable[self._balancer.pick(self._usable)]

    async def _known(self) -> None:
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            # What was begun in another loop has ended with it.
            self._loop, self._timer, self._draining = loop, None, {}
            self._choose()
        await self._following.known()

    def _take(self, endpoints: Sequence[Endpoint]) -> None:
        before, now = dict(self.members), {}
        for endpoint in endpoints:
            member = before.get(endpoint.address)
            if member is None or member.endpoint.name != endpoint.name:
                member = Member(endpoint, self._connect(endpoint))
            else:
                del before[endpoint.address]
                member.endpoint = endpoint
            now[endpoint.address] = member
        self.members = now
        for member in before.values():
            self._let_go(member)
        if self._outliers is not None:
            self._outliers.keep(self.members, self._clock())
        # Weights may be others where the endpoints are not.
        self._usable = []
        self._choose()

    def _let_go(self, member: Member[C]) -> None:
        task = asyncio.get_running_loop().create_task(self._drain(member))
        self._draining[task] = member
        task.add_done_callback(lambda task: self._draining.pop(task, None))

    async def _drain(self, member: Member[C]) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._grace):
                await member.ended()
        await member.connection.close()

    def _choose(self) -> None:
        """Find those that get the calls; look again soon where some get none."""
        now = self._clock()
        found = {
            address: (
                self._standing(member.connection),
                self._is_ejected(address, now),
                member.endpoint.priority,
            )
            for address, member in self.members.items()
        }
        best = min(found.values(), default=None)
        usable = [member for key, member in self.members.items() if found[key] == best]
        if usable != self._usable:
            self._usable = usable
            self._balancer = self._make([member.endpoint.weight for member in usable])
        self._forget_timer()
        if any(standing or ejected for standing, ejected, _ in found.values()):
            loop, apart = asyncio.get_running_loop(), contextvars.Context()
            self._timer = loop.call_later(_LOOK, self._choose, context=apart)

    def _forget_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _is_ejected(self, address: str, now: float) -> bool:
        return self._outliers is not None and self._outliers.is_ejected(address, now)


class Passage(Generic[C]):
    """One call to an endpoint; see `Endpoints.passage`."""

    __slots__ = ("_endpoints", "_judge", "_member", "_told")

    def __init__(
        self,
        endpoints: Endpoints[C],
        member: Member[C],
        judge: Callable[[BaseException], bool | None],
    ) -> None:
        self._endpoints = endpoints
        self._member = member
        self._judge = judge
        self._told = False

    def __enter__(self) -> Self:
        self._endpoints.begin(self._member)
        return self

    def __exit__(self, _type: object, error: BaseException | None, _tb: object) -> None:
        self._member.end()
        is_fault = None if error is None else self._judge(error)
        if is_fault is not None:
            self.tell(works=not is_fault)

    def tell(self, *, works: bool) -> None:
        """Take note of whether the endpoint works; only the first time counts."""
        if not self._told:
            self._told = True
            note = self._endpoints.worked if works else self._endpoints.failed
            note(self._member)
