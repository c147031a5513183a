"""Plain servicer methods on the gRPC port: on a thread, with a whole `grpc.ServicerContext`.

grpc.aio runs them on threads too, but hands them a context that lacks half of the methods, and may
never end a stream that is aborted there. So they run here, under a coroutine of the event loop:
what a thread asks of the loop it waits for, and when the call ends nothing waits any more.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import contextvars
from collections.abc import Callable, Coroutine, Iterable, Iterator
from typing import Any, NoReturn, TypeVar

import grpc
import grpc.aio

from transcoder.metadata import checked
from transcoder.upstream.codes import to_abort

R = TypeVar("R")


class BlockingCall:
    """One call whose servicer method runs on a thread.

    Args:
        context: grpc.aio's.
        executor: the threads.
    """

    def __init__(self, context: Any, executor: concurrent.futures.Executor) -> None:
        self.inner = context
        self.context = ThreadContext(self)
        self.active = True
        self._executor = executor
        self._variables = contextvars.copy_context()
        self._loop = asyncio.get_running_loop()
        self._waiting: concurrent.futures.Future[Any] | None = None
        self._step: concurrent.futures.Future[Any] | None = None

    async def run(self, step: Callable[..., R], *arguments: Any) -> R:
        """Run one step on a thread; all steps of a call share its context variables.

        Raises:
            AbortError: the servicer aborted, whatever became of the exception there.
        """
        running = self._step = self._executor.submit(self._variables.run, step, *arguments)
        try:
            return await asyncio.wrap_future(running)
        finally:
            if self.context.aborted is not None:
                await self.inner.abort(*self.context.aborted)

    def wait(self, question: Coroutine[Any, Any, R]) -> R:
        """Let the loop answer, from the thread.

        Raises:
            CancelledError: the call has ended.
        """
        if self._has_ended():
            question.close()
            raise concurrent.futures.CancelledError
        answer: concurrent.futures.Future[R]
        answer = self._waiting = asyncio.run_coroutine_threadsafe(question, self._loop)
        if self._has_ended():
            # The call ended in between, and did not see what it had to free.
            answer.cancel()
        return answer.result()

    def requests(self, deserialize: Callable[[bytes], R]) -> Iterator[R]:
        """Return the stream of requests, for the thread.

        Raises:
            CancelledError: the client went away, which is not the stream's end.
        """
        while (data := self.wait(self.inner.read())) is not grpc.aio.EOF:
            yield deserialize(data)
        if self.inner.cancelled() or not self.active:
            raise concurrent.futures.CancelledError

    def end(self, replies: object = None) -> None:
        """Free the thread from what it waits for.

        Args:
            replies: closed on a thread, as soon as the step that runs has returned.
        """
        self.active = False
        if self._waiting is not None:
            self._waiting.cancel()
        close = getattr(replies, "close", None)
        if close is not None and self._step is not None:
            self._step.add_done_callback(lambda _: self._submit(close))

    def _has_ended(self) -> bool:
        return not self.active

    def _submit(self, last: Callable[[], object]) -> None:
        with contextlib.suppress(RuntimeError):
            # It is refused once the threads are shut down, and the interpreter ends.
            self._executor.submit(self._variables.run, last)


class ThreadContext:
    """`grpc.ServicerContext` over the context of grpc.aio."""

    def __init__(self, call: BlockingCall) -> None:
        self.aborted: tuple[Any, str, tuple[Any, ...]] | None = None
        self._call = call
        self._inner = call.inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def abort(self, code: Any, details: str) -> NoReturn:
        """End the call with that status; the exception ends the servicer method."""
        self.aborted = (to_abort(code), details, tuple(self._inner.trailing_metadata() or ()))
        raise grpc.aio.AbortError(details)

    def abort_with_status(self, status: grpc.Status) -> NoReturn:
        """End the call with that status and its details."""
        self.set_trailing_metadata(status.trailing_metadata or ())
        self.abort(status.code, status.details)

    def send_initial_metadata(self, initial_metadata: Iterable[Any]) -> None:
        """Send the metadata that come before the first reply."""
        self._call.wait(self._inner.send_initial_metadata(checked(initial_metadata)))

    def set_trailing_metadata(self, trailing_metadata: Iterable[Any]) -> None:
        """Set the metadata that come with the status."""
        self._inner.set_trailing_metadata(checked(trailing_metadata))

    def add_callback(self, callback: Callable[[], None]) -> bool:
        """Have the callback run when the call has ended; False when it has already."""
        if not self._call.active:
            return False
        self._inner.add_done_callback(lambda _: callback())
        return True

    def is_active(self) -> bool:
        """Say whether the call still runs."""
        return self.aborted is None and self._call.active

    def cancel(self) -> bool:
        """End the call with CANCELLED when the method returns, or yields."""
        self.aborted = (grpc.StatusCode.CANCELLED, "cancelled by the servicer", ())
        return True


grpc.ServicerContext.register(ThreadContext)
