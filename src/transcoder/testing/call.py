"""The client's side of an in-process call, as gRPC's blocking stubs have it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any

import grpc
from anyio.from_thread import BlockingPortal

from transcoder.metadata import Metadatum
from transcoder.testing.rpc import Rpc

if TYPE_CHECKING:
    Future = grpc.Future[Any]
else:
    Future = grpc.Future


class InProcessCall(grpc.RpcError, grpc.Call, Future):
    """A call that runs, or has ended: a `grpc.Call`, a `grpc.Future` and the iterator of replies.

    It is also the `grpc.RpcError` that is raised where the status is not OK.

    Args:
        rpc: the call in its event loop.
        portal: the way there.
        deserialize: makes a message of a reply.
    """

    def __init__(
        self, rpc: Rpc, portal: BlockingPortal, deserialize: Callable[[bytes], Any]
    ) -> None:
        super().__init__()
        self._rpc = rpc
        self._portal = portal
        self._deserialize = deserialize

    def __str__(self) -> str:
        if not self.done():
            return f"<{self._rpc.call.method} in flight>"
        return f"<{self._rpc.call.method}: {self._rpc.code.name}: {self._rpc.details}>"

    __repr__ = __str__

    def __iter__(self) -> Iterator[Any]:
        """Return itself: there is one stream of replies."""
        return self

    def __next__(self) -> Any:
        """Return the next reply.

        Raises:
            grpc.RpcError: the stream ended with another status than OK.
        """
        reply = self._portal.call(self._rpc.replies.read)
        if reply is not None:
            return self._deserialize(reply)
        if self._rpc.code is grpc.StatusCode.OK:
            raise StopIteration
        raise self

    def code(self) -> grpc.StatusCode:
        """Wait for the end; return the status."""
        self._rpc.ended.wait()
        return self._rpc.code

    def details(self) -> str:
        """Wait for the end; return the text of the status."""
        self._rpc.ended.wait()
        return self._rpc.details

    def initial_metadata(self) -> tuple[Metadatum, ...]:
        """Wait for the metadata before the first reply, and return them."""
        self._rpc.opened.wait()
        return self._rpc.call.initial_metadata

    def trailing_metadata(self) -> Any:
        """Wait for the end; return the metadata that came with it."""
        self._rpc.ended.wait()
        return self._rpc.call.trailing_metadata

    def is_active(self) -> bool:
        """Say whether the call runs."""
        return not self.done()

    def time_remaining(self) -> float | None:  # type: ignore[override]  # None, as gRPC returns it
        """Return the seconds until the deadline; None without one."""
        return self._rpc.call.time_remaining()

    def add_callback(self, callback: Callable[[], None]) -> bool:
        """Have a callback called at the end; whether there is one to come."""
        return self._portal.call(self._rpc.on_end, callback)

    def add_done_callback(self, fn: Callable[[Any], None]) -> None:
        """Have a callback called with this call at the end, or now if that has come."""
        if not self.add_callback(lambda: fn(self)):
            fn(self)

    def cancel(self) -> bool:
        """Give the call up."""
        if self.done():
            return False
        self._portal.call(
            self._rpc.end, grpc.StatusCode.CANCELLED, "Locally cancelled by application!"
        )
        return True

    def cancelled(self) -> bool:
        """Say whether the call was given up."""
        return self.done() and self._rpc.code is grpc.StatusCode.CANCELLED

    def running(self) -> bool:
        """Say whether the call runs."""
        return not self.done()

    def done(self) -> bool:
        """Say whether the call has ended."""
        return self._rpc.ended.is_set()

    def result(self, timeout: float | None = None) -> Any:
        """Wait for the end; return the one reply.

        Raises:
            grpc.RpcError: the status is not OK.
            grpc.FutureCancelledError: the call was given up.
            grpc.FutureTimeoutError: it did not end within `timeout` seconds.
        """
        error = self.exception(timeout)
        if error is not None:
            raise error
        return self._deserialize(self._rpc.reply)

    def exception(self, timeout: float | None = None) -> Exception | None:
        """Wait for the end; return what `result` raises, or None.

        Raises:
            grpc.FutureCancelledError: the call was given up.
            grpc.FutureTimeoutError: it did not end within `timeout` seconds.
        """
        if not self._rpc.ended.wait(timeout):
            raise grpc.FutureTimeoutError
        if self.cancelled():
            raise grpc.FutureCancelledError
        return None if self._rpc.code is grpc.StatusCode.OK else self

    def traceback(self, timeout: float | None = None) -> TracebackType | None:
        """Wait for the end; return the traceback of `exception`."""
        error = self.exception(timeout)
        return None if error is None else error.__traceback__

    def reply(self) -> Any:
        """Wait for the end; return the one reply, as a call that blocks does.

        Raises:
            grpc.RpcError: the status is not OK.
        """
        if self.code() is not grpc.StatusCode.OK:
            raise self
        return self._deserialize(self._rpc.reply)
