"""A gateway with a route whose HTTP method no HTTP server of ours takes."""

from __future__ import annotations

from google.api.http_pb2 import CustomHttpPattern, HttpRule

from services.user.v1.user_service_pb2_grpc import (
    UserServiceServicer,
    add_UserServiceServicer_to_server,
)
from transcoder import Gateway


def create() -> Gateway:
    """Return the gateway."""
    restore = HttpRule(custom=CustomHttpPattern(kind="RESTORE", path="/v1/users/{id}"))
    gateway = Gateway(rules={"services.user.v1.UserService.GetUser": restore})
    add_UserServiceServicer_to_server(UserServiceServicer(), gateway)  # type: ignore[arg-type]
    return gateway
