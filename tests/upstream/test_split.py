"""Versions of a service, real backends each, chosen for calls through both doors."""

from __future__ import annotations

import asyncio
import http.client
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import grpc.aio
import pytest

from backend import GET, SERVICE, WATCH, Users, backend
from entrances import open_doors
from services.user.v1.user_service_pb2 import GetUserRequest, WatchUsersRequest
from services.user.v1.user_service_pb2_grpc import UserServiceStub
from transcoder import (
    Channel,
    CircuitBreaker,
    Condition,
    Gateway,
    HeaderMatch,
    Listening,
    Split,
    Version,
    VersionMatch,
)
from transcoder.call_details import Principal
from transcoder.measured import Reading
from transcoder.policies import CallDetails, Now, Policy, Stage
from transcoder.upstream import Call
from transcoder.upstream.breaker import State
from transcoder.upstream.channel_options import Backoff

Headers = Sequence[tuple[str, str]]
SOON = Backoff(first=0.05, longest=0.1, timeout=1)
NEW = HeaderMatch("X-Experiment", "v2", exact="new")
PHONE = HeaderMatch("user-agent", "v2", prefix="Phone/")


class Known:
    """Knows callers by a header that says who they are, and tells the servicer nothing."""

    name = "known"
    stage = Stage.AUTHENTICATION

    def decide(self, call: CallDetails, now: Now) -> None:
        tenant = call.one(b"x-known")
        claims = {} if tenant is None else {"tenant": tenant.decode()}
        call.principal = Principal(subject="ann", scheme="test", claims=claims)


class Through(grpc.aio.ServerInterceptor):
    """Lets all calls through."""

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        return await continuation(handler_call_details)


class Tenants:
    """Knows the tenant of each key, and tells the servicer."""

    name = "tenants"
    stage = Stage.REQUEST_ID
    writes = ("x-tenant-id",)

    def decide(self, call: CallDetails, now: Now) -> None:
        key = call.one(b"x-api-key")
        if key is not None:
            call.tell_servicer("x-tenant-id", key.decode().removesuffix("-key"))


@dataclass(frozen=True)
class Versions:
    """Two versions behind a gateway."""

    split: Split
    users: tuple[Users, Users]
    listening: Listening

    async def over_http(self, *headers: tuple[str, str], query: str = "") -> None:
        """Make a REST call."""

        def ask() -> int:
            connection = http.client.HTTPConnection(self.listening.http.target, timeout=30)
            connection.putrequest("GET", f"/v1/users/7{query}", skip_accept_encoding=True)
            for pair in headers:
                connection.putheader(*pair)
            connection.endheaders()
            status = connection.getresponse().status
            connection.close()
            return status

        assert await asyncio.to_thread(ask) == 200

    async def over_grpc(self, *headers: tuple[str, str]) -> None:
        """Make a gRPC call."""
        agents = [
            ("grpc.primary_user_agent", value) for key, value in headers if key == "user-agent"
        ]
        target = self.listening.grpc.target
        async with grpc.aio.insecure_channel(target, options=agents) as channel:
            stub: Any = UserServiceStub(channel)
            metadata = tuple((key.lower(), value) for key, value in headers if key != "user-agent")
            await stub.GetUser(GetUserRequest(id="7"), metadata=metadata, timeout=30)

    @property
    def calls(self) -> list[int]:
        """How many calls each version has seen."""
        return [each.calls for each in self.users]


def run(
    fact: Callable[[Versions], Awaitable[None]],
    *weights: int | None,
    policies: Sequence[Policy] | None = None,
    interceptors: Sequence[grpc.aio.ServerInterceptor] = (),
    **options: Any,
) -> Split:
    """Have a test call two versions through a gateway; return what chose between them."""

    async def running() -> Split:
        users = Users(), Users()
        async with asyncio.timeout(60), backend(users[0]) as first, backend(users[1]) as second:
            versions = [
                Version(name, Channel(target, backoff=SOON), weight)
                for name, target, weight in zip(("v1", "v2"), (first, second), weights, strict=True)
            ]
            split = Split(versions, **options)
            standing = [Tenants()] if policies is None else policies
            gateway = Gateway(policies=standing, interceptors=interceptors)
            gateway.route(SERVICE, split)
            async with open_doors(gateway) as listening:
                await fact(Versions(split, users, listening))
            return split

    return asyncio.run(running())


def test_weights() -> None:
    """Of a hundred calls through both doors each version has exactly its share."""

    async def fact(versions: Versions) -> None:
        for turn in range(100):
            await (versions.over_grpc() if turn % 10 == 0 else versions.over_http())
        assert versions.calls == [90, 10]

    split = run(fact, 90, 10)

    assert split.counts == {"v1": 90, "v2": 10}
    assert [
        (each.value, each.labels) for each in split.readings() if isinstance(each, Reading)
    ] == [
        (90, {"version": "v1"}),
        (10, {"version": "v2"}),
    ]


def test_readings_of_versions() -> None:
    """What a version counts itself is told under its name."""
    versions = [
        Version("v1", Channel("127.0.0.1:1"), 90),
        Version("v2", CircuitBreaker(Channel("127.0.0.1:1")), 10),
    ]
    told = [each.labels for each in Split(versions).readings() if "state" in each.labels]

    assert told == [{"version": "v2", "method": "", "state": each.value} for each in State]


@pytest.mark.parametrize(
    ("headers", "version"),
    [
        ([("x-experiment", "new")], "v2"),
        ([("X-EXPERIMENT", "new")], "v2"),  # names have no case
        ([("x-experiment", "New")], "v1"),  # values do
        ([("x-experiment", "newer")], "v1"),
        ([("x-experiment", "old"), ("x-experiment", "new")], "v2"),  # one that fits is enough
        ([("user-agent", "Phone/3 (a)")], "v2"),
        ([("user-agent", "a Phone/3")], "v1"),
        ([("user-agent", "Phone/3"), ("x-experiment", "old")], "v2"),
        ([], "v1"),
    ],
)
def test_matches(headers: list[tuple[str, str]], version: str) -> None:
    """A header decides, and the same as metadata through the other door."""

    async def fact(versions: Versions) -> None:
        await versions.over_http(*headers)
        await versions.over_grpc(*headers)
        assert versions.calls == ([2, 0] if version == "v1" else [0, 2])

    run(fact, 100, None, matches=[NEW, PHONE])


def test_the_first_match_decides() -> None:
    """Of two that fit a call, the one that was given first counts."""

    async def fact(versions: Versions) -> None:
        await versions.over_http(("x-experiment", "new"), ("user-agent", "Phone/3"))
        assert versions.calls == [1, 0]

    run(fact, 50, 50, matches=[HeaderMatch("user-agent", "v1", prefix="Phone/"), NEW])


def test_what_a_policy_says() -> None:
    """What a policy says of the caller decides, and never what the client says in its place."""

    async def fact(versions: Versions) -> None:
        for call in (versions.over_http, versions.over_grpc):
            await call(("x-tenant-id", "acme"))
            await call(("x_tenant_id", "acme"))
            await call(("x-tenant-id", "acme"), ("x-api-key", "other-key"))
            await call(("x-tenant-id", "other"), ("x-api-key", "acme-key"))
        assert versions.calls == [6, 2]

    run(fact, 100, None, matches=[HeaderMatch("x-tenant-id", "v2", exact="acme")])


def test_claims() -> None:
    """A verified claim decides through both doors, and never a header in its place."""

    async def fact(versions: Versions) -> None:
        for call in (versions.over_http, versions.over_grpc):
            await call(("x-known", "acme"))
            await call(("x-known", "other"), ("x-tenant-id", "acme"))
            await call(("x-known", "acme"), ("x-tenant-id", "other"))
            await call(("tenant", "acme"))
        assert versions.calls == [4, 4]

    tenant = Condition(header="x-tenant-id", claim="tenant", exact="acme")
    run(fact, 100, None, policies=[Known()], matches=[VersionMatch("v2", [tenant])])


@pytest.mark.parametrize("policies", [(), (Tenants(),)], ids=["no policies", "policies"])
def test_requests(policies: Sequence[Policy]) -> None:
    """Path, method and query of a request decide; over gRPC those that a call has there."""

    async def fact(versions: Versions) -> None:
        await versions.over_http(query="?prettyPrint=true")
        await versions.over_http(query="?prettyPrint=false")
        await versions.over_http(("cookie", "beta=1"))
        await versions.over_grpc(("x-grpc", "1"))
        await versions.over_grpc(("cookie", "beta=1"))
        assert versions.calls == [2, 3]

    matches = [
        VersionMatch(
            "v2", [Condition(path="/v1/users/*"), Condition(query="prettyPrint", exact="true")]
        ),
        VersionMatch("v2", [Condition(method="GET"), Condition(cookie="beta", exact="1")]),
        VersionMatch("v2", [Condition(path=GET), Condition(header="x-grpc", exact="1")]),
    ]
    run(fact, 100, None, policies=policies, matches=matches)


def test_behind_interceptors() -> None:
    """So they do where interceptors stand before calls that are passed on."""

    async def fact(versions: Versions) -> None:
        await versions.over_http(("cookie", "beta=1"))
        await versions.over_http(("x-known", "acme"))
        await versions.over_grpc(("x-known", "acme"))
        await versions.over_grpc()
        assert versions.calls == [1, 3]

    matches = [
        VersionMatch("v2", [Condition(cookie="beta", exact="1")]),
        VersionMatch("v2", [Condition(claim="tenant", exact="acme")]),
    ]
    given: Any = {"policies": [Known()], "interceptors": [Through()]}
    run(fact, 100, None, matches=matches, **given)


def test_sticky() -> None:
    """Calls of one value go to one version, through either door; others take turns."""

    async def fact(versions: Versions) -> None:
        seen = set()
        for name in ("ann", "bob", "eve", "joe", "kim", "lee", "max", "pat"):
            before = versions.calls
            for _ in range(2):
                await versions.over_http(("X-User-Id", name))
                await versions.over_grpc(("x-user-id", name))
            moved = [after - had for after, had in zip(versions.calls, before, strict=True)]
            assert sorted(moved) == [0, 4]
            seen.add(moved.index(4))
        assert seen == {0, 1}
        before = versions.calls
        for _ in range(4):
            await versions.over_http()
        assert versions.calls == [before[0] + 2, before[1] + 2]

    run(fact, 50, 50, sticky="x-user-id")


def test_streams() -> None:
    """A stream goes to one version."""

    async def running() -> None:
        users = Users(), Users()
        async with (
            backend(users[0]) as first,
            backend(users[1]) as second,
            Channel(first) as v1,
            Channel(second) as v2,
        ):
            split = Split([Version("v1", v1, 50), Version("v2", v2, 50)])
            split.add(SERVICE)
            for _ in range(4):
                replies = split.stream(Call(WATCH), WatchUsersRequest())
                assert len([reply async for reply in replies]) == 3
            await split.unary(Call(GET), GetUserRequest(id="7"))
        assert [each.calls for each in users] == [3, 2]

    asyncio.run(running())


def test_reachable() -> None:
    """The service is ready while one version that weighs can be reached."""

    async def running() -> tuple[list[str], str]:
        async with backend(Users()) as up:
            channels = [Channel(target, backoff=SOON) for target in (up, "127.0.0.1:1")]
            found = []
            for weights in ((50, 50), (100, None), (None, 100)):
                named = zip(("v1", "v2"), channels, weights, strict=True)
                found.append(await Split([Version(*each) for each in named]).check())
            for channel in channels:
                await channel.close()
            return found, channels[1].target

    found, down = asyncio.run(running())

    assert found == ["", "", f"{down} cannot be reached"]
