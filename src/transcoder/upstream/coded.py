"""What a servicer is handed on the gRPC port."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterable, Mapping
from typing import Any, NoReturn, Protocol

import grpc
import grpc.aio

from transcoder.metadata import checked
from transcoder.peer_certificate import exact
from transcoder.status import shortened
from transcoder.upstream.codes import to_abort
from transcoder.upstream.handoff import Handoff
from transcoder.upstream.requests import Requests

_log = logging.getLogger(__name__)


_SOON = 1.0
"""Seconds in which a call is cancelled whose client has gone."""


async def sent(sending: Awaitable[None]) -> None:
    """Wait until grpc.aio has sent something; be cancelled where the client has gone.

    grpc.aio tells the one who sends first, by an error, and cancels the call after that.
    """
    try:
        await sending
    except grpc.aio.InternalError:
        await asyncio.sleep(_SOON)
        raise


class Coding(Protocol):
    """What is known of a method: its gRPC path, its replies, and what its clients may say."""

    @property
    def path(self) -> str: ...
    def serialize(self, reply: Any, /) -> Any: ...
    def admitted(self, context: Any, /) -> tuple[Any, ...]: ...


class CodedContext:
    """The context that a servicer sees over a handler of bytes.

    `read()` and `write()` speak messages, metadata may be any sequence, and what the call has come
    to is told as in process. A task or a thread may keep it beyond the call: what was read of the
    metadata by then stays, and gRPC is not asked again, for that would end the process.

    Args:
        context: grpc.aio's.
        coding: of the method.
        requests: what `read()` reads; None where the method takes one request.
        until: when the call is ended, on the clock of `time.monotonic`, if that is before the
            client's deadline.
        writes: whether the method's replies are those that it writes.
    """

    __slots__ = (
        "_cancelled",
        "_coding",
        "_context",
        "_handoff",
        "_metadata",
        "_requests",
        "_task",
        "_until",
        "_writes",
        "over",
    )

    def __init__(
        self,
        context: Any,
        coding: Coding,
        requests: Requests | None,
        until: float | None = None,
        *,
        writes: bool,
    ) -> None:
        self._context = context
        self._coding = coding
        self._requests = requests
        self._handoff: Handoff | None = None
        self._until = until
        self._writes = writes
        self._task = asyncio.current_task()
        self._cancelled = False
        self._metadata: tuple[Any, ...] | None = None
        self.over = False
        """Whether the call has ended."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    def invocation_metadata(self) -> tuple[Any, ...]:
        if self._metadata is None and not self.over:
            self._metadata = self._coding.admitted(self._context)
        return self._metadata or ()

    def peer(self) -> str:
        told: str = self._live().peer()
        return told

    def auth_context(self) -> Mapping[str, Iterable[bytes]]:
        return exact(self._live().auth_context())

    def peer_identity_key(self) -> str | None:
        key: str | None = self._live().peer_identity_key()
        return key

    def peer_identities(self) -> Iterable[bytes] | None:
        key = self.peer_identity_key()
        return None if key is None else self.auth_context().get(key)

    def time_remaining(self) -> float | None:
        left: float | None = self._context.time_remaining()
        if self._until is None:
            return left
        return max(0.0, self._until - time.monotonic())

    async def read(self) -> Any:
        if self._context.done():
            await self._context.read()
        return grpc.aio.EOF if self._requests is None else await self._requests.read()

    async def write(self, message: Any) -> None:
        data = self._coding.serialize(message)
        if self._handoff is not None:
            await self._handoff.write(message)
        elif self._writes:
            await sent(self._context.write(data))
        else:
            raise grpc.aio.UsageError("write() is for methods that neither return nor yield")

    def written(self, behaviour: Coroutine[Any, Any, object]) -> AsyncGenerator[Any, None]:
        """Run a coroutine of the servicer; return the stream of what it writes."""
        self._handoff = Handoff()
        return self._handoff.replies(behaviour, self.cancel)

    def cancel(self) -> None:
        """Have the servicer see that the call is given up."""
        self._cancelled = True

    def cancelled(self) -> bool:
        is_told = self._task is not None and self._task.cancelling() > 0
        return self._cancelled or is_told or bool(self._context.cancelled())

    def done(self) -> bool:
        return bool(self._context.done()) or self._task is None or self._task.done()

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        def run(_context: object) -> None:
            # gRPC calls back while it can still be asked.
            self.over = False
            try:
                callback(self)
            except Exception:  # noqa: BLE001  whatever a stranger's callback raises
                _log.exception("a callback at the end of %s failed", self._coding.path)
            finally:
                self.over = True

        self._context.add_done_callback(run)

    def set_details(self, details: str) -> None:
        self._context.set_details(shortened(details or ""))

    async def abort(self, code: Any, details: str = "", trailing_metadata: Any = ()) -> NoReturn:
        trailing = checked(trailing_metadata)
        await self._context.abort(to_abort(code), shortened(details or ""), trailing)
        raise AssertionError

    async def abort_with_status(self, status: grpc.Status) -> NoReturn:
        await self.abort(status.code, status.details, status.trailing_metadata or ())

    async def send_initial_metadata(self, initial_metadata: Any) -> None:
        await sent(self._context.send_initial_metadata(checked(initial_metadata)))

    def set_trailing_metadata(self, trailing_metadata: Any) -> None:
        self._context.set_trailing_metadata(checked(trailing_metadata))

    def _live(self) -> Any:
        if self.over:
            raise grpc.aio.UsageError("the call is over: ask who made it before it ends")
        return self._context


grpc.aio.ServicerContext.register(CodedContext)
