"""The gateway under an ASGI server that is not ours."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any

import pytest
import uvicorn
from google.api.http_pb2 import CustomHttpPattern, HttpRule

from services.user.v1.user_service_pb2 import GetUserRequest, User
from services.user.v1.user_service_pb2_grpc import (
    UserServiceServicer,
    add_UserServiceServicer_to_server,
)
from transcoder import Gateway


class Users(UserServiceServicer):
    async def GetUser(self, request: GetUserRequest, context: Any) -> User:
        return User(id=request.id)


def gateway() -> Gateway:
    """A gateway with a rule for RESTORE, and one for any method."""
    rule = HttpRule(custom=CustomHttpPattern(kind="RESTORE", path="/v1/users/{id}"))
    rule.additional_bindings.add(custom=CustomHttpPattern(kind="*", path="/v1/any/{id}"))
    gateway = Gateway(rules={"services.user.v1.UserService.GetUser": rule})
    add_UserServiceServicer_to_server(Users(), gateway)  # type: ignore[arg-type]
    return gateway


async def answer(method: str, path: str) -> tuple[int, Any]:
    """Return status and JSON of one answer of uvicorn with its parser in Python."""
    config = uvicorn.Config(gateway(), port=0, http="h11", ws="none", log_config=None)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = asyncio.create_task(server.serve([listening]))
        # The kernel takes the connection, whether or not the server has begun to.
        reader, writer = await asyncio.open_connection(*listening.getsockname())
        writer.write(f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        head, _, body = (await asyncio.wait_for(reader.read(), 20)).partition(b"\r\n\r\n")
        writer.close()
        server.should_exit = True
        await serving
    return int(head.split()[1]), json.loads(body)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("RESTORE", "/v1/users/42"),
        ("RESTORE", "/v1/any/42"),
        ("TRACE", "/v1/any/42"),
        ("FOO", "/v1/any/42"),
        ("GET", "/v1/any/42"),
    ],
)
def test_custom_kinds(method: str, path: str) -> None:
    """A parser that takes any HTTP method delivers custom kinds of any name, and those of `*`."""
    status, body = asyncio.run(answer(method, path))

    assert (status, body["id"]) == (200, "42")


def test_a_custom_kind_in_allow() -> None:
    """Another method on the path of a custom kind is told which one to use."""
    status, body = asyncio.run(answer("PURGE", "/v1/users/42"))

    assert (status, body["code"]) == (405, 12)
