from __future__ import annotations

from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Receive, Scope, Send

from registered import client, register
from transcoder import Gateway


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


def test_websocket() -> None:
    """A WebSocket is closed, for no route takes one."""
    from starlette.websockets import WebSocketDisconnect  # noqa: PLC0415  used here alone

    with (
        pytest.raises(WebSocketDisconnect),
        client() as web,
        web.websocket_connect("/v1/users/42"),
    ):
        pass
