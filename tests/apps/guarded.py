"""Guarded behaviours on a real port."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import grpc
import grpc.aio
import pytest

from services.user.v1.user_service_pb2 import User
from transcoder.handlers import GuardedHandlers
from transcoder.offload import Offload

SECRET: Final = "dsn=postgres://user:secret@db"


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
