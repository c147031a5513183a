"""What a message of a server stream costs in process, against the same stream over grpc.aio.

    python benchmarks/stream.py

The same servicer answers in this process and, over a channel of grpc.aio, in one of its own. Both
run on uvloop and take turns; each figure is the median of the rounds. In process the CPU time holds
the servicer's work and the reader's; over the channel it is the reader's process alone, which
favours the channel, and both processes together are shown beside it. Exit code 1: a gate was
missed.

The second figure is by how much the peak of the resident memory grows while 100,000 messages of
200 bytes are read in process, in each style of servicer, after a warm-up.

Left out: the printing of messages as JSON, HTTP, and the network.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import re
import statistics
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import uvloop

from services.user.v1.user_service_pb2 import User
from transcoder.upstream import Call
from transcoder.upstream.local import Local

GATE = 5.0
GATED = "yielding", "writing", "plain"
MEMORY = 5 << 20
"""Bytes by which the peak may grow."""
ROUNDS = 7
IN_PROCESS, OVER_CHANNEL, FLAT = 20_000, 4_000, 100_000
"""Messages of one round, and of one stream that memory is looked at."""
TICK = os.sysconf("SC_CLK_TCK")
PATH = "/bench.Streams/Tell"


async def yielding(request: User, _context: Any) -> AsyncIterator[User]:
    """Answer as many messages of 200 bytes as the request's name says."""
    for _ in range(int(request.name)):
        yield User(name="x" * 197)


async def writing(request: User, context: Any) -> None:
    """Answer the same by writing."""
    for _ in range(int(request.name)):
        await context.write(User(name="x" * 197))


def plain(request: User, _context: Any) -> Iterator[User]:
    """Answer the same on a thread."""
    for _ in range(int(request.name)):
        yield User(name="x" * 197)


def upstream(behaviour: Callable[..., Any]) -> Local:
    """Return the upstream of one servicer."""
    local = Local(ThreadPoolExecutor(1))
    local.add(PATH, grpc.unary_stream_rpc_method_handler(behaviour), User)
    return local


async def read(local: Local, count: int) -> float:
    """Read a stream in process; return the CPU seconds."""
    begin = time.process_time()
    async for _ in local.stream(Call(PATH), User(name=str(count))):
        pass
    return time.process_time() - begin


def serve(ready: Connection) -> None:
    """Run the servicer in a process of its own."""

    async def run() -> None:
        server = grpc.aio.server()
        handler = grpc.unary_stream_rpc_method_handler(
            yielding, User.FromString, User.SerializeToString
        )
        generic = grpc.method_handlers_generic_handler("bench.Streams", {"Tell": handler})
        server.add_generic_rpc_handlers([generic])
        ready.send(server.add_insecure_port("127.0.0.1:0"))
        await server.start()
        await server.wait_for_termination()

    uvloop.run(run())


def used(process: int | None) -> float:
    """Return the CPU seconds of a process."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


async def read_channel(channel: grpc.aio.Channel, server: int | None) -> tuple[float, float]:
    """Read a stream over the channel; return the CPU seconds here, and of both processes."""
    tell: Any = channel.unary_stream(
        PATH, request_serializer=User.SerializeToString, response_deserializer=User.FromString
    )
    there, here = used(server), time.process_time()
    async for _ in tell(User(name=str(OVER_CHANNEL))):
        pass
    spent = time.process_time() - here
    return spent, spent + used(server) - there


async def compared(port: int, server: int | None) -> dict[str, float]:
    """Return messages per CPU second of each way."""
    locals_ = {each.__name__: upstream(each) for each in (yielding, writing, plain)}
    rates: dict[str, list[float]] = {}
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        for _ in range(ROUNDS):
            for name, local in locals_.items():
                rates.setdefault(name, []).append(IN_PROCESS / await read(local, IN_PROCESS))
            alone, together = await read_channel(channel, server)
            rates.setdefault("channel", []).append(OVER_CHANNEL / alone)
            rates.setdefault("channel and server", []).append(OVER_CHANNEL / together)
    return {name: statistics.median(each) for name, each in rates.items()}


def memory(name: str) -> int:
    """Return bytes of resident memory, now (`VmRSS`) or at the peak (`VmHWM`)."""
    status = Path("/proc/self/status").read_text()
    return int(re.findall(rf"{name}:\s+(\d+) kB", status)[0]) * 1024


def forget_peak() -> None:
    """Let the peak be what is held now."""
    Path("/proc/self/clear_refs").write_text("5")


async def growth(behaviour: Callable[..., Any], count: int) -> int:
    """Return by how many bytes the peak of memory grows while a stream is read."""
    local = upstream(behaviour)
    await read(local, count // 10)
    gc.collect()
    forget_peak()
    before = memory("VmRSS")
    await read(local, count)
    return memory("VmHWM") - before


def main() -> int:
    """Print the figures; return 1 if a gate was missed."""
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,), daemon=True)
    server.start()
    rates = uvloop.run(compared(ours.recv(), server.pid))
    server.terminate()
    print(f"A server stream of 200 bytes a message, median of {ROUNDS} rounds")
    for name, rate in rates.items():
        ratio = rate / rates["channel"]
        gate = f"(gate {GATE:g})" if name in GATED else ""
        print(f"  {name:<20} {rate:10,.0f} messages per CPU second {ratio:6.1f}x {gate}".rstrip())
    missed = any(rates[name] < GATE * rates["channel"] for name in GATED)
    print(f"Growth of memory over {FLAT:,} messages (gate {MEMORY >> 20} MB)")
    for behaviour in (yielding, writing, plain):
        grown = uvloop.run(growth(behaviour, FLAT))
        missed = missed or grown > MEMORY
        print(f"  {behaviour.__name__:<20} {grown / (1 << 20):10.2f} MB")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
