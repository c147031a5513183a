"""Large bodies and replies: what they may cost the event loop, and who is told what."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from typing import Any

import pytest
from starlette.testclient import TestClient

from services.user.v1.user_service_pb2 import (
    CreateUserRequest,
    GetUserRequest,
    UploadAvatarRequest,
    User,
)
from services.user.v1.user_service_pb2_grpc import (
    UserServiceServicer,
    add_UserServiceServicer_to_server,
)
from transcoder import Gateway
from transcoder.protojson import decode, encode


class Users(UserServiceServicer):
    async def GetUser(self, request: GetUserRequest, context: Any) -> User:
        return User(tags=["x"] * int(request.id))

    async def CreateUser(self, request: CreateUserRequest, context: Any) -> User:
        return User(quota_bytes=len(request.user.tags))

    async def UploadAvatar(self, request: UploadAvatarRequest, context: Any) -> User:
        return User(avatar_bytes=len(request.avatar.data))


def gateway(**options: Any) -> Gateway:
    made = Gateway(**options)
    add_UserServiceServicer_to_server(Users(), made)  # type: ignore[arg-type]
    return made


def tags(count: int) -> dict[str, Any]:
    return {"tags": ["x"] * count}


@pytest.mark.parametrize("count", [1, 9_000, 20_000, 90_000])
def test_large_bodies(count: int) -> None:
    """A body of up to 100,000 values is read, on the loop or off it."""
    answer = TestClient(gateway()).post("/v1/users", json=tags(count))

    assert (answer.status_code, answer.json()["quotaBytes"]) == (200, str(count))


@pytest.mark.parametrize(
    ("name", "heavy"), [("x" * 1_000, False), ("x" * 100_000, False), ("x" * 200_000, True)]
)
def test_long_bodies_are_heavy(name: str, heavy: bool) -> None:  # noqa: FBT001  a table's column
    """A body of few values is read off the loop too, when it is long."""
    app = gateway()
    match = app.transcoder.match("POST", "/v1/users")
    body = json.dumps({"name": name}).encode()

    assert match.route.endpoint.decode.is_heavy(body, "application/json") is heavy


def test_too_many_values() -> None:
    """A body of more values is answered 413, though its bytes are within the limit."""
    answer = TestClient(gateway()).post("/v1/users", json=tags(110_000))

    assert (answer.status_code, answer.json()["code"]) == (413, 8)
    assert "100000 JSON values" in answer.json()["message"]


def test_long_texts_are_one_value() -> None:
    """A text of commas counts as the one value that it is."""
    answer = TestClient(gateway()).post("/v1/users", json={"name": "," * 200_000})

    assert answer.status_code == 200


def test_raw_bodies_have_no_values() -> None:
    """The bytes of an HttpBody are not counted as JSON."""
    answer = TestClient(gateway()).put(
        "/v1/users/1/avatar", content=b"," * 500_000, headers={"content-type": "image/png"}
    )

    assert answer.json()["avatarBytes"] == "500000"


@pytest.mark.parametrize("count", [1, 5_000, 50_000, 500_000])
def test_large_replies(count: int) -> None:
    """A reply is printed whole, on the loop or off it."""
    answer = TestClient(gateway()).get(f"/v1/users/{count}")

    assert len(answer.json()["tags"]) == count


def test_too_large_a_reply() -> None:
    """A reply over 4 MiB is the servicer's defect: 500, and nothing of it is sent."""
    answer = TestClient(gateway()).get("/v1/users/2000000")

    assert (answer.status_code, answer.json()["message"]) == (500, "internal error")


async def send(app: Gateway, body: bytes) -> int:
    """Send one POST through the application; return the status."""
    statuses: list[int] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    async def answer(message: Any) -> None:
        statuses.append(message.get("status", 0))

    headers = [(b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/v1/users", "raw_path": b"/v1/users"}
    await app({**scope, "query_string": b"", "headers": headers}, receive, answer)
    return statuses[0]


def test_the_loop_goes_on() -> None:
    """While a body that json_format must judge is read, the loop has its turns."""
    # An unknown field at the end: the slowest way through, and a 400 in the end.
    body = json.dumps({**tags(95_000), "nope": 1}).encode()

    async def run() -> tuple[int, float]:
        app = gateway()
        app.compile()
        task = asyncio.create_task(send(app, body))
        longest = 0.0
        while not task.done():
            start = time.monotonic()
            await asyncio.sleep(0.001)
            longest = max(longest, time.monotonic() - start)
        return await task, longest

    status, longest = asyncio.run(run())

    assert status == 400
    # Threads take turns of 5 ms; the bound is for machines that are busy with something else.
    assert longest < 0.5


def test_many_large_bodies_are_shed() -> None:
    """When too many large bodies come at once, the last are answered 503, and soon."""
    body = json.dumps({**tags(90_000), "nope": 1}).encode()

    async def run() -> list[int]:
        app = gateway()
        app.compile()
        return await asyncio.gather(*(send(app, body) for _ in range(20)))

    statuses = asyncio.run(run())

    assert statuses.count(503) == 4
    assert statuses.count(400) == 16


def test_a_reply_that_changes() -> None:
    """What is printed is the reply as it was returned, whatever the servicer does to it after."""
    kept = User(tags=["x"] * 100_000)

    class Keeping(Users):
        async def GetUser(self, request: GetUserRequest, context: Any) -> User:
            threading.Timer(0.001, kept.ClearField, ["tags"]).start()
            return kept

    app = Gateway()
    add_UserServiceServicer_to_server(Keeping(), app)  # type: ignore[arg-type]

    assert len(TestClient(app).get("/v1/users/1").json()["tags"]) == 100_000


def test_compiled_before_the_first_request() -> None:
    """The JSON of all routes is compiled at start: no request has to wait for it."""
    app = gateway()
    app.compile()
    before = len(encode._encoders), len(decode._decoders)

    web = TestClient(app)
    web.get("/v1/users/1")
    web.post("/v1/users", json=tags(1))

    assert (len(encode._encoders), len(decode._decoders)) == before
