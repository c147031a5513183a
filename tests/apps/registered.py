"""A gateway of users, some of which fail as their ids say, and how to ask it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import grpc
from google.protobuf import empty_pb2
from starlette.testclient import TestClient

from services.user.v1.user_service_pb2 import (
    CreateUserRequest,
    DeleteUserRequest,
    GetUserRequest,
    ListUsersRequest,
    ListUsersResponse,
    UpdateUserRequest,
    User,
)
from services.user.v1.user_service_pb2_grpc import (
    UserServiceServicer,
    add_UserServiceServicer_to_server,
)
from transcoder import Gateway


class Users(UserServiceServicer):
    """Tells what it is asked for; nobody is called none, broken or exit."""

    async def GetUser(self, request: GetUserRequest, context: Any) -> User:
        if request.id == "none":
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such user", (("x-a", "1"),))
        if request.id == "broken":
            raise RuntimeError("dsn=secret")
        if request.id == "exit":
            raise SystemExit
        await context.send_initial_metadata((("x-cost", "3"),))
        return User(id=request.id, email=request.email, quota_bytes=2**53)

    def ListUsers(self, request: ListUsersRequest, context: Any) -> ListUsersResponse:
        return ListUsersResponse(users=[User(name=str(request.page_size))])

    async def CreateUser(self, request: CreateUserRequest, context: Any) -> User:
        return request.user

    async def UpdateUser(self, request: UpdateUserRequest, context: Any) -> User:
        return User(id=request.user.id, name=",".join(request.update_mask.paths))

    async def DeleteUser(self, request: DeleteUserRequest, context: Any) -> Any:
        return empty_pb2.Empty() if request.id != "none" else None


def register(gateway: Gateway, servicer: UserServiceServicer | None = None) -> Gateway:
    """Return a gateway once it has the servicer."""
    add_UserServiceServicer_to_server(servicer or Users(), gateway)  # type: ignore[arg-type]
    return gateway


def client(**options: Any) -> TestClient:
    """Return who asks a gateway of these options."""
    return TestClient(register(Gateway(**options)), raise_server_exceptions=False)


def asgi(
    gateway: Gateway, scope: dict[str, Any], receive: Callable[[], Any] | None = None
) -> list[Any]:
    """Send one raw scope through the gateway and return what it sends."""
    sent: list[Any] = []
    whole = {
        "type": "http",
        "method": "GET",
        "path": "/v1/users/42",
        "query_string": b"",
        "headers": [],
        **scope,
    }

    async def nothing() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(gateway(whole, receive or nothing, send))
    return sent
