"""Backends behind a socket, called over gRPC.

    gateway.route(users_pb2.DESCRIPTOR.services_by_name["UserService"], Channel("users:50051"))

Replies come from grpc.aio as bytes and are read here, for grpc.aio makes `None` of what it cannot
read and calls that OK. It also waits for the deadline when a backend answers a call for one reply
with two. Whoever reads replies one by one sees the second, but that costs a third more. So the
first call of each method is read like that, and the next ones no longer, until one of them is
given up.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import grpc
import grpc.aio
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from transcoder.errors import SHUTTING_DOWN, ConfigError, StatusError
from transcoder.metadata import Metadatum
from transcoder.offload import Offload
from transcoder.status import Code
from transcoder.upstream import Call, RawRequest, Request
from transcoder.upstream.backend_calls import CALLS, Attempt, Backend
from transcoder.upstream.channel_options import (
    OWN,
    WATCHING,
    Backoff,
    Keepalive,
    message_options,
)
from transcoder.upstream.failures import Refused, failure, is_poisoned, too_large, unreadable
from transcoder.upstream.feeding import Feeding, Run, serialized
from transcoder.upstream.hedging import hedged
from transcoder.upstream.lazy import LazyChannel
from transcoder.upstream.method_config import MethodConfig, ServiceConfig
from transcoder.upstream.onward import TRACE, Onward
from transcoder.upstream.passing import incoming, outgoing, timeout
from transcoder.upstream.tls import Tls
from transcoder.wire import is_heavy, parse

_READY: Final = grpc.ChannelConnectivity.READY
_CONNECTING: Final = {grpc.ChannelConnectivity.IDLE, grpc.ChannelConnectivity.CONNECTING}
_LOOK: Final = 0.02


@dataclass(slots=True)
class _Method:
    path: str
    reply: type[Message]
    config: MethodConfig
    backend: Backend
    proven: bool = False  # The backend answers it with one message.


class _Sent(grpc.aio.Metadata):
    """Metadata on their way out, which are only iterated.

    gRPC's own are a dictionary of lists, which takes longer to make than all the rest of them.
    """

    def __init__(self, pairs: Sequence[Metadatum]) -> None:
        self._pairs = pairs

    def __iter__(self) -> Iterator[Metadatum]:
        return iter(self._pairs)

    def __len__(self) -> int:
        return len(self._pairs)


class Channel(LazyChannel):
    """A backend over gRPC: an upstream of the gateway, and a channel for generated stubs.

    It connects when it is first used, in the loop that runs then. A call through a stub that a
    servicer makes carries the deadline, the request's id, the trace context and the identity of
    the call that the servicer answers.

    Args:
        target: where, in gRPC's naming: `host:port`, `dns:///host:port`, `unix:/path`.
        tls: how to trust it and who we are; None for a connection in the clear.
        credentials: gRPC's own object in place of `tls`.
        service_config: timeouts, retries and hedging by method, as gRPC's service_config.md has
            them in JSON.
        load_balancing: among the target's addresses, where `service_config` names no policy.
        health_check: whether the backend is asked for its health (`grpc.health.v1.Health`) and gets
            no calls unless it serves, so that none meets a backend that is about to end; a name is
            that of the one service that is asked about. A backend that knows no health gets calls;
            one that does not know the name, or refuses to tell, gets none: so nobody is asked by
            default.
        keepalive: when a silent connection counts as dead; by default `Keepalive()`, with
            `health_check` WATCHING, for then no connection is without a call.
        backoff: when to connect anew.
        max_message: bytes of one message, in and out.
        identity: metadata that tells who the client is, for calls through stubs; by default the
            client's own credentials go along.
        options: further channel arguments of gRPC, also in the place of ours.

    Raises:
        ConfigError: an option is wrong, or a file of `tls` cannot be read.
    """

    def __init__(
        self,
        target: str,
        *,
        tls: Tls | None = None,
        credentials: grpc.ChannelCredentials | None = None,
        service_config: Mapping[str, Any] | None = None,
        load_balancing: str = "round_robin",
        health_check: bool | str = False,
        keepalive: Keepalive | None = None,
        backoff: Backoff = Backoff(),  # noqa: B008  frozen
        max_message: int = 4 << 20,
        identity: Collection[str] = ("authorization",),
        options: Sequence[tuple[str, Any]] = (),
    ) -> None:
        if tls is not None and credentials is not None:
            raise ConfigError("tls, credentials: one of them says how to trust the backend")
        asked = None if health_check is False else "" if health_check is True else health_check
        self._config = ServiceConfig(service_config, load_balancing, asked)
        if keepalive is None:
            keepalive = WATCHING if self._config.watches else Keepalive()
        told = (
            *OWN,
            *keepalive.options(),
            *backoff.options(),
            *message_options(max_message),
            ("grpc.service_config", self._config.json),
            *(tls.options() if tls else ()),
        )
        # gRPC takes the first of two.
        told = tuple(dict([*told, *options]).items())
        trusted = tls.credentials() if tls else credentials
        super().__init__(target, trusted, told, self._onward)
        self._passed = TRACE | {key.lower() for key in identity}
        self._methods: dict[str, _Method] = {}
        self._offload = Offload()

    def add(self, service: ServiceDescriptor) -> None:
        """Learn the methods of a service that the backend serves; `Gateway.route` does this."""
        for rpc in service.methods:
            path = f"/{service.full_name}/{rpc.name}"
            reply = GetMessageClass(rpc.output_type)
            config = self._config.of(path)
            self._methods[path] = _Method(path, reply, config, CALLS.to(path, self.target))

    async def check(self) -> str:
        """Return why the backend cannot be reached, once that is known; see `Reachable`."""
        while (state := self.get_state(try_to_connect=True)) in _CONNECTING:  # noqa: ASYNC110  readiness gives such a wait up, and gRPC's own is not made for that
            await asyncio.sleep(_LOOK)
        return "" if state is _READY else f"{self.target} cannot be reached"

    async def unary(self, call: Call, request: Request | RawRequest) -> Any:
        """Return the backend's reply; see `Upstream`."""
        method = self._method(call)
        if not isinstance(request, Message | bytes):
            return await self._first(method, call, request)
        data = await serialized(request, self._offload.run)
        hedging = method.config.hedging
        if hedging is not None:
            return await hedged(lambda: self._answer(method, call, data), hedging)
        try:
            return await self._answer(method, call, data)
        except Refused:
            return await self._answer(method, call, data)

    def stream(self, call: Call, request: Request | RawRequest) -> AsyncGenerator[Any, None]:
        """Return the backend's replies; see `Upstream`."""
        return self._replies(self._method(call), call, request)

    def _onward(self, path: str, opened: Callable[[], Any]) -> Onward:
        backend = CALLS.to(path, self.target)
        return Onward(opened, self._passed, self._config.of(path).timeout, backend)

    def _method(self, call: Call) -> _Method:
        method = self._methods.get(call.method)
        if method is None:
            raise StatusError(Code.UNIMPLEMENTED, f"{call.method} is not known of the backend")
        return method

    async def _answer(self, method: _Method, call: Call, data: bytes) -> Any:
        if not method.proven:
            reply = await self._first(method, call, data)
            method.proven = True
            return reply
        try:
            return await self._single(method, call, data)
        except BaseException:
            method.proven = False
            raise

    async def _first(self, method: _Method, call: Call, request: Request | RawRequest) -> Any:
        """Return the one reply of a call that is read like a stream, to see that there is one."""
        replies: list[Any] = []
        async with contextlib.aclosing(self._replies(method, call, request)) as stream:
            async for reply in stream:
                replies.append(reply)
                if len(replies) == 2:
                    raise unreadable(method.path, self.target, "two replies to a call for one")
        if not replies:
            raise unreadable(method.path, self.target, "OK without a reply")
        return replies[0]

    async def _single(self, method: _Method, call: Call, request: bytes) -> Any:
        seconds, metadata = timeout(call, method.config.timeout), _Sent(outgoing(call))
        called = self.opened("unary_unary", method.path)
        attempt = Attempt(method.backend, call.time_remaining)
        remote = called(request, timeout=seconds, metadata=metadata)
        try:
            with attempt:
                data = await remote
        except (grpc.aio.AioRpcError, asyncio.CancelledError) as error:
            raise self._failure(error, method, call) from None
        self._told(method, call, await remote.initial_metadata(), await remote.trailing_metadata())
        return await self._read(method, call, data, self._offload.run)

    async def _replies(
        self, method: _Method, call: Call, request: Request | RawRequest
    ) -> AsyncGenerator[Any, None]:
        told: dict[str, Any] = {
            "timeout": timeout(call, method.config.timeout),
            "metadata": _Sent(outgoing(call)),
        }
        feeding: Feeding | None = None
        if isinstance(request, Message | bytes):
            data = await serialized(request, self._offload.in_turn)
            remote = self.opened("unary_stream", method.path)(data, **told)
        else:
            remote = self.opened("stream_stream", method.path)(**told)
            feeding = Feeding(remote, request, self._offload.in_turn)
        try:
            with Attempt(method.backend, call.time_remaining):
                initial = await remote.initial_metadata()
                self._told(method, call, initial, ())
                if call.initial_metadata:
                    # The servicer sent them before a reply; without any, an error may come instead.
                    call.open(call.initial_metadata)
                while (data := await remote.read()) is not grpc.aio.EOF:
                    yield await self._read(method, call, data, self._offload.in_turn)
                self._told(method, call, initial, await remote.trailing_metadata())
        except (grpc.aio.AioRpcError, asyncio.CancelledError) as error:
            if feeding is not None and feeding.error is not None:
                raise feeding.error from None
            raise self._failure(error, method, call) from None
        finally:
            remote.cancel()
            if feeding is not None:
                await feeding.end()

    async def _read(self, method: _Method, call: Call, data: bytes | None, run: Run) -> Any:
        if data is None:
            raise unreadable(method.path, self.target, "OK without a reply")
        if call.raw:
            return data
        try:
            if is_heavy(data, method.reply):
                return await run(parse, data, method.reply)
            return method.reply.FromString(data)
        except DecodeError as error:
            raise unreadable(method.path, self.target, str(error)) from None

    def _told(self, method: _Method, call: Call, initial: Any, trailing: Any) -> None:
        """Note the metadata that came beside the replies."""
        if not initial and not trailing:
            return
        try:
            call.initial_metadata, call.trailing_metadata = incoming(initial), incoming(trailing)
        except ValueError as error:
            raise too_large(method.path, self.target, str(error)) from None

    def _failure(
        self, error: grpc.aio.AioRpcError | asyncio.CancelledError, method: _Method, call: Call
    ) -> BaseException:
        """Return what is to be raised for what grpc.aio raised."""
        if isinstance(error, grpc.aio.AioRpcError):
            self._told(method, call, error.initial_metadata(), error.trailing_metadata())
            if is_poisoned(error):
                self.renew()
            return failure(error, method.path, self.target, is_lost=self.is_lost)
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            return error
        return StatusError(Code.UNAVAILABLE, SHUTTING_DOWN)  # The channel was closed.
