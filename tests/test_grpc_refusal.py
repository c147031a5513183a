import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf import any_pb2
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from guarded import SECRET, failure, serve
from services.user.v1.user_service_pb2 import User
from transcoder.errors import InvalidRequest, StatusError
from transcoder.status import Code


async def raise_loop(request: Any, context: Any) -> User:
    raise RuntimeError(SECRET)


async def raise_loop_stream(request: Any, context: Any) -> AsyncIterator[User]:
    yield User()
    raise RuntimeError(SECRET)


def raise_plain(request: Any, context: Any) -> User:
    raise RuntimeError(SECRET)


def raise_plain_stream(request: Any, context: Any) -> Iterator[User]:
    yield User()
    raise RuntimeError(SECRET)


async def drain_loop(requests: AsyncIterator[User], context: Any) -> AsyncIterator[User]:
    async for each in requests:
        yield each
    raise RuntimeError(SECRET)


async def drain_write(requests: AsyncIterator[User], context: Any) -> None:
    async for each in requests:
        await context.write(each)
    raise RuntimeError(SECRET)


def drain_plain(requests: Iterator[User], context: Any) -> Iterator[User]:
    yield from requests
    raise RuntimeError(SECRET)


async def exit_loop(request: Any, context: Any) -> User:
    raise SystemExit(SECRET)


async def wrong_type(request: Any, context: Any) -> str:
    return SECRET


@pytest.mark.parametrize(
    ("kind", "behaviour"),
    [
        ("unary_unary", raise_loop),
        ("unary_unary", raise_plain),
        ("unary_unary", exit_loop),
        ("unary_unary", wrong_type),
        ("stream_unary", raise_loop),
        ("stream_unary", raise_plain),
        ("unary_stream", raise_loop_stream),
        ("unary_stream", raise_loop),
        ("unary_stream", raise_plain_stream),
        ("stream_stream", drain_loop),
        ("stream_stream", drain_write),
        ("stream_stream", drain_plain),
    ],
)
def test_exception(
    kind: str, behaviour: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    """An exception tells the client INTERNAL and an id; the log has it under that id, once."""
    error = failure(kind, behaviour)

    assert (error.code(), error.details()) == (grpc.StatusCode.INTERNAL, "internal error")
    name = dict(error.trailing_metadata() or ())["x-request-id"]
    (record,) = [each for each in caplog.records if each.levelno >= logging.ERROR]
    assert f"request id {name}" in record.getMessage()
    assert record.exc_info is not None


async def abort(request: Any, context: Any) -> User:
    await context.abort(grpc.StatusCode.NOT_FOUND, "no such user", [("x-a", "1")])
    raise AssertionError


def abort_plainly(request: Any, context: Any) -> User:
    context.abort(grpc.StatusCode.NOT_FOUND, "no such user")
    raise AssertionError


async def set_code(request: Any, context: Any) -> None:
    context.set_code(grpc.StatusCode.NOT_FOUND)
    context.set_details("no such user")


def set_code_plainly(request: Any, context: Any) -> None:
    context.set_code(grpc.StatusCode.NOT_FOUND)
    context.set_details("no such user")


async def set_code_and_raise(request: Any, context: Any) -> None:
    context.set_code(grpc.StatusCode.NOT_FOUND)
    context.set_details("no such user")
    raise NotImplementedError


def set_code_plainly_and_raise(request: Any, context: Any) -> None:
    context.set_code(grpc.StatusCode.NOT_FOUND)
    context.set_details("no such user")
    raise NotImplementedError


async def raise_status(request: Any, context: Any) -> User:
    raise StatusError(Code.NOT_FOUND, "no such user")


def raise_status_plainly(request: Any, context: Any) -> User:
    raise StatusError(Code.NOT_FOUND, "no such user")


@pytest.mark.parametrize(
    "behaviour",
    [
        abort,
        abort_plainly,
        set_code,
        set_code_plainly,
        set_code_and_raise,
        set_code_plainly_and_raise,
        raise_status,
        raise_status_plainly,
    ],
)
def test_status(behaviour: Callable[..., Any]) -> None:
    """However a servicer says it, a status other than OK reaches the client unchanged."""
    error = failure("unary_unary", behaviour)

    assert (error.code(), error.details()) == (grpc.StatusCode.NOT_FOUND, "no such user")


def test_status_details() -> None:
    """A StatusError's details travel in grpc-status-details-bin."""

    async def behaviour(request: Any, context: Any) -> User:
        raise InvalidRequest("expected a name", "user.name")

    status = rpc_status.from_call(failure("unary_unary", behaviour))  # type: ignore[arg-type]

    assert status is not None
    told = error_details_pb2.BadRequest()
    assert status.details[0].Unpack(told)
    assert told.field_violations[0].field == "user.name"


def test_metadata_beside_details() -> None:
    """What the servicer sends with its status stays beside a StatusError's details."""

    async def behaviour(request: Any, context: Any) -> User:
        context.set_trailing_metadata([("x-a", "1")])
        raise InvalidRequest("expected a name", "user.name")

    assert dict(failure("unary_unary", behaviour).trailing_metadata() or ())["x-a"] == "1"


def test_details_over_the_limit() -> None:
    """Details that no client would take are left out, and the status arrives."""

    async def behaviour(request: Any, context: Any) -> User:
        detail = any_pb2.Any()
        detail.Pack(error_details_pb2.DebugInfo(detail="x" * 20_000))
        raise StatusError(Code.ABORTED, "x" * 20_000, [detail])

    error = failure("unary_unary", behaviour)

    assert error.code() is grpc.StatusCode.ABORTED
    assert len(error.details() or "") <= 512


async def waits_for_something_cancelled(request: Any, context: Any) -> User:
    never: asyncio.Future[User] = asyncio.get_running_loop().create_future()
    never.cancel()
    return await never


async def ok_error(request: Any, context: Any) -> User:
    raise StatusError(Code.OK)


async def abort_with_ok(request: Any, context: Any) -> User:
    await context.abort(grpc.StatusCode.OK, "")
    raise AssertionError


def abort_with_ok_plainly(request: Any, context: Any) -> User:
    context.abort(grpc.StatusCode.OK, "")
    raise AssertionError


async def binary_as_text(request: Any, context: Any) -> User:
    context.set_trailing_metadata([("x-bin", "text")])
    return User()


async def upper_case_key(request: Any, context: Any) -> User:
    await context.send_initial_metadata([("X-Key", "text")])
    return User()


@pytest.mark.parametrize(
    "behaviour",
    [
        waits_for_something_cancelled,
        ok_error,
        abort_with_ok,
        abort_with_ok_plainly,
        binary_as_text,
        upper_case_key,
    ],
)
def test_defects_of_a_servicer(behaviour: Callable[..., Any]) -> None:
    """What gRPC cannot carry is the servicer's defect: INTERNAL, not a call that hangs."""
    assert failure("unary_unary", behaviour).code() is grpc.StatusCode.INTERNAL


def test_exception_after_a_status(caplog: pytest.LogCaptureFixture) -> None:
    """An exception after a status was set leaves the status, and its traceback in the log."""

    async def behaviour(request: Any, context: Any) -> User:
        context.set_code(grpc.StatusCode.NOT_FOUND)
        raise KeyError

    assert failure("unary_unary", behaviour).code() is grpc.StatusCode.NOT_FOUND
    assert [each.exc_info is not None for each in caplog.records] == [True]


def test_exception_after_the_code_cancelled() -> None:
    """That holds for CANCELLED too, whose text is the servicer's and not the exception's."""

    async def behaviour(request: Any, context: Any) -> User:
        context.set_code(grpc.StatusCode.CANCELLED)
        raise RuntimeError(SECRET)

    error = failure("unary_unary", behaviour)

    assert (error.code(), error.details()) == (grpc.StatusCode.CANCELLED, "")


async def abort_error(request: Any, context: Any) -> User:
    raise grpc.aio.AbortError(SECRET)


async def abort_error_stream(request: Any, context: Any) -> AsyncIterator[User]:
    yield User()
    raise grpc.aio.AbortError(SECRET)


def abort_error_plain(request: Any, context: Any) -> User:
    raise grpc.aio.AbortError(SECRET)


@pytest.mark.parametrize(
    ("kind", "behaviour"),
    [
        ("unary_unary", abort_error),
        ("unary_unary", abort_error_plain),
        ("unary_stream", abort_error_stream),
    ],
)
def test_an_abort_error_without_an_abort(
    kind: str, behaviour: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    """An AbortError that no `abort()` raised is an exception as any other."""
    error = failure(kind, behaviour)

    assert (error.code(), error.details()) == (grpc.StatusCode.INTERNAL, "internal error")
    assert [each.name for each in caplog.records] == ["transcoder.grpc_refusal"]


async def abort_at_length(request: Any, context: Any) -> User:
    await context.abort(grpc.StatusCode.NOT_FOUND, "x" * 30_000)
    raise AssertionError


def abort_at_length_plainly(request: Any, context: Any) -> User:
    context.abort(grpc.StatusCode.NOT_FOUND, "x" * 30_000)
    raise AssertionError


async def set_long_details(request: Any, context: Any) -> None:
    context.set_code(grpc.StatusCode.NOT_FOUND)
    context.set_details("x" * 30_000)


def set_long_details_plainly(request: Any, context: Any) -> None:
    context.set_code(grpc.StatusCode.NOT_FOUND)
    context.set_details("x" * 30_000)


async def abort_with_long_details(request: Any, context: Any) -> User:
    context.set_details("x" * 30_000)
    await context.abort(grpc.StatusCode.NOT_FOUND)
    raise AssertionError


@pytest.mark.parametrize(
    "behaviour",
    [
        abort_at_length,
        abort_at_length_plainly,
        set_long_details,
        set_long_details_plainly,
        abort_with_long_details,
    ],
)
def test_a_message_over_the_limit(behaviour: Callable[..., Any]) -> None:
    """A message that no client would take is cut, and the status arrives."""
    error = failure("unary_unary", behaviour)

    assert error.code() is grpc.StatusCode.NOT_FOUND
    assert error.details() == "x" * 509 + "…"


class Late:
    """Methods that go on when their call was cancelled."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.ended = asyncio.Event()

    async def hang(self, context: Any) -> None:
        """Wait for ever."""
        context.add_done_callback(lambda _: self.ended.set())
        self.begun.set()
        await asyncio.Event().wait()

    async def raises(self, request: Any, context: Any) -> User:
        try:
            await self.hang(context)
        finally:
            raise ValueError(SECRET)

    async def aborts(self, request: Any, context: Any) -> User:
        try:
            await self.hang(context)
        finally:
            await context.abort(grpc.StatusCode.ABORTED, "at the end")
        return User()

    async def aborts_and_raises(self, request: Any, context: Any) -> User:
        try:
            await self.aborts(request, context)
        finally:
            raise ValueError(SECRET)

    async def raises_in_stream(self, request: Any, context: Any) -> AsyncIterator[User]:
        yield await self.raises(request, context)

    async def aborts_in_stream(self, request: Any, context: Any) -> AsyncIterator[User]:
        yield await self.aborts(request, context)

    async def yields(self, request: Any, context: Any) -> AsyncIterator[User]:
        try:
            await self.hang(context)
        finally:
            yield User()
            yield User()

    async def writes(self, request: Any, context: Any) -> None:
        try:
            await self.hang(context)
        finally:
            await context.write(User())


@pytest.mark.parametrize(
    ("kind", "method"),
    [
        ("unary_unary", "raises"),
        ("unary_unary", "aborts"),
        ("unary_unary", "aborts_and_raises"),
        ("unary_stream", "raises_in_stream"),
        ("unary_stream", "aborts_in_stream"),
        ("unary_stream", "yields"),
        ("unary_stream", "writes"),
    ],
)
def test_failing_after_the_client_has_gone(
    kind: str, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    """What a servicer does to a call that was cancelled fills no log with tracebacks."""
    caplog.set_level(logging.INFO)

    async def run() -> None:
        late = Late()

        async def use(channel: grpc.aio.Channel) -> None:
            call = getattr(channel, kind)("/tests.Service/Do")(b"")
            await late.begun.wait()
            call.cancel()
            await late.ended.wait()

        await serve(kind, getattr(late, method), use)

    asyncio.run(run())

    assert [each for each in caplog.records if each.levelno > logging.INFO or each.exc_info] == []


def test_request_id_of_the_client() -> None:
    """The id that the client sent is the id that it is told."""

    async def use(channel: grpc.aio.Channel) -> Any:
        stub: Any = channel.unary_unary("/tests.Service/Do")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub(b"", metadata=[("x-request-id", "abc-1")])
        return dict(caught.value.trailing_metadata() or ())["x-request-id"]

    assert asyncio.run(serve("unary_unary", raise_loop, use)) == "abc-1"
