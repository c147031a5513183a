"""What callers see of backends that fail: how late, how often, and for how long.

A gateway, a process of its own, passes REST on as gRPC (`rest`), and HTTP as it is (`passed`), each
to a backend behind a proxy that makes the network fail. Clients send calls at a fixed rate,
whatever becomes of them; the time of each counts from when it was due.

- `down`: the backend is gone. The breaker opens, answers at once while it is open, and closes when
  the backend is back.
- `slow`: the backend answers later than the deadline; calls to the other backend go on as before,
  in rounds with the fault and without it by turns.
- `flapping`: a backend is gone for a second and there for a second: one of two replicas, and an
  only one, with their connections; and one whose process stands still, under deadlines of 0.2 s.
- `half-open`: the backend vanishes, and its connection stays; with the keepalive that a channel has
  by default. A call ends by its deadline, and one without a deadline when the ping has failed.
- `certificate`: the file of a server's certificate changes.

Left out: WebSockets, streams, a backend that is GraphQL, and packets that get lost, for which a
network of its own is needed.

Gates: a breaker opens within 1 s and 20 calls, and answers 99 of 100 calls within 5 ms while it is.
2 s after the backend's return calls are answered. A deadline is kept to 100 ms; the others' 99th
percentile grows by a fifth or 2 ms. Of calls to a backend that flaps 5 of 100 fail, beside those
for which an only one is gone, and a quarter until one with a new connection is found; for it is
tried once a second, and backends run 1.2 times as many calls as there are. A half-open connection
is given up within 20 s, a new certificate shown within 10 s.
Times are those of a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import gc
import itertools
import logging
import multiprocessing
import os
import signal
import ssl
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import trustme
from proxy import Backend
from reload import serve_backends
from served import all_kept, started

from services.user.v1 import user_service_pb2
from transcoder import (
    Balanced,
    Channel,
    CircuitBreaker,
    Gateway,
    HttpUpstream,
    Listening,
    Server,
    ServerTls,
    Thresholds,
)
from transcoder.discovery import Endpoint, Listed

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "apps"))

from backend import Users, backend
from toxic import Toxic, ToxicProxy, toxic

SERVICE: Final = user_service_pb2.DESCRIPTOR.services_by_name["UserService"]
PATHS: Final = {"rest": "/v1/users/1", "passed": "/passed/1"}
PATIENCE: Final = 60.0
OPENED: Final = 1.0
FAILURES: Final = 20
REFUSED: Final = 0.005
RECOVERED: Final = 2.0
KEPT: Final = 0.100
DETECTED: Final = 20.0
GONE: Final = 0.5
MISSED: Final = 0.05
FOUND: Final = 0.25
"""Of the time: with one attempt a second, give or take, it may be there half a second unnoticed."""
RENEWED: Final = 10.0
_OK: Final = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


def serve_gateway(ready: Connection, rest: list[str], passed: str, breaker: bool) -> None:  # noqa: FBT001  of a process
    """Run the gateway before the backends: several replicas for gRPC, and one for HTTP."""
    # Each failure is a line of the log.
    logging.basicConfig(filename=os.devnull)
    several = len(rest) > 1
    upstream = Balanced(Listed(map(Endpoint, rest))) if several else Channel(rest[0])
    http = HttpUpstream(f"http://{passed}", breaker=Thresholds() if breaker else None)
    gateway = Gateway()
    gateway.route(SERVICE, CircuitBreaker(upstream) if breaker else upstream)
    gateway.forward("/passed/**", http, strip_prefix="/passed")

    def tell(listening: Listening) -> None:
        ready.send(listening.http.target)

    Server(gateway, settle=0, on_ready=tell).run("127.0.0.1:0", "127.0.0.1:0")


@dataclass(frozen=True, slots=True)
class Told:
    """What became of a call.

    Args:
        status: of HTTP; 0 for no answer.
        seconds: from when it was due.
        due: on the clock of `time.monotonic`.
        refused: whether it says when to come again, as a breaker does.
    """

    status: int
    seconds: float
    due: float
    refused: bool


class Client:
    """Sends requests to a gateway, on connections that it keeps."""

    def __init__(self, target: str) -> None:
        self.target: Final = target
        self._host, _, port = target.rpartition(":")
        self._port = int(port)
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def ask(self, path: str, deadline: float | None = None, due: float | None = None) -> Told:
        """Send one request."""
        start = time.monotonic() if due is None else due
        head = b""
        with contextlib.suppress(OSError, EOFError):
            head = await self._exchange(path, deadline)
        status = int(head[9:12]) if head else 0
        return Told(status, time.monotonic() - start, start, b"\r\nretry-after: " in head)

    async def at_rate(
        self, path: str, seconds: float, rate: float, deadline: float | None = None
    ) -> list[Told]:
        """Send requests at a rate; return what became of them when all are answered."""
        begun = time.monotonic()
        asked: list[asyncio.Task[Told]] = []
        for number in range(int(seconds * rate)):
            due = begun + number / rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            asked.append(asyncio.create_task(self.ask(path, deadline, due)))
        return await asyncio.gather(*asked)

    async def recovered(self, path: str) -> float:
        """Return the seconds until a call is answered with 200; infinite after PATIENCE."""
        start = time.monotonic()
        while (await self.ask(path)).status != 200:
            if time.monotonic() - start > PATIENCE:
                return float("inf")
            await asyncio.sleep(0.02)
        return time.monotonic() - start

    def close(self) -> None:
        """Close the connections."""
        for _, writer in self._idle:
            writer.close()

    async def _exchange(self, path: str, deadline: float | None) -> bytes:
        timeout = "" if deadline is None else f"x-request-timeout: {deadline}\r\n"
        if not self._idle:
            self._idle.append(await asyncio.open_connection(self._host, self._port))
        reader, writer = self._idle.pop()
        writer.write(f"GET {path} HTTP/1.1\r\nhost: a\r\n{timeout}\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = head.partition(b"content-length: ")[2].partition(b"\r")[0]
        await reader.readexactly(int(length or 0))
        self._idle.append((reader, writer))
        return head


@asynccontextmanager
async def before(rest: list[str], passed: str, *, breaker: bool = False) -> AsyncIterator[Client]:
    """Run a gateway before backends; see `serve_gateway`."""
    process, pipe = started(serve_gateway, rest, passed, breaker)
    client = Client(await asyncio.to_thread(pipe.recv))
    try:
        await client.at_rate(PATHS["rest"], 1, 50)
        # A search for garbage here would look like a slow answer.
        gc.freeze()
        yield client
    finally:
        client.close()
        process.terminate()


@dataclass
class Running:
    """A gateway, its backends, and who calls."""

    client: Client
    users: list[Users]
    proxies: list[ToxicProxy]
    """Before the gRPC replicas, and then before the HTTP backend."""

    def fails(self, door: str) -> ToxicProxy:
        """Return the proxy behind a door."""
        return self.proxies[0 if door == "rest" else -1]


@asynccontextmanager
async def running(replicas: int = 1, *, breaker: bool = False) -> AsyncIterator[Running]:
    """Run all of it."""
    loop = asyncio.get_running_loop()
    async with contextlib.AsyncExitStack() as stack:
        users = [Users() for _ in range(replicas)]
        http = await loop.create_server(lambda: Backend(_OK), "127.0.0.1", 0)
        stack.callback(http.close)
        targets = [await stack.enter_async_context(backend(each)) for each in users]
        targets.append(f"127.0.0.1:{http.sockets[0].getsockname()[1]}")
        proxies = [await stack.enter_async_context(toxic(each)) for each in targets]
        *rest, passed = (each.target for each in proxies)
        client = await stack.enter_async_context(before(rest, passed, breaker=breaker))
        await client.at_rate(PATHS["passed"], 1, 50)
        yield Running(client, users, proxies)


def percentile(told: Sequence[Told], share: float) -> float:
    """Return the seconds within which a share of calls was answered; infinite for no calls."""
    if not told:
        return float("inf")
    return sorted(each.seconds for each in told)[int(share * (len(told) - 1))]


async def down(rounds: int, rate: int) -> bool:
    """Let each backend go, and come back."""
    print(f"down: {rate} calls/s, the worst of {rounds} rounds")
    async with running(breaker=True) as made:
        kept = [await lost(made, door, rounds, rate) for door in PATHS]
    return all(kept)


async def lost(made: Running, door: str, rounds: int, rate: int) -> bool:
    """Let the backend behind a door go, and come back."""
    proxy, client, path = made.fails(door), made.client, PATHS[door]
    told: list[Told] = []
    opened, failures, back = 0.0, 0, 0.0
    for _ in range(rounds):
        proxy.toxic = Toxic.RESET
        proxy.kill()
        start = time.monotonic()
        found = await client.at_rate(path, 3, rate)
        first = min((each.due for each in found if each.refused), default=float("inf"))
        opened = max(opened, first - start)
        failures = max(failures, sum(each.due < first for each in found))
        told += found
        proxy.toxic = Toxic.NONE
        back = max(back, await client.recovered(path))
    refused = [each for each in told if each.refused]
    late, slowest = percentile(refused, 0.99), percentile(told, 1)
    statuses = sorted({each.status for each in told})
    print(f"  {door}: {len(told)} answers of {statuses}, the slowest after {slowest * 1000:.1f} ms")
    print(f"    opened after     {opened:7.2f} s   (gate {OPENED:.0f})")
    print(f"    opened by        {failures:7d} calls (gate {FAILURES})")
    print(f"    open, median     {percentile(refused, 0.5) * 1000:7.2f} ms")
    print(f"    open, p99        {late * 1000:7.2f} ms  (gate {REFUSED * 1000:.0f})")
    print(f"    answered again   {back:7.2f} s   (gate {RECOVERED:.0f})")
    good = statuses == [503] and opened <= OPENED and failures <= FAILURES
    return good and late <= REFUSED and back <= RECOVERED


def late_of(target: str, path: str) -> float:
    """Send requests in a process of its own; return the 99th percentile of what they take.

    Where backends and their proxies run, their work would count as the gateway's.
    """

    async def calling() -> float:
        client = Client(target)
        await client.at_rate(path, 0.2, 50)
        gc.freeze()
        told = await client.at_rate(path, 2, 200)
        client.close()
        answered = all(each.status == 200 for each in told)
        return percentile(told, 0.99) if answered else float("inf")

    return asyncio.run(calling())


async def slow(rounds: int) -> bool:
    """Make one backend slower than the deadline, by turns, while the other is called."""
    deadline = 0.5
    print(f"slow: deadlines of {deadline:g} s, {rounds} rounds with the fault and without")
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as others:
        async with running() as made:
            kept = [await slowed(made, door, rounds, deadline, others) for door in PATHS]
    return all(kept)


async def slowed(
    made: Running, door: str, rounds: int, deadline: float, others: ProcessPoolExecutor
) -> bool:
    """Make the backend behind a door slow, by turns, while others call the other one."""
    loop, path = asyncio.get_running_loop(), PATHS[door]
    other = next(each for name, each in PATHS.items() if name != door)
    ask = functools.partial(loop.run_in_executor, others, late_of, made.client.target, other)
    await ask()
    told: list[Told] = []
    quiet, loud = [], []
    for _ in range(rounds):
        quiet.append(await ask())
        made.fails(door).latency = 1.0
        late, found = await asyncio.gather(made.client.at_rate(path, 2, 25, deadline), ask())
        told += late
        loud.append(found)
        made.fails(door).latency = 0.0
        await made.client.recovered(path)
    off = max(abs(each.seconds - deadline) for each in told)
    statuses = sorted({each.status for each in told})
    without, beside = statistics.median(quiet), statistics.median(loud)
    print(f"  {door}: {len(told)} answers of {statuses}")
    print(f"    off the deadline {off * 1000:7.1f} ms  (gate {KEPT * 1000:.0f})")
    print(f"    the others, p99  {beside * 1000:7.2f} ms  (without {without * 1000:.2f})")
    return statuses == [504] and off <= KEPT and beside <= max(1.2 * without, without + 0.002)


async def flapping(seconds: float) -> bool:
    """Let one of two replicas come and go, an only one, and one that stands still, all at once."""
    print(f"flapping: gone for a second and there for a second, for {seconds:g} s")
    kinds = flap(2, seconds, MISSED), flap(1, seconds, GONE + FOUND), stand_still(seconds)
    return all(await asyncio.gather(*kinds))


async def flap(replicas: int, seconds: float, at_most: float) -> bool:
    """Let one of so many replicas come and go, with its connections."""
    async with running(replicas) as made:
        proxy, before = made.proxies[0], sum(each.calls for each in made.users)
        proxy.accepted.clear()
        calling = asyncio.create_task(made.client.at_rate(PATHS["rest"], seconds, 50, 1.0))
        losses = await come_and_go(proxy, calling)
        told = await calling
    failed = sum(each.status != 200 for each in told) / len(told)
    ran = (sum(each.calls for each in made.users) - before) / len(told)
    tries = len(proxy.accepted)
    print(f"  one of {replicas}: {len(told)} calls, {losses} losses of the connection")
    print(f"    failed           {100 * failed:7.1f} %   (gate {100 * at_most:.0f})")
    print(f"    run by backends  {ran:7.2f} of calls (gate 1.2)")
    print(f"    connected        {tries / seconds:7.2f} a second (gate 1)")
    return failed <= at_most and ran <= 1.2 and tries <= seconds + 1


async def stand_still(seconds: float) -> bool:
    """Let a backend stand still and go on; its connection stays."""
    process, pipe = started(serve_backends)
    target = f"127.0.0.1:{pipe.recv()}"
    async with toxic(target) as proxy, before([proxy.target], target) as client:
        calling = asyncio.create_task(client.at_rate(PATHS["rest"], seconds, 50, 0.2))
        while not calling.done():
            os.kill(process.pid or 0, signal.SIGSTOP)
            await asyncio.sleep(1)
            os.kill(process.pid or 0, signal.SIGCONT)
            await asyncio.wait([calling], timeout=1)
        told = await calling
    process.terminate()
    failed, at_most = sum(each.status != 200 for each in told) / len(told), GONE + MISSED
    print(f"  one that stands still: {len(told)} calls")
    print(f"    failed           {100 * failed:7.1f} %   (gate {100 * at_most:.0f})")
    print(f"    connected        {len(proxy.accepted):7d} times (gate 1)")
    return failed <= at_most and len(proxy.accepted) == 1


async def come_and_go(proxy: ToxicProxy, until: asyncio.Task[Any]) -> int:
    """Let a backend come and go until something is over; return how often it went."""
    for number in itertools.count(1):
        proxy.toxic = Toxic.RESET
        proxy.kill()
        await asyncio.sleep(1)
        proxy.toxic = Toxic.NONE
        await asyncio.wait([until], timeout=1)
        if until.done():
            return number
    raise AssertionError


async def half_open() -> bool:
    """Let nothing come back on connections that stay open."""
    print("half-open: nothing comes back on connections that stay open")
    good = True
    async with running() as made:
        for proxy in made.proxies:
            proxy.toxic = Toxic.BLACKHOLE
        start = time.monotonic()
        ends = [asyncio.create_task(made.client.ask(PATHS["rest"])) for _ in range(10)]
        for door, path in PATHS.items():
            told = await made.client.at_rate(path, 2, 10, 1.0)
            off = max(abs(each.seconds - 1.0) for each in told)
            statuses = sorted({each.status for each in told})
            print(f"  {door}: {len(told)} answers of {statuses} to calls with 1 s")
            print(f"    off the deadline {off * 1000:7.1f} ms  (gate {KEPT * 1000:.0f})")
            good &= statuses == [504] and off <= KEPT
        ended = await asyncio.gather(*ends)
        detected = time.monotonic() - start
        for proxy in made.proxies:
            proxy.toxic = Toxic.NONE
        back = await made.client.recovered(PATHS["rest"])
    statuses = sorted({each.status for each in ended})
    print(f"  rest: {len(ended)} answers of {statuses} to calls without a deadline")
    print(f"    detected after   {detected:7.2f} s   (gate {DETECTED:.0f})")
    print(f"    answered again   {back:7.2f} s")
    return good and statuses == [503] and detected <= DETECTED


async def certificate() -> bool:
    """Let a server's certificate be another."""
    authority = trustme.CA()
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    ready: asyncio.Future[Listening] = asyncio.get_running_loop().create_future()
    with tempfile.TemporaryDirectory() as folder:
        chain, key = Path(folder, "chain.pem"), Path(folder, "key.pem")

        def write() -> None:
            issued = authority.issue_cert("127.0.0.1")
            issued.private_key_pem.write_to_path(key)
            issued.cert_chain_pems[0].write_to_path(chain)

        write()
        tls = ServerTls(certificate=str(chain), key=str(key))
        server = Server(Gateway(), settle=0, http_tls=tls, on_ready=ready.set_result)
        task = asyncio.create_task(server.serve("127.0.0.1:0", "127.0.0.1:0"))
        port = (await ready).http.port
        old = await shown(port, trusting)
        write()
        start = time.monotonic()
        async with asyncio.timeout(PATIENCE):
            while await shown(port, trusting) == old:  # noqa: ASYNC110  nobody tells
                await asyncio.sleep(0.05)
        taken = time.monotonic() - start
        server.stop()
        await task
    print("certificate: another one in the file of a server")
    print(f"  shown after        {taken:7.2f} s   (gate {RENEWED:.0f})")
    return taken <= RENEWED


async def shown(port: int, trusting: ssl.SSLContext) -> bytes:
    """Return the certificate that a server shows on a new connection."""
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting)
    found: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return found


async def measure(options: argparse.Namespace) -> bool:
    """Run each part; say whether all gates are kept."""
    seconds = 10.0 if options.short else options.seconds
    parts: dict[str, Callable[[], Awaitable[bool]]] = {
        "down": lambda: down(1 if options.short else 3, options.rate),
        "slow": lambda: slow(2 if options.short else 5),
        "flapping": lambda: flapping(seconds),
        "half-open": half_open,
        "certificate": certificate,
    }
    return await all_kept(parts, options.parts)


def main() -> int:
    """Measure and print; 1 when a gate is missed."""
    parser = argparse.ArgumentParser(description="backends that fail")
    parser.add_argument("parts", nargs="*", metavar="PART", help="all of them by default")
    parser.add_argument("--rate", type=int, default=200, help="calls a second to what is down")
    parser.add_argument("--seconds", type=float, default=60, help="of flapping, for each")
    parser.add_argument("--short", action="store_true", help="less of all")
    return 0 if asyncio.run(measure(parser.parse_args())) else 1


if __name__ == "__main__":
    sys.exit(main())
