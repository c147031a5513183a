from __future__ import annotations

from typing import Any

from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from transcoder import Gateway
from transcoder.errors import NotFound
from transcoder.response import Payload
from transcoder.route import Match


class Echo:
    """Answers with what it was asked."""

    closed = 0

    async def forward(
        self, match: Match[Any], scope: Scope, receive: Receive, send: Send
    ) -> Payload | None:
        (value,) = match.values
        if value == "none":
            raise NotFound
        if value == "sent":
            await send({"type": "http.response.start", "status": 202, "headers": []})
            await send({"type": "http.response.body", "body": b"sent"})
            return None
        return Payload(200, b"text/plain", f"{scope['method']} {value}".encode())

    async def close(self) -> None:
        self.closed += 1


def test_forward() -> None:
    """A path that is passed on is answered by its forwarder, whatever way that answers."""
    gateway, echo = Gateway(), Echo()
    gateway.forward("/old/{rest=**}", echo)
    gateway.forward("/older/{rest=**}", echo, method="GET")

    with TestClient(gateway) as client:
        assert client.delete("/old/a/b").text == "DELETE a/b"
        assert client.get("/older/c").text == "GET c"
        assert client.post("/older/c").status_code == 405
        assert client.get("/old/sent").text == "sent"
        refused = client.get("/old/none")

    assert (refused.status_code, refused.json()["code"]) == (404, 5)
    assert echo.closed == 1
