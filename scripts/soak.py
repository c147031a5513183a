"""Loads a real server with everything on, its console open, and sees what of it grows.

The rate is given, or 0.7 of what the server can take just now: of what it answers when there are
always so many calls that wait. What the server has is measured when nobody asks anything: after
the warm-up, and again at the end. Resident memory may grow by 10 MB, file descriptors and tasks by
2.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc.aio

from services.user.v1.user_service_pb2 import GetUserRequest, User

HERE = Path(__file__).resolve().parent
WARM_UP = 20.0
"""Seconds until allocators and caches have what they want."""

SHARE = 0.7
"""Of its capacity that a server is loaded with."""

WAITING = 32
"""Calls at once that tell its capacity."""

TICK = os.sysconf("SC_CLK_TCK")

BOUNDS = {"rss_mb": 10.0, "descriptors": 2.0, "tasks": 2.0, "threads": 2.0}
"""By how much each may grow."""

_ANN = b'{"name": "Ann", "email": "ann@example.com"}'
_WATCH = "/v1/users:watch?id=ann&after_sequence=0"
_LISTENS = re.compile(r"REST on (\S+), gRPC on (\S+), admin on (\S+)")


@dataclass(frozen=True, slots=True)
class Served:
    """A server.

    Args:
        pid: its process id.
        rest: where it speaks HTTP.
        grpc: where it speaks gRPC.
        admin: where it tells of itself.
    """

    pid: int
    rest: str
    grpc: str
    admin: str

    def has(self) -> dict[str, float]:
        """Return how much it has of what must not grow."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        rss = re.search(r"VmRSS:\s+(\d+)", status)
        with urllib.request.urlopen(f"http://{self.admin}/metrics", timeout=20) as answer:
            text = answer.read().decode()
        return {
            "rss_mb": int(rss[1]) / 1024 if rss else 0.0,
            "descriptors": sum(1 for _ in Path(f"/proc/{self.pid}/fd").iterdir()),
            "tasks": _value(text, "soak_tasks"),
            "threads": _value(text, "soak_threads"),
        }

    def cpu(self) -> float:
        """Return the CPU seconds that it has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def look(self) -> str:
        """Look at its console."""
        with urllib.request.urlopen(f"http://{self.admin}/console", timeout=20) as answer:
            answer.read()
            return f"HTTP {answer.status} of the console"

    def in_flight(self) -> float:
        """Return how many calls run."""
        with urllib.request.urlopen(f"http://{self.admin}/metrics", timeout=20) as answer:
            text = answer.read().decode()
        found = re.findall(r"^transcoder_calls_in_flight\{.*\} (\S+)$", text, re.MULTILINE)
        return sum(map(float, found))


def _value(text: str, name: str) -> float:
    found = re.search(rf"^{name} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


@contextmanager
def serving(folder: Path) -> Iterator[Served]:
    """Serve the application until the end; it drains then."""
    command = [str(Path(sys.executable).with_name("transcoder")), "serve", "soaked:create"]
    local = [f"--{door}=127.0.0.1:0" for door in ("http", "grpc", "admin")]
    environment = {**os.environ, "PYTHONPATH": str(HERE), "SOAK": str(folder)}
    process = subprocess.Popen(
        [*command, *local, "--settle=0", "--log-level=warning"],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    try:
        line = process.stdout.readline() if process.stdout else ""
        found = _LISTENS.search(line)
        if found is None:
            raise SystemExit("the server did not start")
        yield Served(process.pid, *found.groups())
    finally:
        process.terminate()
        process.wait(60)


class Load:
    """Asks a server.

    Args:
        served: which.
        channel: to its gRPC port.
    """

    def __init__(self, served: Served, channel: grpc.aio.Channel) -> None:
        self._served = served
        self._get_user = channel.unary_unary(
            "/services.user.v1.UserService/GetUser",
            request_serializer=GetUserRequest.SerializeToString,
            response_deserializer=User.FromString,
        )
        self._kept: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self.counts: Counter[str] = Counter()
        numbers = itertools.count()
        get, kept = self._get, self._kept_alive
        self._kinds: tuple[Callable[[], Awaitable[str]], ...] = (
            *[lambda: kept("GET", "/v1/users/ann")] * 8,
            lambda: kept("GET", "/v1/users"),
            lambda: kept("PATCH", "/v1/users/ann", b'{"name": "Ann"}'),
            lambda: kept("POST", "/v1/users", b'{"nam": 1}'),
            lambda: kept("GET", f"/{next(numbers)}"),
            lambda: kept("GET", "/v1/users/nobody"),
            lambda: get("/v1/users/ann"),
            lambda: get(_WATCH, "text/event-stream"),
            *[self._rpc] * 3,
        )

    async def run(self, rate: float, seconds: float) -> None:
        """Ask so many things a second, whatever the answers, and wait for the last ones."""
        began, running = time.monotonic(), set[asyncio.Task[None]]()
        for number, ask in enumerate(itertools.cycle(self._kinds)):
            due = began + number / rate
            if due - began > seconds:
                break
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            task = asyncio.create_task(self.one(ask))
            running.add(task)
            task.add_done_callback(running.discard)
        await asyncio.gather(*running)
        self._close()

    async def fill(self, at_once: int, seconds: float) -> None:
        """Ask the next thing whenever one of so many is answered."""
        until, kinds = time.monotonic() + seconds, itertools.cycle(self._kinds)

        async def ask() -> None:
            while time.monotonic() < until:
                await self.one(next(kinds))

        await asyncio.gather(*(ask() for _ in range(at_once)))
        self._close()

    async def create(self) -> None:
        """Create what is asked for."""
        self.counts[await self._kept_alive("POST", "/v1/users?user_id=ann", _ANN)] += 1

    def _close(self) -> None:
        for _, writer in self._kept:
            writer.close()
        self._kept.clear()

    async def one(self, ask: Callable[[], Awaitable[str]]) -> None:
        """Ask one thing, and count what came of it."""
        try:
            async with asyncio.timeout(30):
                self.counts[await ask()] += 1
        except (OSError, EOFError, TimeoutError, grpc.aio.AioRpcError) as error:
            self.counts[type(error).__name__] += 1

    async def _rpc(self) -> str:
        await self._get_user(GetUserRequest(id="ann"))
        return "gRPC OK"

    async def _kept_alive(self, method: str, path: str, body: bytes = b"") -> str:
        """Ask on a connection that is there, or on a new one that stays."""
        connection = self._open() or await self._connect()
        reader, writer = connection
        status, length = await _asked(connection, method, path, body)
        await reader.readexactly(length)
        if writer.is_closing() or reader.at_eof():
            writer.close()
        else:
            self._kept.append(connection)
        return status

    def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        """Return a connection that the server has not closed, for it was idle for long."""
        while self._kept:
            reader, writer = self._kept.pop()
            if not reader.at_eof():
                return reader, writer
            writer.close()
        return None

    async def _get(self, path: str, accept: str = "*/*") -> str:
        """Ask on a connection that goes once an answer begins."""
        connection = await self._connect()
        try:
            status, _ = await _asked(connection, "GET", path, b"", accept)
            await connection[0].read(1)
        finally:
            connection[1].close()
        return status

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        host, _, port = self._served.rest.rpartition(":")
        return await asyncio.open_connection(host, int(port))


async def _asked(
    connection: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    method: str,
    path: str,
    body: bytes,
    accept: str = "*/*",
) -> tuple[str, int]:
    """Send a request; return the status, and the bytes that the body has."""
    reader, writer = connection
    head = f"{method} {path} HTTP/1.1\r\nhost: localhost\r\naccept: {accept}\r\n"
    told = f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + told.encode() + body)
    answer = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = re.search(r"^content-length: (\d+)", answer, re.MULTILINE)
    return f"HTTP {answer[9:12]}", int(length[1]) if length else 0


@asynccontextmanager
async def loading(served: Served) -> AsyncIterator[Load]:
    """Load a server; no connection is left."""
    async with grpc.aio.insecure_channel(served.grpc) as channel:
        yield Load(served, channel)


async def at_rest(served: Served) -> dict[str, float]:
    """Return what a server has once no call runs and connections are gone."""
    seen: dict[str, float] = {}
    for _ in range(40):
        before, seen = seen, await asyncio.to_thread(served.has)
        counted = ("descriptors", "tasks", "threads")
        same = before and all(before[name] == seen[name] for name in counted)
        if same and not await asyncio.to_thread(served.in_flight):
            break
        await asyncio.sleep(0.5)
    return seen


@asynccontextmanager
async def looking(served: Served, load: Load) -> AsyncIterator[None]:
    """Look at the console of a server each second, as its page does; a look is one of the calls."""

    async def look() -> None:
        while True:
            await load.one(lambda: asyncio.to_thread(served.look))
            await asyncio.sleep(1)

    task = asyncio.create_task(look())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def warmed_up(served: Served, rate: float | None) -> float:
    """Load a server for a while; return the rate to load it with, if none is given."""
    async with loading(served) as load, looking(served, load):
        await load.create()
        # The database's connections come with calls at once, and stay.
        await load.fill(WAITING, WARM_UP / 2)
        if rate is not None:
            await load.run(rate, WARM_UP / 2)
            return rate
        before, cpu, begun = load.counts.total(), served.cpu(), time.monotonic()
        await load.fill(WAITING, WARM_UP / 2)
        took = time.monotonic() - begun
        capacity = (load.counts.total() - before) / took
        share = 100 * (served.cpu() - cpu) / took
    print(f"capacity: {capacity:.0f} calls/s, which take {share:.0f} % of a core", flush=True)
    return SHARE * capacity


async def soak(served: Served, given: float | None, seconds: float) -> int:
    """Load a server; return 1 if anything grew more than it may."""
    rate = await warmed_up(served, given)
    before = await at_rest(served)
    cpu, begun = served.cpu(), time.monotonic()
    async with loading(served) as load, looking(served, load):
        await load.run(rate, seconds)
        counts = dict(sorted(load.counts.items()))
    took, used = time.monotonic() - begun, served.cpu() - cpu
    after = await at_rest(served)
    calls = sum(counts.values())
    print(f"{calls} calls in {took:.0f} s: {counts}")
    print(f"{calls / took:.0f} calls/s of {rate:.0f}, {100 * used / took:.0f} % of a core")
    grown = {name: after[name] - before[name] for name in BOUNDS}
    for name, bound in BOUNDS.items():
        change = f"{before[name]:.1f} -> {after[name]:.1f}"
        print(f"{name}: {change} ({grown[name]:+.1f}, at most {bound:+g})")
    failed = [name for name in counts if not name.startswith(("HTTP 2", "HTTP 4", "gRPC"))]
    if failed:
        print(f"calls failed: {', '.join(failed)}")
    return int(bool(failed) or any(grown[name] > bound for name, bound in BOUNDS.items()))


def main() -> int:
    """Return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument(
        "--rate",
        type=lambda text: None if text == "auto" else float(text),
        default=100.0,
        help=f"calls a second; auto is {SHARE:g} of what the server can take",
    )
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        served = stack.enter_context(serving(Path(folder)))
        return asyncio.run(soak(served, given.rate, given.seconds))


if __name__ == "__main__":
    sys.exit(main())
