"""A user service in which everything goes wrong that can, on request."""

from __future__ import annotations

import logging
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from services.user.v1.user_service_pb2 import GetUserRequest, User
from services.user.v1.user_service_pb2_grpc import (
    UserServiceServicer,
    add_UserServiceServicer_to_server,
)
from transcoder import Gateway

SECRET = "dsn=postgres://user:secret@db"


class Users(UserServiceServicer):
    async def GetUser(self, request: GetUserRequest, context: Any) -> Any:
        match request.id:
            case "raises":
                raise RuntimeError(SECRET)
            case "exits":
                raise SystemExit(SECRET)
            case "none":
                return None
            case "another":
                return GetUserRequest(id=SECRET)
            case "unprintable":
                return User(name=SECRET, create_time=Timestamp(seconds=10**15))
        return User(id=request.id)

    def CreateUser(self, request: Any, context: Any) -> User:
        if request.user.name == "raises":
            raise RuntimeError(SECRET)
        return User(id="1", name=request.user.name)


def create() -> Gateway:
    """Return the gateway, which logs to stderr."""
    logging.basicConfig(level=logging.INFO)
    gateway = Gateway()
    add_UserServiceServicer_to_server(Users(), gateway)  # type: ignore[arg-type]
    return gateway
