from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from registered import register
from transcoder import ConfigError, Gateway


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
