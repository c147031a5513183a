import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import grpc
import grpc.aio
import pytest

from backend import Users, backend
from services.user.v1.user_service_pb2 import GetUserRequest, User, WatchUsersRequest
from services.user.v1.user_service_pb2_grpc import (
    UserServiceServicer,
    UserServiceStub,
    add_UserServiceServicer_to_server,
)
from transcoder.gateway import Gateway
from transcoder.upstream.channel import Channel

HEADERS = {
    "x-request-id": "r1",
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "tracestate": "a=b",
    "authorization": "Bearer t",
    "x-tenant": "acme",
}
TRACE = {key: HEADERS[key] for key in ("x-request-id", "traceparent", "tracestate")}


class Front(UserServiceServicer):
    """Asks another service before it answers."""

    def __init__(self, channel: Channel, **options: Any) -> None:
        self.stub: Any = UserServiceStub(channel)
        self.options = options

    async def GetUser(self, request: GetUserRequest, context: Any) -> User:
        user: User = await self.stub.GetUser(request, **self.options)
        return user


Ask = Callable[[Gateway, Mapping[str, str]], Awaitable[User]]


async def over_rest(gateway: Gateway, headers: Mapping[str, str]) -> User:
    """Get a user over HTTP."""
    sent: list[Any] = []
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/v1/users/7",
        "raw_path": b"/v1/users/7",
        "query_string": b"",
        "headers": [
            (b"grpc-timeout", b"20S"),
            *((key.encode(), value.encode()) for key, value in headers.items()),
        ],
    }

    async def send(event: Any) -> None:
        sent.append(event)

    async def receive() -> Any:
        return await asyncio.Event().wait()

    await gateway(scope, receive, send)
    return User(id=json.loads(sent[1]["body"])["id"])


async def over_grpc(gateway: Gateway, headers: Mapping[str, str]) -> User:
    """Get a user over gRPC."""
    server = grpc.aio.server()
    port = server.add_insecure_port("127.0.0.1:0")
    gateway.register_into(server)
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub: Any = UserServiceStub(channel)
            metadata = tuple(headers.items())
            user: User = await stub.GetUser(GetUserRequest(id="7"), metadata=metadata, timeout=20)
            return user
    finally:
        await server.stop(0)


def run(ask: Ask, channel: Mapping[str, Any] | None = None, **options: Any) -> Users:
    """Ask a service that asks another; return what that one saw."""

    async def running() -> Users:
        users = Users()
        gateway = Gateway()
        async with backend(users) as target, Channel(target, **(channel or {})) as behind:
            add_UserServiceServicer_to_server(Front(behind, **options), gateway)  # type: ignore[arg-type]

            assert await ask(gateway, HEADERS) == User(id="7")
        return users

    return asyncio.run(running())


@pytest.mark.parametrize("ask", [over_rest, over_grpc])
def test_call_goes_on(ask: Ask) -> None:
    """A servicer's call carries request id, trace context and identity, and nothing else."""
    seen = run(ask).seen

    assert {**TRACE, "authorization": "Bearer t"}.items() <= seen.items()
    assert "x-tenant" not in seen


@pytest.mark.parametrize("ask", [over_rest, over_grpc])
def test_identity(ask: Ask) -> None:
    """What tells who the client is, is the channel's to say."""
    seen = run(ask, {"identity": ["X-Tenant"]}).seen

    assert {**TRACE, "x-tenant": "acme"}.items() <= seen.items()
    assert "authorization" not in seen


def test_own_metadata() -> None:
    """What the servicer itself says stands."""
    metadata = (("authorization", "Bearer mine"), ("x-a", "1"))

    seen = run(over_rest, metadata=metadata).seen

    assert {"authorization": "Bearer mine", "x-a": "1", **TRACE}.items() <= seen.items()


@pytest.mark.parametrize("ask", [over_rest, over_grpc])
def test_deadline_goes_on(ask: Ask) -> None:
    """A servicer's call has no more time than the call that it is part of."""
    left = run(ask).left

    assert left is not None
    assert 10 < left < 20.1


class Later(UserServiceServicer):
    """Asks another service after it has answered."""

    def __init__(self, channel: Channel, *, reads: bool) -> None:
        self.stub: Any = UserServiceStub(channel)
        self.reads = reads
        self.answered = asyncio.Event()
        self.asked: asyncio.Task[None]

    async def GetUser(self, request: GetUserRequest, context: Any) -> User:
        if self.reads:
            assert context.invocation_metadata()
        self.asked = asyncio.create_task(self.ask(context))
        return User(id=request.id)

    async def ask(self, context: Any) -> None:
        """Ask when the call is over, and gRPC has forgotten it."""
        await self.answered.wait()
        await asyncio.sleep(0.2)
        await self.stub.GetUser(GetUserRequest(id="7"))
        if not self.reads:
            with pytest.raises(grpc.aio.UsageError, match="the call is over"):
                context.peer()


@pytest.mark.parametrize(
    ("ask", "reads", "carried"),
    [(over_rest, True, True), (over_grpc, True, True), (over_grpc, False, False)],
)
def test_after_the_call(ask: Ask, *, reads: bool, carried: bool) -> None:
    """A task that outlives its call asks as a part of it, by what was read while it lasted."""

    async def running() -> Mapping[str, str | bytes]:
        users = Users()
        gateway = Gateway()
        async with backend(users) as target, Channel(target) as behind:
            later = Later(behind, reads=reads)
            add_UserServiceServicer_to_server(later, gateway)  # type: ignore[arg-type]
            await ask(gateway, HEADERS)
            later.answered.set()
            await later.asked
        return users.seen

    assert (TRACE.items() <= asyncio.run(running()).items()) == carried


@pytest.mark.parametrize(("timeout", "config"), [(5, None), (None, "5s"), (30, "5s")])
def test_smaller_deadline(timeout: float | None, config: str | None) -> None:
    """Of the servicer's own timeout, the service config's and what is left, the smallest holds."""
    entry = {"name": [{}], **({"timeout": config} if config else {})}
    channel = {"service_config": {"methodConfig": [entry]}}

    left = run(over_grpc, channel, timeout=timeout).left

    assert left is not None
    assert 1 < left < 5.1


def test_outside_a_call() -> None:
    """A stub works where no call is answered, as any stub does."""

    async def running() -> None:
        users = Users()
        async with backend(users) as target, Channel(target) as channel:
            stub: Any = UserServiceStub(channel)

            assert await stub.GetUser(GetUserRequest(id="7")) == User(id="7")
            assert [r.sequence async for r in stub.WatchUsers(WatchUsersRequest())] == [0, 1, 2]
            assert users.left is None

    asyncio.run(running())


def test_streams_of_stubs() -> None:
    """Stubs of all four kinds call through the channel."""

    async def running() -> None:
        async with backend(Users()) as target, Channel(target) as channel:
            stub: Any = UserServiceStub(channel)
            importing = stub.ImportUsers()
            await importing.done_writing()
            chatting = stub.Chat()
            await chatting.done_writing()

            assert (await importing).created_count == 0
            assert await chatting.read() is grpc.aio.EOF

    asyncio.run(running())
