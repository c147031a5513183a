"""Large bodies and replies: what they may cost the event loop, and who is told what."""

from __future__ import annotations

import asyncio
import http.client
import json
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf.descriptor import Descriptor
from starlette.testclient import TestClient

from cost import BOUND
from large import REFUSED, REPLIES
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
from transcoder.protojson.cost import LONG, ON_LOOP

if TYPE_CHECKING:
    from tests.conftest import Served, Start


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


def test_too_large_a_reply(caplog: pytest.LogCaptureFixture) -> None:
    """A reply over 4 MiB is the servicer's defect: 500, and the log names the limit."""
    answer = TestClient(gateway()).get("/v1/users/2000000")

    assert (answer.status_code, answer.json()["message"]) == (500, "internal error")
    assert "over 4194304 bytes, the limit of a reply" in caplog.text


@pytest.mark.parametrize("accept", ["application/json", "application/x-protobuf"])
def test_too_many_messages_in_a_reply(caplog: pytest.LogCaptureFixture, accept: str) -> None:
    """So is one of too many messages, however few bytes they take, and however it is told."""
    reply = User(labels={str(i): "" for i in range(100_000)})

    class Labelling(Users):
        async def GetUser(self, request: GetUserRequest, context: Any) -> User:
            return reply

    app = Gateway()
    add_UserServiceServicer_to_server(Labelling(), app)  # type: ignore[arg-type]
    answer = TestClient(app).get("/v1/users/1", headers={"accept": accept})

    assert (answer.status_code, answer.json()["message"]) == (500, "internal error")
    assert len(caplog.records) == 1
    assert "over 200000 messages, the limit of a reply" in caplog.text


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


@pytest.fixture(scope="module")
def large(start_shared: Start) -> Served:
    """A server with large replies."""
    return start_shared("large:create")


@pytest.fixture(scope="module")
def large_with_defaults(start_shared: Start) -> Served:
    """A server with the same replies, which prints fields without presence."""
    return start_shared("large:create_with_defaults")


def held(served: Served, method: str, path: str, body: str = "") -> tuple[int, float]:
    """Send a request; return the status, and how many CPU seconds the loop was held at once.

    It is the least of a few tries: neighbours on the same machine only ever add to it.
    """
    status = 0
    longest: list[float] = []
    connection = http.client.HTTPConnection(served.http_target, timeout=20)
    for _ in range(5):
        served.get("/held")
        headers = {"content-type": "application/json"} if body else {}
        connection.request(method, path, body.encode(), headers)
        answer = connection.getresponse()
        answer.read()
        status = answer.status
        longest.append(served.get("/held")[2])
        if longest[-1] < BOUND:
            break
    connection.close()
    return status, min(longest)


@pytest.mark.parametrize("name", REPLIES)
def test_replies_hold_the_loop_for_a_moment(large: Served, name: str) -> None:
    """Whatever a servicer replies, other requests have their turns meanwhile."""
    status, longest = held(large, "GET", f"/v1/{name}")

    assert status == (500 if name in REFUSED else 200)
    assert longest < BOUND


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("loop-children-defaults", 200),
        ("children-defaults", 200),
        ("values", 200),
        ("children", 500),  # printed with all its defaults, it would be a hundred megabytes
        ("too-many", 500),
    ],
)
def test_defaults_hold_the_loop_for_a_moment(
    large_with_defaults: Served, name: str, status: int
) -> None:
    """So they have when fields are printed of which the bytes say nothing."""
    answered, longest = held(large_with_defaults, "GET", f"/v1/{name}")

    assert answered == status
    assert longest < BOUND


VALUES = ON_LOOP - 10
TEXT = LONG - 100
BODIES: dict[str, tuple[int, str]] = {
    # An unknown field at the end is the slowest way through: all before it is gone through twice.
    "numbers": (200, json.dumps({"int32List": [1] * VALUES})),
    "odd-numbers": (200, json.dumps({"int32List": [1] * VALUES + ["1e0"]})),
    "bad-numbers": (400, json.dumps({"int32List": [1] * VALUES, "nope": 1})),
    "children": (400, json.dumps({"childList": [{}] * (VALUES // 2), "nope": 1})),
    "times": (400, json.dumps({"timeList": ["2026-01-31T12:00:00Z"] * VALUES, "nope": 1})),
    "values": (400, json.dumps({"valueList": [1.5] * VALUES, "nope": 1})),
    "struct": (400, json.dumps({"struct": {f"k{i}": i for i in range(VALUES)}, "nope": 1})),
    "map": (400, json.dumps({"intMap": {f"{i}": "1" for i in range(VALUES)}, "nope": 1})),
    "masks": (400, json.dumps({"maskList": ["a,b"] * (VALUES // 2), "nope": 1})),
    "text": (400, json.dumps({"stringValue": "x" * TEXT, "nope": 1})),
    "commas": (200, json.dumps({"stringValue": "," * TEXT})),
    "colons": (200, json.dumps({"stringValue": ":" * TEXT})),
    "escapes": (400, '{"stringValue":"' + "\\u00e9" * (TEXT // 6) + '","nope":1}'),
    "base64": (400, json.dumps({"bytesValue": "A" * TEXT + "*"})),
    "mask": (400, json.dumps({"mask": ",".join(["abcdefghijk"] * 9_990), "nope": 1})),
    "digits": (400, '{"doubleValue":' + "1" * TEXT + "}"),
    "quoted-digits": (400, '{"int64Value":"' + "1" * TEXT + '"}'),
    "fraction": (200, '{"int64Value":1.' + "0" * TEXT + "}"),
    "brackets": (400, "[" * VALUES),
    "quotes": (400, '"' * TEXT),
    "spaces": (200, '{"int32Value":' + " " * TEXT + "1}"),
    # Off the loop.
    "many-numbers": (400, json.dumps({"int32List": [1] * 99_900, "nope": 1})),
    "many-children": (200, json.dumps({"childList": [{}] * 49_900})),
    "many-values": (400, json.dumps({"valueList": [1.5] * 99_900, "nope": 1})),
    "large-map": (200, json.dumps({"stringMap": {f"{i:x}": "v" for i in range(99_900)}})),
    "large-struct": (400, json.dumps({"struct": {f"k{i:x}": i for i in range(99_900)}, "no": 1})),
    "long-text": (400, json.dumps({"stringValue": "x" * 4_190_000, "nope": 1})),
    "long-commas": (200, json.dumps({"stringValue": "," * 4_190_000})),
    "long-base64": (400, json.dumps({"bytesValue": "A" * 4_190_000 + "*"})),
    "long-digits": (400, '{"int64Value":"1.' + "1" * 4_190_000 + '"}'),
    "too-many-numbers": (413, "[" + "1," * 2_000_000 + "1]"),
    "too-many-texts": (413, '["a"' + ',""' * 1_390_000 + "]"),
    "too-many-brackets": (413, "[" * 4_190_000),
}


@pytest.mark.parametrize("name", BODIES)
def test_bodies_hold_the_loop_for_a_moment(large: Served, name: str) -> None:
    """Whatever a client sends, other requests have their turns meanwhile."""
    expected, body = BODIES[name]
    status, longest = held(large, "POST", "/v1/items", body)

    assert status == expected
    assert longest < BOUND


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
            asyncio.get_running_loop().call_soon(kept.ClearField, "tags")
            return kept

    app = Gateway()
    add_UserServiceServicer_to_server(Keeping(), app)  # type: ignore[arg-type]

    assert len(TestClient(app).get("/v1/users/1").json()["tags"]) == 100_000


def test_compiled_before_the_first_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """The JSON of all routes is compiled at start: no request has to wait for it."""
    app = gateway()
    app.compile()
    compiled: list[Descriptor] = []
    for module, name in ((encode, "compile_encoder"), (decode, "compile_decoder")):
        monkeypatch.setattr(module, name, lambda found, _: compiled.append(found))
    web = TestClient(app)

    assert web.get("/v1/users/1").status_code == 200
    assert web.post("/v1/users", json=tags(1)).status_code == 200
    assert compiled == []
