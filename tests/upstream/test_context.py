"""One servicer, called through either door, sees the same."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import grpc.aio
import pytest
from google.rpc import status_pb2
from grpc_status import rpc_status

from doors import DOORS, Ended, Trial
from services.user.v1.user_service_pb2 import User

Probe = Callable[[Any], Any]
NOT_FOUND = grpc.StatusCode.NOT_FOUND


def both(make: Callable[[list[Any]], Trial]) -> tuple[Ended, list[Any]]:
    """Return how a call ends and what its servicer noted, which is the same through both doors."""
    seen: dict[str, tuple[Ended, list[Any]]] = {}
    for name, door in DOORS.items():
        notes: list[Any] = []

        async def run(
            door: Callable[[Trial], Any] = door, notes: list[Any] = notes
        ) -> tuple[Ended, list[Any]]:
            ended: Ended = await door(make(notes))
            return ended, notes

        seen[name] = asyncio.run(run())
    assert seen["gRPC"] == seen["in process"]
    return seen["in process"]


async def outcome(asked: Callable[[], Any]) -> Any:
    """Return what a member answers, or the type of what it raises."""
    try:
        answer = asked()
        return await answer if asyncio.iscoroutine(answer) else answer
    except Exception as error:  # noqa: BLE001  its type is compared
        return type(error).__name__


def started(context: Any, *members: str) -> list[Any]:
    """Return what members without arguments answer."""
    return [getattr(context, member)() for member in members]


PROBES: dict[str, Probe] = {
    "code, unset": lambda c: c.code(),
    "details, unset": lambda c: c.details(),
    "trailing metadata, unset": lambda c: c.trailing_metadata(),
    "peer_identities": lambda c: c.peer_identities(),
    "peer_identity_key": lambda c: c.peer_identity_key(),
    "time_remaining": lambda c: c.time_remaining(),
    "metadata": lambda c: dict(c.invocation_metadata())["x-tenant"],
    "binary metadata": lambda c: dict(c.invocation_metadata())["x-seal-bin"],
    "names of metadata": lambda c: {pair.key: pair.value for pair in c.invocation_metadata()}[
        "x-tenant"
    ],
    "set_code": lambda c: (c.set_code(NOT_FOUND), c.code()),
    "set_code of a number": lambda c: (c.set_code(5), c.code()),
    "set_code of no number": lambda c: (c.set_code(99), c.code()),
    "set_code to OK": lambda c: (c.set_code(grpc.StatusCode.OK), c.code()),
    "set_details": lambda c: (c.set_details("gone"), c.details()),
    "set_trailing_metadata": lambda c: (
        c.set_trailing_metadata([("x-a", "1"), ("y-bin", b"\0")]),
        tuple(map(tuple, c.trailing_metadata())),
    ),
    "set_compression": lambda c: c.set_compression(grpc.Compression.Gzip),
    "disable_next_message_compression": lambda c: c.disable_next_message_compression(),
    "bad trailing metadata": lambda c: c.set_trailing_metadata([("X", "1")]),
}

AWAITED: dict[str, Probe] = {
    **PROBES,
    "cancelled": lambda c: c.cancelled(),
    "done": lambda c: c.done(),
    "read": lambda c: c.read(),
    "write": lambda c: c.write(User(name="x")),
    "send_initial_metadata": lambda c: c.send_initial_metadata([("x-a", "1")]),
    "bad initial metadata": lambda c: c.send_initial_metadata([("X-A", "1")]),
    "text under -bin": lambda c: c.send_initial_metadata([("a-bin", "1")]),
    "abort": lambda c: c.abort(NOT_FOUND, "gone"),
    "abort with a number": lambda c: c.abort(5, "gone"),
    "abort with OK": lambda c: c.abort(grpc.StatusCode.OK, "fine"),
    "abort with metadata": lambda c: c.abort(NOT_FOUND, "gone", [("x-a", "1")]),
    "abort with bad metadata": lambda c: c.abort(NOT_FOUND, "gone", [("X-A", "1")]),
    "abort_with_status": lambda c: c.abort_with_status(
        rpc_status.to_status(status_pb2.Status(code=5, message="gone"))
    ),
    "details that are no text": lambda c: c.set_details(b"gone"),
    "peer": lambda c: c.peer().split(":")[0] in {"ipv4", "unix"},
    "auth_context": lambda c: isinstance(c.auth_context(), dict),
}

PLAIN: dict[str, Probe] = {
    **PROBES,
    "is_active": lambda c: c.is_active(),
    "add_callback": lambda c: c.add_callback(lambda: None),
    "cancel": lambda c: (c.cancel(), c.is_active()),
    "send_initial_metadata": lambda c: c.send_initial_metadata([("x-a", "1")]),
    "initial metadata twice": lambda c: (
        c.send_initial_metadata([("x-a", "1")]),
        c.send_initial_metadata([("x-a", "1")]),
    ),
    "bad initial metadata": lambda c: c.send_initial_metadata([("X-A", "1")]),
    "abort": lambda c: c.abort(NOT_FOUND, "gone"),
    "abort with OK": lambda c: c.abort(grpc.StatusCode.OK, "fine"),
    "abort_with_status": lambda c: c.abort_with_status(
        rpc_status.to_status(status_pb2.Status(code=5, message="gone"))
    ),
    "details in bytes": lambda c: (c.set_details(b"gone"), c.details()),
    "what only the other context has": lambda c: c.cancelled(),
}


@pytest.mark.parametrize("raised", [False, True], ids=["swallowed", "raised"])
@pytest.mark.parametrize("probe", AWAITED)
def test_member(probe: str, *, raised: bool) -> None:
    """Each member of `grpc.aio.ServicerContext` answers the same, and has the same effect."""

    def make(seen: list[Any]) -> Trial:
        async def behaviour(request: User, context: Any) -> User:
            seen.append(await outcome(lambda: AWAITED[probe](context)))
            if raised:
                seen.append(await outcome(lambda: AWAITED[probe](context)))
                answer = AWAITED[probe](context)
                if asyncio.iscoroutine(answer):
                    await answer
            seen.extend(started(context, "done", "cancelled", "code", "details"))
            return User(name="reply")

        return Trial("unary_unary", behaviour)

    _, seen = both(make)

    assert seen


@pytest.mark.parametrize("probe", PLAIN)
def test_plain_member(probe: str) -> None:
    """Each member of `grpc.ServicerContext` answers the same, and has the same effect."""

    def make(seen: list[Any]) -> Trial:
        def behaviour(request: User, context: Any) -> User:
            try:
                seen.append(PLAIN[probe](context))
            except Exception as error:
                seen.append(type(error).__name__)
                raise
            finally:
                seen.extend(started(context, "is_active", "code", "details"))
            return User(name="reply")

        return Trial("unary_unary", behaviour)

    _, seen = both(make)

    assert seen


async def finish(context: Any) -> None:
    """End with OK."""


async def set_code(context: Any) -> None:
    """End with a code."""
    context.set_code(NOT_FOUND)


async def abort(context: Any) -> None:
    """End by an abort."""
    await context.abort(NOT_FOUND, "gone")


async def fail(context: Any) -> None:
    """End by a defect."""
    raise ValueError


async def set_code_and_fail(context: Any) -> None:
    """End by a defect, after a status was set."""
    context.set_code(NOT_FOUND)
    raise ValueError


@pytest.mark.parametrize("end", [finish, set_code, abort, fail, set_code_and_fail])
def test_done_callback(end: Callable[[Any], Any]) -> None:
    """A callback is called once the call has ended, with the context, and sees how it ended."""

    def make(seen: list[Any]) -> Trial:
        async def behaviour(request: User, context: Any) -> User:
            def ended(given: Any) -> None:
                code = given.code()
                number = code.value[0] if isinstance(code, grpc.StatusCode) else code
                seen.extend([given is context, given.done(), given.cancelled(), number])

            context.add_done_callback(lambda _: 1 / 0)
            context.add_done_callback(ended)
            await end(context)
            return User()

        return Trial("unary_unary", behaviour)

    _, seen = both(make)

    assert seen[:3] == [True, True, False]


def test_time_remaining() -> None:
    """The deadline is the client's."""

    def make(seen: list[Any]) -> Trial:
        async def behaviour(request: User, context: Any) -> User:
            seen.append(20 < context.time_remaining() < 30.1)  # gRPC rounds up
            return User()

        return Trial("unary_unary", behaviour, timeout=30)

    assert both(make)[1] == [True]


def test_read_and_iterate() -> None:
    """`read()` and the iterator are one stream, with one end."""

    def make(seen: list[Any]) -> Trial:
        async def behaviour(requests: AsyncIterator[User], context: Any) -> User:
            seen.append((await context.read()).name)
            seen.extend([each.name async for each in requests])
            seen.append(await context.read() is grpc.aio.EOF)
            return User()

        return Trial("stream_unary", behaviour, names="abc")

    assert both(make)[1] == ["a", "b", "c", True]


@pytest.mark.parametrize("member", ["read", "write", "send_initial_metadata"])
def test_after_an_abort(member: str) -> None:
    """After an abort, whatever a servicer goes on with raises."""

    def make(seen: list[Any]) -> Trial:
        async def behaviour(requests: AsyncIterator[User], context: Any) -> None:
            with contextlib.suppress(grpc.aio.AbortError):
                await context.abort(NOT_FOUND, "gone")
            arguments = {"read": (), "write": (User(),), "send_initial_metadata": ([],)}
            seen.append(await outcome(lambda: getattr(context, member)(*arguments[member])))
            seen.extend(started(context, "done", "cancelled"))

        return Trial("stream_stream", behaviour)

    ended, seen = both(make)

    assert (ended.code, seen) == (NOT_FOUND, ["AbortError", True, False])


@pytest.mark.parametrize("kind", ["unary_unary", "unary_stream"])
def test_write_where_there_is_no_stream(kind: str) -> None:
    """`write()` is for methods that neither return nor yield their replies."""

    def make(seen: list[Any]) -> Trial:
        async def single(request: User, context: Any) -> User:
            seen.append(await outcome(lambda: context.write(User())))
            return User(name="a")

        async def several(request: User, context: Any) -> AsyncIterator[User]:
            seen.append(await outcome(lambda: context.write(User())))
            yield User(name="a")

        behaviour: Any = single if kind.endswith("unary") else several
        return Trial(kind, behaviour)

    ended, seen = both(make)

    assert (ended.replies, seen) == (("a",), ["UsageError"])


def test_a_message_of_another_type() -> None:
    """`write()` refuses what the method does not reply."""

    def make(seen: list[Any]) -> Trial:
        async def behaviour(request: User, context: Any) -> None:
            await context.write(User(name="a"))
            seen.append(await outcome(lambda: context.write(status_pb2.Status())))
            await context.write(User(name="b"))

        return Trial("unary_stream", behaviour)

    ended, seen = both(make)

    assert (ended.replies, seen) == (("a", "b"), ["TypeError"])
