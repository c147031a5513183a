import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Receive, Scope, Send

from services.user.v1.user_service_pb2 import (
    CreateUserRequest,
    DeleteUserRequest,
    GetUserRequest,
    ListUsersRequest,
    ListUsersResponse,
    UpdateUserRequest,
    User,
)
from services.user.v1.user_service_pb2_grpc import (
    UserServiceServicer,
    add_UserServiceServicer_to_server,
)
from transcoder import (
    ENVOY,
    GOOGLE,
    GRPC_GATEWAY,
    STRICT,
    Code,
    ConfigError,
    Gateway,
    Profile,
    StatusError,
)
from transcoder import asgi as asgi_module
from transcoder.service_config import read_service_config

JSON = {"content-type": "application/json"}


class Users(UserServiceServicer):
    async def GetUser(self, request: GetUserRequest, context: Any) -> User:
        if request.id == "none":
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such user", (("x-a", "1"),))
        if request.id == "broken":
            raise RuntimeError("dsn=secret")
        if request.id == "exit":
            raise SystemExit
        await context.send_initial_metadata((("x-cost", "3"),))
        return User(id=request.id, email=request.email, quota_bytes=2**53)

    def ListUsers(self, request: ListUsersRequest, context: Any) -> ListUsersResponse:
        return ListUsersResponse(users=[User(name=str(request.page_size))])

    async def CreateUser(self, request: CreateUserRequest, context: Any) -> User:
        return request.user

    async def UpdateUser(self, request: UpdateUserRequest, context: Any) -> User:
        return User(id=request.user.id, name=",".join(request.update_mask.paths))

    async def DeleteUser(self, request: DeleteUserRequest, context: Any) -> Any:
        return empty_pb2.Empty() if request.id != "none" else None


def register(gateway: Gateway, servicer: UserServiceServicer | None = None) -> Gateway:
    add_UserServiceServicer_to_server(servicer or Users(), gateway)  # type: ignore[arg-type]
    return gateway


def client(**options: Any) -> TestClient:
    return TestClient(register(Gateway(**options)), raise_server_exceptions=False)


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


def test_allow() -> None:
    """A 405 lists the methods that the path answers."""
    answer = client().put("/v1/users/42")

    assert {"DELETE", "GET", "HEAD", "OPTIONS", "PATCH"} == set(answer.headers["allow"].split(", "))


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


def test_head() -> None:
    """HEAD answers as GET does, without the body."""
    web = client()
    head, get = web.head("/v1/users/42"), web.get("/v1/users/42")

    assert (head.status_code, head.content) == (200, b"")
    assert get.headers["content-length"] == head.headers["content-length"]


def test_options() -> None:
    """OPTIONS tells the methods, without a body."""
    answer = client().options("/v1/users/42")

    assert (answer.status_code, answer.content) == (204, b"")
    assert "PATCH" in answer.headers["allow"]


def test_metadata_becomes_headers() -> None:
    """What the servicer sends beside the reply is a header of the answer."""
    web = client()

    assert web.get("/v1/users/42").headers["x-cost"] == "3"
    assert web.get("/v1/users/none").headers["x-a"] == "1"


def test_failures_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """An exception in a servicer is one log line with traceback, under the id the client has."""
    answer = client().get("/v1/users/broken", headers={"x-request-id": "abc-1"})

    (record,) = [each for each in caplog.records if each.name == "transcoder.refusal"]
    assert answer.headers["x-request-id"] == "abc-1"
    assert "request id abc-1" in record.getMessage()
    assert record.exc_info is not None
    assert "dsn=secret" in str(record.exc_info[1])


def test_refusals_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """A refused request is one log line without a traceback."""
    caplog.set_level(logging.INFO, "transcoder")

    client().get("/v1/users/%00")

    (record,) = [each for each in caplog.records if each.name.startswith("transcoder")]
    assert record.exc_info is None
    assert "/v1/users/%00" in record.getMessage()


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


class Marked:
    """Adds a header to every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def marked(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"].append((b"x-marked", b"1"))
            await send(message)

        await self.app(scope, receive, marked)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/users/42", 200),
        ("GET", "/hello", 200),
        ("GET", "/nowhere", 404),
        ("PUT", "/v1/users/42", 405),
        ("GET", "/v1/users/%00", 400),
    ],
)
def test_middleware(method: str, path: str, status: int) -> None:
    """Middleware sees every request, those of transcoded paths too."""
    gateway = register(
        Gateway(
            middleware=[Middleware(Marked)],
            routes=[Route("/hello", lambda _: PlainTextResponse("hello"))],
        )
    )

    answer = TestClient(gateway).request(method, path)

    assert (status, "1") == (answer.status_code, answer.headers["x-marked"])


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/v1/users/42", "/v1/users/{id}"),
        ("PUT", "/v1/users/42", "none"),
        ("GET", "/nowhere", "none"),
    ],
)
def test_route_in_scope(method: str, path: str, expected: str) -> None:
    """Middleware finds the method's route in the scope afterwards, if there was one."""
    seen: list[str] = []

    class Seeing:
        def __init__(self, app: ASGIApp) -> None:
            self.app = app

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            await self.app(scope, receive, send)
            route = scope.get("route")
            seen.append("none" if route is None else str(route.template))

    gateway = register(Gateway(middleware=[Middleware(Seeing)]))
    TestClient(gateway).request(method, path)

    assert seen == [expected]


def hello(request: Request) -> PlainTextResponse:
    return PlainTextResponse("hello")


def test_routes_beside() -> None:
    """Starlette's routes are answered beside the transcoded ones, which come first."""
    routes = [Route("/hello", hello), Route("/v1/users/{id}", hello)]
    web = TestClient(register(Gateway(routes=routes)))

    assert (web.get("/hello").text, web.get("/v1/users/42").json()["id"]) == ("hello", "42")


def test_other_methods_of_a_path() -> None:
    """A path that a rule has under another method may be a Starlette route."""
    web = TestClient(register(Gateway(routes=[Route("/v1/users/{id}", hello, methods=["PUT"])])))

    assert (web.put("/v1/users/1").text, web.get("/v1/users/42").json()["id"]) == ("hello", "42")


def test_mounted() -> None:
    """Mounted into another application, the gateway answers below the mount's path."""
    app = Starlette(routes=[Mount("/api", register(Gateway()))])
    web = TestClient(app)

    assert web.get("/api/v1/users/42").json()["id"] == "42"
    assert web.get("/%61pi/v1/users/42").json()["id"] == "42"
    assert web.get("/apix/v1/users/42").text == "Not Found"
    assert web.get("/api/nowhere").json()["code"] == 5


def test_lifespan() -> None:
    """The lifespan runs, and its state is Starlette's."""
    events = []

    @asynccontextmanager
    async def lifespan(app: Gateway) -> Any:
        events.append("start")
        yield
        events.append("stop")

    with TestClient(Gateway(lifespan=lifespan)) as web:
        assert web.get("/healthz").status_code == 200

    assert events == ["start", "stop"]


def test_lifespan_of_a_mount() -> None:
    """Who mounts the gateway runs its lifespan by the context of its router, as Starlette's."""

    @asynccontextmanager
    async def lifespan(app: Gateway) -> AsyncIterator[Any]:
        yield {"of": app}

    inner = register(Gateway(lifespan=lifespan))
    outer = Starlette(routes=[Mount("/api", inner)], lifespan=_lifespan_of(inner))
    with TestClient(outer) as web:
        assert web.get("/api/v1/users/42").json()["id"] == "42"
        assert web.app_state == {"of": inner}


def test_conflict_in_a_mount() -> None:
    """Run so, a conflict of routes ends the start of who mounts the gateway."""
    inner = register(Gateway(health="/v1/users"))
    outer = Starlette(routes=[Mount("/api", inner)], lifespan=_lifespan_of(inner))
    with pytest.raises(ConfigError, match="ListUsers"), TestClient(outer):
        pass


def _lifespan_of(gateway: Gateway) -> Callable[[Any], AbstractAsyncContextManager[Any]]:
    return lambda _: gateway.router.lifespan_context(gateway)


def test_conflict_at_start() -> None:
    """Under any server, a conflict of routes ends the start, with the error as its message."""
    gateway = register(Gateway(health="/v1/users"))
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "lifespan.startup"}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(gateway({"type": "lifespan", "state": {}}, receive, send))

    (message,) = sent
    assert message["type"] == "lifespan.startup.failed"
    assert "ListUsers" in message["message"]


def test_conflict_warned_of_at_start(caplog: pytest.LogCaptureFixture) -> None:
    """With "warn" a conflict is one line in the log at start, and the gateway answers."""
    with TestClient(register(Gateway(health="/v1/users", conflicts="warn"))) as web:
        assert web.get("/v1/users").json() == {"status": "SERVING"}

    assert caplog.messages == [
        (
            "services.user.v1.UserService.ListUsers (GET /v1/users) never answers: "
            "the gateway's health (GET /v1/users) does"
        )
    ]


def test_websocket() -> None:
    """A WebSocket is closed, for no route takes one."""
    from starlette.websockets import WebSocketDisconnect  # noqa: PLC0415  used here alone

    with (
        pytest.raises(WebSocketDisconnect),
        client() as web,
        web.websocket_connect("/v1/users/42"),
    ):
        pass


def test_draining() -> None:
    """While the server drains, the health check says so and calls are still answered."""
    gateway = register(Gateway())
    gateway.draining = True
    web = TestClient(gateway)

    assert (web.get("/healthz").status_code, web.get("/v1/users/42").status_code) == (503, 200)


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


def asgi(
    gateway: Gateway, scope: dict[str, Any], receive: Callable[[], Any] | None = None
) -> list[Any]:
    """Send one raw scope through the gateway and return what it sends."""
    sent: list[Any] = []
    whole = {
        "type": "http",
        "method": "GET",
        "path": "/v1/users/42",
        "query_string": b"",
        "headers": [],
        **scope,
    }

    async def nothing() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(gateway(whole, receive or nothing, send))
    return sent


def test_without_raw_path(caplog: pytest.LogCaptureFixture) -> None:
    """Under a server that gives no raw path, the decoded one is used, and that is said once."""
    asgi_module._warn_of_decoded_paths.cache_clear()
    gateway = register(Gateway())
    read = asgi(gateway, {"path": "/v1/users/a b"})
    verb = asgi(gateway, {"method": "POST", "path": "/v1/users/a:deactivate"})

    assert json.loads(read[1]["body"])["id"] == "a b"
    assert json.loads(verb[1]["body"])["code"] == Code.UNIMPLEMENTED
    assert len([each for each in caplog.records if "raw_path" in each.getMessage()]) == 1


def test_disconnect_during_upload() -> None:
    """When the client goes before its body has come, nobody is called and nothing is sent."""

    async def gone() -> Any:
        return {"type": "http.disconnect"}

    assert asgi(register(Gateway()), {"method": "POST", "path": "/v1/users"}, gone) == []


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


def test_cancelled_while_draining() -> None:
    """A call cut off by the drain is answered 503, not dropped."""

    class Slow(Users):
        async def GetUser(self, request: GetUserRequest, context: Any) -> User:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            await asyncio.sleep(10)
            return User()

    gateway = register(Gateway(), Slow())
    gateway.draining = True

    assert asgi(gateway, {})[0]["status"] == 503


def test_cancellation_of_something_else() -> None:
    """A servicer that waits for something cancelled has failed; the call was not cancelled."""

    class Waiting(Users):
        async def GetUser(self, request: GetUserRequest, context: Any) -> User:
            never: asyncio.Future[User] = asyncio.get_running_loop().create_future()
            never.cancel()
            return await never

    answer = TestClient(register(Gateway(), Waiting())).get("/v1/users/1")

    assert (answer.status_code, answer.json()["code"]) == (500, 13)


def test_exception_after_a_status(caplog: pytest.LogCaptureFixture) -> None:
    """An exception after a status was set leaves the status, and its traceback in the log."""

    class Failing(Users):
        async def GetUser(self, request: GetUserRequest, context: Any) -> User:
            context.set_code(grpc.StatusCode.NOT_FOUND)
            raise KeyError(request.id)

    web = TestClient(register(Gateway(), Failing()))
    answer = web.get("/v1/users/1", headers={"x-request-id": "abc-1"})

    (record,) = [each for each in caplog.records if each.name.startswith("transcoder")]
    assert answer.status_code == 404
    assert "request id abc-1" in record.getMessage()
    assert record.exc_info is not None


def test_servicers_do_not_name_the_request() -> None:
    """The request id of an error is the gateway's, whatever metadata the servicer sends."""

    class Naming(Users):
        async def GetUser(self, request: GetUserRequest, context: Any) -> User:
            await context.abort(grpc.StatusCode.ABORTED, "", (("x-request-id", "forged"),))
            raise AssertionError

    web = TestClient(register(Gateway(), Naming()))
    answer = web.get("/v1/users/1", headers={"x-request-id": "abc-1"})

    assert answer.headers.get_list("x-request-id") == ["abc-1"]


def test_handlers_without_a_name() -> None:
    """Generic handlers that do not tell their service are taken, any number of them."""

    class Anything(grpc.GenericRpcHandler):
        def service(self, handler_call_details: Any) -> None:
            return None

    gateway = Gateway()
    gateway.add_generic_rpc_handlers([Anything(), Anything()])

    assert gateway.services == ()


def test_one_error_raised_again() -> None:
    """An error that a servicer keeps and raises again tells nothing of the calls before."""
    busy = StatusError(Code.UNAVAILABLE, "busy")

    class Raising(Users):
        async def GetUser(self, request: GetUserRequest, context: Any) -> User:
            context.set_trailing_metadata((("x-user", request.id),))
            raise busy

    web = TestClient(register(Gateway(), Raising()))
    web.get("/v1/users/1")

    assert web.get("/v1/users/2").headers["x-user"] == "2"


def test_status_error_of_a_servicer() -> None:
    """A servicer may raise a StatusError instead of aborting."""

    class Raising(Users):
        async def GetUser(self, request: GetUserRequest, context: Any) -> User:
            raise StatusError(Code.ABORTED, "stale", headers=[("retry-after", "1")])

    answer = TestClient(register(Gateway(), Raising())).get("/v1/users/42")

    assert (answer.status_code, answer.headers["retry-after"]) == (409, "1")


def test_cancellation_by_another_server() -> None:
    """A server that is not ours, or an application around the gateway, may cancel a request."""

    async def running() -> list[Any]:
        begun, sent = asyncio.Event(), []

        class Waiting(UserServiceServicer):
            async def GetUser(self, request: GetUserRequest, context: Any) -> User:
                begun.set()
                await asyncio.sleep(60)
                return User()

        async def receive() -> Any:
            await asyncio.sleep(60)

        async def send(message: Any) -> None:
            sent.append(message)

        path = "/v1/users/7"
        scope = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode()}
        gateway = register(Gateway(), Waiting())
        answering = gateway({**scope, "query_string": b"", "headers": []}, receive, send)
        task = asyncio.ensure_future(answering)
        await asyncio.wait_for(begun.wait(), 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return sent

    assert asyncio.run(running()) == []
