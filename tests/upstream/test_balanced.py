"""A backend of several real servers, which come, fail and go."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
import trustme
from grpc_health.v1.health import aio
from grpc_health.v1.health_pb2 import HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthServicer

from backend import CHAT, GET, IMPORT, SERVICE, WATCH, Users, backend
from nameserver import name_server
from replica import replica
from services.user.v1.user_service_pb2 import (
    ChatRequest,
    GetUserRequest,
    ImportUsersRequest,
    User,
    WatchUsersRequest,
)
from toxic import Toxic, ToxicProxy, toxic
from transcoder.discovery import Answer, Dns, Endpoint, Listed, Srv, Unknown
from transcoder.discovery.records import Refresh
from transcoder.errors import ConfigError, StatusError
from transcoder.measured import Reading
from transcoder.upstream import Call, RawCall
from transcoder.upstream.balanced import Balanced, connect
from transcoder.upstream.breaker import State
from transcoder.upstream.channel_options import Backoff, Keepalive
from transcoder.upstream.circuit_breaker import CircuitBreaker
from transcoder.upstream.outliers import OutlierDetection
from transcoder.upstream.proxy import Reachable
from transcoder.upstream.split import Split, Version
from transcoder.upstream.tls import Tls

PATIENCE = 60.0
QUICK = Refresh(minimum=0.05, maximum=0.1)
SHORT = Backoff(first=0.05, longest=0.1, timeout=1)
NEVER = OutlierDetection(consecutive=1_000_000)


soon = functools.partial(connect, backoff=SHORT)


class Clock:
    """The time, which a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Failing(Users):
    """Ends each call with one status."""

    def __init__(self, code: str, said: str = "failed") -> None:
        super().__init__()
        self._code = grpc.StatusCode[code]
        self._said = said

    async def GetUser(self, request: GetUserRequest, context: Any) -> User:
        self._note(context)
        await context.abort(self._code, self._said)
        return User()


class Told:
    """A source that says what a test says."""

    name = "told"

    def __init__(self, *endpoints: str | Endpoint) -> None:
        self.tell(*endpoints)

    def tell(self, *endpoints: str | Endpoint) -> None:
        """Say this from now on."""
        self._endpoints = tuple(
            each if isinstance(each, Endpoint) else Endpoint(each) for each in endpoints
        )

    async def look(self) -> Answer:
        if not self._endpoints:
            raise Unknown("nothing was told")
        return Answer(self._endpoints, 0.01)


@dataclass
class Replicas:
    """Servers of one backend, each behind a proxy that can make it fail."""

    users: list[Users] = field(default_factory=list)
    proxies: list[ToxicProxy] = field(default_factory=list)

    @property
    def targets(self) -> list[str]:
        """Where they are."""
        return [proxy.target for proxy in self.proxies]

    @property
    def calls(self) -> list[int]:
        """How many calls each has seen."""
        return [users.calls for users in self.users]


@contextlib.asynccontextmanager
async def replicas(*users: Users) -> AsyncIterator[Replicas]:
    """Serve each, behind a proxy of its own."""
    async with contextlib.AsyncExitStack() as stack:
        made = Replicas()
        for each in users:
            target = await stack.enter_async_context(backend(each))
            made.proxies.append(await stack.enter_async_context(toxic(target)))
            made.users.append(each)
        yield made


@contextlib.asynccontextmanager
async def balanced(source: Any, **options: Any) -> AsyncIterator[Balanced]:
    """Balance a service, as long as the block runs."""
    made = Balanced(source, **options)
    made.add(SERVICE)
    try:
        yield made
    finally:
        await made.close()


def run(fact: Callable[[], Awaitable[Any]]) -> Any:
    """Run a test in a loop, which must not hang."""

    async def running() -> Any:
        async with asyncio.timeout(PATIENCE):
            return await fact()

    return asyncio.run(running())


async def get(upstream: Any, name: str = "7", seconds: float | None = 20) -> int:
    """Call GetUser; return the HTTP status."""
    deadline = None if seconds is None else time.monotonic() + seconds
    try:
        reply = await upstream.unary(Call(GET, deadline=deadline), GetUserRequest(id=name))
    except StatusError as error:
        return error.http
    assert reply == User(id=name)
    return 200


async def until(is_so: Callable[[], bool | Awaitable[bool]]) -> None:
    """Wait for something that nobody tells of."""
    while True:
        found = is_so()
        if found if isinstance(found, bool) else await found:
            return
        await asyncio.sleep(0.01)


async def get_of(upstream: Any, is_so: Callable[[], bool]) -> bool:
    """Call, whatever comes of it; say whether something is so then."""
    await get(upstream)
    return is_so()


def free_port(*hosts: str) -> int:
    """Return a port that nobody listens on."""
    with contextlib.ExitStack() as stack:
        port = 0
        for host in hosts or ("127.0.0.1",):
            reserved = stack.enter_context(socket.socket())
            reserved.bind((host, port))
            port = reserved.getsockname()[1]
        return port


async def connected(made: Balanced, count: int) -> None:
    """Wait until so many endpoints get calls."""
    await made.check()
    await until(lambda: len(made._endpoints._usable) == count)


def told(made: Balanced) -> dict[str, float]:
    """Return what is measured, by metric and endpoint."""
    return {
        " ".join((each.metric.name.removeprefix("transcoder_"), *each.labels.values())): each.value
        for each in made.readings()
        if isinstance(each, Reading)
    }


@pytest.mark.parametrize(
    ("balancing", "shares"),
    [("round_robin", [40, 40]), ("weighted", [60, 20]), ("least_request", [60, 20])],
)
def test_shares(balancing: Any, shares: list[int]) -> None:
    """Each replica has exactly its share of calls one after another."""

    async def fact() -> None:
        async with replicas(Users(), Users()) as made:
            endpoints = [Endpoint(made.targets[0], 3), Endpoint(made.targets[1], 1)]
            async with balanced(Listed(endpoints), balancing=balancing) as upstream:
                await connected(upstream, 2)
                assert {await get(upstream) for _ in range(80)} == {200}
                assert made.calls == shares
                assert told(upstream) == {
                    "endpoints": 2,
                    "endpoints_ejected": 0,
                    f"endpoint_calls {made.targets[0]}": shares[0],
                    f"endpoint_calls {made.targets[1]}": shares[1],
                }

    run(fact)


def test_least_request_passes_by_one_that_is_slow() -> None:
    """A replica whose calls do not end gets no more of them than one of the others has."""

    class Slow(Users):
        async def GetUser(self, request: GetUserRequest, context: Any) -> User:
            self._note(context)
            await self._hang()
            return User(id=request.id)

    async def fact() -> None:
        async with replicas(Users(), Slow()) as made:
            source = Listed(made.targets)
            async with balanced(source, balancing="least_request") as upstream:
                await connected(upstream, 2)
                calls = [asyncio.ensure_future(get(upstream)) for _ in range(2)]
                await made.users[1].begun.wait()
                assert {await get(upstream) for _ in range(20)} == {200}
                assert made.calls == [21, 1]
                for call in calls:
                    call.cancel()
                await asyncio.gather(*calls, return_exceptions=True)

    run(fact)


def test_all_kinds() -> None:
    """Calls of all four kinds, and those passed on as bytes, go to the replicas in turn."""

    async def requests(*made: Any) -> AsyncIterator[Any]:
        for each in made:
            yield each

    async def fact() -> None:
        async with replicas(Users(), Users()) as made, balanced(Listed(made.targets)) as upstream:
            await connected(upstream, 2)
            for _ in range(2):
                assert await get(upstream) == 200
                watched = upstream.stream(Call(WATCH), WatchUsersRequest())
                assert len([each async for each in watched]) == 3
                told = requests(ImportUsersRequest(), ImportUsersRequest())
                assert (await upstream.unary(Call(IMPORT), told)).created_count == 2
                chat = upstream.stream(Call(CHAT), requests(ChatRequest(text="a")))
                assert [each.text async for each in chat] == ["a"]
                raw = GetUserRequest(id="8").SerializeToString()
                assert User.FromString(await upstream.unary(RawCall(GET), raw)).id == "8"
            assert made.calls == [5, 5]

    run(fact)


def test_priority() -> None:
    """Replicas of a higher number get calls only while none of a lower one can be reached."""

    async def fact() -> None:
        async with replicas(Users(), Users()) as made:
            first, second = made.users
            source = Listed([Endpoint(made.targets[1], 1, 1), Endpoint(made.targets[0], 1, 0)])
            async with balanced(source, connect=soon) as upstream:

                async def reach(users: Users) -> None:
                    before = users.calls
                    await until(lambda: get_of(upstream, lambda: users.calls > before))

                await reach(first)
                second.calls = 0
                assert {await get(upstream) for _ in range(10)} == {200}
                assert second.calls == 0
                made.proxies[0].toxic = Toxic.RESET
                made.proxies[0].kill()
                await reach(second)
                made.proxies[0].toxic = Toxic.NONE
                await reach(first)

    run(fact)


@pytest.mark.parametrize("code", ["UNAVAILABLE", "INTERNAL", "UNKNOWN", "DATA_LOSS"])
def test_outlier(code: str, caplog: pytest.LogCaptureFixture) -> None:
    """A replica that fails by itself is ejected, and gets calls again after a while."""

    async def fact() -> None:
        clock = Clock()
        async with replicas(Users(), Failing(code)) as made:
            good, bad = made.targets
            detection = OutlierDetection(consecutive=3, base=10)
            source = Listed(made.targets)
            async with balanced(source, outliers=detection, clock=clock) as upstream:
                await connected(upstream, 2)
                found = [await get(upstream) for _ in range(20)]
                assert len([status for status in found if status != 200]) == 3
                assert made.calls == [17, 3]
                assert told(upstream) == {
                    "endpoints": 2,
                    "endpoints_ejected": 1,
                    f"endpoint_calls {good}": 17,
                    f"endpoint_calls {bad}": 3,
                    f"endpoint_ejections {bad}": 1,
                }
                clock.now += 10
                await connected(upstream, 2)
                assert {await get(upstream) for _ in range(2)} > {200}
        assert f"{good}, {bad}: {bad} is ejected, it failed too often in a row" in caplog.messages

    run(fact)


@pytest.mark.parametrize("code", ["NOT_FOUND", "INVALID_ARGUMENT", "UNAUTHENTICATED", "ABORTED"])
def test_what_is_no_outlier(code: str) -> None:
    """What a client does wrong ejects nobody."""

    async def fact() -> None:
        async with replicas(Users(), Failing(code)) as made:
            detection = OutlierDetection(consecutive=1)
            async with balanced(Listed(made.targets), outliers=detection) as upstream:
                await connected(upstream, 2)
                for _ in range(20):
                    await get(upstream)
                assert made.calls == [10, 10]

    run(fact)


@pytest.mark.parametrize(("counts", "calls"), [(True, [9, 1]), (False, [5, 5])])
def test_deadlines(counts: bool, calls: list[int]) -> None:  # noqa: FBT001  a table's
    """A deadline that passes is the replica's fault where that is said."""

    async def fact() -> None:
        async with replicas(Users(), Failing("DEADLINE_EXCEEDED")) as made:
            detection = OutlierDetection(consecutive=1, base=1000, deadline=counts)
            async with balanced(Listed(made.targets), outliers=detection) as upstream:
                await connected(upstream, 2)
                for _ in range(10):
                    await get(upstream)
                assert made.calls == calls

    run(fact)


def test_all_fail() -> None:
    """Where all fail, one goes on to get calls, and all of them are never ejected."""

    async def fact() -> None:
        async with replicas(*(Failing("INTERNAL") for _ in range(3))) as made:
            detection = OutlierDetection(consecutive=1, base=1000, maximum_percent=100)
            async with balanced(Listed(made.targets), outliers=detection) as upstream:
                await connected(upstream, 3)
                assert {await get(upstream) for _ in range(10)} == {500}
                assert told(upstream)["endpoints_ejected"] == 2
                assert sorted(made.calls) == [1, 1, 8]

    run(fact)


def test_one_that_is_down() -> None:
    """A replica that nobody listens at fails no call, and is found when it is there again."""

    async def fact() -> None:
        async with replicas(Users()) as made:
            port = free_port()
            source = Listed([*made.targets, f"127.0.0.1:{port}"])
            async with balanced(source, connect=soon) as upstream:
                assert {await get(upstream) for _ in range(20)} == {200}
                late = Users()
                async with backend(late, port=port):
                    await until(lambda: get_of(upstream, lambda: late.calls > 0))

    run(fact)


@pytest.mark.parametrize(("asked", "service"), [(True, ""), ("a.B", "a.B")])
def test_health(asked: bool | str, service: str) -> None:  # noqa: FBT001  a table's
    """A replica that says it does not serve gets no calls; one that knows no health does."""

    async def fact() -> None:
        health = aio.HealthServicer()
        watched, silent = Users(), Users()
        await health.set(service, HealthCheckResponse.SERVING)
        async with backend(watched, health=health) as one, backend(silent) as other:
            source = Listed([one, other])
            checked = functools.partial(connect, health_check=asked)
            async with balanced(source, connect=checked) as upstream:
                await connected(upstream, 2)
                assert {await get(upstream) for _ in range(10)} == {200}
                assert (watched.calls, silent.calls) == (5, 5)

                await health.set(service, HealthCheckResponse.NOT_SERVING)
                await until(lambda: get_of(upstream, lambda: len(upstream._endpoints._usable) == 1))
                before = watched.calls
                assert {await get(upstream) for _ in range(10)} == {200}
                assert watched.calls == before

                await health.set(service, HealthCheckResponse.SERVING)
                await connected(upstream, 2)

    run(fact)


def test_health_that_is_not_told() -> None:
    """A replica that refuses to tell its health gets no calls."""

    class Closed(HealthServicer):
        async def Watch(self, request: Any, context: Any) -> AsyncIterator[HealthCheckResponse]:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "no token")
            yield HealthCheckResponse()

    async def fact() -> None:
        async with backend(Users(), health=Closed()) as target:
            checked = functools.partial(soon, health_check=True)
            async with balanced(Listed([target]), connect=checked) as upstream:
                assert await upstream.check() == f"{target}: none of the 1 endpoints can be reached"
                assert await get(upstream) == 503

    run(fact)


def test_killed() -> None:
    """A replica that is killed fails no more calls than were under way at it."""

    async def fact() -> None:
        port = free_port()
        with replica(port) as process:
            async with replicas(Users()) as made:
                address = f"127.0.0.1:{port}"
                async with balanced(Listed([*made.targets, address]), connect=soon) as upstream:
                    await connected(upstream, 2)
                    statuses: list[int] = []
                    over = asyncio.Event()

                    async def calls() -> None:
                        while not over.is_set():
                            statuses.append(await get(upstream, "wait-2"))

                    calling = [asyncio.create_task(calls()) for _ in range(8)]
                    await until(lambda: len(statuses) > 100)
                    process.kill()
                    before = len(statuses)
                    await until(lambda: len(statuses) > before + 400)
                    over.set()
                    await asyncio.gather(*calling)
                    assert set(statuses) <= {200, 503}
                    # No more are under way at any time.
                    assert statuses.count(503) <= len(calling)

    run(fact)


def test_never_twice() -> None:
    """A call that may have reached a replica is not sent to another."""

    async def fact() -> None:
        async with replicas(Users(), Users()) as made, balanced(Listed(made.targets)) as upstream:
            await connected(upstream, 2)
            call = asyncio.ensure_future(get(upstream, "hang"))
            await until(lambda: sum(made.calls) == 1)
            for proxy in made.proxies:
                proxy.kill()
            assert await call == 503
            assert sum(made.calls) == 1

    run(fact)


def test_words_of_a_backend() -> None:
    """Nor is one whose replica says, in gRPC's words, that somebody else cannot be reached."""

    async def fact() -> None:
        said = "failed to connect to all addresses; last error: nobody"
        failing = [Failing("UNAVAILABLE", said) for _ in range(2)]
        async with replicas(*failing) as made, balanced(Listed(made.targets)) as upstream:
            await connected(upstream, 2)
            assert await get(upstream) == 503
            assert sum(made.calls) == 1

    run(fact)


def test_come_and_go() -> None:
    """A replica that comes gets calls, and one that goes gets none; its last call ends there."""

    async def fact() -> None:
        async with replicas(Users(), Users()) as made:
            old, new = made.users
            source = Told(made.targets[0])
            async with balanced(source, connect=soon) as upstream:
                replies = upstream.stream(Call(WATCH), WatchUsersRequest(id="hang"))
                for _ in range(3):
                    await anext(replies)
                source.tell(made.targets[1])
                await until(lambda: get_of(upstream, lambda: new.calls > 0))
                before = old.calls
                assert {await get(upstream) for _ in range(10)} == {200}
                assert old.calls == before
                assert not old.cancelled.is_set()
                assert len(upstream.endpoints) == 1
                await replies.aclose()
                await old.cancelled.wait()
                await until(lambda: not upstream._endpoints._draining)

    run(fact)


def test_grace() -> None:
    """Calls at a replica that went end when their grace is over."""

    async def fact() -> None:
        async with replicas(Users(), Users()) as made:
            source = Told(made.targets[0])
            async with balanced(source, grace=0.1) as upstream:
                call = asyncio.ensure_future(get(upstream, "hang"))
                await made.users[0].begun.wait()
                source.tell(made.targets[1])
                assert await call == 503
                await made.users[0].cancelled.wait()

    run(fact)


def test_none_yet(caplog: pytest.LogCaptureFixture) -> None:
    """While no endpoint is known calls are 503, and the service is not ready; then it is."""

    async def fact() -> None:
        async with replicas(Users()) as made:
            source = Told()
            async with balanced(source) as upstream:
                assert isinstance(upstream, Reachable)
                assert await get(upstream) == 503
                assert await upstream.check() == "told: no endpoints: nothing was told"
                source.tell(*made.targets)
                await until(lambda: get_of(upstream, lambda: made.calls == [1]))
                assert await upstream.check() == ""
        assert caplog.messages.count("told: no endpoints: nothing was told") == 1

    run(fact)


def test_reachable() -> None:
    """The service is ready while one endpoint can be reached."""

    async def fact() -> None:
        down = [f"127.0.0.1:{free_port()}" for _ in range(2)]
        async with balanced(Listed(down), connect=soon) as upstream:
            problem = f"{', '.join(down)}: none of the 2 endpoints can be reached"
            assert await upstream.check() == problem
            assert await get(upstream) == 503
        async with replicas(Users()) as made, balanced(Listed([*down, *made.targets])) as upstream:
            assert await upstream.check() == ""

    run(fact)


def test_another_loop() -> None:
    """It serves in one loop after another, closed in between or not."""
    source = Told()
    upstream = Balanced(source)
    upstream.add(SERVICE)

    async def fact() -> None:
        async with replicas(Users()) as made:
            source.tell(*made.targets)
            await until(lambda: get_of(upstream, lambda: made.calls == [1]))

    run(fact)
    run(fact)
    asyncio.run(upstream.close())
    run(fact)
    asyncio.run(upstream.close())


def test_down_and_back() -> None:
    """When all are down calls are 503 at once, and answered soon after the return of one."""

    async def fact() -> None:
        async with replicas(Users(), Users()) as made:
            source = Listed(made.targets)
            async with balanced(source) as upstream:
                await connected(upstream, 2)
                for proxy in made.proxies:
                    proxy.toxic = Toxic.RESET
                    proxy.kill()
                statuses = [await get(upstream) for _ in range(30)]
                assert set(statuses) == {503}
                made.proxies[1].toxic = Toxic.NONE
                await until(lambda: get_of(upstream, lambda: made.calls[1] > 0))

    run(fact)


def test_flapping() -> None:
    """A replica that comes and goes is tried about once a second, and fails no call after that."""

    async def fact() -> None:
        async with replicas(Users(), Users()) as made:
            flapping = made.proxies[0]
            async with balanced(Listed(made.targets), outliers=NEVER) as upstream:
                await connected(upstream, 2)
                start, sent = time.monotonic(), 0
                statuses: list[int] = []
                for _ in range(3):
                    flapping.toxic = Toxic.RESET
                    flapping.kill()
                    until_up = time.monotonic() + 1
                    while time.monotonic() < until_up:
                        sent += 1
                        statuses.append(await get(upstream))
                        await asyncio.sleep(0.005)
                    flapping.toxic = Toxic.NONE
                    await connected(upstream, 2)
                # One call under way at each loss may fail.
                assert statuses.count(200) >= sent - 3
                assert sum(made.calls) <= 1.2 * sent
                # One at once after each loss, and then one a second.
                assert len(flapping.accepted) <= 1 + 3 + (time.monotonic() - start) + 1

    run(fact)


def test_half_open() -> None:
    """A replica that no longer answers is left when a ping is not answered."""

    async def fact() -> None:
        async with replicas(Users(), Users()) as made:
            keepalive = Keepalive(time=1, timeout=1)
            to = functools.partial(connect, keepalive=keepalive, backoff=SHORT)
            async with balanced(Listed(made.targets), connect=to) as upstream:
                await connected(upstream, 2)
                made.proxies[0].toxic = Toxic.BLACKHOLE
                calls = [await get(upstream, seconds=None) for _ in range(2)]
                assert sorted(calls) == [200, 503]
                assert {await get(upstream, seconds=None) for _ in range(20)} == {200}

    run(fact)


def test_names(tmp_path: Path) -> None:
    """Records that change are followed while calls go on; an outage of the server fails none."""

    async def fact() -> None:
        port, users = free_port("127.0.0.2", "127.0.0.3"), (Users(), Users())
        both = "host-record=users.test,127.0.0.2", "host-record=users.test,127.0.0.3"
        with name_server(tmp_path, both[0]) as server:
            source = Dns(f"users.test:{port}", nameserver=server.address, refresh=QUICK)
            async with (
                backend(users[0], host="127.0.0.2", port=port),
                backend(users[1], host="127.0.0.3", port=port),
                balanced(source) as upstream,
            ):
                statuses = [await get(upstream) for _ in range(10)]
                assert users[1].calls == 0
                await asyncio.to_thread(server.tell, *both)
                await until(lambda: get_of(upstream, lambda: users[1].calls > 0))
                await asyncio.to_thread(server.stop)
                await until(lambda: bool(upstream._endpoints._following.problem))
                statuses += [await get(upstream) for _ in range(10)]
                await asyncio.to_thread(server.tell, both[1])
                await until(lambda: len(upstream.endpoints) == 1)
                before = users[0].calls
                statuses += [await get(upstream) for _ in range(10)]
                assert users[0].calls == before
                assert set(statuses) == {200}

    run(fact)


def test_services(tmp_path: Path) -> None:
    """Of a service's records, each replica gets its share by weight."""

    async def fact() -> None:
        users = (Users(), Users())
        async with backend(users[0]) as first, backend(users[1]) as second:
            ports = [target.rpartition(":")[2] for target in (first, second)]
            records = [
                "host-record=one.test,127.0.0.1",
                f"srv-host=_grpc._tcp.users.test,one.test,{ports[0]},0,75",
                f"srv-host=_grpc._tcp.users.test,one.test,{ports[1]},0,25",
            ]
            with name_server(tmp_path, *records) as server:
                source = Srv("_grpc._tcp.users.test", nameserver=server.address)
                async with balanced(source, balancing="weighted") as upstream:
                    await connected(upstream, 2)
                    assert {await get(upstream) for _ in range(100)} == {200}
                    assert [each.calls for each in users] == [75, 25]

    run(fact)


def test_no_name_server() -> None:
    """Where nobody answers for the name, calls are 503 and the service is not ready."""

    async def fact() -> None:
        source = Dns("users.test:1", nameserver="127.0.0.1:1")
        async with balanced(source) as upstream:
            problem = "users.test:1: no endpoints: the name server does not answer"
            assert await upstream.check() == problem
            assert await get(upstream) == 503

    run(fact)


@pytest.mark.parametrize(
    ("name", "server_name", "status"),
    [
        ("users.test", None, 200),
        ("other.test", None, 503),
        ("other.test", "users.test", 200),
        ("", None, 503),
    ],
)
def test_tls(name: str, server_name: str | None, status: int) -> None:
    """A replica shows a certificate of the name that its address was found for."""

    async def fact() -> None:
        ca = trustme.CA()
        shown = ca.issue_cert("users.test")
        credentials = grpc.ssl_server_credentials(
            [(shown.private_key_pem.bytes(), shown.cert_chain_pems[0].bytes())]
        )
        async with backend(Users(), credentials) as target:
            tls = Tls(ca=ca.cert_pem.bytes(), server_name=server_name)
            source = Listed([Endpoint(target, name=name)])
            async with balanced(source, connect=functools.partial(connect, tls=tls)) as upstream:
                assert await get(upstream) == status

    run(fact)


def test_within() -> None:
    """It stands behind a breaker and among versions, and is measured there too."""

    async def fact() -> None:
        async with replicas(Users(), Failing("INTERNAL")) as made:
            good = Balanced(Listed(made.targets[:1]))
            bad = CircuitBreaker(Balanced(Listed(made.targets[1:])))
            split = Split([Version("v1", good, 50), Version("v2", bad, 50)])
            split.add(SERVICE)
            try:
                assert [await get(split) for _ in range(14)] == [200, 500] * 5 + [200, 503] * 2
                assert bad.states == {"": State.OPEN}
                assert await split.check() == ""
                counts = {
                    (each.labels["version"], each.labels["endpoint"]): each.value
                    for each in split.readings()
                    if isinstance(each, Reading) and each.metric.name == "transcoder_endpoint_calls"
                }
                assert counts == {("v1", made.targets[0]): 7, ("v2", made.targets[1]): 5}
            finally:
                await split.close()

    run(fact)


def test_wrong() -> None:
    """A balancing that there is not is told."""
    with pytest.raises(ConfigError, match="balancing: 'random': one of round_robin, weighted, "):
        Balanced(Listed(["a:1"]), balancing="random")  # type: ignore[arg-type]
