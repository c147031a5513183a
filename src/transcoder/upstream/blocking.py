"""Plain servicer methods: on a thread, with a whole `grpc.ServicerContext`.

grpc.aio runs them on threads too, but hands them a context that lacks half of the methods, and may
never end a stream that is aborted there. So they run here, under a coroutine of the event loop:
what a thread asks of the loop it waits for, and when the call ends nothing waits any more.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import contextvars
import functools
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Iterator, Mapping
from typing import Any, NoReturn, TypeAlias, TypeVar

import grpc
import grpc.aio

from transcoder.metadata import checked
from transcoder.upstream.ahead import Ahead
from transcoder.upstream.codes import to_abort

R = TypeVar("R")
Question: TypeAlias = Callable[[], Coroutine[Any, Any, R]]


class BlockingCall:
    """One call whose servicer method runs on a thread.

    Args:
        context: as an `async def` method gets it, in process or from grpc.aio.
        executor: the threads.
    """

    def __init__(self, context: Any, executor: concurrent.futures.Executor) -> None:
        self.inner = context
        self.context = ThreadContext(self)
        self.active = True
        self._executor = executor
        self._variables = contextvars.copy_context()
        self._loop = asyncio.get_running_loop()
        self._answers: set[concurrent.futures.Future[Any]] = set()
        self._questions: set[asyncio.Task[Any]] = set()
        self._step: concurrent.futures.Future[Any] | None = None
        self._ahead: Ahead | None = None

    async def reply(self, behaviour: Callable[[Any, Any], R], request: Any) -> R:
        """Return what a behaviour of one reply returns.

        Raises:
            AbortError: the servicer aborted, whatever became of the exception there.
        """
        try:
            return await self._ended(self._start(behaviour, request, self.context))
        finally:
            await self._end()

    async def replies(
        self, behaviour: Callable[[Any, Any], Any], request: Any
    ) -> AsyncGenerator[Any, None]:
        """Return what a behaviour of a stream of replies yields, pulled on a thread.

        Raises (when iterated):
            AbortError: the servicer aborted, whatever became of the exception there.
        """
        begin = functools.partial(behaviour, request, self.context)
        ahead = self._ahead = Ahead(begin, self.context.is_active)
        try:
            goes_on = True
            while goes_on:
                pulling = self._start(self._pull, ahead)
                pulling.add_done_callback(ahead.arrive)
                try:
                    while replies := await ahead.taken(pulling):
                        for reply in replies:
                            yield reply
                    goes_on = await self._ended(pulling)
                finally:
                    _forget(pulling)
            self._ahead = None
        finally:
            await self._end()

    def _pull(self, ahead: Ahead) -> bool:
        goes_on = ahead.pull()
        if not self.active:
            # Nobody comes back for the generator, and there may soon be no thread to close it.
            ahead.close()
        return goes_on

    def requests(self, read: Question[R]) -> Iterator[R]:
        """Return the stream of requests, for the thread.

        Raises (when iterated):
            CancelledError: the client went away, which is not the stream's end.
        """
        while (message := self.wait(read)) is not grpc.aio.EOF:
            yield message
        if not self.active or self.inner.cancelled():
            raise concurrent.futures.CancelledError

    def wait(self, question: Question[R]) -> R:
        """Let the loop answer, from a thread, what is not asked any more once the call has ended.

        Raises:
            CancelledError: the call has ended.
        """
        answer: concurrent.futures.Future[R] = concurrent.futures.Future()
        self._answers.add(answer)
        try:
            self._loop.call_soon_threadsafe(self._ask, question, answer)
        except RuntimeError:
            # The loop is closed, and the call with it.
            raise concurrent.futures.CancelledError from None
        if not self.active:
            # It ended in between, and may not have seen what it had to free.
            answer.cancel()
        return answer.result()

    def _ask(self, question: Question[R], answer: concurrent.futures.Future[R]) -> None:
        if not self.active:
            answer.cancel()
            return
        task = self._loop.create_task(question())
        self._questions.add(task)
        task.add_done_callback(functools.partial(self._tell, answer))

    def _tell(self, answer: concurrent.futures.Future[R], task: asyncio.Task[R]) -> None:
        self._questions.discard(task)
        self._answers.discard(answer)
        error = None if task.cancelled() else task.exception()
        if task.cancelled() or not answer.set_running_or_notify_cancel():
            answer.cancel()
        elif error is None:
            answer.set_result(task.result())
        else:
            answer.set_exception(error)

    def _start(self, step: Callable[..., R], *arguments: Any) -> asyncio.Future[R]:
        """Have one step run on a thread; all steps of a call share its context variables."""
        self._step = self._executor.submit(self._variables.run, _step, step, *arguments)
        return asyncio.wrap_future(self._step)

    async def _ended(self, step: asyncio.Future[R]) -> R:
        """Return what a step returns, if the call goes on after it."""
        try:
            result = await step
        except Exception:
            await self._abort()
            raise
        await self._abort()
        return result

    async def _abort(self) -> None:
        if self.context.aborted is not None:
            await self.inner.abort(*self.context.aborted)

    async def _end(self) -> None:
        """Free the thread from what it waits for, and close the replies that it still yields."""
        self.active = False
        for task in tuple(self._questions):
            task.cancel()
        if self._questions:
            await asyncio.wait(tuple(self._questions))
        for answer in tuple(self._answers):
            answer.cancel()
        if self._step is not None:
            self._step.add_done_callback(self._close)

    def _close(self, _step: object) -> None:
        if self._ahead is not None:
            with contextlib.suppress(RuntimeError):
                # It is refused once the threads are shut down, and the interpreter ends.
                self._executor.submit(self._variables.run, self._ahead.close)


def _forget(step: asyncio.Future[Any]) -> None:
    """Drop a step that nobody waits for, and what it raises."""
    if not step.cancel() and not step.cancelled():
        step.exception()


def _step(step: Callable[..., R], *arguments: Any) -> R:
    try:
        return step(*arguments)
    except StopIteration as error:
        # No future of asyncio takes it: who waits for the thread would wait for ever.
        raise RuntimeError("the servicer raised StopIteration") from error


class ThreadContext:
    """`grpc.ServicerContext` over the context of an `async def` method.

    Registered with that class rather than derived from it, for one is made for every call.
    """

    def __init__(self, call: BlockingCall) -> None:
        self.aborted: tuple[Any, str, tuple[Any, ...]] | None = None
        self._call = call
        self._inner = call.inner

    def abort(self, code: Any, details: str) -> NoReturn:
        """End the call with that status; the exception ends the servicer method."""
        self.aborted = (to_abort(code), _text(details), self.trailing_metadata())
        raise grpc.aio.AbortError(details)

    def abort_with_status(self, status: grpc.Status) -> NoReturn:
        """End the call with that status and its details."""
        self.set_trailing_metadata(status.trailing_metadata or ())
        self.abort(status.code, status.details)

    def send_initial_metadata(self, initial_metadata: Iterable[Any]) -> None:
        """Send the metadata that come before the first reply."""
        metadata = checked(initial_metadata)
        self._call.wait(lambda: self._inner.send_initial_metadata(metadata))

    def invocation_metadata(self) -> tuple[Any, ...]:
        """Return what the client sent beside the requests."""
        return tuple(self._inner.invocation_metadata() or ())

    def set_trailing_metadata(self, trailing_metadata: Iterable[Any]) -> None:
        """Set the metadata that come with the status."""
        self._inner.set_trailing_metadata(checked(trailing_metadata))

    def trailing_metadata(self) -> tuple[Any, ...]:
        """Return the metadata that come with the status."""
        return tuple(self._inner.trailing_metadata() or ())

    def set_code(self, code: Any) -> None:
        """Set the code that the call ends with."""
        self._inner.set_code(code)

    def code(self) -> Any:
        """Return the code that was set."""
        return self._inner.code()

    def set_details(self, details: str | bytes) -> None:
        """Set the text that comes with the code."""
        self._inner.set_details(_text(details))

    def details(self) -> str:
        """Return the text that was set."""
        return _text(self._inner.details() or "")

    def peer(self) -> str:
        """Return the client's address, as gRPC spells it."""
        return str(self._inner.peer())

    def peer_identities(self) -> Iterable[bytes] | None:
        """Return the names in the client's certificate."""
        identities: Iterable[bytes] | None = self._inner.peer_identities()
        return identities

    def peer_identity_key(self) -> str | None:
        """Return what kind of names these are."""
        key: str | None = self._inner.peer_identity_key()
        return key

    def auth_context(self) -> Mapping[str, Iterable[bytes]]:
        """Return what is known of the connection and of the client's certificate."""
        known: Mapping[str, Iterable[bytes]] = self._inner.auth_context()
        return known

    def time_remaining(self) -> float | None:
        """Return the seconds until the deadline; None without one."""
        remaining: float | None = self._inner.time_remaining()
        return remaining

    def set_compression(self, compression: grpc.Compression) -> None:
        """Compress the replies, where the transport does."""
        self._inner.set_compression(compression)

    def disable_next_message_compression(self) -> None:
        """Leave the next reply as it is."""
        self._inner.disable_next_message_compression()

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


def _text(details: str | bytes) -> str:
    return details.decode("utf-8", "replace") if isinstance(details, bytes) else details
