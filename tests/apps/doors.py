"""One behaviour, called through either door: over a real gRPC port, or in process."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio

from services.user.v1.user_service_pb2 import User
from transcoder.errors import StatusError
from transcoder.handlers import GuardedHandlers
from transcoder.metadata import Metadatum
from transcoder.upstream import Call
from transcoder.upstream.codes import status_code
from transcoder.upstream.local import Local

PATH = "/tests.Service/Do"
KINDS = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")
METADATA = (Metadatum("x-tenant", "acme"), Metadatum("x-seal-bin", b"\x00\xff"))


@dataclass(frozen=True, slots=True)
class Ended:
    """How a call ended, as its client sees it."""

    replies: tuple[str, ...]
    code: grpc.StatusCode
    message: str


@dataclass(frozen=True, slots=True)
class Trial:
    """What is called, and how.

    Args:
        kind: as in the names of gRPC's functions, `unary_stream`.
        behaviour: of that kind, on messages of User.
        interceptors: before it.
        names: of the users sent; of the first only, where the kind takes one.
        timeout: the call's deadline.
        gone: when it is set, the client gives the call up.
    """

    kind: str
    behaviour: Callable[..., Any]
    interceptors: Sequence[grpc.aio.ServerInterceptor] = ()
    names: Sequence[str] = ("a", "b")
    timeout: float | None = None
    gone: asyncio.Event | None = None

    @property
    def handler(self) -> Any:
        """What the trial's servicer registers."""
        make = getattr(grpc, f"{self.kind}_rpc_method_handler")
        return make(self.behaviour, User.FromString, User.SerializeToString)

    @property
    def first(self) -> User:
        """The request, where there is one."""
        return User(name=self.names[0])

    async def requests(self) -> AsyncGenerator[User, None]:
        """Return the client's stream, which stays open for a client that will give up."""
        for name in self.names:
            yield User(name=name)
        if self.gone is not None:
            await asyncio.Event().wait()


@contextlib.asynccontextmanager
async def _threads() -> AsyncGenerator[ThreadPoolExecutor, None]:
    """Give threads, and wait for them beside the loop: a servicer may wait for it to be freed."""
    executor = ThreadPoolExecutor(4)
    try:
        yield executor
    finally:
        await asyncio.to_thread(executor.shutdown)


async def over_grpc(trial: Trial) -> Ended:
    """Call over a real port."""
    server = grpc.aio.server()
    generic = grpc.method_handlers_generic_handler("tests.Service", {"Do": trial.handler})
    async with _threads() as executor:
        guarded = GuardedHandlers(
            generic, executor, replies={PATH: User}, interceptors=trial.interceptors
        )
        server.add_generic_rpc_handlers([guarded])
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                return await _called(channel, trial)
        finally:
            await server.stop(None)


async def _called(channel: grpc.Channel, trial: Trial) -> Ended:
    # Not by grpc.aio: when a call ends while its client sends, that tells INTERNAL of its own.
    stub = getattr(channel, trial.kind)(
        PATH, request_serializer=User.SerializeToString, response_deserializer=User.FromString
    )
    is_over = threading.Event()
    request = _requests(trial, is_over) if trial.kind.startswith("stream") else trial.first
    start = stub.future if trial.kind.endswith("unary") else stub
    call = start(request, metadata=METADATA, timeout=trial.timeout)
    replies: list[str] = []

    def receive() -> None:
        with contextlib.suppress(grpc.RpcError, grpc.FutureCancelledError):
            for reply in [call.result()] if trial.kind.endswith("unary") else call:
                replies.append(reply.name)  # noqa: PERF401  kept when the call fails

    task = asyncio.create_task(asyncio.to_thread(receive))
    await _wait(task, trial)
    if not task.done():
        call.cancel()
    is_over.set()
    await task
    return Ended(tuple(replies), call.code(), call.details() or "")


def _requests(trial: Trial, is_over: threading.Event) -> Iterator[User]:
    for name in trial.names:
        yield User(name=name)
    if trial.gone is not None:
        is_over.wait()


async def in_process(trial: Trial) -> Ended:
    """Call without a socket, as the gateway does for HTTP."""
    loop = asyncio.get_running_loop()
    deadline = None if trial.timeout is None else loop.time() + trial.timeout
    call = Call(PATH, deadline=deadline, inbound=lambda _: METADATA)
    async with _threads() as executor:
        local = Local(executor, interceptors=trial.interceptors)
        local.add(PATH, trial.handler, User)
        replies: list[str] = []
        task = asyncio.create_task(_receive(local, call, trial, replies))
        await _wait(task, trial)
        if not task.done():
            call.cancelled = True
            task.cancel()
        try:
            await task
        except StatusError as error:
            code = status_code(int(error.status.code))
            return Ended(tuple(replies), code, error.status.message)
        except asyncio.CancelledError:
            return Ended(tuple(replies), grpc.StatusCode.CANCELLED, "")
        except Exception:  # noqa: BLE001  as the gateway tells it
            return Ended(tuple(replies), grpc.StatusCode.INTERNAL, "internal error")
        return Ended(tuple(replies), grpc.StatusCode.OK, "")


async def _receive(local: Local, call: Call, trial: Trial, replies: list[str]) -> None:
    request = trial.requests() if trial.kind.startswith("stream") else trial.first
    if trial.kind.endswith("unary"):
        reply: Any = await local.unary(call, request)
        replies.append(reply.name)
        return
    async with contextlib.aclosing(local.stream(call, request)) as stream:
        async for each in stream:
            replies.append(each.name)  # type: ignore[attr-defined]  # noqa: PERF401  as above


async def _wait(task: asyncio.Task[None], trial: Trial) -> None:
    """Wait until the call has ended, or the client wants no more of it."""
    if trial.gone is None:
        await asyncio.wait([task])
        return
    gone = asyncio.create_task(trial.gone.wait())
    await asyncio.wait([task, gone], return_when=asyncio.FIRST_COMPLETED)
    gone.cancel()


DOORS = {"gRPC": over_grpc, "in process": in_process}
