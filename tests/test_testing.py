"""`transcoder.testing`: what a client in process sees, on both of its sides."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import pytest
from google.longrunning import operations_pb2_grpc
from google.longrunning.operations_pb2 import GetOperationRequest, Operation, WaitOperationRequest
from google.protobuf.any_pb2 import Any as Any_
from google.rpc.error_details_pb2 import ResourceInfo
from grpc_status import rpc_status
from starlette.applications import Starlette
from starlette.routing import Mount

from doors import KINDS, METADATA, PATH, Trial
from services.user.app import create_app
from services.user.v1.user_service_pb2 import User, WatchUsersRequest
from services.user.v1.user_service_pb2_grpc import UserServiceStub
from transcoder import Code, ConfigError, Gateway, StatusError, Timeout, Timeouts
from transcoder.testing import Client, client


class Operations(operations_pb2_grpc.OperationsServicer):
    """Knows one operation."""

    async def GetOperation(self, request: GetOperationRequest, context: Any) -> Operation:
        if request.name != "operations/1":
            info = ResourceInfo(resource_name=request.name)
            packed = Any_()
            packed.Pack(info)
            raise StatusError(Code.NOT_FOUND, "no such operation", [packed])
        await context.send_initial_metadata([("x-first", "1")])
        context.set_trailing_metadata([("x-last", "2")])
        return Operation(name=request.name, done=True)


def gateway(**options: Any) -> Gateway:
    made = Gateway(**options)
    operations_pb2_grpc.add_OperationsServicer_to_server(Operations(), made)  # type: ignore[no-untyped-call]
    return made


@pytest.fixture
def operations() -> Iterator[Client]:
    """A client of `Operations`."""
    with client(gateway()) as entered:
        yield entered


def trial(behaviour: Callable[..., Any], kind: str, **options: Any) -> tuple[Gateway, str]:
    made = Gateway(**options)
    handler = Trial(kind, behaviour).handler
    made.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("tests.Service", {"Do": handler})]
    )
    return made, kind


def method(entered: Client, kind: str) -> Any:
    make = getattr(entered.channel, kind)
    return make(PATH, User.SerializeToString, User.FromString)


async def _joined(requests: Any, context: Any) -> User:
    return User(name="".join([each.name async for each in requests]))


async def _twice(request: Any, context: Any) -> AsyncIterator[User]:
    yield request
    yield request


async def _echo(requests: Any, context: Any) -> AsyncIterator[User]:
    async for each in requests:
        yield each


async def _same(request: Any, context: Any) -> Any:
    return request


def _plain(request: Any, context: Any) -> Any:
    return request


async def _never(request: Any, context: Any) -> Any:
    await asyncio.Event().wait()


async def _written(request: Any, context: Any) -> None:
    await context.write(request)


def test_both_sides(operations: Client) -> None:
    """A REST request and a gRPC call get the same answer of one servicer."""
    stub = operations.stub(operations_pb2_grpc.OperationsStub)
    over_rest = operations.get("/v1/operations/1")
    over_grpc = stub.GetOperation(GetOperationRequest(name="operations/1"))

    assert over_rest.json() == {"name": "operations/1", "done": True}
    assert over_grpc == Operation(name="operations/1", done=True)


def test_metadata(operations: Client) -> None:
    """A call tells the metadata of its start and of its end."""
    stub = operations.stub(operations_pb2_grpc.OperationsStub)
    _, call = stub.GetOperation.with_call(GetOperationRequest(name="operations/1"))

    assert list(call.initial_metadata()) == [("x-first", "1")]
    assert list(call.trailing_metadata()) == [("x-last", "2")]
    assert (call.code(), call.details()) == (grpc.StatusCode.OK, "")


def test_status(operations: Client) -> None:
    """What a servicer raises is an RpcError with code, text and details."""
    stub = operations.stub(operations_pb2_grpc.OperationsStub)
    with pytest.raises(grpc.RpcError) as raised:
        stub.GetOperation(GetOperationRequest(name="operations/2"))
    status = rpc_status.from_call(raised.value)  # type: ignore[arg-type]
    info = ResourceInfo()

    assert (raised.value.code(), raised.value.details()) == (
        grpc.StatusCode.NOT_FOUND,
        "no such operation",
    )
    assert status is not None
    assert status.details[0].Unpack(info)
    assert info.resource_name == "operations/2"
    assert "NOT_FOUND: no such operation" in str(raised.value)


def test_unimplemented(operations: Client) -> None:
    """A method that the servicer lacks, and a service that is not there, are UNIMPLEMENTED."""
    stub = operations.stub(operations_pb2_grpc.OperationsStub)
    elsewhere = operations.stub(UserServiceStub)
    with pytest.raises(grpc.RpcError) as lacking:
        stub.WaitOperation(WaitOperationRequest())
    with pytest.raises(grpc.RpcError) as absent:
        list(elsewhere.WatchUsers(WatchUsersRequest()))

    assert lacking.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert absent.value.code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize(
    ("kind", "behaviour", "expected"),
    [
        ("unary_unary", _same, ["a"]),
        ("unary_unary", _plain, ["a"]),
        ("unary_stream", _twice, ["a", "a"]),
        ("unary_stream", _written, ["a"]),
        ("stream_unary", _joined, ["ab"]),
        ("stream_stream", _echo, ["a", "b"]),
    ],
)
def test_kinds(kind: str, behaviour: Callable[..., Any], expected: list[str]) -> None:
    """All four kinds are called, by coroutines, generators, plain functions and writers."""
    users = [User(name="a"), User(name="b")]
    with client(trial(behaviour, kind)[0]) as entered:
        given = iter(users) if kind.startswith("stream") else users[0]
        answer = method(entered, kind)(given)
        replies = [answer] if kind.endswith("unary") else list(answer)

    assert [each.name for each in replies] == expected


@pytest.mark.parametrize("timeout", [0.5, 0, -1])
def test_deadline(timeout: float) -> None:
    """A deadline ends a call, and the servicer's task with it."""
    told: list[bool] = []

    async def watching(request: Any, context: Any) -> Any:
        told.append(0 < context.time_remaining() <= timeout)
        try:
            await asyncio.Event().wait()
        finally:
            told.append(context.cancelled())

    with (
        client(trial(watching, "unary_unary")[0]) as entered,
        pytest.raises(grpc.RpcError) as raised,
    ):
        method(entered, "unary_unary")(User(), timeout=timeout)

    assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert told == ([True, True] if timeout > 0 else [])


def test_a_defect_is_internal(caplog: pytest.LogCaptureFixture) -> None:
    """An exception is told as the gRPC port tells it: INTERNAL, without its text."""

    async def failing(request: Any, context: Any) -> Any:
        raise ValueError("secret")

    with (
        client(trial(failing, "unary_unary")[0]) as entered,
        pytest.raises(grpc.RpcError) as raised,
    ):
        method(entered, "unary_unary")(User())

    assert raised.value.code() is grpc.StatusCode.INTERNAL
    assert "secret" not in str(raised.value)
    assert "secret" in caplog.text


def test_interceptors() -> None:
    """The gateway's interceptors see the call, its path and its metadata."""
    seen: list[Any] = []

    class Seeing(grpc.aio.ServerInterceptor):
        async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
            seen.append((handler_call_details.method, handler_call_details.invocation_metadata))
            return await continuation(handler_call_details)

    with client(trial(_same, "unary_unary", interceptors=[Seeing()])[0]) as entered:
        method(entered, "unary_unary")(User(), metadata=METADATA)

    assert seen == [(PATH, METADATA)]


def test_cancel() -> None:
    """A call that is given up is CANCELLED, and tells its callbacks so."""
    told: list[grpc.StatusCode] = []
    with client(trial(_never, "unary_unary")[0]) as entered:
        call = method(entered, "unary_unary").future(User())
        call.add_done_callback(lambda ended: told.append(ended.code()))
        running = call.running(), call.is_active(), call.done(), call.cancelled()
        with pytest.raises(grpc.FutureTimeoutError):
            call.result(timeout=0.01)
        cancelled = call.cancel(), call.cancel()
        with pytest.raises(grpc.FutureCancelledError):
            call.traceback()
        call.add_done_callback(lambda ended: told.append(ended.code()))

    assert running == (True, True, False, False)
    assert cancelled == (True, False)
    assert call.cancelled()
    assert call.time_remaining() is None
    assert told == [grpc.StatusCode.CANCELLED] * 2


def test_requests_that_fail() -> None:
    """An iterator of requests that raises ends the call, as it does in gRPC."""

    def requests() -> Iterator[User]:
        yield User(name="a")
        raise ValueError("mine")

    with client(trial(_joined, "stream_unary")[0]) as entered:
        call = method(entered, "stream_unary").future(requests())

        assert call.code() is grpc.StatusCode.UNKNOWN
        assert call.details() == "Exception iterating requests!"
        assert call.exception() is call
        assert call.traceback() is None


def test_requests_that_nobody_reads() -> None:
    """A client that sends without end is stopped when the call is over."""
    sent = 0

    def requests() -> Iterator[User]:
        nonlocal sent
        while True:
            sent += 1
            yield User(name="a")

    async def first(stream: Any, context: Any) -> Any:
        return await anext(stream)

    with client(trial(first, "stream_unary")[0]) as entered:
        reply = method(entered, "stream_unary")(requests())

    assert reply == User(name="a")
    assert sent < 100


def test_replies_wait_for_their_reader() -> None:
    """A stream without end runs only as far ahead as there is room."""
    written = 0

    async def endless(request: Any, context: Any) -> AsyncIterator[User]:
        nonlocal written
        while True:
            written += 1
            yield request

    with client(trial(endless, "unary_stream")[0]) as entered:
        call = method(entered, "unary_stream")(User(name="a"))
        taken = [next(call) for _ in range(3)]
        call.cancel()

    assert len(taken) == 3
    assert written < 100


def test_client_interceptors(operations: Client) -> None:
    """The channel takes gRPC's own interceptors."""
    seen: list[str] = []

    class Seeing(grpc.UnaryUnaryClientInterceptor):
        def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
            seen.append(details.method)
            return continuation(details, request)

    channel = grpc.intercept_channel(operations.channel, Seeing())
    stub = operations_pb2_grpc.OperationsStub(channel)  # type: ignore[no-untyped-call]
    reply = stub.GetOperation(GetOperationRequest(name="operations/1"))

    assert reply.done
    assert seen == ["/google.longrunning.Operations/GetOperation"]


def test_channel(operations: Client) -> None:
    """The channel is ready, and takes no credentials, for there is no connection."""
    told: list[grpc.ChannelConnectivity] = []
    operations.channel.subscribe(told.append)
    operations.channel.unsubscribe(told.append)
    operations.channel.close()
    call: Any = operations.channel.unary_unary(PATH)
    with pytest.raises(ValueError, match="credentials of a call need TLS"):
        call(b"", credentials=grpc.access_token_call_credentials("x"))

    assert told == [grpc.ChannelConnectivity.READY]


@pytest.mark.parametrize("kind", KINDS)
def test_not_entered(kind: str) -> None:
    """Outside of its `with` a client says what to do."""
    call = method(client(gateway()), kind)
    with pytest.raises(RuntimeError, match="enter the client, by `with`"):
        call(iter(()) if kind.startswith("stream") else User())


def test_lifespan() -> None:
    """The application starts when the client is entered, and stops when it is left."""
    events: list[str] = []

    @asynccontextmanager
    async def lifespan(_: object) -> AsyncIterator[None]:
        events.append("started")
        yield
        events.append("stopped")

    with client(gateway(lifespan=lifespan)):
        events.append("entered")

    assert events == ["started", "entered", "stopped"]


def test_a_stream_over_rest() -> None:
    """Who leaves a stream over REST in its middle ends it, without an error."""
    with client(create_app("sqlite://")) as entered:
        created = entered.post("/v1/users", json={"name": "Ann", "email": "ann@example.com"})
        url = "/v1/users:watch?after_sequence=0"
        with entered.stream("GET", url, headers={"accept": "text/event-stream"}) as answer:
            line = next(answer.iter_lines())

    assert created.status_code == 200
    assert line.startswith("id: ")


def test_wrong_options() -> None:
    """A gateway that cannot be compiled is not entered."""
    wrong = gateway(timeouts=Timeouts(methods={"a.v1.Service.Do": Timeout(default=1)}))
    with pytest.raises(ConfigError), client(wrong):
        pytest.fail("entered")


def test_what_an_app_may_be() -> None:
    """An import string names a gateway; an application says which one it mounts."""
    inner = gateway()
    mounting = Starlette(routes=[Mount("/api", inner)])
    with client(mounting, gateway=inner) as entered:
        answered = entered.get("/api/v1/operations/1").status_code
        stub = entered.stub(operations_pb2_grpc.OperationsStub)
        reply = stub.GetOperation(GetOperationRequest(name="operations/1"))

    assert (answered, reply.done) == (200, True)
    assert isinstance(client("operations:create"), Client)
    with pytest.raises(TypeError, match="Starlette is no Gateway"):
        client(mounting)
    with pytest.raises(ConfigError, match="no import string"):
        client("operations")


def test_without_httpx2() -> None:
    """Without httpx2, the import names the extra to install."""
    program = (
        "import sys; sys.modules['httpx2'] = sys.modules['httpx'] = None;import transcoder.testing"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, check=False, capture_output=True, text=True)

    assert done.stderr.endswith(
        "ImportError: the test client needs httpx2: install transcoder[testing]\n"
    )
