"""The client's stream of requests on its way to a backend."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeAlias

import grpc.aio
from google.protobuf.message import Message

from transcoder.errors import StatusError
from transcoder.protojson.weight import LIMIT, ON_LOOP, weight
from transcoder.status import Code

Run: TypeAlias = Callable[..., Awaitable[Any]]


async def serialized(request: Message | bytes, run: Run) -> bytes:
    """Return the bytes of a request, which those of a raw call are already.

    Protobuf serializes in one step, which of many messages within one is a long one.

    Args:
        request: the message.
        run: runs a function where it holds nobody, with what it takes.

    Raises:
        StatusError: RESOURCE_EXHAUSTED, there are more messages in it than may be printed.
    """
    if isinstance(request, bytes):
        return request
    if _weight(request, ON_LOOP) > ON_LOOP and await run(_weight, request, LIMIT) > LIMIT:
        problem = f"the request holds over {LIMIT} messages"
        raise StatusError(Code.RESOURCE_EXHAUSTED, problem, http=413)
    # A field may have the method's name.
    data: bytes = type(request).SerializeToString(request)
    return data


def _weight(request: Message, enough: int) -> int:
    return weight(request, enough, contents=False)


class Feeding:
    """Writes requests to a call as they come, and as fast as the backend takes them.

    grpc.aio would do so itself when handed the iterator; but it swallows what the iterator raises,
    and leaves it waiting when the call ends before the requests do.

    Args:
        remote: the call, opened without requests.
        requests: the client's stream; when it raises, the call is cancelled.
        run: as for `serialized`.
    """

    def __init__(self, remote: Any, requests: AsyncIterator[Message | bytes], run: Run) -> None:
        self.error: Exception | None = None
        """What the client's stream raised."""
        self._remote = remote
        self._requests = requests
        self._run = run
        self._task = asyncio.create_task(self._feed())

    async def end(self) -> None:
        """Stop, and wait until nothing of it is left."""
        self._task.cancel()
        await asyncio.wait({self._task})

    async def _feed(self) -> None:
        try:
            async for request in self._requests:
                data = await serialized(request, self._run)
                if not await self._written(self._remote.write(data)):
                    return
        except Exception as error:  # noqa: BLE001  whatever it is, whoever reads the replies raises it
            self.error = error
            self._remote.cancel()
            return
        await self._written(self._remote.done_writing())

    async def _written(self, writing: Any) -> bool:
        """Wait for a write; whether the call goes on. Why it does not, its reader learns."""
        try:
            await writing
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            return False
        return True
