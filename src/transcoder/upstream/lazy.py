"""A gRPC channel that opens when it is used.

grpc.aio binds a channel to the loop that makes it, and a channel does not live through a fork. So
what is made when modules are imported only remembers how to connect.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import grpc
import grpc.aio

from transcoder.upstream.channel_options import Options


class LazyChannel(grpc.aio.Channel):
    """A `grpc.aio.Channel` that connects in the loop that first calls through it.

    Args:
        target: where.
        credentials: gRPC's; None for a connection in the clear.
        options: gRPC's.
        stub: makes of a method's path, and of what opens it, the method that a stub gets.
    """

    def __init__(
        self,
        target: str,
        credentials: grpc.ChannelCredentials | None,
        options: Options,
        stub: Callable[[str, Callable[[], Any]], Any],
    ) -> None:
        self.target = target
        self._credentials = credentials
        self._options = options
        self._stub = stub
        self._inner: grpc.aio.Channel | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._callables: dict[tuple[Any, ...], Any] = {}

    async def close(self, grace: float | None = None) -> None:
        """Cancel what is called, after `grace` seconds, and disconnect."""
        inner, self._inner = self._inner, None
        loop, self._loop = self._loop, None
        self._callables.clear()
        if inner is not None and loop is asyncio.get_running_loop():
            await inner.close(grace)

    def renew(self) -> None:
        """Let the next call connect anew; those under way end on the connections they have."""
        self._inner = None
        self._callables.clear()

    async def __aenter__(self) -> Self:
        """Return the channel."""
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        """Close the channel."""
        await self.close()

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:  # noqa: FBT001, FBT002  grpc's signature
        """Return how the connection is, as grpc.aio has it."""
        return self._open().get_state(try_to_connect)

    @property
    def is_lost(self) -> bool:
        """Whether the last attempt to connect has failed, and none has succeeded since."""
        inner = self._inner
        return inner is not None and inner.get_state() is grpc.ChannelConnectivity.TRANSIENT_FAILURE

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """Return when the connection's state is another."""
        await self._open().wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        """Return when there is a connection."""
        await self._open().channel_ready()

    def unary_unary(self, method: str, *codec: Any, **options: Any) -> Any:
        """Return a method for a generated stub; so do the next three."""
        return self._callable("unary_unary", method, *codec, **options)

    def unary_stream(self, method: str, *codec: Any, **options: Any) -> Any:
        """Return a method that replies with a stream."""
        return self._callable("unary_stream", method, *codec, **options)

    def stream_unary(self, method: str, *codec: Any, **options: Any) -> Any:
        """Return a method that takes a stream."""
        return self._callable("stream_unary", method, *codec, **options)

    def stream_stream(self, method: str, *codec: Any, **options: Any) -> Any:
        """Return a method that takes a stream and replies with one."""
        return self._callable("stream_stream", method, *codec, **options)

    def opened(self, kind: str, method: str, read: Any = None, write: Any = None) -> Any:
        """Return gRPC's multi-callable of a method, in the running loop.

        Args:
            kind: `unary_unary`, `unary_stream`, `stream_unary` or `stream_stream`.
            method: the gRPC path.
            write: what makes bytes of requests; None when they are bytes.
            read: what makes replies of bytes.
        """
        inner = self._open()
        key = (kind, method, read, write)
        made = self._callables.get(key)
        if made is None:
            made = self._callables[key] = getattr(inner, kind)(method, write, read)
        return made

    def _open(self) -> grpc.aio.Channel:
        loop = asyncio.get_running_loop()
        if self._inner is None or self._loop is not loop:
            self._callables.clear()
            self._loop = loop
            if self._credentials is None:
                self._inner = grpc.aio.insecure_channel(self.target, self._options)
            else:
                self._inner = grpc.aio.secure_channel(self.target, self._credentials, self._options)
        return self._inner

    def _callable(
        self,
        kind: str,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        _registered_method: bool = False,  # noqa: FBT001, FBT002  generated code says so
    ) -> Any:
        opened = functools.partial(
            self.opened, kind, method, response_deserializer, request_serializer
        )
        return self._stub(method, opened)
