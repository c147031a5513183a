import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf import any_pb2
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from services.user.v1.user_service_pb2 import User
from transcoder.errors import InvalidRequest, StatusError
from transcoder.handlers import GuardedHandlers
from transcoder.offload import Offload
from transcoder.status import Code

SECRET = "dsn=postgres://user:secret@db"
KINDS = ["unary_unary", "unary_stream", "stream_unary", "stream_stream"]


async def serve(
    kind: str,
    behaviour: Callable[..., Any],
    use: Callable[[grpc.aio.Channel], Any],
    serializer: Callable[[Any], bytes] = User.SerializeToString,
    deserializer: Callable[[bytes], Any] = User.FromString,
    *,
    offload: Offload | None = None,
) -> Any:
    """Serve one guarded behaviour on a real port and hand a channel to it."""
    make = getattr(grpc, f"{kind}_rpc_method_handler")
    handlers = {"Do": make(behaviour, deserializer, serializer)}
    server = grpc.aio.server()
    generic = grpc.method_handlers_generic_handler("tests.Service", handlers)
    executor = ThreadPoolExecutor(2)
    server.add_generic_rpc_handlers([GuardedHandlers(generic, executor, offload=offload)])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            return await use(channel)
    finally:
        await server.stop(None)
        await asyncio.to_thread(executor.shutdown)


def exchange(
    kind: str,
    behaviour: Callable[..., Any],
    serializer: Callable[[Any], bytes] = User.SerializeToString,
    deserializer: Callable[[bytes], Any] = User.FromString,
) -> list[User]:
    """Send two users (one, where the kind takes one) and return what comes back."""

    async def use(channel: grpc.aio.Channel) -> list[User]:
        stub = getattr(channel, kind)(
            "/tests.Service/Do",
            request_serializer=User.SerializeToString,
            response_deserializer=User.FromString,
        )
        users = [User(name="a"), User(name="b")]
        call = stub(iter(users) if kind.startswith("stream") else users[0])
        return [each async for each in call] if kind.endswith("stream") else [await call]

    result: list[User] = asyncio.run(serve(kind, behaviour, use, serializer, deserializer))
    return result


def failure(kind: str, behaviour: Callable[..., Any], **codecs: Any) -> grpc.aio.AioRpcError:
    """Return the error that the client sees."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        exchange(kind, behaviour, **codecs)
    return caught.value


async def one_loop(request: User, context: Any) -> User:
    return User(name=request.name + "!")


def one_plain(request: User, context: Any) -> User:
    return User(name=request.name + "!")


async def split_loop(request: User, context: Any) -> AsyncIterator[User]:
    for mark in "!?":
        yield User(name=request.name + mark)


async def split_write(request: User, context: Any) -> None:
    for mark in "!?":
        await context.write(User(name=request.name + mark))


def split_plain(request: User, context: Any) -> Iterator[User]:
    for mark in "!?":
        yield User(name=request.name + mark)


async def join_loop(requests: AsyncIterator[User], context: Any) -> User:
    return User(name="".join([each.name async for each in requests]))


async def join_read(requests: AsyncIterator[User], context: Any) -> User:
    names = ""
    while (request := await context.read()) is not grpc.aio.EOF:
        names += request.name
    return User(name=names)


def join_plain(requests: Iterator[User], context: Any) -> User:
    return User(name="".join(each.name for each in requests))


async def echo_loop(requests: AsyncIterator[User], context: Any) -> AsyncIterator[User]:
    async for each in requests:
        yield User(name=each.name + "!")


async def echo_write(requests: AsyncIterator[User], context: Any) -> None:
    while (request := await context.read()) is not grpc.aio.EOF:
        await context.write(User(name=request.name + "!"))


def echo_plain(requests: Iterator[User], context: Any) -> Iterator[User]:
    for each in requests:
        yield User(name=each.name + "!")


@pytest.mark.parametrize(
    ("kind", "behaviour", "expected"),
    [
        ("unary_unary", one_loop, ["a!"]),
        ("unary_unary", one_plain, ["a!"]),
        ("unary_stream", split_loop, ["a!", "a?"]),
        ("unary_stream", split_write, ["a!", "a?"]),
        ("unary_stream", split_plain, ["a!", "a?"]),
        ("stream_unary", join_loop, ["ab"]),
        ("stream_unary", join_read, ["ab"]),
        ("stream_unary", join_plain, ["ab"]),
        ("stream_stream", echo_loop, ["a!", "b!"]),
        ("stream_stream", echo_write, ["a!", "b!"]),
        ("stream_stream", echo_plain, ["a!", "b!"]),
    ],
)
def test_transparent(kind: str, behaviour: Callable[..., Any], expected: list[str]) -> None:
    """A guarded behaviour of any kind and style works as it would without the guard."""
    assert expected == [user.name for user in exchange(kind, behaviour)]


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


def break_codec(value: Any) -> Any:
    raise ValueError(SECRET)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("part", ["serializer", "deserializer"])
def test_codec_exception(kind: str, part: str) -> None:
    """An exception in a serializer or a deserializer tells no more than one in a servicer."""
    behaviours = {
        "unary_unary": one_loop,
        "unary_stream": split_loop,
        "stream_unary": join_loop,
        "stream_stream": echo_loop,
    }

    behaviour: Any = behaviours[kind]
    error = failure(kind, behaviour, **{part: break_codec})

    assert error.code() is grpc.StatusCode.INTERNAL
    # A client that is still sending when the call ends has words of its own for it.
    assert error.details() in {"internal error", "Internal error from Core"}


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
    assert [each.name for each in caplog.records] == ["transcoder.handlers"]


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


class Filling:
    """Methods that reply more than a client takes that does not read."""

    def __init__(self) -> None:
        self.sent = 0
        self.ended = asyncio.Event()

    def one(self) -> User:
        """Return a large reply."""
        self.sent += 1
        return User(name="x" * 100_000)

    async def yields(self, request: Any, context: Any) -> AsyncIterator[User]:
        context.add_done_callback(lambda _: self.ended.set())
        while True:
            yield self.one()

    async def writes(self, request: Any, context: Any) -> None:
        context.add_done_callback(lambda _: self.ended.set())
        try:
            while True:
                await context.write(self.one())
        except asyncio.CancelledError:
            assert context.cancelled()
            raise


@pytest.mark.parametrize("method", ["yields", "writes"])
def test_client_that_goes_while_it_is_sent_to(
    method: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A client that cancels while a reply waits for it cancels the servicer, without a word."""
    caplog.set_level(logging.INFO)

    async def run() -> None:
        filling = Filling()

        async def use(channel: grpc.aio.Channel) -> None:
            stub: Any = channel.unary_stream("/tests.Service/Do")
            call, sent = stub(b""), -1
            while sent < filling.sent:
                sent = filling.sent
                await asyncio.sleep(0.1)
            call.cancel()
            await asyncio.wait_for(filling.ended.wait(), 10)

        await serve("unary_stream", getattr(filling, method), use)

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


def test_unknown_method() -> None:
    """A method that the service does not have is UNIMPLEMENTED."""

    async def use(channel: grpc.aio.Channel) -> grpc.StatusCode:
        stub: Any = channel.unary_unary("/tests.Service/Other")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub(b"")
        code: grpc.StatusCode = caught.value.code()
        return code

    assert asyncio.run(serve("unary_unary", one_loop, use)) is grpc.StatusCode.UNIMPLEMENTED


TAGS = 40_000
HEAVY = User(tags=[""] * TAGS).SerializeToString()


def counted(kind: str, *messages: bytes, waiting: int = 16) -> str | grpc.StatusCode:
    """Return the name that the servicer answers: how many tags came, or the status."""

    async def one(request: User, context: Any) -> User:
        return User(name=str(len(request.tags)))

    async def many(requests: AsyncIterator[User], context: Any) -> User:
        return User(name=" ".join([str(len(request.tags)) async for request in requests]))

    async def use(channel: grpc.aio.Channel) -> str | grpc.StatusCode:
        stub = getattr(channel, kind)("/tests.Service/Do", response_deserializer=User.FromString)
        try:
            reply = await stub(iter(messages) if kind.startswith("stream") else messages[0])
        except grpc.aio.AioRpcError as error:
            return error.code()
        return str(reply.name)

    behaviour = many if kind.startswith("stream") else one
    offload = Offload(waiting=waiting)
    answer: str | grpc.StatusCode = asyncio.run(serve(kind, behaviour, use, offload=offload))
    return answer


def test_heavy_request() -> None:
    """A request that takes long to read is read on a thread."""
    assert counted("unary_unary", HEAVY) == str(TAGS)


def test_heavy_requests_of_a_stream() -> None:
    """So is each of a stream, and they stay in their order."""
    light = User(tags=["a"]).SerializeToString()

    assert counted("stream_unary", HEAVY, light, HEAVY[:-2]) == f"{TAGS} 1 {TAGS - 1}"


def test_too_many_heavy_requests() -> None:
    """When too many of them come at once, the next is refused."""
    assert counted("unary_unary", HEAVY, waiting=0) is grpc.StatusCode.UNAVAILABLE
    assert counted("unary_unary", b"", waiting=0) == "0"


def test_malformed_heavy_request(caplog: pytest.LogCaptureFixture) -> None:
    """One that cannot be read is told as any other is."""
    assert counted("unary_unary", HEAVY[:-1]) is grpc.StatusCode.INTERNAL
    assert [record.levelname for record in caplog.records] == ["ERROR"]
