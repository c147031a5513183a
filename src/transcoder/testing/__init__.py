"""Call a gateway in a test, over REST and with gRPC stubs, without a socket.

Requests and calls go the way that they go in a server, from the gateway inwards: routing, metadata,
interceptors, the guard around servicers. What stands before it does not run: no HTTP is parsed, and
no HTTP/2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self, TypeVar

import grpc

try:
    from starlette.testclient import TestClient
except (ImportError, RuntimeError) as missing:
    raise ImportError("the test client needs httpx2: install transcoder[testing]") from missing

from starlette.types import ASGIApp

from transcoder.gateway import Gateway
from transcoder.loading import load
from transcoder.testing.channel import InProcessChannel
from transcoder.testing.leaving import Leaving

__all__ = ["Client", "InProcessChannel", "client"]

_Stub = TypeVar("_Stub")
_PEER = ("127.0.0.1", 50000)


class Client(TestClient):
    """A `starlette.testclient.TestClient`, which is an `httpx2.Client`, with gRPC beside REST.

    It is entered before use: then the application's lifespan runs, in the event loop of a thread
    that REST requests and gRPC calls share.

    Args:
        app: what answers HTTP.
        gateway: what answers gRPC.
        base_url: what paths are joined to.
        headers: for every HTTP request.
        peer: the host and port that the client has, to the application.
    """

    def __init__(
        self,
        app: ASGIApp,
        gateway: Gateway,
        *,
        base_url: str = "http://testserver",
        headers: dict[str, str] | None = None,
        peer: tuple[str, int] = _PEER,
    ) -> None:
        super().__init__(Leaving(app), base_url, headers=headers, client=peer)
        self._gateway = gateway
        self.channel: grpc.Channel = InProcessChannel(gateway, lambda: self.portal, peer)
        """Where stubs call; `grpc.intercept_channel` takes it as well."""

    def __enter__(self) -> Self:
        """Start the application.

        Raises:
            ConfigError: two routes conflict, or another option of the gateway is wrong.
        """
        # A TestClient passes over a start that fails with a message and without an exception.
        self._gateway.compile()
        return super().__enter__()

    def stub(self, stub: Callable[[grpc.Channel], _Stub]) -> _Stub:
        """Return a generated stub that calls the gateway.

        Args:
            stub: its class, as `UserServiceStub`.
        """
        return stub(self.channel)


def client(app: ASGIApp | str, *, gateway: Gateway | None = None, **options: Any) -> Client:
    """Return a client of an application, to be used in a `with` block.

    Args:
        app: a gateway, the import string of one, or an application that mounts one.
        gateway: the one that is mounted; gRPC calls go to it.
        options: of `Client`.

    Raises:
        ConfigError: the import string names no gateway.
        TypeError: the application is no gateway, and none is given.
    """
    if isinstance(app, str):
        app = load(app)
    gateway = app if gateway is None and isinstance(app, Gateway) else gateway
    if gateway is None:
        raise TypeError(f"{type(app).__name__} is no Gateway: say which one it mounts, by gateway=")
    return Client(app, gateway, **options)
