"""What three interceptors cost a call in process.

    python benchmarks/interceptors.py

CPU time of a call of one reply with a chain of three interceptors that pass on, less that of the
same call without; the median of rounds that take turns, so that the machine's moods hit both alike.
A chain that wraps the method's behaviour in three new handlers is shown beside it. Exit code 1: the
gate was missed.

The call has the five headers of a usual request. They become metadata for the interceptors, which a
servicer that asks for its metadata pays without interceptors too: that is counted here.

Left out: what an interceptor does beside passing on, HTTP, and what stands around the call.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import grpc.aio

from services.user.v1.user_service_pb2 import GetUserRequest, User
from transcoder.upstream import Call
from transcoder.upstream.local import Local

GATE = 10.0
"""Microseconds."""
ROUNDS = 15
CALLS = 5_000
PATH = "/services.user.v1.UserService/GetUser"
HEADERS = (
    (b"host", b"localhost:8080"),
    (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/130.0"),
    (b"accept", b"application/json"),
    (
        b"authorization",
        b"Bearer eyJhbGciOiJIUzI1NiJ9.e30.ZRrHA1JJJW8opsbCGfG_HACGpVUMN",
    ),
    (b"x-request-id", b"0af7651916cd43dd8448eb211c80319c"),
)
Continuation = Callable[[Any], Awaitable[Any]]


class Passing(grpc.aio.ServerInterceptor):
    """Passes on."""

    async def intercept_service(self, continuation: Continuation, details: Any) -> Any:
        """Return the method's handler."""
        return await continuation(details)


class Wrapping(grpc.aio.ServerInterceptor):
    """Wraps what it finds."""

    async def intercept_service(self, continuation: Continuation, details: Any) -> Any:
        """Return a handler around the method's."""
        handler = await continuation(details)
        inner = handler.unary_unary

        async def behaviour(request: Any, context: Any) -> Any:
            return await inner(request, context)

        return grpc.unary_unary_rpc_method_handler(behaviour)


def upstream(interceptors: Sequence[grpc.aio.ServerInterceptor]) -> Local:
    """Return the upstream of one method behind interceptors."""
    user = User(name="Ada Lovelace")

    async def get_user(_request: GetUserRequest, _context: Any) -> User:
        return user

    local = Local(ThreadPoolExecutor(1), interceptors=interceptors)
    local.add(PATH, grpc.unary_unary_rpc_method_handler(get_user), User)
    return local


async def cost(local: Local) -> float:
    """Return the CPU time of one call in microseconds."""
    request = GetUserRequest(id="1")
    begin = time.process_time()
    for _ in range(CALLS):
        await local.unary(Call(PATH, HEADERS), request)
    return (time.process_time() - begin) / CALLS * 1e6


async def measured() -> list[list[float]]:
    """Return the costs without interceptors, with three that pass on, and three that wrap."""
    chains: list[list[grpc.aio.ServerInterceptor]]
    chains = [[], [Passing() for _ in range(3)], [Wrapping() for _ in range(3)]]
    locals_ = [upstream(chain) for chain in chains]
    rounds = [[await cost(local) for local in locals_] for _ in range(ROUNDS)]
    return [list(column) for column in zip(*rounds, strict=True)]


def main() -> int:
    """Print the table; return 1 if the gate was missed."""
    bare, passing, wrapping = asyncio.run(measured())
    print(f"A call in process, CPU time, median of {ROUNDS} rounds of {CALLS}")
    print(f"  without interceptors  {statistics.median(bare):6.2f} us")
    missed = False
    for name, column, gate in (("pass on", passing, GATE), ("wrap", wrapping, None)):
        added = statistics.median(high - low for high, low in zip(column, bare, strict=True))
        limit = "" if gate is None else f"(gate {gate:g})"
        missed = missed or (gate is not None and added > gate)
        print(f"  three that {name:<10} {added:+7.2f} us {limit}".rstrip())
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
