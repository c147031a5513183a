from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.api.http_pb2 import HttpRule
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from starlette.middleware import Middleware
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Receive, Scope, Send

from transcoder import GOOGLE, GRPC_GATEWAY, Gateway
from transcoder.multipart import FormLimits

FORMS = FormLimits(size=1 << 22, field_size=100, fields=3, files=2, memory=1 << 10)
SERVICE = "everything.v1.Bindings"
RULES = {
    f"{SERVICE}.Everyone": HttpRule(
        post="/v1/items",
        body="*",
        additional_bindings=[
            HttpRule(get="/v1/items/{string_value}"),
            HttpRule(delete="/v1/items/{string_value}"),
            HttpRule(put="/v1/items/{string_value}", body="child"),
            HttpRule(get="/v1/list", response_body="child_list"),
        ],
    ),
    f"{SERVICE}.Update": HttpRule(patch="/v1/items/{item.string_value}", body="item"),
    f"{SERVICE}.Upload": HttpRule(
        post="/v1/uploads", body="*", additional_bindings=[HttpRule(get="/v1/uploads")]
    ),
}
Client = Callable[..., TestClient]


def echoes(pool: DescriptorPool, calls: list[Message]) -> dict[str, Any]:
    """Return handlers that answer with what they were asked."""

    async def everyone(request: Any, context: Any) -> Any:
        calls.append(request)
        return request

    async def update(request: Any, context: Any) -> Any:
        return type(request.item)(string_value=",".join(request.update_mask.paths))

    async def upload(request: Any, context: Any) -> Any:
        return request.file

    found: dict[str, Any] = {}
    service = pool.FindServiceByName(SERVICE)
    for name, behaviour in (("Everyone", everyone), ("Update", update), ("Upload", upload)):
        request_class = GetMessageClass(service.methods_by_name[name].input_type)
        found[name] = grpc.unary_unary_rpc_method_handler(
            behaviour, request_class.FromString, lambda reply: reply.SerializeToString()
        )
    return found


@pytest.fixture
def calls() -> list[Message]:
    """What the method `Everyone` was asked."""
    return []


@pytest.fixture
def client(protos: DescriptorPool, calls: list[Message]) -> Client:
    """Start a gateway over echoing methods."""

    def client(**options: Any) -> TestClient:
        gateway = Gateway(pool=protos, rules=RULES, **options)
        gateway.add_registered_method_handlers(SERVICE, echoes(protos, calls))
        return TestClient(gateway, raise_server_exceptions=False)

    return client


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_urlencoded(client: Client) -> None:
    """A form of a browser reaches the method."""
    answer = client(forms=FORMS).post("/v1/items", data={"int32Value": "5", "class": "a b"})

    assert (answer.status_code, answer.json()) == (200, {"int32Value": 5, "class": "a b"})


def test_upload(client: Client) -> None:
    """A large file comes through whole, over the disk, and leaves nothing there."""
    data = bytes(range(256)) * (1 << 12)
    web = client(forms=FORMS, body_limit=1 << 22)
    with web:
        before = open_files()
        answer = web.post(
            "/v1/uploads", data={"name": "x"}, files={"file": ("a.png", data, "image/png")}
        )
        after = open_files()

    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    assert answer.content == data
    assert after == before


def test_patch(client: Client) -> None:
    """A form updates the fields that it names."""
    answer = client(forms=FORMS).patch("/v1/items/a", data={"int32Value": "5", "class": ""})

    assert answer.json() == {"stringValue": "class,int32_value"}


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        ({"data": {"int32Value": "x"}}, 400, "int32Value: expected a 32-bit integer"),
        (
            {"data": {"int32_valu": "1"}},
            400,
            "int32_valu: no such field; did you mean int32_value?",
        ),
        ({"data": {"class": "a" * 101}}, 400, "class: over the limit of 100 bytes"),
        ({"files": {"class": "a"}}, 400, "class: expected text, or a part of Content-Type"),
        ({"files": {"bytesValue": b"a" * 2048}}, 413, "the body is over the limit of 1000 bytes"),
        ({"files": [("bytesList", b"a")] * 3}, 400, "bytesList: over 2 files"),
        (
            {"content": b"--b--", "headers": {"content-type": "multipart/form-data"}},
            400,
            "content-type: expected multipart/form-data with a boundary",
        ),
        (
            {"content": b"--b", "headers": {"content-type": "multipart/form-data; boundary=b"}},
            400,
            "the multipart body ends before its closing boundary",
        ),
        (
            {"content": b"a=b", "headers": {"content-type": "text/plain"}},
            415,
            "a body of this type is not taken",
        ),
        (
            {"data": {"class": "a"}, "headers": {"content-encoding": "gzip"}},
            415,
            "Content-Encoding: a compressed body is not taken",
        ),
    ],
)
def test_refuses(client: Client, options: dict[str, Any], status: int, message: str) -> None:
    """A form that is not taken is refused by what is wrong with it, before any call."""
    answer = client(forms=FORMS, body_limit=1000).post("/v1/items", **options)

    assert answer.status_code == status
    assert answer.json()["message"].startswith(message)
    assert len(answer.content) <= 2048


@pytest.mark.parametrize(
    "options",
    [
        {"data": {"class": "a"}},
        {"files": {"bytesValue": b"a"}},
        {"data": {"class": "a"}, "headers": {"x-http-method-override": "DELETE"}},
    ],
)
def test_off(client: Client, calls: list[Message], options: dict[str, Any]) -> None:
    """Forms are a 415 by default, whatever method they ask for."""
    answer = client().post("/v1/items", **options)

    assert answer.status_code == 415
    assert "Content-Type: application/json" in answer.json()["message"]
    assert calls == []


@pytest.mark.parametrize(
    ("path", "override", "status", "expected"),
    [
        ("/v1/items/a", None, 200, {"int32Value": 5, "stringValue": "a"}),
        ("/v1/items/a?class=x", None, 200, {"int32Value": 5, "stringValue": "a", "class": "x"}),
        ("/v1/items/a?int32_value=6", None, 400, None),  # said twice
        ("/v1/items/a", "DELETE", 200, {"int32Value": 5, "stringValue": "a"}),
        ("/v1/items/a", "HEAD", 200, {"int32Value": 5, "stringValue": "a"}),  # falls back
        ("/v1/items/a", "PUT", 415, None),  # the form is its body
        ("/v1/items", None, 415, None),  # POST has a rule
        ("/v1/items", "GET", 501, None),
        ("/v1/nowhere", None, 404, None),
        ("/v1/%zz", None, 400, None),
        ("/healthz", None, 200, {"status": "SERVING"}),
    ],
)
def test_form_post(
    client: Client, path: str, override: str | None, status: int, expected: Any
) -> None:
    """In grpc-gateway's profile a form POST stands for its override, or for GET."""
    headers = {} if override is None else {"x-http-method-override": override}

    answer = client(profile=GRPC_GATEWAY).post(path, data={"int32Value": "5"}, headers=headers)

    assert answer.status_code == status
    if expected is not None:
        said = {key: value for key, value in answer.json().items() if value}
        assert {key: said[key] for key in expected} == expected


@pytest.mark.parametrize(
    ("form", "status", "message"),
    [
        (b"class=" + b"x" * 9_000, 200, ""),
        (b"class=" + b"x" * 20_000, 413, "the body is over the limit of 20000 bytes"),
        (b"&a=" * 1_001, 400, "over 1000 form parameters"),
        (b"&".join([b"value_list=[" + b"[]," * 2_000 + b"0]"] * 3), 413, "the form holds over"),
        (b"value=[" + b"0," * 4_090 + b"0]", 200, ""),
        (b"value=" + b" " * 8_192 + b"0", 400, "value: over the limit of 8192 characters"),
    ],
)
def test_large_form_post(client: Client, form: bytes, status: int, message: str) -> None:
    """A form that falls back to GET may be longer than a query, for which it is there."""
    headers = {"content-type": "application/x-www-form-urlencoded"}
    web = client(profile=GRPC_GATEWAY, body_limit=20_000)

    answer = web.post("/v1/items/a?int32_value=5", content=form, headers=headers)

    assert (answer.status_code, answer.json().get("message", "")[: len(message)]) == (
        status,
        message,
    )


@pytest.mark.parametrize("path", ["/v1/items/a", "/v1/list"])
def test_ignored_query(client: Client, path: str) -> None:
    """Query parameters that the profile lists say nothing; others are refused as before."""
    profile = dataclasses.replace(GOOGLE, ignored_query=frozenset({"utm_source"}))
    web = client(profile=profile)

    assert web.get(f"{path}?utm_source=a&utm_source=b").status_code == 200
    assert web.get(f"{path}?utm_sourc=a").status_code == 400
    assert web.post("/v1/items?utm_source=a", json={}).status_code == 200
    assert client().get(f"{path}?utm_source=a").status_code == 400


@pytest.mark.parametrize("profile_options", [{}, {"forms": FORMS}])
def test_form_put(client: Client, calls: list[Any], profile_options: dict[str, Any]) -> None:
    """A form POST that stands for PUT is the body of its rule, where forms are taken."""
    answer = client(profile=GRPC_GATEWAY, **profile_options).post(
        "/v1/items/a", data={"class": "x"}, headers={"x-http-method-override": "PUT"}
    )

    assert answer.status_code == (200 if profile_options else 415)
    assert [getattr(call.child, "class") for call in calls] == ["x"] * bool(profile_options)


def test_other_profiles(client: Client, calls: list[Message]) -> None:
    """Elsewhere a POST is a POST."""
    headers = {"x-http-method-override": "DELETE"}
    answer = client(forms=FORMS).post("/v1/items/a", data={"class": "x"}, headers=headers)

    assert answer.status_code == 405
    assert calls == []


class Seen:
    """A policy that notes the methods it sees."""

    def __init__(self, app: ASGIApp, methods: list[str]) -> None:
        self.app = app
        self.methods = methods

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self.methods.append(scope["method"])
        await self.app(scope, receive, send)


def test_policy_sees_the_final_method(client: Client) -> None:
    """Middleware sees the method that answers, not the one that was sent."""
    methods: list[str] = []
    web = client(profile=GRPC_GATEWAY, middleware=[Middleware(Seen, methods=methods)])

    for override in ("DELETE", "PATCH", ""):
        web.post("/v1/items/a", data={"x": "y"}, headers={"x-http-method-override": override})
    web.post("/v1/items", json={}, headers={"x-http-method-override": "DELETE"})

    assert methods == ["DELETE", "PATCH", "GET", "POST"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", b'{"stringValue":"a","enumValue":"RED"}'),
        ("&$alt=json;enum-encoding=int", b'{"stringValue":"a","enumValue":1}'),
        ("&alt=json%3Benum-encoding%3Dint", b'{"stringValue":"a","enumValue":1}'),
        ("&$prettyPrint=true&$fields=enumValue", b'{\n  "enumValue": "RED"\n}'),
        ("&fields=string_value", b'{"stringValue":"a"}'),
    ],
)
def test_system_parameters(client: Client, query: str, expected: bytes) -> None:
    """Google's system parameters decide how the answer is printed."""
    answer = client().get(f"/v1/items/a?enum_value=RED{query}")

    assert (answer.status_code, answer.content) == (200, expected)
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("path", ["/v1/items/a", "/v1/list", "/v1/uploads"])
def test_unknown_fields(client: Client, calls: list[Message], path: str) -> None:
    """Fields that no answer has are refused before the method is called."""
    answer = client().get(f"{path}?$fields=nope")

    assert answer.status_code == 400
    violations = answer.json()["details"][0]["fieldViolations"]
    assert [violation["field"] for violation in violations] == ["fields"]
    assert calls == []


def test_errors_are_json_whatever_is_asked(client: Client) -> None:
    """System parameters leave errors as they are."""
    answer = client().get("/v1/items/a?prettyPrint=true&fields=x&enum_value=nope")

    assert answer.status_code == 400
    assert json.loads(answer.content)["code"] == 3
    assert b"\n" not in answer.content
