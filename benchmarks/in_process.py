"""The GET of one user that scripts send through the ASGI application, without a server."""

from __future__ import annotations

from typing import Any


def request(*headers: tuple[bytes, bytes], host: bytes, **more: Any) -> dict[str, Any]:
    """Return the scope of a request.

    Args:
        headers: behind those that every client sends.
        host: that it asks for.
        more: keys of the scope.
    """
    return {
        "type": "http",
        "method": "GET",
        "path": "/v1/users/1",
        "raw_path": b"/v1/users/1",
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "http_version": "1.1",
        "client": ("192.0.2.1", 4711),
        "server": ("192.0.2.2", 8080),
        **more,
        "headers": [
            (b"host", host),
            (b"user-agent", b"curl/8.15"),
            (b"accept", b"application/json"),
            (b"x-request-id", b"0b9f9f5c2f7b4f0a8d3e6a1c5e7d9b21"),
            *headers,
        ],
    }


async def receive() -> dict[str, Any]:
    """Return an empty body."""
    return {"type": "http.request", "body": b"", "more_body": False}


async def send(message: dict[str, Any]) -> None:
    """Check that the request was answered."""
    if message["type"] == "http.response.start":
        assert message["status"] == 200, message
