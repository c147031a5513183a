"""`transcoder call`, against a server with reflection."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from click.testing import CliRunner, Result
from grpc_reflection.v1alpha import reflection

from services.user.v1 import user_service_pb2 as user
from services.user.v1.user_service_pb2_grpc import (
    UserServiceServicer,
    add_UserServiceServicer_to_server,
)
from transcoder.cli import main
from transcoder.cli.rest_call import request_of
from transcoder.http_rule import bindings

SERVICE = "services.user.v1.UserService"
NAME = '{"name": "operations/1"}'


class Users(UserServiceServicer):
    """Tells what it was asked."""

    def GetUser(self, request: Any, context: Any) -> Any:
        if request.id == "nobody":
            context.abort(grpc.StatusCode.NOT_FOUND, "no such user")
        metadata = {pair[0]: pair[1] for pair in context.invocation_metadata()}
        return user.User(id=request.id, name=metadata.get("x-name", ""))

    def WatchUsers(self, request: Any, context: Any) -> Iterator[Any]:
        yield user.WatchUsersResponse(sequence=1)
        yield user.WatchUsersResponse(sequence=2)

    def ImportUsers(self, request_iterator: Any, context: Any) -> Any:
        return user.ImportUsersResponse(created_count=len(list(request_iterator)))


@pytest.fixture(scope="module")
def target() -> Iterator[str]:
    """A server of `Users`, with reflection."""
    server = grpc.server(ThreadPoolExecutor(4))
    add_UserServiceServicer_to_server(Users(), server)
    reflection.enable_server_reflection([SERVICE], server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait()


def call(*arguments: str, given: str | None = None) -> Result:
    return CliRunner().invoke(main, ["call", *arguments], input=given)


@pytest.mark.parametrize(
    "name", [f"{SERVICE}/GetUser", f"{SERVICE}.GetUser", f"/{SERVICE}/GetUser"]
)
def test_one_reply(target: str, name: str) -> None:
    """A method is called by its name in each spelling, with metadata."""
    done = call(target, name, '{"id": "ada"}', "-H", "X-Name: Ada", "--timeout", "10")

    assert json.loads(done.stdout) == {"id": "ada", "name": "Ada"}
    assert done.exit_code == 0


def test_stream_of_replies(target: str) -> None:
    """Each reply is a line."""
    done = call(target, f"{SERVICE}/WatchUsers")

    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        {"sequence": "1"},
        {"sequence": "2"},
    ]


def test_stream_of_requests(target: str) -> None:
    """Requests are JSON values one after another, from stdin too."""
    done = call(target, f"{SERVICE}/ImportUsers", "-", given='{"userId": "a"}\n{"userId": "b"}\n')

    assert json.loads(done.stdout) == {"createdCount": "2"}


def test_status(target: str) -> None:
    """A status other than OK is told on stderr, and the exit code is 1."""
    done = call(target, f"{SERVICE}/GetUser", '{"id": "nobody"}')

    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == "NOT_FOUND: no such user\n"


def test_rest(start: Any) -> None:
    """A REST call tells the request that the rule makes, and prints the answer."""
    served = start()
    url = ("--rest", f"http://{served.http_target}")
    done = call(served.grpc_target, "google.longrunning.Operations/GetOperation", *url, NAME)
    lost = call(served.grpc_target, "google.longrunning.Operations/GetOperation", *url)

    assert done.stderr.startswith("GET /v1/operations/")
    assert "name is of the path, and is missing" in lost.stderr
    assert lost.exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((f"{SERVICE}/GetUsr",), f"the server has no method {SERVICE}.GetUsr; it has "),
        ((f"{SERVICE}/GetUser", "{"), "the request is no JSON: "),
        ((f"{SERVICE}/GetUser", '{"nam": 1}'), "the request: nam: no such field"),
        ((f"{SERVICE}/GetUser", "{}{}"), "takes one message, and there are 2"),
        ((f"{SERVICE}/GetUser", "-H", "x"), "'x': NAME:VALUE is expected"),
        ((f"{SERVICE}/GetUser", "--ca", "x"), "--ca, --cert and --key go with --tls"),
        ((f"{SERVICE}/GetUser", "--tls", "--ca", "/none"), "ca: /none cannot be read"),
        ((f"{SERVICE}/GetUser", "--rest", "ftp://x"), "--rest takes an http:// URL"),
        ((f"{SERVICE}/ListUsers", "--rest", "http://127.0.0.1:1"), "does not answer: "),
    ],
)
def test_wrong_arguments(target: str, arguments: tuple[str, ...], words: str) -> None:
    """What is wrong before the call is told in a line, with the exit code 2."""
    done = call(target, *arguments)

    assert done.exit_code == 2
    assert words in done.stderr


@pytest.mark.parametrize(
    ("method", "message", "expected"),
    [
        ("GetUser", user.GetUserRequest(id="a/b"), ("GET", "/v1/users/a%2Fb", None)),
        ("ListUsers", user.ListUsersRequest(page_size=2), ("GET", "/v1/users?page_size=2", None)),
        (
            "CreateUser",
            user.CreateUserRequest(user_id="a", user=user.User(name="Ada")),
            ("POST", "/v1/users?user_id=a", b'{"name": "Ada"}'),
        ),
    ],
)
def test_request_of(method: str, message: Any, expected: tuple[str, str, bytes | None]) -> None:
    """A message becomes path, query and body as its rule says."""
    rpc = user.DESCRIPTOR.services_by_name["UserService"].methods_by_name[method]
    made = request_of(bindings(rpc)[0], message)

    assert (made.method, made.target, made.body) == expected
