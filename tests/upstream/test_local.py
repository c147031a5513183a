import asyncio
import contextlib
import contextvars
import gc
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from services.user.v1.user_service_pb2 import GetUserRequest, User
from transcoder.errors import StatusError
from transcoder.status import Code
from transcoder.upstream import Call
from transcoder.upstream.blocking import ThreadContext
from transcoder.upstream.context import LocalContext
from transcoder.upstream.current import current
from transcoder.upstream.local import Local

PATH = "/services.user.v1.UserService/GetUser"


def call(behaviour: Callable[..., Any], sent: Call | None = None) -> User:
    """Call one behaviour in process, as the gateway does."""

    async def run() -> User:
        with ThreadPoolExecutor(1) as executor:
            local = Local(executor)
            local.add(PATH, grpc.unary_unary_rpc_method_handler(behaviour), User)
            reply = await local.unary(sent or Call(PATH), GetUserRequest(id="7"))
            assert isinstance(reply, User)
            return reply

    return asyncio.run(run())


def failure(behaviour: Callable[..., Any]) -> StatusError:
    """Return the error that one call ends with."""
    with pytest.raises(StatusError) as caught:
        call(behaviour)
    return caught.value


def test_async_behaviour() -> None:
    """A coroutine function is awaited on the loop's own thread."""

    async def behaviour(request: GetUserRequest, context: Any) -> User:
        return User(id=request.id, name=threading.current_thread().name)

    assert User(id="7", name=threading.main_thread().name) == call(behaviour)


def test_plain_behaviour() -> None:
    """A plain function runs on a thread of the pool."""

    def behaviour(request: GetUserRequest, context: Any) -> User:
        return User(id=request.id, name=threading.current_thread().name)

    assert call(behaviour).name != threading.main_thread().name


def test_contextvars_reach_threads() -> None:
    """A plain function sees the context variables of the request."""
    tenant = contextvars.ContextVar("tenant", default="")

    def behaviour(request: GetUserRequest, context: Any) -> User:
        return User(name=tenant.get())

    tenant.set("acme")

    assert call(behaviour).name == "acme"


async def abort(request: GetUserRequest, context: Any) -> User:
    await context.abort(grpc.StatusCode.NOT_FOUND, "no such user", [("x-a", "1")])
    raise AssertionError


def abort_plainly(request: GetUserRequest, context: Any) -> User:
    context.abort(grpc.StatusCode.NOT_FOUND, "no such user")
    raise AssertionError


async def set_code(request: GetUserRequest, context: Any) -> User:
    context.set_code(grpc.StatusCode.NOT_FOUND)
    context.set_details("no such user")
    return User()


async def set_code_and_raise(request: GetUserRequest, context: Any) -> User:
    context.set_code(grpc.StatusCode.NOT_FOUND)
    context.set_details("no such user")
    raise ValueError


async def swallow_abort(request: GetUserRequest, context: Any) -> User:
    with contextlib.suppress(grpc.aio.AbortError):
        await context.abort(grpc.StatusCode.NOT_FOUND, "no such user")
    return User()


async def raise_status(request: GetUserRequest, context: Any) -> User:
    raise StatusError(Code.NOT_FOUND, "no such user")


@pytest.mark.parametrize(
    "behaviour",
    [abort, abort_plainly, set_code, set_code_and_raise, swallow_abort, raise_status],
)
def test_status(behaviour: Callable[..., Any]) -> None:
    """However a servicer says it, a status other than OK ends the call with that status."""
    error = failure(behaviour)

    assert (error.status.code, error.status.message) == (Code.NOT_FOUND, "no such user")


def test_status_details() -> None:
    """The details of a rich status come along."""
    detail = any_pb2.Any()
    detail.Pack(error_details_pb2.ErrorInfo(reason="GONE"))

    async def behaviour(request: GetUserRequest, context: Any) -> User:
        status = status_pb2.Status(code=5, message="gone", details=[detail])
        await context.abort_with_status(rpc_status.to_status(status))
        raise AssertionError

    assert [detail] == list(failure(behaviour).status.details)


def test_unimplemented() -> None:
    """A method that the servicer does not define is UNIMPLEMENTED."""

    def behaviour(request: GetUserRequest, context: Any) -> User:
        context.set_code(grpc.StatusCode.UNIMPLEMENTED)
        context.set_details("Method not implemented!")
        raise NotImplementedError

    assert failure(behaviour).status.code is Code.UNIMPLEMENTED


def test_unregistered() -> None:
    """A method that nobody registered is UNIMPLEMENTED."""
    with ThreadPoolExecutor(1) as executor, pytest.raises(StatusError) as caught:
        asyncio.run(Local(executor).unary(Call("/no.Such/Method"), User()))

    assert caught.value.status.code is Code.UNIMPLEMENTED


@pytest.mark.parametrize("reply", [None, GetUserRequest(), {"id": "7"}, "7"])
def test_wrong_reply(reply: Any) -> None:
    """A reply of another type is a TypeError, as it could not have been serialized."""

    async def behaviour(request: GetUserRequest, context: Any) -> Any:
        return reply

    with pytest.raises(TypeError, match=r"not services\.user\.v1\.User"):
        call(behaviour)


def test_exceptions_pass() -> None:
    """Any other exception reaches whoever renders errors."""

    async def behaviour(request: GetUserRequest, context: Any) -> User:
        raise KeyError(request.id)

    with pytest.raises(KeyError, match="7"):
        call(behaviour)


def test_metadata_in() -> None:
    """The request's headers are the invocation metadata."""

    async def behaviour(request: GetUserRequest, context: Any) -> User:
        return User(name=dict(context.invocation_metadata())["x-tenant"])

    assert call(behaviour, Call(PATH, [(b"x-tenant", b"acme")])).name == "acme"


def test_metadata_out() -> None:
    """What the servicer sends beside the reply is on the call afterwards."""

    async def behaviour(request: GetUserRequest, context: Any) -> User:
        await context.send_initial_metadata([("x-first", "1")])
        context.set_trailing_metadata([("x-last", "2")])
        return User()

    sent = Call(PATH)
    call(behaviour, sent)

    assert (
        sent.initial_metadata,
        sent.trailing_metadata,
    ) == ((("x-first", "1"),), (("x-last", "2"),))


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        (("127.0.0.1", 5), "ipv4:127.0.0.1:5"),
        (("::1", 5), "ipv6:%5B::1%5D:5"),
        (None, "unix:"),
    ],
)
def test_peer(peer: tuple[str, int] | None, expected: str) -> None:
    """The peer is spelled as gRPC spells it."""

    async def behaviour(request: GetUserRequest, context: Any) -> User:
        return User(name=context.peer())

    assert expected == call(behaviour, Call(PATH, (), peer)).name


def test_context_is_grpcs() -> None:
    """Either context is an instance of gRPC's own class."""

    async def behaviour(request: GetUserRequest, context: Any) -> User:
        return User(newsletter=isinstance(context, grpc.aio.ServicerContext))

    def plain(request: GetUserRequest, context: Any) -> User:
        return User(newsletter=isinstance(context, grpc.ServicerContext))

    assert call(behaviour).newsletter
    assert call(plain).newsletter


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(LocalContext, grpc.aio.ServicerContext), (ThreadContext, grpc.ServicerContext)],
)
def test_context_is_complete(ours: type, theirs: type) -> None:
    """Every public method of gRPC's context is there, so none fails only in process."""
    wanted = {name for name in dir(theirs) if not name.startswith("_")}

    assert set() == wanted - set(dir(ours))


def test_failing_callback() -> None:
    """A callback that fails stops neither the reply nor the other callbacks."""
    ended: list[str] = []

    async def behaviour(request: GetUserRequest, context: Any) -> User:
        context.add_done_callback(lambda _: 1 / 0)
        context.add_done_callback(lambda _: ended.append("second"))
        return User(id="1")

    assert (call(behaviour).id, ended) == ("1", ["second"])


def test_metadata_have_names() -> None:
    """A pair of metadata has a key and a value by name, as gRPC's own."""

    async def behaviour(request: GetUserRequest, context: Any) -> User:
        first = context.invocation_metadata()[0]
        return User(name=f"{first.key}={first.value}")

    assert call(behaviour, Call(PATH, [(b"x-tenant", b"acme")])).name == "x-tenant=acme"


async def fail(request: GetUserRequest, context: Any) -> User:
    raise KeyError


@pytest.mark.parametrize("behaviour", [abort, raise_status, set_code_and_raise, fail])
def test_errors_are_freed(behaviour: Callable[..., Any]) -> None:
    """What a failed call held is free at once, and does not wait for the garbage collector."""

    class Noted(Call):
        __slots__ = ("__weakref__",)

    async def once(local: Local) -> weakref.ref[Call]:
        sent = Noted(PATH)
        with contextlib.suppress(StatusError, KeyError):
            await local.unary(sent, GetUserRequest())
        current.set(None)
        return weakref.ref(sent)

    async def run(local: Local) -> None:
        gc.disable()
        try:
            assert (await once(local))() is None
        finally:
            gc.enable()

    with ThreadPoolExecutor(1) as executor:
        local = Local(executor)
        local.add(PATH, grpc.unary_unary_rpc_method_handler(behaviour), User)
        asyncio.run(run(local))


def test_done_callbacks() -> None:
    """Callbacks run when the call has ended, however it ended."""
    ended: list[str] = []

    async def behaviour(request: GetUserRequest, context: Any) -> User:
        context.add_done_callback(lambda _: ended.append("async"))
        raise KeyError

    def plain(request: GetUserRequest, context: Any) -> User:
        context.add_callback(lambda: ended.append("plain"))
        return User()

    with pytest.raises(KeyError):
        call(behaviour)
    call(plain)

    assert ended == ["async", "plain"]


@pytest.mark.parametrize(
    "misuse",
    [
        lambda context: context.abort(grpc.StatusCode.OK, ""),
        lambda context: context.write(User()),
    ],
    ids=["abort with OK", "write"],
)
def test_misuse(misuse: Callable[[Any], Any]) -> None:
    """What grpc.aio calls a usage error is one in process too."""

    async def behaviour(request: GetUserRequest, context: Any) -> User:
        await misuse(context)
        return User()

    with pytest.raises(grpc.aio.UsageError):
        call(behaviour)


def test_nothing_more_to_read() -> None:
    """A method of one request that reads on finds the end, as in grpc.aio."""

    async def behaviour(request: GetUserRequest, context: Any) -> User:
        return User(newsletter=await context.read() is grpc.aio.EOF)

    assert call(behaviour).newsletter


def test_stop_iteration_on_a_thread() -> None:
    """A StopIteration out of a plain method is a defect, and no call that hangs."""

    def behaviour(request: GetUserRequest, context: Any) -> User:
        raise StopIteration

    with pytest.raises(RuntimeError, match="StopIteration"):
        call(behaviour)


def test_initial_metadata_is_sent_once() -> None:
    """Initial metadata sent twice is a usage error."""

    async def behaviour(request: GetUserRequest, context: Any) -> User:
        await context.send_initial_metadata([])
        await context.send_initial_metadata([])
        return User()

    with pytest.raises(grpc.aio.UsageError):
        call(behaviour)


def test_answers_of_a_plain_context() -> None:
    """What gRPC's context tells beside the call has a value in process too."""

    def behaviour(request: GetUserRequest, context: Any) -> User:
        context.set_compression(grpc.Compression.Gzip)
        context.disable_next_message_compression()
        told = (
            context.auth_context(),
            context.peer_identities(),
            context.peer_identity_key(),
            context.time_remaining(),
            context.is_active(),
            context.code(),
            context.details(),
            context.trailing_metadata(),
        )
        return User(name=repr(told))

    assert call(behaviour).name == repr(({}, None, None, None, True, None, "", ()))
