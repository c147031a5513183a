"""One process, four clients, the same assertions: HTTP, a gRPC stub, grpcurl and `buf curl`."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlencode

import grpc
import httpx2
import pytest
from google.protobuf import empty_pb2, json_format
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2
from grpc_status import rpc_status

from services.user.v1 import user_service_pb2 as pb
from services.user.v1.user_service_pb2_grpc import UserServiceStub

SOURCE = Path(__file__).parents[3] / "src"
BIN = Path(sys.executable).parent
SERVICE = "services.user.v1.UserService"
REPLIES: dict[str, type[Message]] = {
    "ListUsers": pb.ListUsersResponse,
    "DeleteUser": empty_pb2.Empty,
}


class Refused(Exception):
    """A call ended with this code, by its name in google/rpc/code.proto."""


class Door(Protocol):
    """Calls a method with a request in JSON and returns the reply."""

    def __call__(self, method: str, request: dict[str, Any]) -> Any: ...


def reply(method: str, text: str) -> Message:
    """Return the message that a client printed."""
    return json_format.Parse(text, REPLIES.get(method, pb.User)())


class Rest:
    """Calls by the rules of the proto, as a person writes them."""

    def __init__(self, client: httpx2.Client) -> None:
        self.client = client

    def __call__(self, method: str, request: dict[str, Any]) -> Message:
        answer = self.answer(method, request)
        if answer.status_code != httpx2.codes.OK:
            raise Refused(code_pb2.Code.Name(answer.json()["code"]))
        return reply(method, answer.text)

    def answer(self, method: str, request: dict[str, Any]) -> httpx2.Response:
        """Return the answer, whatever it is."""
        rest = {name: value for name, value in request.items() if name != "id"}
        user = rest.pop("user", {})
        name = request.get("id", user.get("id", ""))
        verb, path, body = {
            "GetUser": ("GET", f"/v1/users/{name}", None),
            "ListUsers": ("GET", "/v1/users", None),
            "CreateUser": ("POST", "/v1/users", user),
            "UpdateUser": ("PATCH", f"/v1/users/{name}", user),
            "DeleteUser": ("DELETE", f"/v1/users/{name}", None),
            "DeactivateUser": ("POST", f"/v1/users/{name}:deactivate", rest),
        }[method]
        query = "" if method == "DeactivateUser" else f"?{urlencode(rest)}"
        return self.client.request(verb, path + query, json=body)


class Stub:
    """Calls by the generated stub."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.stub: Any = UserServiceStub(channel)

    def __call__(self, method: str, request: dict[str, Any]) -> Message:
        message = json_format.ParseDict(request, getattr(pb, f"{method}Request")())
        try:
            answer: Message = getattr(self.stub, method)(message, timeout=10)
        except grpc.RpcError as error:
            raise Refused(error.code().name) from None
        return answer


class Command:
    """Calls by a command that learns the schema by reflection.

    Its words METHOD and REQUEST stand for what is called.
    """

    def __init__(self, *command: str) -> None:
        self.command = command

    def __call__(self, method: str, request: dict[str, Any]) -> Message:
        mask = request.get("update_mask")
        if mask and "grpcurl" in self.command[0]:
            # It takes a field mask in the form of its message only.
            request = {**request, "update_mask": {"paths": [mask]}}
        filled = {"METHOD": f"{SERVICE}/{method}", "REQUEST": json.dumps(request)}
        done = subprocess.run(
            [re.sub("METHOD|REQUEST", lambda it: filled[it[0]], word) for word in self.command],
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
        )
        if done.returncode:
            told = re.search(r'Code: (\w+)|"code":\s*"(\w+)"', done.stderr + done.stdout)
            assert told, done.stderr
            name = told[1] or told[2]
            raise Refused(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper())
        return reply(method, done.stdout)


@pytest.fixture(scope="module")
def targets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The addresses of the example service, in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "services.user", "--http=127.0.0.1:0", "--grpc=127.0.0.1:0"],
        cwd=tmp_path_factory.mktemp("doors"),
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    found = re.findall(r"127\.0\.0\.1:\d+", process.stdout.readline())
    yield found[0], found[1]
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)


@pytest.fixture(params=["rest", "stub", "grpcurl", "buf"])
def door(request: pytest.FixtureRequest, targets: tuple[str, str]) -> Iterator[Door]:
    """Each of the clients."""
    http, rpc = targets
    grpcurl = [str(BIN / "grpcurl"), "-plaintext", "-d", "REQUEST", rpc, "METHOD"]
    buf = [str(BIN / "buf"), "curl", "--protocol=grpc", "--http2-prior-knowledge", "-d", "REQUEST"]
    with (
        httpx2.Client(base_url=f"http://{http}", timeout=10) as client,
        grpc.insecure_channel(rpc) as channel,
    ):
        doors: dict[str, Door] = {
            "rest": Rest(client),
            "stub": Stub(channel),
            "grpcurl": Command(*grpcurl),
            "buf": Command(*buf, f"http://{rpc}/METHOD"),
        }
        yield doors[request.param]


@pytest.fixture
def user(door: Door, request: pytest.FixtureRequest) -> pb.User:
    """A user of this test's own."""
    name = re.sub(r"\W+", "-", request.node.name).strip("-").replace("_", "-")[:60]
    created: pb.User = door(
        "CreateUser",
        {
            "user_id": name,
            "user": {
                "name": "Ada",
                "email": f"{name}@example.com",
                "role": "ROLE_ADMIN",
                "quota_bytes": "9007199254740993",
                "tags": ["math", "engine"],
                "labels": {"team": "a"},
                "address": {"city": "London"},
                "messenger": {"service": "matrix", "handle": "ada"},
                "newsletter": False,
            },
        },
    )
    return created


def test_created(user: pb.User) -> None:
    """Every kind of field survives the way in and back."""
    assert (user.name, user.role, user.quota_bytes) == ("Ada", pb.User.ROLE_ADMIN, 2**53 + 1)
    assert (list(user.tags), dict(user.labels)) == (["math", "engine"], {"team": "a"})
    assert (user.address.city, user.messenger.handle) == ("London", "ada")
    assert user.HasField("newsletter")
    assert user.HasField("create_time")


def test_get(door: Door, user: pb.User) -> None:
    """What was created is returned, to the last bit."""
    assert user == door("GetUser", {"id": user.id})


def test_list(door: Door, user: pb.User) -> None:
    """A filter finds the user, and no page follows."""
    found = door("ListUsers", {"filter": f'email = "{user.email}"', "page_size": 5})

    assert (found.next_page_token, [user.id]) == ("", [each.id for each in found.users])


def test_update(door: Door, user: pb.User) -> None:
    """A mask changes what it names and nothing else."""
    changed = door(
        "UpdateUser",
        {"user": {"id": user.id, "name": "Ada King", "tags": ["x"]}, "update_mask": "name"},
    )

    assert (changed.name, list(changed.tags)) == ("Ada King", ["math", "engine"])


def test_lost_update(door: Door, user: pb.User) -> None:
    """An etag of an older state is refused."""
    door("UpdateUser", {"user": {"id": user.id, "name": "Ada King"}, "update_mask": "name"})

    with pytest.raises(Refused, match="ABORTED"):
        door(
            "UpdateUser",
            {"user": {"id": user.id, "name": "B", "etag": user.etag}, "update_mask": "name"},
        )


def test_deactivate(door: Door, user: pb.User) -> None:
    """The custom verb acts once."""
    assert door("DeactivateUser", {"id": user.id}).state == pb.User.STATE_INACTIVE
    with pytest.raises(Refused, match="FAILED_PRECONDITION"):
        door("DeactivateUser", {"id": user.id})


def test_delete(door: Door, user: pb.User) -> None:
    """What was deleted is not found."""
    assert door("DeleteUser", {"id": user.id}) == empty_pb2.Empty()
    with pytest.raises(Refused, match="NOT_FOUND"):
        door("GetUser", {"id": user.id})


@pytest.mark.parametrize(
    ("method", "request_", "code"),
    [
        ("GetUser", {"id": "nobody"}, "NOT_FOUND"),
        ("ListUsers", {"page_token": "x"}, "INVALID_ARGUMENT"),
        ("ListUsers", {"page_size": -1}, "INVALID_ARGUMENT"),
        ("ListUsers", {"filter": "nope ="}, "INVALID_ARGUMENT"),
        ("ListUsers", {"order_by": "nope"}, "INVALID_ARGUMENT"),
        ("CreateUser", {"user": {"name": "", "email": "x"}}, "INVALID_ARGUMENT"),
        ("UpdateUser", {"user": {"id": "nobody", "name": "B"}, "update_mask": "name"}, "NOT_FOUND"),
        ("DeleteUser", {"id": "nobody"}, "NOT_FOUND"),
        ("DeactivateUser", {"id": "nobody"}, "NOT_FOUND"),
    ],
)
def test_refused(door: Door, method: str, request_: dict[str, Any], code: str) -> None:
    """What is wrong ends with the same code whichever client asks."""
    with pytest.raises(Refused, match=code):
        door(method, request_)


def test_already_exists(door: Door, user: pb.User) -> None:
    """An email is taken once."""
    with pytest.raises(Refused, match="ALREADY_EXISTS"):
        door("CreateUser", {"user": {"name": "B", "email": user.email}})


@pytest.mark.parametrize(
    ("method", "request_", "over_http", "over_grpc"),
    [
        (
            "CreateUser",
            {
                "user_id": "A b",
                "user": {
                    "email": "ada@",
                    "quotaBytes": "-1",
                    "tags": ["a", "a"],
                    "labels": {"Team": "a"},
                    "address": {"regionCode": "Ch"},
                    "messenger": {"service": "matrix"},
                },
            },
            {
                "user_id": "STRING_PATTERN",
                "email": "STRING_EMAIL",
                "quotaBytes": "INT64_GTE",
                "tags": "REPEATED_UNIQUE",
                "labels.Team": "STRING_PATTERN",
                "address.regionCode": "STRING_PATTERN",
                "messenger.handle": "STRING_MIN_LEN",
            },
            {
                "user_id": "STRING_PATTERN",
                "user.email": "STRING_EMAIL",
                "user.quota_bytes": "INT64_GTE",
                "user.tags": "REPEATED_UNIQUE",
                "user.labels.Team": "STRING_PATTERN",
                "user.address.region_code": "STRING_PATTERN",
                "user.messenger.handle": "STRING_MIN_LEN",
            },
        ),
        (
            "UpdateUser",
            {"user": {"id": "ada", "phone": "044"}, "update_mask": "phone"},
            {"phone": "STRING_PATTERN"},
            {"user.phone": "STRING_PATTERN"},
        ),
        (
            "ListUsers",
            {"page_size": -1},
            {"page_size": "INT32_GTE"},
            {"page_size": "INT32_GTE"},
        ),
    ],
)
def test_rules(
    targets: tuple[str, str],
    method: str,
    request_: dict[str, Any],
    over_http: dict[str, str],
    over_grpc: dict[str, str],
) -> None:
    """Both ports tell the same rules that a request breaks, each in the names of its clients."""
    http, rpc = targets
    with httpx2.Client(base_url=f"http://{http}", timeout=10) as client:
        answer = Rest(client).answer(method, request_).json()
    message = json_format.ParseDict(request_, getattr(pb, f"{method}Request")())
    with grpc.insecure_channel(rpc) as channel:
        call = getattr(UserServiceStub(channel), method)
        with pytest.raises(grpc.RpcError) as raised:
            call(message, timeout=10)
    status: Any = rpc_status.from_call(raised.value)  # type: ignore[arg-type]
    bad_request = error_details_pb2.BadRequest()
    assert status.details[0].Unpack(bad_request)

    told = answer["details"][0]["fieldViolations"]
    assert over_http == {each["field"]: each["reason"] for each in told}
    assert over_grpc == {each.field: each.reason for each in bad_request.field_violations}
