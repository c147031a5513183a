"""The user's interceptors, on both doors and for every kind of method."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import grpc
import grpc.aio
import pytest

from doors import DOORS, KINDS, PATH, Ended, Trial
from services.user.v1.user_service_pb2 import User
from transcoder.errors import StatusError
from transcoder.status import Code
from transcoder.upstream.interceptors import HandlerDetails

OK = grpc.StatusCode.OK
Continuation = Callable[[Any], Awaitable[Any]]
tenant = contextvars.ContextVar("tenant", default="")

pytestmark = pytest.mark.parametrize("door", DOORS)


async def one(request: User, context: Any) -> User:
    return User(name=request.name + tenant.get())


async def split(request: User, context: Any) -> AsyncIterator[User]:
    for mark in "!?":
        yield User(name=request.name + mark + tenant.get())


async def split_writing(request: User, context: Any) -> None:
    for mark in "!?":
        await context.write(User(name=request.name + mark + tenant.get()))


async def join(requests: AsyncIterator[User], context: Any) -> User:
    return User(name="".join([each.name async for each in requests]) + tenant.get())


async def echo(requests: AsyncIterator[User], context: Any) -> AsyncIterator[User]:
    async for each in requests:
        yield User(name=each.name + tenant.get())


def one_plainly(request: User, context: Any) -> User:
    return User(name=request.name + tenant.get())


def split_plainly(request: User, context: Any) -> Iterator[User]:
    for mark in "!?":
        yield User(name=request.name + mark + tenant.get())


def join_plainly(requests: Iterator[User], context: Any) -> User:
    return User(name="".join(each.name for each in requests) + tenant.get())


def echo_plainly(requests: Iterator[User], context: Any) -> Iterator[User]:
    for each in requests:
        yield User(name=each.name + tenant.get())


BEHAVIOURS: dict[str, Callable[..., Any]] = dict(zip(KINDS, (one, split, join, echo), strict=True))
PLAIN: dict[str, Callable[..., Any]] = dict(
    zip(KINDS, (one_plainly, split_plainly, join_plainly, echo_plainly), strict=True)
)
REPLIES = dict(zip(KINDS, (("a",), ("a!", "a?"), ("ab",), ("a", "b")), strict=True))


def run(door: str, kind: str, *interceptors: Any, behaviour: Any = None) -> Ended:
    """Call a method of one kind through one door and some interceptors."""
    trial = Trial(kind, behaviour or BEHAVIOURS[kind], interceptors)
    return asyncio.run(DOORS[door](trial))


class Logging(grpc.aio.ServerInterceptor):
    """Notes what it sees, and passes on."""

    def __init__(self, name: str = "", seen: list[Any] | None = None) -> None:
        self.name = name
        self.seen = [] if seen is None else seen

    async def intercept_service(self, continuation: Continuation, details: Any) -> Any:
        """See the details going and the handler coming."""
        given = dict(details.invocation_metadata)
        self.seen.append((self.name, details.method, given["x-tenant"], given["x-seal-bin"]))
        handler = await continuation(details)
        self.seen.append((self.name, handler.request_streaming, handler.response_streaming))
        return handler


@pytest.mark.parametrize("kind", KINDS)
def test_order(door: str, kind: str) -> None:
    """The first interceptor sees a call first and its handler last; all see what came with it."""
    seen: list[Any] = []

    ended = run(door, kind, Logging("first", seen), Logging("second", seen))

    asked = [(name, PATH, "acme", b"\x00\xff") for name in ("first", "second")]
    streams = kind.startswith("stream"), kind.endswith("stream")
    assert seen == [*asked, ("second", *streams), ("first", *streams)]
    assert ended == Ended(REPLIES[kind], OK, "")


class Rejecting(grpc.aio.ServerInterceptor):
    """Answers clients of a tenant with a handler of its own, always of one kind."""

    def __init__(self, kind: str, refused: str, *, plain: bool) -> None:
        self.refused = refused

        async def refuse(request: Any, context: Any) -> Any:
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, "not you")

        def refuse_plainly(request: Any, context: Any) -> Any:
            context.abort(grpc.StatusCode.PERMISSION_DENIED, "not you")

        behaviour: Any = refuse_plainly if plain else refuse
        self.refusal = getattr(grpc, f"{kind}_rpc_method_handler")(behaviour)

    async def intercept_service(self, continuation: Continuation, details: Any) -> Any:
        """Decide by metadata."""
        if dict(details.invocation_metadata)["x-tenant"] == self.refused:
            return self.refusal
        return await continuation(details)


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("refusal", KINDS)
def test_rejection(door: str, kind: str, refusal: str, *, plain: bool) -> None:
    """A method of any kind may be refused by a handler of any other."""
    refused = run(door, kind, Rejecting(refusal, "acme", plain=plain))

    assert refused == Ended((), grpc.StatusCode.PERMISSION_DENIED, "not you")


def test_no_rejection(door: str) -> None:
    """Who is not refused is answered."""
    assert run(door, "unary_unary", Rejecting("unary_unary", "other", plain=False)).code is OK


class Wrapping(grpc.aio.ServerInterceptor):
    """Changes what goes in and comes out, and times it; in the way that most are written."""

    def __init__(self) -> None:
        self.took: list[float] = []

    async def intercept_service(self, continuation: Continuation, details: Any) -> Any:
        """Return a handler around the method's."""
        handler = await continuation(details)
        streams = "stream" if handler.response_streaming else "unary"
        kind = ("stream_" if handler.request_streaming else "unary_") + streams
        inner = getattr(handler, kind)

        async def single(request: Any, context: Any) -> Any:
            begin = time.perf_counter()
            reply = await inner(request, context)
            self.took.append(time.perf_counter() - begin)
            return User(name=reply.name + "*")

        async def several(request: Any, context: Any) -> Any:
            begin = time.perf_counter()
            async for reply in inner(request, context):
                yield User(name=reply.name + "*")
            self.took.append(time.perf_counter() - begin)

        make = getattr(grpc, f"{kind}_rpc_method_handler")
        around: Any = several if handler.response_streaming else single
        return make(around, handler.request_deserializer, handler.response_serializer)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("behaviours", [BEHAVIOURS, PLAIN], ids=["async", "plain"])
def test_wrapping(door: str, kind: str, behaviours: dict[str, Any]) -> None:
    """An interceptor may wrap the method and change its replies; each layer does.

    A plain method may be awaited, or iterated, as any other.
    """
    first, second = Wrapping(), Wrapping()

    ended = run(door, kind, first, second, behaviour=behaviours[kind])

    assert ended == Ended(tuple(name + "**" for name in REPLIES[kind]), OK, "")
    assert (len(first.took), len(second.took)) == (1, 1)
    assert first.took >= second.took


class WrappingPlainly(grpc.aio.ServerInterceptor):
    """Wraps a plain method in a plain one."""

    async def intercept_service(self, continuation: Continuation, details: Any) -> Any:
        """Return a handler around the method's."""
        handler = await continuation(details)

        def around(request: Any, context: Any) -> Any:
            assert isinstance(context, grpc.ServicerContext)
            reply = handler.unary_unary(request, context)
            return User(name=reply.name + "*")

        return grpc.unary_unary_rpc_method_handler(around)


def test_wrapping_plainly(door: str) -> None:
    """A plain method stays plain for who calls it on a thread."""
    ended = run(door, "unary_unary", WrappingPlainly(), behaviour=one_plainly)

    assert ended == Ended(("a*",), OK, "")


class Listening(grpc.aio.ServerInterceptor):
    """Sees each request of a stream go by."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    async def intercept_service(self, continuation: Continuation, details: Any) -> Any:
        """Return a handler that is given a stream of the interceptor's own."""
        handler = await continuation(details)

        async def hear(requests: AsyncIterator[User]) -> AsyncIterator[User]:
            async for request in requests:
                self.heard.append(request.name)
                yield request

        async def around(requests: Any, context: Any) -> Any:
            return await handler.stream_unary(hear(requests), context)

        return grpc.stream_unary_rpc_method_handler(around)


@pytest.mark.parametrize("behaviour", [join, join_plainly])
def test_wrapped_requests(door: str, behaviour: Callable[..., Any]) -> None:
    """An interceptor may put a stream of its own in the place of the client's."""
    listening = Listening()

    ended = run(door, "stream_unary", listening, behaviour=behaviour)

    assert (ended, listening.heard) == (Ended(("ab",), OK, ""), ["a", "b"])


class Varying(grpc.aio.ServerInterceptor):
    """Sets a context variable, as tracers and loggers do."""

    async def intercept_service(self, continuation: Continuation, details: Any) -> Any:
        """Tell the servicer of the tenant."""
        tenant.set(dict(details.invocation_metadata)["x-tenant"])
        return await continuation(details)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("behaviours", [BEHAVIOURS, PLAIN], ids=["async", "plain"])
def test_context_variables(door: str, kind: str, behaviours: dict[str, Any]) -> None:
    """The servicer sees the context variables that an interceptor set, on a thread too."""
    ended = run(door, kind, Varying(), behaviour=behaviours[kind])

    assert ended == Ended(tuple(name + "acme" for name in REPLIES[kind]), OK, "")


def test_written_replies(door: str) -> None:
    """A servicer that writes its replies is called through interceptors as any other."""
    ended = run(door, "unary_stream", Logging(), Varying(), behaviour=split_writing)

    assert ended == Ended(("a!acme", "a?acme"), OK, "")


class Failing(grpc.aio.ServerInterceptor):
    """Has a defect."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def intercept_service(self, continuation: Continuation, details: Any) -> Any:
        """Fail."""
        raise self._error


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "error",
    # No `abort()` raised this AbortError: gRPC knows no status to go with it.
    [KeyError("secret"), grpc.aio.AbortError("secret")],
    ids=["exception", "abort"],
)
def test_defect(door: str, kind: str, error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    """An exception in an interceptor is INTERNAL, and nothing of it is told."""
    ended = run(door, kind, Logging(), Failing(error))

    assert (ended.code, ended.replies) == (grpc.StatusCode.INTERNAL, ())
    assert "secret" not in ended.message
    # Over HTTP it is the gateway that logs.
    errors = [each for each in caplog.records if each.levelno >= logging.ERROR]
    assert len(errors) == (door == "gRPC")


class Telling(grpc.aio.ServerInterceptor):
    """Raises a status."""

    async def intercept_service(self, continuation: Continuation, details: Any) -> Any:
        """Refuse."""
        raise StatusError(Code.UNAUTHENTICATED, "who are you?")


@pytest.mark.parametrize("kind", KINDS)
def test_status(door: str, kind: str) -> None:
    """A StatusError of an interceptor is told as it is."""
    assert run(door, kind, Telling()) == Ended((), grpc.StatusCode.UNAUTHENTICATED, "who are you?")


class Hiding(grpc.aio.ServerInterceptor):
    """Finds no handler."""

    async def intercept_service(self, continuation: Continuation, details: Any) -> Any:
        """Return None, as for a method that does not exist."""
        return None


@pytest.mark.parametrize("kind", KINDS)
def test_no_handler(door: str, kind: str) -> None:
    """A method that an interceptor hides is UNIMPLEMENTED."""
    assert run(door, kind, Hiding()).code is grpc.StatusCode.UNIMPLEMENTED


class Replacing(grpc.aio.ServerInterceptor):
    """Answers with a handler of its own."""

    def __init__(self, kind: str, behaviour: Callable[..., Any]) -> None:
        self.handler = getattr(grpc, f"{kind}_rpc_method_handler")(behaviour)

    async def intercept_service(self, continuation: Continuation, details: Any) -> Any:
        """Return it."""
        return self.handler


@pytest.mark.parametrize(
    ("kind", "other", "expected"),
    [
        ("unary_unary", "stream_unary", ("a",)),
        ("unary_stream", "stream_stream", ("a",)),
        ("stream_unary", "unary_unary", ("a",)),
        ("stream_stream", "unary_stream", ("a!", "a?")),
        ("unary_stream", "unary_unary", ("a",)),
        ("stream_stream", "stream_unary", ("ab",)),
    ],
)
@pytest.mark.parametrize("behaviours", [BEHAVIOURS, PLAIN], ids=["async", "plain"])
def test_other_kind(
    door: str, kind: str, other: str, expected: tuple[str, ...], behaviours: dict[str, Any]
) -> None:
    """A handler of another kind answers too: with one message as a stream, or the first of one."""
    assert run(door, kind, Replacing(other, behaviours[other])) == Ended(expected, OK, "")


@pytest.mark.parametrize("behaviour", [split, split_writing, split_plainly])
def test_too_many_replies(door: str, behaviour: Callable[..., Any]) -> None:
    """A stream of replies where there can be one is the interceptor's defect."""
    ended = run(door, "unary_unary", Replacing("unary_stream", behaviour))

    assert ended.code is grpc.StatusCode.INTERNAL


async def nothing(request: User, context: Any) -> AsyncIterator[User]:
    for _ in ():
        yield User()


def test_no_reply(door: str) -> None:
    """No reply where there must be one is the interceptor's defect."""
    ended = run(door, "unary_unary", Replacing("unary_stream", nothing))

    assert ended.code is grpc.StatusCode.INTERNAL


def test_no_request(door: str) -> None:
    """A handler of one request for a stream that has none is not called."""
    trial = Trial("stream_unary", join, [Replacing("unary_unary", one)], names=())

    assert asyncio.run(DOORS[door](trial)).code is grpc.StatusCode.INTERNAL


class Asking(grpc.aio.ServerInterceptor):
    """Asks for another method than the client did."""

    async def intercept_service(self, continuation: Continuation, details: Any) -> Any:
        """Ask for a method that is not there."""
        return await continuation(HandlerDetails("/tests.Service/Other"))


def test_other_method(door: str) -> None:
    """Handlers are looked up by the details that the last interceptor passes on."""
    assert run(door, "unary_unary", Asking()).code is grpc.StatusCode.UNIMPLEMENTED
