"""A gateway of users that are what their ids say."""

from __future__ import annotations

from typing import Any

from services.user.v1.user_service_pb2 import GetUserRequest, User
from services.user.v1.user_service_pb2_grpc import (
    UserServiceServicer,
    add_UserServiceServicer_to_server,
)
from transcoder import Gateway


class Users(UserServiceServicer):
    """Knows everybody; tells who asked."""

    async def GetUser(self, request: GetUserRequest, context: Any) -> User:
        told = dict(context.invocation_metadata())
        return User(id=request.id, name=told.get("x-user-id", ""))


def create() -> Gateway:
    """Return the gateway."""
    gateway = Gateway()
    add_UserServiceServicer_to_server(Users(), gateway)  # type: ignore[arg-type]
    return gateway
