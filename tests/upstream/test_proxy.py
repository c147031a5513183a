import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

import grpc
import grpc.aio
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from starlette.testclient import TestClient

from backend import SERVICE, Users, backend
from services.user.v1.user_service_pb2 import (
    ChatRequest,
    GetUserRequest,
    ImportUsersRequest,
    ImportUsersResponse,
    User,
    WatchUsersRequest,
    WatchUsersResponse,
)
from services.user.v1.user_service_pb2_grpc import UserServiceStub
from transcoder.errors import ConfigError
from transcoder.gateway import Gateway
from transcoder.upstream.channel import Channel

T = TypeVar("T")
Test = Callable[[Any, Users], Awaitable[T]]


def run(test: Test[T], **options: Any) -> T:
    """Run a test with a stub of a gateway's gRPC port, and the servicer of the backend behind."""

    async def running() -> T:
        users = Users()
        server = grpc.aio.server()
        port = server.add_insecure_port("127.0.0.1:0")
        gateway = Gateway(**options)
        async with (
            backend(users) as target,
            Channel(target) as remote,
            grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
        ):
            gateway.route(SERVICE, remote)
            gateway.register_into(server)
            await server.start()
            try:
                return await test(UserServiceStub(channel), users)
            finally:
                await server.stop(0)

    return asyncio.run(running())


class Replacing(grpc.aio.ServerInterceptor):
    """Answers GetUser with something else, and lets other methods be."""

    def __init__(self, reply: Any) -> None:
        self._reply = reply

    async def intercept_service(self, continuation: Any, details: Any) -> Any:
        handler = await continuation(details)

        async def answer(request: Any, context: Any) -> Any:
            return self._reply

        return grpc.unary_unary_rpc_method_handler(
            answer, handler.request_deserializer, handler.response_serializer
        )


@pytest.mark.parametrize("reply", [None, ImportUsersResponse(created_count=1), "text"])
def test_a_reply_of_another_type(caplog: pytest.LogCaptureFixture, reply: Any) -> None:
    """What an interceptor returns that is no reply of the method is a defect, not wrong bytes."""

    async def test(stub: Any, users: Users) -> grpc.aio.AioRpcError:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.GetUser(GetUserRequest(id="7"), timeout=20)
        return caught.value

    error = run(test, interceptors=[Replacing(reply)])

    assert (error.code(), error.details()) == (grpc.StatusCode.INTERNAL, "internal error")
    assert "TypeError" in caplog.text


def test_a_reply_in_its_place() -> None:
    """One of the method's own type goes out."""

    async def test(stub: Any, users: Users) -> User:
        reply: User = await stub.GetUser(GetUserRequest(id="7"), timeout=20)
        return reply

    assert run(test, interceptors=[Replacing(User(id="8"))]) == User(id="8")


def test_unary() -> None:
    """A call passes, with metadata both ways and with its deadline."""

    async def test(stub: Any, users: Users) -> None:
        call = stub.GetUser(
            GetUserRequest(id="7"), timeout=20, metadata=(("x-tenant", "acme"), ("a-bin", b"\x00"))
        )

        assert await call == User(id="7")
        assert users.seen["x-tenant"] == "acme"
        assert users.seen["a-bin"] == b"\x00"
        assert users.left is not None
        assert 10 < users.left < 20.1
        assert ("x-cost", "3") in tuple(await call.initial_metadata())
        assert ("seal-bin", b"\x00") in tuple(await call.initial_metadata())
        assert tuple(await call.trailing_metadata()) == (("x-after", "1"),)

    run(test)


def test_without_a_deadline() -> None:
    """Where a client sets no deadline, the backend is told of the method's."""

    async def test(stub: Any, users: Users) -> None:
        await stub.GetUser(GetUserRequest(id="7"))

        assert users.left is not None
        assert 20 < users.left < 30.1

    run(test)


def test_server_stream() -> None:
    """A stream of replies passes, with metadata before and after."""

    async def test(stub: Any, users: Users) -> None:
        call = stub.WatchUsers(WatchUsersRequest())

        assert [reply.sequence async for reply in call] == [0, 1, 2]
        assert ("x-cost", "3") in tuple(await call.initial_metadata())
        assert tuple(await call.trailing_metadata()) == (("x-after", "1"),)

    run(test)


def test_client_stream() -> None:
    """A stream of requests passes; that the backend needs no more of them ends the call."""

    async def test(stub: Any, users: Users) -> None:
        async def imports() -> AsyncIterator[ImportUsersRequest]:
            for name in ("a", "stop"):
                yield ImportUsersRequest(user_id=name)
            await asyncio.sleep(30)

        reply = await stub.ImportUsers(imports())

        assert reply == ImportUsersResponse(created_count=2)

    run(test)


def test_bidirectional_stream() -> None:
    """Each side may wait for the other."""

    async def test(stub: Any, users: Users) -> None:
        call = stub.Chat()
        said = []
        for word in ("a", "b"):
            await call.write(ChatRequest(text=word))
            said.append((await call.read()).text)
        await call.done_writing()

        assert said == ["a", "b"]
        assert await call.read() is grpc.aio.EOF

    run(test)


def test_status() -> None:
    """A status passes with its message, details and metadata."""

    async def test(stub: Any, users: Users) -> None:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.GetUser(GetUserRequest(id="none"))

        error: Any = caught.value
        status = rpc_status.from_call(_Read(error))  # type: ignore[arg-type]
        assert status is not None
        detail = error_details_pb2.ErrorInfo()
        status.details[0].Unpack(detail)
        assert (error.code(), error.details()) == (grpc.StatusCode.NOT_FOUND, "no such user")
        assert detail.reason == "GONE"
        assert ("x-after", "1") in tuple(error.trailing_metadata())

    run(test)


class _Read:
    """What grpc_status reads of a failed call; its own types know the synchronous one only."""

    def __init__(self, error: grpc.aio.AioRpcError) -> None:
        self.code = error.code
        self.details = error.details
        self.trailing_metadata = lambda: tuple(error.trailing_metadata() or ())


def test_late_status() -> None:
    """A status after replies ends their stream, with the metadata of the end."""

    async def test(stub: Any, users: Users) -> None:
        call = stub.WatchUsers(WatchUsersRequest(id="late"))
        for _ in range(3):
            assert isinstance(await call.read(), WatchUsersResponse)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.read()

        assert caught.value.code() is grpc.StatusCode.ABORTED
        assert ("x-after", "2") in tuple(caught.value.trailing_metadata() or ())

    run(test)


def test_exceptions_are_not_told() -> None:
    """The text of an exception of the backend does not pass."""

    async def test(stub: Any, users: Users) -> None:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.GetUser(GetUserRequest(id="defect"))

        assert caught.value.details() == "internal error"

    run(test)


def test_deadline() -> None:
    """The client's deadline ends the backend's call too."""

    async def test(stub: Any, users: Users) -> None:
        start = time.monotonic()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.GetUser(GetUserRequest(id="hang"), timeout=0.3)

        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        await asyncio.wait_for(users.cancelled.wait(), 5)
        assert time.monotonic() - start < 5

    run(test)


@pytest.mark.parametrize("kind", ["GetUser", "WatchUsers", "ImportUsers"])
def test_cancelled(kind: str) -> None:
    """A client that cancels cancels the backend's call, of whatever kind."""

    async def test(stub: Any, users: Users) -> None:
        async def imports() -> AsyncIterator[ImportUsersRequest]:
            yield ImportUsersRequest(user_id="hang")
            await asyncio.sleep(30)

        request = {
            "GetUser": lambda: GetUserRequest(id="hang"),
            "WatchUsers": lambda: WatchUsersRequest(id="hang"),
            "ImportUsers": imports,
        }[kind]()
        call = getattr(stub, kind)(request)
        if kind == "WatchUsers":
            for _ in range(3):
                await call.read()
        await asyncio.wait_for(users.begun.wait(), 5)
        call.cancel()

        await asyncio.wait_for(users.cancelled.wait(), 5)

    run(test)


def test_initial_metadata_before_a_reply() -> None:
    """What the backend sends before its first reply does not wait for that."""

    class Waiting(Users):
        async def WatchUsers(
            self, request: WatchUsersRequest, context: Any
        ) -> AsyncIterator[WatchUsersResponse]:
            await context.send_initial_metadata((("x-cost", "3"),))
            await asyncio.sleep(30)
            yield WatchUsersResponse()

    async def running() -> None:
        server = grpc.aio.server()
        port = server.add_insecure_port("127.0.0.1:0")
        gateway = Gateway()
        async with (
            backend(Waiting()) as target,
            Channel(target) as remote,
            grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
        ):
            gateway.route(SERVICE, remote)
            gateway.register_into(server)
            await server.start()
            call: Any = UserServiceStub(channel).WatchUsers(WatchUsersRequest())

            initial = await asyncio.wait_for(call.initial_metadata(), 5)
            assert ("x-cost", "3") in tuple(initial)
            call.cancel()
            await server.stop(0)

    asyncio.run(running())


def test_stalled_client() -> None:
    """A backend waits for a client that does not read; nothing is piled up between them."""

    async def test(stub: Any, users: Users) -> None:
        call = stub.WatchUsers(WatchUsersRequest(id="endless"))
        for _ in range(4):
            await call.read()
        taken = -1
        while taken < users.taken:
            taken = users.taken
            await asyncio.sleep(0.1)
        call.cancel()

        assert users.taken * 100_000 < 20 << 20

    run(test)


def test_messages_are_not_read() -> None:
    """What a client and a backend say to each other need be no message: it passes as it is."""

    class Odd(grpc.GenericRpcHandler):
        def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
            if handler_call_details.method.endswith("Chat"):
                return grpc.stream_stream_rpc_method_handler(self._chat)
            return grpc.unary_unary_rpc_method_handler(self._answer)

        async def _answer(self, request: bytes, context: Any) -> bytes:
            return request[::-1]

        async def _chat(self, requests: AsyncIterator[bytes], context: Any) -> Any:
            async for request in requests:
                yield request[::-1]

    async def running() -> None:
        behind, server = grpc.aio.server(), grpc.aio.server()
        behind.add_generic_rpc_handlers((Odd(),))
        ports = [each.add_insecure_port("127.0.0.1:0") for each in (behind, server)]
        gateway = Gateway()
        async with (
            Channel(f"127.0.0.1:{ports[0]}") as remote,
            grpc.aio.insecure_channel(f"127.0.0.1:{ports[1]}") as channel,
        ):
            gateway.route(SERVICE, remote)
            gateway.register_into(server)
            await asyncio.gather(behind.start(), server.start())
            path = f"/{SERVICE.full_name}/"

            get: Any = channel.unary_unary(f"{path}GetUser")
            chat: Any = channel.stream_stream(f"{path}Chat")
            assert await get(b"\xff\x01") == b"\x01\xff"
            call = chat(iter([b"\xff\x01", b""]))
            assert [reply async for reply in call] == [b"\x01\xff", b""]
            await asyncio.gather(behind.stop(0), server.stop(0))

    asyncio.run(running())


def test_registered_twice() -> None:
    """A service has one home."""
    gateway = Gateway()
    gateway.route(SERVICE, Channel("127.0.0.1:1"))
    with pytest.raises(ConfigError, match="registered twice"):
        gateway.route(SERVICE, Channel("127.0.0.1:1"))


def test_listed() -> None:
    """A routed service is one of the gateway's."""
    gateway = Gateway()
    gateway.route(SERVICE, Channel("127.0.0.1:1"))

    assert gateway.services == ("services.user.v1.UserService",)


NOBODY = "unix:/no/such/socket"


def only_warning(caplog: pytest.LogCaptureFixture) -> str:
    """Return the one line of the log that an operator has to see."""
    (record,) = [each for each in caplog.records if each.levelno >= logging.WARNING]
    return record.getMessage()


def test_one_line_over_http(caplog: pytest.LogCaptureFixture) -> None:
    """What gRPC says of a failure is in one line with the id that the client has."""
    gateway = Gateway()
    gateway.route(SERVICE, Channel(NOBODY))
    with TestClient(gateway) as web:
        answer = web.get("/v1/users/7", headers={"x-request-id": "abc-1"})

    line = only_warning(caplog)
    assert (answer.status_code, answer.headers["x-request-id"]) == (503, "abc-1")
    assert "request id abc-1: /services.user.v1.UserService/GetUser at unix:/no/such" in line
    assert "No such file" in line
    assert "/no/such" not in answer.text


def test_one_line_over_grpc(caplog: pytest.LogCaptureFixture) -> None:
    """So it is on the gRPC port."""

    async def running() -> grpc.aio.AioRpcError:
        server = grpc.aio.server()
        port = server.add_insecure_port("127.0.0.1:0")
        gateway = Gateway()
        async with (
            Channel(NOBODY) as remote,
            grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
        ):
            gateway.route(SERVICE, remote)
            gateway.register_into(server)
            await server.start()
            try:
                call = UserServiceStub(channel).GetUser
                with pytest.raises(grpc.aio.AioRpcError) as caught:
                    await call(GetUserRequest(id="7"), metadata=(("x-request-id", "abc-1"),))
                return caught.value
            finally:
                await server.stop(0)

    error = asyncio.run(running())
    line = only_warning(caplog)
    assert (error.code(), error.details()) == (
        grpc.StatusCode.UNAVAILABLE,
        "the backend is unavailable",
    )
    assert ("x-request-id", "abc-1") in tuple(error.trailing_metadata() or ())
    assert "request id abc-1: /services.user.v1.UserService/GetUser at unix:/no/such" in line
    assert "No such file" in line
