"""A `grpc.Channel` whose calls are answered by a gateway of this process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import grpc
from anyio.from_thread import BlockingPortal

from transcoder.gateway import Gateway
from transcoder.metadata import checked
from transcoder.testing.call import InProcessCall
from transcoder.testing.rpc import Rpc
from transcoder.upstream import Call
from transcoder.upstream.behaviours import Handler
from transcoder.upstream.interceptors import HandlerDetails

_Codec: TypeAlias = "Callable[[Any], Any] | None"


class InProcessChannel(grpc.Channel):
    """Calls a gateway's methods as its gRPC port does, through their guard and interceptors.

    Args:
        gateway: who answers.
        portal: returns the way into the event loop that it runs in; None before that runs.
        peer: host and port that the client has.
    """

    def __init__(
        self, gateway: Gateway, portal: Callable[[], BlockingPortal | None], peer: tuple[str, int]
    ) -> None:
        self._gateway = gateway
        self._portal = portal
        self._peer = peer

    def unary_unary(self, method: str, *codec: Any, **named: Any) -> Any:
        """Return a method of one request and one reply."""
        return _Single(_Method(self, method, *codec, **named))

    def unary_stream(self, method: str, *codec: Any, **named: Any) -> Any:
        """Return a method of one request and a stream of replies."""
        return _Method(self, method, *codec, **named)

    def stream_unary(self, method: str, *codec: Any, **named: Any) -> Any:
        """Return a method of a stream of requests and one reply."""
        return _Single(_Method(self, method, *codec, **named, takes_stream=True))

    def stream_stream(self, method: str, *codec: Any, **named: Any) -> Any:
        """Return a method of a stream of requests and a stream of replies."""
        return _Method(self, method, *codec, **named, takes_stream=True)

    def subscribe(
        self,
        callback: Callable[[grpc.ChannelConnectivity], None],
        try_to_connect: bool = False,  # noqa: FBT001, FBT002  gRPC's signature
    ) -> None:
        """Say that the channel is ready, which it always is."""
        callback(grpc.ChannelConnectivity.READY)

    def unsubscribe(self, callback: Callable[[grpc.ChannelConnectivity], None]) -> None:
        """Do nothing: there is no change to tell."""

    def close(self) -> None:
        """Do nothing: the client that made the channel ends its calls."""

    def begin(self, method: str, request: bytes | None, options: dict[str, Any]) -> _Begun:
        """Begin a call; `options` are those that a stub takes.

        Raises:
            RuntimeError: the client was not entered.
            ValueError: there is an option that has no meaning without a connection.
        """
        portal = self._portal()
        if portal is None:
            raise RuntimeError("the application does not run: enter the client, by `with`")
        timeout = options.get("timeout")
        if options.get("credentials") is not None:
            raise ValueError("credentials of a call need TLS, and here is no connection")
        given = checked(options.get("metadata") or ())
        deadline = None if timeout is None else time.monotonic() + timeout
        call = Call(method, (), self._peer, deadline=deadline, inbound=lambda _: given)
        rpc = Rpc(self._handler(HandlerDetails(method, given)), call, request)
        portal.call(rpc.start)
        return rpc, portal

    def _handler(self, details: HandlerDetails) -> Handler | None:
        found = _Found()
        self._gateway.register_into(found)  # type: ignore[arg-type]  # it has the one method
        for generic in found.handlers:
            handler: Handler | None = generic.service(details)
            if handler is not None:
                return handler
        return None


_Begun: TypeAlias = "tuple[Rpc, BlockingPortal]"


class _Found:
    """Takes a gateway's handlers in the place of a server."""

    def __init__(self) -> None:
        self.handlers: list[Any] = []

    def add_generic_rpc_handlers(self, handlers: Iterable[Any]) -> None:
        self.handlers += handlers


class _Method:
    """A method as stubs call it; it returns the call."""

    def __init__(
        self,
        channel: InProcessChannel,
        path: str,
        request_serializer: _Codec = None,
        response_deserializer: _Codec = None,
        _registered_method: bool = False,  # noqa: FBT001, FBT002  as stubs give it
        *,
        takes_stream: bool = False,
    ) -> None:
        self._channel = channel
        self._path = path
        self._serialize = request_serializer or _same
        self._deserialize = response_deserializer or _same
        self._takes_stream = takes_stream

    def __call__(  # noqa: PLR0917  gRPC's signature
        self,
        request: Any,
        timeout: float | None = None,
        metadata: Any = None,
        credentials: grpc.CallCredentials | None = None,
        wait_for_ready: bool | None = None,  # noqa: FBT001  as above
        compression: grpc.Compression | None = None,
    ) -> InProcessCall:
        """Begin a call; there is nothing to wait for, nor to compress."""
        options = {"timeout": timeout, "metadata": metadata, "credentials": credentials}
        data = None if self._takes_stream else self._serialize(request)
        rpc, portal = self._channel.begin(self._path, data, options)
        if self._takes_stream:
            # gRPC too reads requests on a thread that no process waits for.
            arguments = (rpc, portal, request)
            threading.Thread(target=self._send, args=arguments, daemon=True).start()
        return InProcessCall(rpc, portal, self._deserialize)

    def _send(self, rpc: Rpc, portal: BlockingPortal, requests: Iterable[Any]) -> None:
        try:
            try:
                for request in requests:
                    portal.call(rpc.requests.write, self._serialize(request))
            except BrokenPipeError:
                return
            except Exception:  # noqa: BLE001  whatever a test's iterator raises
                portal.call(rpc.end, grpc.StatusCode.UNKNOWN, "Exception iterating requests!")
            else:
                portal.call(rpc.requests.end)
        except RuntimeError:
            return  # The client was left meanwhile.


class _Single:
    """A method of one reply, which waits for it."""

    def __init__(self, method: _Method) -> None:
        self.future = method

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return self.future(*arguments, **options).reply()

    def with_call(self, *arguments: Any, **options: Any) -> tuple[Any, InProcessCall]:
        """Return the reply, and the call."""
        call = self.future(*arguments, **options)
        return call.reply(), call


def _same(value: Any) -> Any:
    return value
