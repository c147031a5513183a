"""Streams in process, of all kinds and styles."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import grpc.aio
import pytest

from services.user.v1.user_service_pb2 import GetUserRequest, User
from transcoder.errors import StatusError
from transcoder.status import Code
from transcoder.upstream import Call
from transcoder.upstream.local import Local

PATH = "/tests.Service/Do"


@contextlib.contextmanager
def serving(kind: str, behaviour: Callable[..., Any]) -> Iterator[Local]:
    """Give an upstream that serves one behaviour, and end its threads."""
    with ThreadPoolExecutor(2) as executor:
        local = Local(executor)
        local.add(PATH, getattr(grpc, f"{kind}_rpc_method_handler")(behaviour), User)
        yield local


async def send(*names: str) -> AsyncGenerator[User, None]:
    """Return a client's stream."""
    for name in names:
        yield User(name=name)


def exchange(kind: str, behaviour: Callable[..., Any]) -> list[str]:
    """Send two users (one, where the kind takes one) and return the names that come back."""

    async def run(local: Local) -> list[str]:
        request = send("a", "b") if kind.startswith("stream") else User(name="a")
        if kind.endswith("unary"):
            replies = [await local.unary(Call(PATH), request)]
        else:
            replies = [each async for each in local.stream(Call(PATH), request)]
        return [each.name for each in replies if isinstance(each, User)]

    with serving(kind, behaviour) as local:
        return asyncio.run(run(local))


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


def split_list(request: User, context: Any) -> list[User]:
    return [User(name=request.name + mark) for mark in "!?"]


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
        ("unary_unary", one_plain, ["a!"]),
        ("unary_stream", split_loop, ["a!", "a?"]),
        ("unary_stream", split_write, ["a!", "a?"]),
        ("unary_stream", split_plain, ["a!", "a?"]),
        ("unary_stream", split_list, ["a!", "a?"]),
        ("stream_unary", join_loop, ["ab"]),
        ("stream_unary", join_read, ["ab"]),
        ("stream_unary", join_plain, ["ab"]),
        ("stream_stream", echo_loop, ["a!", "b!"]),
        ("stream_stream", echo_write, ["a!", "b!"]),
        ("stream_stream", echo_plain, ["a!", "b!"]),
    ],
)
def test_styles(kind: str, behaviour: Callable[..., Any], expected: list[str]) -> None:
    """A behaviour of any kind and style answers."""
    assert expected == exchange(kind, behaviour)


async def fail_yielding(request: User, context: Any) -> AsyncIterator[User]:
    yield User()
    await context.abort(grpc.StatusCode.ABORTED, "in the middle")


async def fail_writing(request: User, context: Any) -> None:
    await context.write(User())
    await context.abort(grpc.StatusCode.ABORTED, "in the middle")


def fail_plainly(request: User, context: Any) -> Iterator[User]:
    yield User()
    context.abort(grpc.StatusCode.ABORTED, "in the middle")


async def swallow_yielding(request: User, context: Any) -> AsyncIterator[User]:
    yield User()
    with contextlib.suppress(grpc.aio.AbortError):
        await context.abort(grpc.StatusCode.ABORTED, "in the middle")
    yield User()


async def swallow_writing(request: User, context: Any) -> None:
    await context.write(User())
    with contextlib.suppress(grpc.aio.AbortError):
        await context.abort(grpc.StatusCode.ABORTED, "in the middle")
    await context.write(User())


def swallow_plainly(request: User, context: Any) -> Iterator[User]:
    yield User()
    with contextlib.suppress(grpc.aio.AbortError):
        context.abort(grpc.StatusCode.ABORTED, "in the middle")
    yield User()


async def set_code(request: User, context: Any) -> AsyncIterator[User]:
    yield User()
    context.set_code(grpc.StatusCode.ABORTED)
    context.set_details("in the middle")


async def raise_status(request: User, context: Any) -> None:
    await context.write(User())
    raise StatusError(Code.ABORTED, "in the middle")


async def cancel_itself(request: User, context: Any) -> None:
    await context.write(User())
    context.set_code(grpc.StatusCode.ABORTED)
    context.set_details("in the middle")
    raise ValueError


@pytest.mark.parametrize(
    "behaviour",
    [
        fail_yielding,
        fail_writing,
        fail_plainly,
        swallow_yielding,
        swallow_writing,
        swallow_plainly,
        set_code,
        raise_status,
        cancel_itself,
    ],
)
def test_status_in_the_middle(behaviour: Callable[..., Any]) -> None:
    """However a servicer says it, the status comes after what was sent before, and ends it."""
    received: list[Any] = []

    async def run(local: Local) -> None:
        async for reply in local.stream(Call(PATH), User()):
            received.append(reply)  # noqa: PERF401  a list that is kept when the stream fails

    with serving("unary_stream", behaviour) as local, pytest.raises(StatusError) as caught:
        asyncio.run(run(local))

    status = caught.value.status
    assert (len(received), status.code, status.message) == (1, Code.ABORTED, "in the middle")


async def wrong_yielding(request: User, context: Any) -> AsyncIterator[Any]:
    yield User()
    yield GetUserRequest()


async def wrong_writing(request: User, context: Any) -> None:
    await context.write(User())
    await context.write(None)


def wrong_plainly(request: User, context: Any) -> Iterator[Any]:
    yield User()
    yield "text"


@pytest.mark.parametrize("behaviour", [wrong_yielding, wrong_writing, wrong_plainly])
def test_wrong_type_in_the_middle(behaviour: Callable[..., Any]) -> None:
    """A message of another type ends the stream where it stands, as on the wire."""
    received: list[Any] = []

    async def run(local: Local) -> None:
        async for reply in local.stream(Call(PATH), User()):
            received.append(reply)  # noqa: PERF401  a list that is kept when the stream fails

    with (
        serving("unary_stream", behaviour) as local,
        pytest.raises(TypeError, match=r"not services\.user\.v1\.User"),
    ):
        asyncio.run(run(local))

    assert len(received) == 1


async def exit_writing(request: User, context: Any) -> None:
    await context.write(User())
    raise SystemExit


def test_exit_reaches_the_reader() -> None:
    """A SystemExit in a task of a servicer reaches the reader, and does not end the loop."""

    async def run(local: Local) -> str:
        try:
            async for _ in local.stream(Call(PATH), User()):
                pass
        except SystemExit:
            return "told"
        return ""

    with serving("unary_stream", exit_writing) as local:
        assert asyncio.run(run(local)) == "told"


def test_write_waits_for_the_reader() -> None:
    """A servicer is never ahead of the reader by more than the message that it writes."""
    written: list[int] = []

    async def behaviour(request: User, context: Any) -> None:
        for number in range(100):
            written.append(number)
            await context.write(User())

    async def run(local: Local) -> None:
        replies = local.stream(Call(PATH), User())
        for count in range(1, 5):
            await anext(replies)
            for _ in range(10):
                await asyncio.sleep(0)
            assert len(written) <= count + 1
        await replies.aclose()

    with serving("unary_stream", behaviour) as local:
        asyncio.run(run(local))


def test_write_from_other_tasks() -> None:
    """Tasks of the servicer may write too; no message is lost."""

    async def behaviour(request: User, context: Any) -> None:
        async def write(number: int) -> None:
            await context.write(User(name=str(number)))

        await asyncio.gather(*map(write, range(20)))

    assert {str(number) for number in range(20)} == set(exchange("unary_stream", behaviour))


def test_write_after_the_end() -> None:
    """A task that the servicer left behind cannot write any more."""
    left: list[asyncio.Task[None]] = []

    async def behaviour(request: User, context: Any) -> None:
        async def write() -> None:
            await asyncio.sleep(0.01)
            await context.write(User())

        left.append(asyncio.create_task(write()))

    async def run(local: Local) -> None:
        assert [each async for each in local.stream(Call(PATH), User())] == []
        with pytest.raises(grpc.aio.UsageError):
            await left[0]

    with serving("unary_stream", behaviour) as local:
        asyncio.run(run(local))


async def take_one(requests: AsyncIterator[User], context: Any) -> User:
    return await anext(requests)


async def read_one(requests: AsyncIterator[User], context: Any) -> User:
    user: User = await context.read()
    return user


def take_one_plainly(requests: Iterator[User], context: Any) -> User:
    return next(requests)


async def take_one_yielding(requests: AsyncIterator[User], context: Any) -> AsyncIterator[User]:
    yield await anext(requests)


@pytest.mark.parametrize(
    ("kind", "behaviour"),
    [
        ("stream_unary", take_one),
        ("stream_unary", read_one),
        ("stream_unary", take_one_plainly),
        ("stream_stream", take_one_yielding),
    ],
)
def test_unread_requests_are_closed(kind: str, behaviour: Callable[..., Any]) -> None:
    """A client's stream that the servicer leaves unfinished is closed when the call ends."""
    closed: list[str] = []

    async def requests() -> AsyncGenerator[User, None]:
        try:
            while True:
                yield User(name="a")
        finally:
            closed.append("closed")

    async def run(local: Local) -> None:
        if kind.endswith("unary"):
            await local.unary(Call(PATH), requests())
        else:
            assert [each async for each in local.stream(Call(PATH), requests())] == [User(name="a")]

    with serving(kind, behaviour) as local:
        asyncio.run(run(local))

    assert closed == ["closed"]


@pytest.mark.parametrize("behaviour", [join_loop, join_read, join_plain])
def test_error_of_the_requests(behaviour: Callable[..., Any]) -> None:
    """What goes wrong in the client's stream ends the call with that error."""

    async def requests() -> AsyncGenerator[User, None]:
        yield User(name="a")
        raise StatusError(Code.INVALID_ARGUMENT, "not JSON")

    with serving("stream_unary", behaviour) as local, pytest.raises(StatusError, match="not JSON"):
        asyncio.run(local.unary(Call(PATH), requests()))


def test_a_reader_left_behind() -> None:
    """A task of the servicer that still reads when the call ends finds the end of the stream."""
    tasks: list[asyncio.Task[Any]] = []

    async def behaviour(requests: AsyncIterator[User], context: Any) -> User:
        tasks.append(asyncio.create_task(context.read()))
        await asyncio.sleep(0)
        return User()

    async def requests() -> AsyncGenerator[User, None]:
        await asyncio.Event().wait()
        yield User()

    async def run(local: Local) -> None:
        await local.unary(Call(PATH), requests())
        assert await tasks[0] is grpc.aio.EOF

    with serving("stream_unary", behaviour) as local:
        asyncio.run(run(local))


def test_metadata_come_before_the_first_reply() -> None:
    """Initial metadata are there with the first reply, and trailing ones after the last."""
    sent = Call(PATH)

    async def behaviour(request: User, context: Any) -> AsyncIterator[User]:
        await context.send_initial_metadata([("x-first", "1")])
        yield User()
        context.set_trailing_metadata([("x-last", "2")])

    async def run(local: Local) -> None:
        async for _ in local.stream(sent, User()):
            assert sent.initial_metadata == (("x-first", "1"),)
            assert sent.trailing_metadata == ()
        assert sent.trailing_metadata == (("x-last", "2"),)

    with serving("unary_stream", behaviour) as local:
        asyncio.run(run(local))


@pytest.mark.parametrize("way", ["write", "yield"])
def test_metadata_after_the_first_reply(way: str) -> None:
    """Initial metadata cannot follow a reply, which has sent them."""

    async def writing(request: User, context: Any) -> None:
        await context.write(User())
        await context.send_initial_metadata([])

    async def yielding(request: User, context: Any) -> AsyncIterator[User]:
        yield User()
        await context.send_initial_metadata([])

    behaviour: Callable[..., Any] = writing if way == "write" else yielding
    with pytest.raises(grpc.aio.UsageError):
        exchange("unary_stream", behaviour)
