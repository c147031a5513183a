import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import grpc
import grpc.aio
import pytest

from guarded import SECRET, exchange, failure, serve
from services.user.v1.user_service_pb2 import User
from transcoder.offload import Offload

KINDS = ["unary_unary", "unary_stream", "stream_unary", "stream_stream"]


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
