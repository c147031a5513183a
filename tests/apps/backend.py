"""A well-behaved backend of the user service, which notes what it is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1.health_pb2_grpc import HealthServicer, add_HealthServicer_to_server
from grpc_status import rpc_status

from services.user.v1 import user_service_pb2
from services.user.v1.user_service_pb2 import (
    ChatRequest,
    ChatResponse,
    GetUserRequest,
    ImportUsersRequest,
    ImportUsersResponse,
    User,
    WatchUsersRequest,
    WatchUsersResponse,
)
from services.user.v1.user_service_pb2_grpc import (
    UserServiceServicer,
    add_UserServiceServicer_to_server,
)

SERVICE = user_service_pb2.DESCRIPTOR.services_by_name["UserService"]
GET = "/services.user.v1.UserService/GetUser"
WATCH = "/services.user.v1.UserService/WatchUsers"
IMPORT = "/services.user.v1.UserService/ImportUsers"
CHAT = "/services.user.v1.UserService/Chat"


class Users(UserServiceServicer):
    """Does what the id of the request, or of the user in it, says."""

    def __init__(self) -> None:
        self.calls = 0
        self.seen: dict[str, str | bytes] = {}
        self.left: float | None = None
        self.taken = 0
        self.begun = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def GetUser(self, request: GetUserRequest, context: Any) -> User:
        self._note(context)
        await context.send_initial_metadata((("x-cost", "3"), ("seal-bin", b"\x00")))
        context.set_trailing_metadata((("x-after", "1"),))
        if request.id == "none":
            detail = any_pb2.Any()
            detail.Pack(error_details_pb2.ErrorInfo(reason="GONE"))
            status = status_pb2.Status(code=5, message="no such user", details=[detail])
            packed = rpc_status.to_status(status)
            trailing = (("x-after", "1"), *(packed.trailing_metadata or ()))
            await context.abort(packed.code, packed.details, trailing)
        if request.id == "defect":
            raise RuntimeError("dsn=secret")
        if request.id == "hang":
            await self._hang()
        if request.id == "large":
            return User(name="x" * (5 << 20))
        if request.id.startswith("wait-"):
            await asyncio.sleep(int(request.id[5:]) / 1000)
        return User(id=request.id)

    async def WatchUsers(
        self, request: WatchUsersRequest, context: Any
    ) -> AsyncIterator[WatchUsersResponse]:
        self._note(context)
        await context.send_initial_metadata((("x-cost", "3"),))
        context.set_trailing_metadata((("x-after", "1"),))
        for number in range(3):
            yield WatchUsersResponse(sequence=number)
        if request.id == "hang":
            await self._hang()
        if request.id == "late":
            await context.abort(grpc.StatusCode.ABORTED, "too late", (("x-after", "2"),))
        if request.id == "endless":
            while True:
                self.taken += 1
                yield WatchUsersResponse(user=User(name="x" * 100_000))

    async def ImportUsers(
        self, request_iterator: AsyncIterator[ImportUsersRequest], context: Any
    ) -> ImportUsersResponse:
        self._note(context)
        count = 0
        async for request in request_iterator:
            count += 1
            if request.user_id == "stop":
                break
            if request.user_id == "hang":
                await self._hang()
        return ImportUsersResponse(created_count=count)

    async def Chat(
        self, request_iterator: AsyncIterator[ChatRequest], context: Any
    ) -> AsyncIterator[ChatResponse]:
        self._note(context)
        async for request in request_iterator:
            yield ChatResponse(text=request.text)

    def _note(self, context: Any) -> None:
        self.calls += 1
        self.seen = dict(context.invocation_metadata())
        self.left = context.time_remaining()

    async def _hang(self) -> None:
        self.begun.set()
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise


@asynccontextmanager
async def backend(
    users: UserServiceServicer,
    credentials: grpc.ServerCredentials | None = None,
    *,
    options: Sequence[tuple[str, Any]] = (),
    host: str = "127.0.0.1",
    port: int = 0,
    health: HealthServicer | None = None,
) -> AsyncIterator[str]:
    """Serve a servicer with grpc.aio alone; the target is the value."""
    server = grpc.aio.server(options=options)
    add_UserServiceServicer_to_server(users, server)
    if health is not None:
        add_HealthServicer_to_server(health, server)
    if credentials is None:
        port = server.add_insecure_port(f"{host}:{port}")
    else:
        port = server.add_secure_port(f"{host}:{port}", credentials)
    await server.start()
    try:
        yield f"{host}:{port}"
    finally:
        await server.stop(0)
