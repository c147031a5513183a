"""Media types of requests and answers, through the gateway."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.empty_pb2 import Empty
from starlette.testclient import TestClient

from services.user.v1.user_service_pb2 import (
    CreateUserRequest,
    DeleteUserRequest,
    GetUserRequest,
    UpdateUserRequest,
    User,
)
from services.user.v1.user_service_pb2_grpc import (
    UserServiceServicer,
    add_UserServiceServicer_to_server,
)
from transcoder import GRPC_GATEWAY, Gateway, Profile
from transcoder.profile import GOOGLE

PROTOBUF = "application/x-protobuf"
ADA = User(id="42", name="Ada")


class Users(UserServiceServicer):
    async def GetUser(self, request: GetUserRequest, context: Any) -> User:
        return User(id=request.id, name="Ada")

    async def CreateUser(self, request: CreateUserRequest, context: Any) -> User:
        return request.user

    async def UpdateUser(self, request: UpdateUserRequest, context: Any) -> User:
        return User(id=request.user.id, name=",".join(request.update_mask.paths) or "no mask")

    async def DeleteUser(self, request: DeleteUserRequest, context: Any) -> Empty:
        return Empty()


def client(profile: Profile = GOOGLE) -> TestClient:
    gateway = Gateway(profile=profile)
    add_UserServiceServicer_to_server(Users(), gateway)  # type: ignore[arg-type]
    return TestClient(gateway, headers={"accept": ""})


@pytest.mark.parametrize(
    ("accept", "query", "expected"),
    [
        ("", "", "application/json"),
        ("*/*", "", "application/json"),
        (PROTOBUF, "", PROTOBUF),
        ("application/protobuf", "", "application/protobuf"),
        (f"application/json;q=0.5, {PROTOBUF}", "", PROTOBUF),
        ("", "?$alt=proto", PROTOBUF),
        (PROTOBUF, "?$alt=json", "application/json"),
        ("application/vnd.api+json", "", "application/json"),
    ],
)
def test_answer(accept: str, query: str, expected: str) -> None:
    """An answer has the type that is accepted, and says that it depends on Accept."""
    answer = client().get(f"/v1/users/42{query}", headers={"accept": accept})

    assert (answer.status_code, answer.headers["content-type"]) == (200, expected)
    assert answer.headers["vary"] == "Accept"
    if "protobuf" in expected:
        assert User.FromString(answer.content) == ADA
    else:
        assert answer.json() == {"id": "42", "name": "Ada"}


def test_head() -> None:
    """HEAD says the headers that GET would."""
    answer = client().head("/v1/users/42", headers={"accept": PROTOBUF})

    assert answer.headers["content-type"] == PROTOBUF
    assert answer.headers["content-length"] == str(ADA.ByteSize())
    assert answer.content == b""


@pytest.mark.parametrize("accept", ["text/html", "application/json;q=0, text/*", "image/*"])
def test_not_acceptable(accept: str) -> None:
    """Who takes nothing that is there is told what there is, in JSON, before the call."""
    answer = client().get("/v1/users/42", headers={"accept": accept})

    assert answer.status_code == 406
    types = "application/json or application/x-protobuf or application/protobuf"
    assert answer.json() == {
        "code": 3,
        "message": f"this method answers {types}",
        "details": [],
    }


def test_not_acceptable_is_ignored() -> None:
    """A profile may answer all the same."""
    answer = client(GRPC_GATEWAY).get("/v1/users/42", headers={"accept": "text/html"})

    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")


def test_errors_are_json() -> None:
    """An error has its JSON form, whatever form the answer would have."""
    answer = client().get("/v1/nobody", headers={"accept": PROTOBUF})

    assert (answer.status_code, answer.json()["code"]) == (404, 5)


def test_body() -> None:
    """A serialized body is what the rule's body names, and may be answered in JSON."""
    headers = {"content-type": PROTOBUF}
    answer = client().post("/v1/users", content=ADA.SerializeToString(), headers=headers)

    assert (answer.status_code, answer.json()) == (200, {"id": "42", "name": "Ada"})


def test_both_ways() -> None:
    """A client may speak protobuf only."""
    headers = {"content-type": PROTOBUF, "accept": PROTOBUF}
    answer = client().post("/v1/users", content=ADA.SerializeToString(), headers=headers)

    assert User.FromString(answer.content) == ADA


def test_patch() -> None:
    """A serialized PATCH has the mask that its query says, or none."""
    headers = {"content-type": PROTOBUF}
    data = User(name="Ada").SerializeToString()
    users = client()

    assert users.patch("/v1/users/7", content=data, headers=headers).json()["name"] == "no mask"
    masked = users.patch("/v1/users/7?updateMask=name", content=data, headers=headers)
    assert masked.json() == {"id": "7", "name": "name"}


@pytest.mark.parametrize(
    ("data", "content_type", "status", "message"),
    [
        (b"\xff", PROTOBUF, 400, "the body is not a serialized services.user.v1.User"),
        (b'{"name": "Ada"}', PROTOBUF, 400, "the body is not a serialized services.user.v1.User"),
        (b"\x00", f"{PROTOBUF}; delimited=true", 415, "a body of this type is not taken: "),
    ],
)
def test_bad_body(data: bytes, content_type: str, status: int, message: str) -> None:
    """What is no serialized message is refused, and not repeated."""
    headers = {"content-type": content_type}
    answer = client().post("/v1/users", content=data, headers=headers)

    assert answer.status_code == status
    assert answer.json()["message"].startswith(message)
