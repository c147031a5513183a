"""A gateway whose health check has the path of a method."""

from __future__ import annotations

from services.user.v1.user_service_pb2_grpc import (
    UserServiceServicer,
    add_UserServiceServicer_to_server,
)
from transcoder import Gateway


def create() -> Gateway:
    """Return the gateway, whose routes conflict."""
    gateway = Gateway(health="/v1/users")
    add_UserServiceServicer_to_server(UserServiceServicer(), gateway)  # type: ignore[arg-type]
    return gateway
