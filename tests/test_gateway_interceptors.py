"""Interceptors given to a gateway, over HTTP."""

from __future__ import annotations

import asyncio
import logging
import re
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import httpx2
import pytest
from starlette.testclient import TestClient

from backend import SERVICE, backend
from backend import Users as Backend
from services.user.v1.user_service_pb2 import GetUserRequest, User
from services.user.v1.user_service_pb2_grpc import (
    UserServiceServicer,
    UserServiceStub,
    add_UserServiceServicer_to_server,
)
from transcoder import Channel, ConfigError, Gateway

DOCS = Path(__file__).resolve().parent.parent / "docs" / "servicers.md"


class Users(UserServiceServicer):
    async def GetUser(self, request: GetUserRequest, context: Any) -> User:
        return User(id=request.id)


def client(gateway: Gateway) -> TestClient:
    add_UserServiceServicer_to_server(Users(), gateway)  # type: ignore[arg-type]
    return TestClient(gateway, raise_server_exceptions=False)


class Naming(grpc.aio.ServerInterceptor):
    """Names users after what it was given."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def intercept_service(self, continuation: Any, details: Any) -> Any:
        """Return a handler around the method's."""
        handler = await continuation(details)

        async def named(request: Any, context: Any) -> Any:
            reply = await handler.unary_unary(request, context)
            reply.name += self.name
            return reply

        return grpc.unary_unary_rpc_method_handler(named)


class Failing(grpc.aio.ServerInterceptor):
    """Has a defect."""

    async def intercept_service(self, continuation: Any, details: Any) -> Any:
        """Fail."""
        raise KeyError("secret")


def test_replies_are_changed() -> None:
    """What interceptors make of a reply is the answer; the last of them is next to the method."""
    answer = client(Gateway(interceptors=[Naming("outer"), Naming("inner")])).get("/v1/users/7")

    assert answer.json() == {"id": "7", "name": "innerouter"}


def test_defect(caplog: pytest.LogCaptureFixture) -> None:
    """An exception in an interceptor is one line of the log, and nothing of it is told."""
    answer = client(Gateway(interceptors=[Failing()])).get("/v1/users/7")

    assert (answer.status_code, answer.json()["code"]) == (500, 13)
    assert "secret" not in answer.text
    assert len([each for each in caplog.records if each.levelno >= logging.ERROR]) == 1


def test_no_interceptor() -> None:
    """What is no interceptor is refused when the gateway is made."""
    with pytest.raises(ConfigError, match="Users"):
        Gateway(interceptors=[Users()])  # type: ignore[list-item]


class Refusing(grpc.aio.ServerInterceptor):
    """Lets nobody in."""

    async def intercept_service(self, continuation: Any, details: Any) -> Any:
        """Return a handler in the method's place."""

        async def refuse(request: Any, context: Any) -> None:
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, "not you")

        return grpc.unary_unary_rpc_method_handler(refuse)


def through(door: str, interceptor: Any, users: Backend) -> Any:
    """Get a user of a backend, through a gateway with an interceptor; return name or code."""

    async def calling() -> Any:
        gateway, server = Gateway(interceptors=[interceptor]), grpc.aio.server()
        port = server.add_insecure_port("127.0.0.1:0")
        async with (
            backend(users) as target,
            Channel(target) as remote,
            httpx2.AsyncClient(transport=httpx2.ASGITransport(gateway)) as client,
            grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
        ):
            gateway.route(SERVICE, remote)
            gateway.register_into(server)
            await server.start()
            if door == "REST":
                answer = (await client.get("http://gateway/v1/users/7")).json()
                return answer.get("name") or answer["code"]
            try:
                call: Any = UserServiceStub(channel).GetUser(GetUserRequest(id="7"))
                code = await call.code()
                return (await call).name if code is grpc.StatusCode.OK else code.value[0]
            finally:
                await server.stop(0)

    return asyncio.run(calling())


@pytest.mark.parametrize("door", ["REST", "gRPC"])
def test_routed(door: str) -> None:
    """Interceptors stand before the methods of a backend too, once for each call."""
    assert through(door, Naming("Ann"), Backend()) == "Ann"


@pytest.mark.parametrize("door", ["REST", "gRPC"])
def test_routed_and_refused(door: str) -> None:
    """A backend does not hear of a call that an interceptor answers."""
    users = Backend()

    assert through(door, Refusing(), users) == 7
    assert users.calls == 0


@pytest.mark.parametrize(("tenant", "status"), [("acme", 200), ("other", 403)])
def test_the_example(tenant: str, status: int) -> None:
    """The interceptor of the documentation does what it is said to do."""
    (block,) = re.findall(r"```python\n(.*?)```", DOCS.read_text("utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    exec(block, names)  # noqa: S102  our own text

    answer = client(names["app"]).get("/v1/users/7", headers={"x-tenant": tenant})

    assert answer.status_code == status
