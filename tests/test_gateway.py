from __future__ import annotations

import json
from typing import Any

import grpc
import pytest
from starlette.testclient import TestClient

from registered import Users, asgi, client, register
from services.user.v1.user_service_pb2 import CreateUserRequest, User
from transcoder import ENVOY, GOOGLE, GRPC_GATEWAY, STRICT, Code, ConfigError, Gateway, Profile
from transcoder import asgi as asgi_module
from transcoder.service_config import read_service_config

JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("GET", "/v1/users/42", None, {"id": "42", "quotaBytes": "9007199254740992"}),
        ("GET", "/v1/users/a%20b", None, {"id": "a b", "quotaBytes": "9007199254740992"}),
        ("GET", "/v1/users?page_size=3", None, {"users": [{"name": "3"}]}),
        ("GET", "/v1/users?pageSize=3", None, {"users": [{"name": "3"}]}),
        ("POST", "/v1/users", {"name": "Ada"}, {"name": "Ada"}),
        ("PATCH", "/v1/users/7", {"name": "Ada"}, {"id": "7", "name": "name"}),
        ("DELETE", "/v1/users/7", None, {}),
        ("GET", "/healthz", None, {"status": "SERVING"}),
    ],
)
def test_answers(method: str, path: str, body: Any, expected: Any) -> None:
    """A rule's path, query and body reach the servicer, and its reply comes back as JSON."""
    answer = client().request(method, path, json=body)

    assert (200, expected) == (answer.status_code, answer.json())
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("method", "path", "options", "status", "code"),
    [
        ("GET", "/v1/users/none", {}, 404, 5),
        ("GET", "/nowhere", {}, 404, 5),
        ("GET", "/v1/users/42/", {}, 404, 5),
        ("GET", "/v1//users", {}, 404, 5),
        ("PUT", "/v1/users/42", {}, 405, 12),
        ("GET", "/v1/users/%ff", {}, 400, 3),
        ("GET", "/v1/users/%00", {}, 400, 3),
        ("GET", "/v1/users/%zz", {}, 400, 3),
        ("GET", "/v1/users/" + "a" * 9000, {}, 414, 3),
        ("GET", "/v1/users?page_size=x", {}, 400, 3),
        ("GET", "/v1/users?pagesize=1", {}, 400, 3),
        ("POST", "/v1/users", {"content": b"{", "headers": JSON}, 400, 3),
        ("POST", "/v1/users", {"json": {"name": 1}}, 400, 3),
        ("POST", "/v1/users", {"json": {"nope": 1}}, 400, 3),
        ("POST", "/v1/users", {"json": {"name": "a" * 2_000_000}}, 413, 8),
        ("POST", "/v1/users", {"data": {"name": "Ada"}}, 415, 3),
        ("POST", "/v1/users/7:deactivate", {}, 501, 12),
        ("GET", "/v1/users/broken", {}, 500, 13),
        ("GET", "/v1/users/exit", {}, 500, 13),
        ("DELETE", "/v1/users/none", {}, 500, 13),
        ("GET", "/healthz?service=no.Such", {}, 404, 5),
        ("GET", "/v1/users:watch", {}, 501, 12),
    ],
)  # fmt: skip
def test_refuses(method: str, path: str, options: Any, status: int, code: int) -> None:
    """What cannot be answered gets its status as google.rpc.Status, small, and no more."""
    with client() as web:
        answer = web.request(method, path, **options)

        assert (status, code) == (answer.status_code, answer.json()["code"])
        assert {"code", "message", "details"} == set(answer.json())
        assert answer.headers["content-type"] == "application/json"
        assert len(answer.content) <= 2048
        assert not any(word in answer.text for word in ("secret", "Traceback", "<class", ".py"))
        assert web.get("/v1/users/42").status_code == 200


def test_form_names_the_header_to_send() -> None:
    """The 415 for a form tells what to send instead."""
    answer = client().post("/v1/users", data={"name": "Ada"})

    assert "Content-Type: application/json" in answer.json()["message"]


def test_too_large_closes() -> None:
    """A body over the limit is refused and the connection with it."""
    answer = client(body_limit=10).post("/v1/users", json={"name": "Ada Lovelace"})

    assert (answer.status_code, answer.headers["connection"]) == (413, "close")


def test_limit_holds_without_a_length() -> None:
    """A body that does not tell its length is cut off at the limit."""

    def chunks() -> Any:
        for _ in range(10):
            yield b" " * 100

    answer = client(body_limit=500).post("/v1/users", content=chunks(), headers=JSON)

    assert answer.status_code == 413


def test_registration_is_idempotent() -> None:
    """Generated code registers in two ways, and one service comes of it."""
    gateway = register(Gateway())

    assert gateway.services == ("services.user.v1.UserService",)


def test_registered_handlers_alone() -> None:
    """A service may be registered by its handlers alone."""
    users = Users()
    handler: Any = grpc.unary_unary_rpc_method_handler(users.GetUser)
    gateway = Gateway()

    gateway.add_registered_method_handlers("services.user.v1.UserService", {"GetUser": handler})

    assert TestClient(gateway).get("/v1/users/42").json()["id"] == "42"


def test_registered_twice() -> None:
    """A second servicer for a service is refused at once."""
    gateway = register(Gateway())

    with pytest.raises(ConfigError, match=r"services\.user\.v1\.UserService is registered twice"):
        register(gateway)


def test_unknown_service() -> None:
    """A service without a descriptor is kept for gRPC and has no routes."""
    gateway = Gateway(health=None, openapi=None)
    handler: Any = grpc.unary_unary_rpc_method_handler(lambda request, _: request)

    gateway.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("no.Such", {"Do": handler})]
    )

    assert (gateway.services, gateway.transcoder.routes) == (("no.Such",), ())


@pytest.mark.parametrize("profile", [GOOGLE, GRPC_GATEWAY])
def test_conflict_with_a_reserved_path(profile: Profile) -> None:
    """A rule with the path of the health check is refused at start, naming both."""
    gateway = register(Gateway(health="/v1/users", profile=profile))

    with pytest.raises(ConfigError, match=r"health.*ListUsers|ListUsers.*health"):
        gateway.compile()


def test_service_config() -> None:
    """A gateway takes a service configuration as it is, with what it says about decoding."""
    text = """
        type: google.api.Service
        http:
          fully_decode_reserved_expansion: true
          rules: [{selector: services.user.v1.UserService.GetUser, get: "/v9/{id=**}"}]
        """
    web = client(rules=read_service_config(text, "api.yaml"))

    assert web.get("/v9/a%3Ab%2Fc").json()["id"] == "a:b%2Fc"


def test_unbound() -> None:
    """Methods without a rule get a route of their own on request."""
    handler: Any = grpc.unary_unary_rpc_method_handler(lambda request, _: request)
    gateway = Gateway(unbound=True)
    name = "google.longrunning.Operations"
    from google.longrunning import operations_pb2  # noqa: F401, PLC0415  registers the descriptor

    gateway.add_registered_method_handlers(name, {"WaitOperation": handler})
    paths = [str(route.template) for route in gateway.transcoder.routes]

    assert f"/{name}/WaitOperation" in paths


@pytest.mark.parametrize(
    ("profile", "method", "path", "options", "status"),
    [
        (GRPC_GATEWAY, "PUT", "/v1/users/42", {}, 501),
        (ENVOY, "PUT", "/v1/users/42", {}, 404),
        (ENVOY, "GET", "/v1/users/42/", {}, 200),
        (GRPC_GATEWAY, "GET", "/v1/users/42?nope=1", {}, 200),
        (GRPC_GATEWAY, "POST", "/v1/users", {"json": {"nope": 1}}, 200),
        (STRICT, "POST", "/v1/users", {"content": b"{}"}, 415),
    ],
)
def test_profiles(profile: Any, method: str, path: str, options: Any, status: int) -> None:
    """A profile changes what differs between systems."""
    assert status == client(profile=profile).request(method, path, **options).status_code


def test_printed_defaults() -> None:
    """The grpc-gateway profile prints fields that hold their default."""
    assert client(profile=GRPC_GATEWAY).get("/v1/users/42").json()["name"] == ""


def test_without_raw_path(caplog: pytest.LogCaptureFixture) -> None:
    """Under a server that gives no raw path, the decoded one is used, and that is said once."""
    asgi_module._warn_of_decoded_paths.cache_clear()
    gateway = register(Gateway())
    read = asgi(gateway, {"path": "/v1/users/a b"})
    verb = asgi(gateway, {"method": "POST", "path": "/v1/users/a:deactivate"})

    assert json.loads(read[1]["body"])["id"] == "a b"
    assert json.loads(verb[1]["body"])["code"] == Code.UNIMPLEMENTED
    assert len([each for each in caplog.records if "raw_path" in each.getMessage()]) == 1


@pytest.mark.parametrize("length", [b"-1", b"x", b"1 2"])
def test_content_length(length: bytes) -> None:
    """A Content-Length that is no number is refused."""
    scope = {"method": "POST", "path": "/v1/users", "headers": [(b"content-length", length)]}

    assert asgi(register(Gateway()), scope)[0]["status"] == 400


def test_trailers_come_too_late() -> None:
    """What a server adds to the headers while the body is read is not seen by the servicer."""
    headers: list[tuple[bytes, bytes]] = [(b"content-type", b"application/json")]

    class Seen(Users):
        async def CreateUser(self, request: CreateUserRequest, context: Any) -> User:
            late = [key for key, _ in context.invocation_metadata() if key == "x-late"]
            return User(name=",".join(late))

    async def receive() -> Any:
        headers.append((b"x-late", b"1"))
        return {"type": "http.request", "body": b"{}", "more_body": False}

    sent = asgi(
        register(Gateway(), Seen()),
        {"method": "POST", "path": "/v1/users", "headers": headers},
        receive,
    )

    assert json.loads(sent[1]["body"]) == {}


def test_handlers_without_a_name() -> None:
    """Generic handlers that do not tell their service are taken, any number of them."""

    class Anything(grpc.GenericRpcHandler):
        def service(self, handler_call_details: Any) -> None:
            return None

    gateway = Gateway()
    gateway.add_generic_rpc_handlers([Anything(), Anything()])

    assert gateway.services == ()
