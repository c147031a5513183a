"""A policy at both doors, through real servers and sockets."""

from __future__ import annotations

import asyncio
import functools
import http.client
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest
from grpc_health.v1.health_pb2_grpc import HealthStub
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest
from grpc_reflection.v1alpha.reflection_pb2_grpc import ServerReflectionStub
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from entrances import ENTRANCES, Outcome, Running, call_each, over_http, over_websocket, run
from streams import POOL
from transcoder import Code, Gateway
from transcoder.policies import ApiKeys, CallDetails, Denied, Now, Stage
from transcoder.policies.key_file import create_key


@dataclass
class Doorman:
    """Refuses who does not say the word, and tells the others' names to the servicer."""

    name: str = "doorman"
    stage: Stage = Stage.ADDRESS
    writes: Sequence[str] = ("x-guest",)
    calls: list[CallDetails] = field(default_factory=list)
    told: list[tuple[str, str]] = field(default_factory=list)

    def decide(self, call: CallDetails, now: Now) -> None:
        """Let a call pass, or refuse it."""
        self.calls.append(call)
        call.tell_client("x-door", "seen")
        word = call.one(b"x-word")
        if word is None:
            headers = [("retry-after", "7")]
            raise Denied(Code.UNAVAILABLE, "say the word", reason="no-word", headers=headers)
        if word == b"defect":
            raise KeyError("a secret")
        if word == b"lines":
            call.tell_client("x-echo", "a\r\nx-guest: bob")
        if word == b"named":
            call.tell_servicer("x-guest", "ann")


@dataclass
class Watching:
    """Notes what it is told of."""

    events: list[tuple[str, ...]] = field(default_factory=list)
    calls: list[CallDetails] = field(default_factory=list)

    def began(self, call: CallDetails) -> None:
        """Note it."""
        self.events.append(("began",))

    def ended(self, call: CallDetails) -> None:
        """Note it."""
        self.events.append(("ended",))
        self.calls.append(call)

    def decided(self, call: CallDetails, policy: str, refusal: Any) -> None:
        """Note it."""
        self.events.append((policy, "passed" if refusal is None else refusal.reason))


@pytest.fixture(scope="module")
def outcomes() -> Mapping[str, list[Outcome]]:
    """What each entrance says without the word, with it, with a name, and of two defects."""
    named = {"x-word": "named", "X-Guest": "mallory", "x_guest": "mallory"}
    defects = {"x-word": "defect"}, {"x-word": "lines"}
    return call_each({}, {"x-word": "a"}, named, *defects, policies=[Doorman()])


@pytest.fixture(params=list(ENTRANCES))
def entrance(request: pytest.FixtureRequest) -> str:
    """Each of the entrances."""
    name: str = request.param
    return name


def test_refused(outcomes: Mapping[str, list[Outcome]], entrance: str) -> None:
    """Who is refused is told so, with the headers of the refusal, and the servicer sees nothing."""
    refused = outcomes[entrance][0]
    assert (refused.code, refused.message) == (Code.UNAVAILABLE, "say the word")
    assert refused.headers["retry-after"] == "7"
    assert refused.headers["x-door"] == "seen"
    assert refused.seen == {}


def test_let_in(outcomes: Mapping[str, list[Outcome]], entrance: str) -> None:
    """Who is let in is answered, with what the policy says to the client."""
    let_in = outcomes[entrance][1]
    assert let_in.code is Code.OK
    assert let_in.headers["x-door"] == "seen"
    assert "x-guest" not in let_in.seen


def test_metadata(outcomes: Mapping[str, list[Outcome]], entrance: str) -> None:
    """What a policy says to the servicer, nobody else can, in no spelling."""
    named = outcomes[entrance][2]
    assert named.seen["x-guest"] == ["ann"]
    assert "x_guest" not in named.seen


def test_defect(outcomes: Mapping[str, list[Outcome]], entrance: str) -> None:
    """A defect of a policy refuses the call, and tells nothing of itself."""
    failed = outcomes[entrance][3]
    assert (failed.code, failed.message) == (Code.INTERNAL, "internal error")


def test_lines(outcomes: Mapping[str, list[Outcome]], entrance: str) -> None:
    """Nor does one that would slip a line into an answer."""
    failed = outcomes[entrance][4]
    assert (failed.code, failed.message) == (Code.INTERNAL, "internal error")
    assert not {"x-echo", "x-guest"} & set(failed.headers)


def test_once() -> None:
    """No call meets a policy twice, through whichever entrance."""
    policy = Doorman()
    call_each({"x-word": "a"}, policies=[policy])
    assert [each.door for each in policy.calls] == ["http", "http", "websocket", "grpc", "grpc"]


def test_same_method() -> None:
    """A policy sees the same method and client through every entrance."""
    policy = Doorman()
    call_each({}, policies=[policy])
    assert {each.method.rpartition(".")[2] for each in policy.calls} == {"Single", "Tell"}
    assert {(each.service, each.peer) for each in policy.calls} == {
        ("streams.v1.Streams", "127.0.0.1")
    }


def test_observers() -> None:
    """Observers are told when a call begins, of each decision, and when it ends, in this order."""
    watching = Watching()
    call_each({}, {"x-word": "a"}, policies=[Doorman()], observers=[watching])
    refused = [("began",), ("doorman", "no-word"), ("ended",)]
    passed = [("began",), ("doorman", "passed"), ("ended",)]
    assert watching.events == [*refused, *passed] * len(ENTRANCES)


def test_how_it_ended() -> None:
    """What observers are told says how each call ended."""
    watching = Watching()
    call_each({}, {"x-word": "a"}, policies=[Doorman()], observers=[watching])
    told = [(each.door, each.http_status, each.code, each.denied_by) for each in watching.calls]
    refused, well = (Code.UNAVAILABLE, "doorman"), (Code.OK, "")
    statuses = {"http": (503, 200), "websocket": (503, 101), "grpc": (0, 0)}
    doors = ["http", "http", "websocket", "grpc", "grpc"]
    wanted = [
        (door, status, *how)
        for door in doors
        for status, how in zip(statuses[door], (refused, well), strict=True)
    ]
    assert told == wanted


@pytest.mark.parametrize("entrance", ["http", "websocket", "grpc"])
def test_no_route(entrance: str) -> None:
    """Who is not let in does not learn that there is no such route."""

    async def fact(running: Running) -> list[Code]:
        return [await _missing(running, entrance, headers) for headers in ({}, {"x-word": "a"})]

    wanted = Code.UNIMPLEMENTED if entrance == "grpc" else Code.NOT_FOUND
    assert run(fact, policies=[Doorman()]) == [Code.UNAVAILABLE, wanted]


async def _missing(running: Running, entrance: str, headers: Mapping[str, str]) -> Code:
    if entrance == "http":
        return (await over_http(running, headers, "/elsewhere")).code
    if entrance == "websocket":
        return (await over_websocket(running, headers, "/elsewhere")).code
    async with grpc.aio.insecure_channel(running.listening.grpc.target) as channel:
        method: Any = channel.unary_unary("/a.B/C")
        call = method(b"", metadata=tuple(headers.items()))
        return Code((await call.code()).value[0])


def test_own_routes() -> None:
    """Routes of Starlette's stand behind the policies too, and carry what these say."""

    async def hello(_: Any) -> PlainTextResponse:
        return PlainTextResponse("hello")

    async def fact(running: Running) -> list[tuple[int, str | None]]:
        return [await _get(running, "/hello", headers) for headers in ({}, {"x-word": "a"})]

    told = run(fact, policies=[Doorman()], routes=[Route("/hello", hello)])
    assert told == [(503, "seen"), (200, "seen")]


def test_rerouted(caplog: pytest.LogCaptureFixture) -> None:
    """A request that a middleware sends to another route than the policies saw is not answered."""

    class Elsewhere:
        def __init__(self, app: ASGIApp) -> None:
            self.app = app

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                scope = {**scope, "raw_path": b"/v1/a/single", "path": "/v1/a/single"}
            await self.app(scope, receive, send)

    async def fact(running: Running) -> tuple[int, str | None]:
        return await _get(running, "/v1/a/told", {"x-word": "a"})

    caplog.set_level(logging.ERROR)
    policies = [Doorman()]
    assert run(fact, policies=policies, middleware=[Middleware(Elsewhere)])[0] == 500
    assert "was let in as /v1/{topic}/told" in caplog.text


def test_health() -> None:
    """Policies stand before health too, but nobody needs to be known for it."""

    async def fact(running: Running) -> int:
        return (await _get(running, "/healthz", {}))[0]

    assert run(fact, policies=[Doorman()]) == 503
    assert run(fact, policies=[Doorman(stage=Stage.AUTHENTICATION)]) == 200


OWN = ["/docs", "/openapi.json", "/healthz"]


@pytest.mark.parametrize(
    ("public", "headers", "statuses"),
    [
        ([], {}, [401, 401, 200, Code.UNAUTHENTICATED, Code.OK]),
        ([], {"x-api-key": "good"}, [200, 200, 200, Code.OK, Code.OK]),
        (["/docs", "/openapi.json"], {}, [200, 200, 200, Code.UNAUTHENTICATED, Code.OK]),
        (["grpc.reflection.*"], {}, [401, 401, 200, Code.OK, Code.OK]),
    ],
)
def test_own_pages(
    tmp_path: Path, public: list[str], headers: dict[str, str], statuses: list[Any]
) -> None:
    """The gateway's own pages and reflection are for known callers, unless public; health is not.

    The last two of each row are reflection and health on the gRPC port.
    """
    path = tmp_path / "keys.json"
    good = create_key(path, "ann", [], datetime.now(UTC))
    given = {name: value.replace("good", good) for name, value in headers.items()}

    async def fact(running: Running) -> list[Any]:
        told: list[Any] = [(await _get(running, own, given))[0] for own in OWN]
        async with grpc.aio.insecure_channel(running.listening.grpc.target) as channel:
            return [*told, *[await _asked(stub(channel), given) for stub in (_reflects, _health)]]

    assert run(fact, policies=[ApiKeys(path)], public=public) == statuses


def _reflects(channel: Any) -> Callable[..., Any]:
    stub: Any = ServerReflectionStub(channel)
    return functools.partial(
        stub.ServerReflectionInfo, iter([ServerReflectionRequest(list_services="")])
    )


def _health(channel: Any) -> Callable[..., Any]:
    stub: Any = HealthStub(channel)
    return functools.partial(stub.Watch, HealthCheckRequest())


async def _asked(method: Callable[..., Any], headers: Mapping[str, str]) -> Code:
    """Return the code of a refused call, or OK with the first reply of a stream."""
    call = method(metadata=tuple(headers.items()))
    try:
        await anext(aiter(call))
    except grpc.aio.AioRpcError as error:
        return Code(error.code().value[0])
    finally:
        call.cancel()
    return Code.OK


def test_off() -> None:
    """Without policies and observers nothing stands at the doors."""
    gateway = Gateway(pool=POOL)
    assert not gateway.grpc_door


async def _get(running: Running, path: str, headers: Mapping[str, str]) -> tuple[int, str | None]:
    def ask() -> tuple[int, str | None]:
        connection = http.client.HTTPConnection(running.listening.http.target, timeout=20)
        try:
            connection.request("GET", path, headers=dict(headers))
            answer = connection.getresponse()
            answer.read()
            return answer.status, answer.getheader("x-door")
        finally:
            connection.close()

    return await asyncio.to_thread(ask)
