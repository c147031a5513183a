"""The gateway's options for headers, deadlines, statuses and errors, through ASGI."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from typing import Any

import grpc
import pytest
from google.protobuf import duration_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status
from starlette.testclient import TestClient

from services.user.v1.user_service_pb2 import GetUserRequest, ListUsersRequest, User
from services.user.v1.user_service_pb2_grpc import (
    UserServiceServicer,
    UserServiceStub,
    add_UserServiceServicer_to_server,
)
from transcoder import (
    Code,
    ConfigError,
    Gateway,
    InvalidRequest,
    Payload,
    Status,
    StatusError,
    Timeouts,
    TrustedProxies,
    set_http_status,
)


async def fail(name: str, context: Any) -> None:
    """End the call with the error of that name, if it is one."""
    if name == "busy":
        wait = error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(nanos=1))
        status = status_pb2.Status(code=code_pb2.UNAVAILABLE, message="busy")
        status.details.add().Pack(wait)
        await context.abort_with_status(rpc_status.to_status(status))
    elif name == "who":
        await context.abort(grpc.StatusCode.UNAUTHENTICATED, "who\r\nare you?")
    elif name == "basic":
        metadata = (("www-authenticate", 'Basic realm="x"'),)
        await context.abort(grpc.StatusCode.UNAUTHENTICATED, "who?", metadata)
    elif name == "invalid":
        raise InvalidRequest("expected a number", "user.age")


class Users(UserServiceServicer):
    """Tells the metadata it sees as the user's name; the user's id says what it does."""

    async def GetUser(self, request: GetUserRequest, context: Any) -> User:
        if request.id == "created":
            context.set_trailing_metadata((("location", "/v1/users/7"),))
            set_http_status(context, 201)
        elif request.id == "gone":
            set_http_status(context, 204)
        elif request.id == "odd":
            await context.send_initial_metadata((("x-http-code", "99"),))
        elif request.id == "changed":
            set_http_status(context, 412)
            raise StatusError(Code.FAILED_PRECONDITION, "it was changed meanwhile")
        await fail(request.id, context)
        if request.id == "slow":
            await asyncio.sleep(20)
        elif request.id == "broken":
            raise RuntimeError("secret")
        metadata = context.invocation_metadata()
        context.set_trailing_metadata((*context.trailing_metadata(), ("x-cost", "3")))
        return User(name=" ".join(f"{key}={value!s}" for key, value in metadata))

    def ListUsers(self, request: ListUsersRequest, context: Any) -> Any:
        set_http_status(context, 404)
        raise StatusError(Code.OUT_OF_RANGE, "no such page")


def web(peer: str = "192.0.2.9", **options: Any) -> TestClient:
    """Return a client of the gateway with these options."""
    gateway = Gateway(**options)
    add_UserServiceServicer_to_server(Users(), gateway)  # type: ignore[arg-type]
    return TestClient(gateway, raise_server_exceptions=False, client=(peer, 4711))


def told(client: TestClient, **headers: str) -> str:
    """Return the metadata that the servicer sees."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return str(client.get("/v1/users/1", headers=sent).json()["name"])


def test_incoming() -> None:
    """A matcher of one's own says which headers become metadata."""
    matcher = {"x-tenant": "tenant", "x-internal": "x-internal"}.get

    assert told(web(incoming=matcher), x_tenant="acme", x_internal="1", x_other="2").startswith(
        "tenant=acme x-forwarded-for=192.0.2.9"
    )


def test_outgoing() -> None:
    """A matcher of one's own says which metadata become headers."""
    answer = web(outgoing={"x-cost": "price"}.get).get("/v1/users/created")

    assert answer.headers["price"] == "3"
    assert "location" not in answer.headers


def test_strip() -> None:
    """The strip list may be one's own."""
    metadata = told(web(strip=["x-user"]), x_user="root", x_internal="1")

    assert "x-user" not in metadata
    assert "x-internal=1" in metadata


@pytest.mark.parametrize(
    "proxies", [["192.0.2.0/24"], TrustedProxies(["192.0.2.9"])], ids=["networks", "object"]
)
def test_trusted_proxies(proxies: Any) -> None:
    """Trusted proxies are believed, others are not."""
    chain = "x-forwarded-for=203.0.113.1, 192.0.2.9"

    assert chain in told(web(trusted_proxies=proxies), x_forwarded_for="203.0.113.1")
    assert chain not in told(web(), x_forwarded_for="203.0.113.1")


@pytest.mark.parametrize(
    "options",
    [
        {"trusted_proxies": ["10.0.0.0/33"]},
        {"trusted_proxies": "10.0.0.1"},
        {"trusted_peers": "edge"},
    ],
)
def test_refused_options(options: Any) -> None:
    """Options that cannot be meant are refused where the gateway is made."""
    with pytest.raises(ConfigError):
        Gateway(**options)


def test_timeouts() -> None:
    """A call that takes longer than its method may is given up."""
    name = User.DESCRIPTOR.full_name.rpartition(".")[0] + ".UserService.GetUser"
    timeouts = Timeouts(methods={name: 0.05})
    answer = web(timeouts=timeouts).get("/v1/users/slow")

    assert (answer.status_code, answer.json()["code"]) == (504, 4)


def test_timeouts_of_no_method() -> None:
    """A timeout of a method that is not there is refused at start."""
    gateway = Gateway(timeouts=Timeouts(methods={"services.user.v1.UserService.GetUsr": 1}))
    add_UserServiceServicer_to_server(Users(), gateway)  # type: ignore[arg-type]

    with pytest.raises(ConfigError, match=r"timeouts: no service here has a method .*GetUser"):
        gateway.compile()


def test_created() -> None:
    """The servicer sets the HTTP status, and headers beside it."""
    answer = web().get("/v1/users/created")

    assert (answer.status_code, answer.headers["location"]) == (201, "/v1/users/7")
    assert answer.headers["x-cost"] == "3"
    assert "x-http-code" not in answer.headers


def test_no_content() -> None:
    """An answer without content has no body, and says no length."""
    answer = web().get("/v1/users/gone")

    assert (answer.status_code, answer.content) == (204, b"")
    assert not {"content-type", "content-length"} & set(answer.headers)


def test_odd_status(caplog: pytest.LogCaptureFixture) -> None:
    """A status that no answer has is told as 502 and logged with its value."""
    answer = web().get("/v1/users/odd")

    assert (answer.status_code, answer.json()["code"]) == (502, 13)
    assert "99" not in answer.json()["message"]
    assert "x-http-code '99'" in caplog.text


@pytest.mark.parametrize(("path", "status"), [("/v1/users/changed", 412), ("/v1/users", 404)])
def test_status_of_an_error(path: str, status: int) -> None:
    """The servicer sets the HTTP status of an error, and a problem says it too."""
    answer = web().get(path, headers={"accept": "application/problem+json"})

    assert (answer.status_code, answer.json()["status"]) == (status, status)


def test_retry_after() -> None:
    """RetryInfo is told as Retry-After too."""
    answer = web().get("/v1/users/busy")

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.json()["details"][0]["retryDelay"] == "0.000000001s"


@pytest.mark.parametrize(("name", "expected"), [("who", "Bearer"), ("basic", 'Basic realm="x"')])
def test_challenge(name: str, expected: str) -> None:
    """A 401 says how to authenticate, best in the servicer's words."""
    answer = web().get(f"/v1/users/{name}")

    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, expected)


def shape(status: Status, http: int) -> Payload | None:
    """Tell errors in one line, but unknown paths as usual."""
    if status.code is Code.NOT_FOUND:
        return None
    return Payload(http, b"text/plain", f"{status.code.name}: {status.message}".encode())


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/v1/users/broken", "INTERNAL: internal error"),
        ("/v1/users/%zz", "INVALID_ARGUMENT: "),
        ("/v1/users?nope=1", "INVALID_ARGUMENT: "),
        ("/v1/users/changed", "FAILED_PRECONDITION: it was changed meanwhile"),
        ("/nowhere", '{"code":5,'),
    ],
)
def test_errors(path: str, text: str) -> None:
    """Errors from anywhere are told in one's own shape, under the request's id."""
    answer = web(errors=shape).get(path, headers={"x-request-id": "abc"})

    assert answer.text.startswith(text)
    assert answer.headers["x-request-id"] == "abc"
    assert answer.headers["x-content-type-options"] == "nosniff"


def sent(headers: Iterable[tuple[bytes, bytes]], **scope: Any) -> list[dict[str, Any]]:
    """Return what a server with trailers is sent for `GET /v1/users/created`."""
    messages: list[dict[str, Any]] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        messages.append(message)

    gateway = Gateway()
    add_UserServiceServicer_to_server(Users(), gateway)  # type: ignore[arg-type]
    whole = {
        "type": "http",
        "method": "GET",
        "path": "/v1/users/created",
        "raw_path": b"/v1/users/created",
        "query_string": b"",
        "headers": list(headers),
        "extensions": {"http.response.trailers": {}},
        **scope,
    }
    asyncio.run(gateway(whole, receive, send))
    return messages


def test_trailers() -> None:
    """Who takes trailers gets trailing metadata there, but those that HTTP wants first."""
    start, body, trailers = sent([(b"te", b"trailers")])
    headers = dict(start["headers"])

    assert (start["status"], start["trailers"]) == (201, True)
    assert headers[b"trailer"] == b"x-cost"
    assert headers[b"location"] == b"/v1/users/7"
    assert b"content-length" not in headers
    assert json.loads(body["body"]) is not None
    assert trailers == {
        "type": "http.response.trailers",
        "headers": [(b"x-cost", b"3")],
        "more_trailers": False,
    }


@pytest.mark.parametrize(
    ("headers", "scope"),
    [
        ([], {}),
        ([(b"te", b"gzip")], {}),
        ([(b"te", b"trailers")], {"extensions": {}}),
        ([(b"te", b"trailers")], {"http_version": "1.0"}),
        ([(b"te", b"trailers")], {"method": "HEAD"}),
    ],
)
def test_no_trailers(headers: list[tuple[bytes, bytes]], scope: Any) -> None:
    """Otherwise trailing metadata are headers."""
    start, _ = sent(headers, **scope)

    assert (b"x-cost", b"3") in start["headers"]


def called(name: str, *metadata: tuple[str, str], **options: Any) -> Any:
    """Call GetUser over gRPC; return the user, or the error."""

    async def call() -> Any:
        gateway = Gateway(**options)
        add_UserServiceServicer_to_server(Users(), gateway)  # type: ignore[arg-type]
        server = grpc.aio.server()
        gateway.register_into(server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                stub = UserServiceStub(channel)
                return await stub.GetUser(GetUserRequest(id=name), metadata=metadata, timeout=10)
        except grpc.aio.AioRpcError as error:
            return error
        finally:
            await server.stop(None)

    return asyncio.run(call())


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, set()),
        ({"trusted_proxies": ["127.0.0.1"]}, {"x-forwarded-for=192.0.2.1"}),
        ({"strip": []}, {"x-internal=1", "x_internal=2"}),
    ],
)
def test_strip_over_grpc(options: Any, expected: set[str]) -> None:
    """What a client may not say over HTTP it may not say over gRPC."""
    metadata = [("x-internal", "1"), ("x_internal", "2"), ("x-forwarded-for", "192.0.2.1")]
    user = called("1", *metadata, ("x-a", "b"), **options)
    seen = {pair for pair in user.name.split() if pair.startswith(("x-", "x_"))}

    assert seen == {"x-a=b", *expected}


@pytest.mark.parametrize(
    ("name", "detail"),
    [("busy", error_details_pb2.RetryInfo), ("invalid", error_details_pb2.BadRequest)],
)
def test_details_over_grpc(name: str, detail: Any) -> None:
    """Details travel in grpc-status-details-bin, however the servicer says them."""
    status = rpc_status.from_call(called(name))

    assert status is not None
    assert [each.Is(detail.DESCRIPTOR) for each in status.details] == [True]
    assert web().get(f"/v1/users/{name}").json()["details"]


def test_http_status_over_grpc() -> None:
    """Over gRPC the HTTP status is metadata and changes nothing."""
    error = called("changed")

    assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert ("x-http-code", "412") in tuple(error.trailing_metadata())
    assert called("created").name
