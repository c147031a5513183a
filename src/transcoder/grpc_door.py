"""The gRPC door: what stands before every method of the gRPC port."""

from __future__ import annotations

import asyncio
import urllib.parse
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, NoReturn, TypeAlias

from transcoder.call_details import CallDetails
from transcoder.forwarded import TrustedProxies
from transcoder.metadata import RawHeaders
from transcoder.peer_certificate import exact, is_secured
from transcoder.policies.chain import Chain
from transcoder.status import Code, code_of
from transcoder.trusted_peers import NOBODY_TRUSTED, TrustedPeers
from transcoder.upstream.codes import number_of

Behaviour: TypeAlias = Callable[[Any, Any], Awaitable[Any]]
Telling: TypeAlias = Callable[[Any], AbstractAsyncContextManager[None]]


class GrpcDoor:
    """Lets calls in.

    Args:
        chain: the policies.
        proxies: who is believed about the client's address.
        peers: whose word is taken.
    """

    def __init__(
        self, chain: Chain, proxies: TrustedProxies, peers: TrustedPeers = NOBODY_TRUSTED
    ) -> None:
        self._chain = chain
        self._peers = peers or None
        self._proxies = proxies

    def __bool__(self) -> bool:
        """Say whether anything stands here."""
        return bool(self._chain)

    def before(
        self, path: str, behaviour: Behaviour, telling: Telling, *, streams: tuple[bool, bool]
    ) -> Behaviour:
        """Return a behaviour that lets calls in, and then does what this one does.

        Args:
            path: the gRPC path; empty for a method that there is not.
            behaviour: of bytes.
            telling: tells the client of an error that its body raises.
            streams: whether the client sends a stream, and whether it gets one.
        """
        method = path[1:].replace("/", ".")
        takes_stream = streams[0]

        async def entered(data: Any, context: Any) -> Any:
            call = self._details(path, method, context, streams=any(streams))
            if self._peers is not None:
                self._peers.look(call)
            visitor = Visitor(context, call)
            self._chain.begin(call)
            try:
                async with telling(visitor):
                    waiting = self._chain.admit(call)
                    if waiting is not None:
                        await waiting
                visitor.begin()
                if takes_stream:
                    data = _counted(data, call)
                else:
                    call.received = len(data)
                reply = await behaviour(data, visitor)
            except asyncio.CancelledError:
                call.code = Code.CANCELLED
                raise
            else:
                if reply is not None:
                    call.sent = len(reply)
                return reply
            finally:
                if call.code is None:
                    call.code = code_of(number_of(context.code()) or 0)
                self._chain.end(call)

        return entered

    def _details(self, path: str, method: str, context: Any, *, streams: bool) -> CallDetails:
        headers = _headers(context.invocation_metadata() or ())
        identity = exact(context.auth_context())
        return CallDetails(
            "grpc",
            method=method,
            template=path,
            path=path,
            headers=headers,
            peer=self._proxies.client(headers, address(context.peer())),
            identity=identity,
            secure=is_secured(identity),
            streams=streams,
        )


class Visitor:
    """A call's context with what the policies say: to the servicer, and in the end to the client.

    Args:
        context: grpc.aio's.
        call: the details, which say it.
    """

    __slots__ = ("_context", "call")

    def __init__(self, context: Any, call: CallDetails) -> None:
        self._context = context
        self.call = call

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    def begin(self) -> None:
        """Have the client told, whatever the servicer tells it."""
        if self.call.answer_headers:
            self._context.set_trailing_metadata(self._told(()))

    async def write(self, message: bytes) -> None:
        """Send a reply of a stream."""
        await self._context.write(message)
        self.call.sent_messages += 1
        self.call.sent += len(message)

    def set_trailing_metadata(self, trailing_metadata: Any) -> None:
        """Set what comes with the status."""
        self._context.set_trailing_metadata(self._told(trailing_metadata))

    async def abort(self, code: Any, details: Any = "", trailing_metadata: Any = ()) -> NoReturn:
        """End the call with a status."""
        trailing = tuple(trailing_metadata) or tuple(self._context.trailing_metadata() or ())
        await self._context.abort(code, details, self._told(trailing))
        raise AssertionError  # pragma: no cover  the line before raises

    def _told(self, given: Any) -> tuple[Any, ...]:
        pairs = tuple(given)
        names = {key for key, _ in pairs}
        ours = [(key.decode(), value.decode()) for key, value in self.call.answer_headers]
        return (*pairs, *(pair for pair in ours if pair[0] not in names))


def address(peer: str) -> str | None:
    """Return the address in gRPC's spelling of a peer; None for a Unix socket."""
    kind, _, rest = urllib.parse.unquote(peer).partition(":")
    return rest.rpartition(":")[0].strip("[]") if kind in {"ipv4", "ipv6"} else None


async def _counted(messages: AsyncIterator[bytes], call: CallDetails) -> AsyncIterator[bytes]:
    async for message in messages:
        call.received_messages += 1
        call.received += len(message)
        yield message


def _headers(metadata: Any) -> RawHeaders:
    return [
        (key.encode(), value if isinstance(value, bytes) else value.encode("latin-1", "replace"))
        for key, value in metadata
    ]
