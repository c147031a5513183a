"""What callers lose while servers end and others take their place: nothing.

Clients call without a pause, over REST and gRPC, each on a connection that it keeps; what becomes
of each call is counted, and what ends one counts as lost whatever its reason.

- `drain`: a server is told to end, again and again, while 200 calls are in flight. It is not ready
  at once, goes on to answer for a while, closes both ports, and ends with 0. A call that is refused
  may go elsewhere, so it must not have run here: the server tells how many ran. Streams end with
  UNAVAILABLE.
- `second`: a server that drains is told a second time, and ends at once.
- `killed`: each of three workers is killed. Only calls that were in flight to it may fail; those
  over gRPC wait for a connection.
- `workers`: each of three workers is told to end in turn, and another takes its place.
- `replicas`: so is each of three replicas of a service behind a gateway, which passes REST on as
  gRPC, gRPC as it is, and HTTP as it is; the clients call the gateway, which watches the health of
  replicas over gRPC (`health_check`).

Left out: clients on other machines, TLS, POST with which a client does not know whether it may send
it again, and anything but signals that ends a process.

Gates: none of 10,000 calls is lost in `drain`, which takes 30 s at most, and none of 20,000 each in
`workers` and `replicas`; a second signal ends the process within 1 s; of a killed worker's calls no
more fail than were in flight, no connection is refused, another process is there within 1 s and
answers within 2 s. Times are those of a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import logging
import os
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import grpc.aio
from served import all_kept, started

from services.user.v1 import user_service_pb2, user_service_pb2_grpc
from transcoder import Balanced, Gateway, HttpUpstream, Listening, Server
from transcoder.discovery import Endpoint, Listed
from transcoder.supervisor import QUICK
from transcoder.upstream.balanced import connect

SERVICE: Final = user_service_pb2.DESCRIPTOR.services_by_name["UserService"]
DRAINED: Final = 10_000
ROLLED: Final = 20_000
PATIENCE: Final = 60.0
_AFTER_A_FAILURE: Final = 0.1
_READY: Final = re.compile(rb"HTTP/1.1 (\d+)")


class Users(user_service_pb2_grpc.UserServiceServicer):
    """Answers after a moment, with the id of the process; counts the calls that it ran."""

    def __init__(self) -> None:
        self.ran = 0

    async def GetUser(self, request: Any, context: Any) -> user_service_pb2.User:
        """Answer; an id in digits is the milliseconds that it takes."""
        self.ran += 1
        await asyncio.sleep(int(request.id) / 1000)
        return user_service_pb2.User(id=request.id, name=str(os.getpid()))

    async def WatchUsers(self, request: Any, context: Any) -> AsyncIterator[Any]:
        """Tell something until somebody ends it."""
        while True:
            yield user_service_pb2.WatchUsersResponse(sequence=1)
            await asyncio.sleep(0.01)


def create(users: Users | None = None) -> Gateway:
    """Return a gateway with the service in its own process."""
    gateway: Any = Gateway()
    user_service_pb2_grpc.add_UserServiceServicer_to_server(users or Users(), gateway)
    made: Gateway = gateway
    return made


def serve(ready: Connection, http: str, rpc: str, settle: float) -> None:
    """Run one server; it tells where it listens, and at its end how many calls it ran."""
    users = Users()
    server = Server(create(users), settle=settle, stream_grace=0.5, on_ready=_telling(ready))
    try:
        server.run(http, rpc)
    finally:
        # Whoever asked may have what it wants, and be gone.
        with contextlib.suppress(BrokenPipeError):
            ready.send(users.ran)


def serve_workers(ready: Connection, workers: int, settle: float) -> None:
    """Run a server of several workers."""
    logging.getLogger("transcoder").setLevel(logging.ERROR)
    sys.path.insert(0, str(Path(__file__).parent))
    server = Server("rolling:create", settle=settle, on_ready=_telling(ready))
    server.run("127.0.0.1:0", "127.0.0.1:0", workers=workers)


def serve_gateway(ready: Connection, http: list[str], rpc: list[str]) -> None:
    """Run the gateway before the replicas."""
    gateway = Gateway()
    watched = functools.partial(connect, health_check=True)
    gateway.route(SERVICE, Balanced(Listed([Endpoint(each) for each in rpc]), connect=watched))
    passed = HttpUpstream("http://users", source=Listed([Endpoint(each) for each in http]))
    gateway.forward("/passed/**", passed, strip_prefix="/passed")
    Server(gateway, settle=0, on_ready=_telling(ready)).run("127.0.0.1:0", "127.0.0.1:0")


def _telling(ready: Connection) -> Callable[[Listening], None]:
    return lambda listening: ready.send((listening.http.target, listening.grpc.target))


@dataclass
class Served:
    """A server's process, and where it listens."""

    process: Any
    pipe: Connection
    http: str
    rpc: str

    def signal(self, number: int = signal.SIGTERM) -> None:
        """Send it a signal."""
        os.kill(self.process.pid, number)

    def workers(self) -> set[int]:
        """Return the ids of its workers."""
        pid = self.process.pid
        return set(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))

    async def ended(self) -> int:
        """Wait for its end; return its exit code, -1 where it runs on."""
        await asyncio.to_thread(self.process.join, PATIENCE)
        return -1 if self.process.exitcode is None else int(self.process.exitcode)


def served(target: Any, *arguments: Any) -> Served:
    """Start a server, and wait until it serves."""
    process, pipe = started(target, *arguments)
    return Served(process, pipe, *pipe.recv())


@contextmanager
def serving(target: Any, *arguments: Any) -> Iterator[Served]:
    """Serve, to the end of the block."""
    made = served(target, *arguments)
    try:
        yield made
    finally:
        made.process.terminate()
        made.process.join(PATIENCE)


class Load:
    """Clients that call without a pause, and what became of their calls by door and outcome."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.in_flight: Counter[str] = Counter()
        """Calls that wait, by the process that answered the last one on their connection."""
        self.over = False
        self.seen: dict[str, float] = {}
        """When each process answered first."""

    def count(self, outcome: str) -> int:
        """Return how many calls had an outcome, over any door."""
        return sum(n for key, n in self.outcomes.items() if key.partition(" ")[2] == outcome)

    @property
    def lost(self) -> Counter[str]:
        """What became of the calls that had neither an answer nor a refusal."""
        good = "answered", "refused"
        return Counter(
            {key: n for key, n in self.outcomes.items() if key.partition(" ")[2] not in good}
        )

    async def rest(self, target: str, path: str, door: str = "rest") -> None:
        """Call over HTTP until it is over, or nobody listens any more."""
        host, _, port = target.rpartition(":")
        asked = f"GET {path} HTTP/1.1\r\nhost: a\r\n\r\n".encode()
        while not self.over:
            try:
                connection = await asyncio.open_connection(host, int(port))
            except OSError:
                self.outcomes[f"{door} refused"] += 1
                return
            try:
                await self._kept(connection, asked, door)
            finally:
                connection[1].close()

    async def _kept(
        self, connection: tuple[asyncio.StreamReader, asyncio.StreamWriter], asked: bytes, door: str
    ) -> None:
        reader, writer = connection
        process, head = "", b""
        while not self.over and b"connection: close" not in head:
            try:
                with self._flying(process):
                    writer.write(asked)
                    head = await reader.readuntil(b"\r\n\r\n")
                    length = re.search(rb"content-length: (\d+)", head)
                    body = await reader.readexactly(int(length[1]) if length else 0)
            except (OSError, EOFError) as error:
                # The system makes connections of the last moment that nobody accepts any more.
                unaccepted = not process and isinstance(error, ConnectionResetError)
                self.outcomes[f"{door} {'refused' if unaccepted else type(error).__name__}"] += 1
                return
            process = body.partition(b'"name":"')[2].partition(b'"')[0].decode()
            if process:
                self._answered(door, process)
            else:
                self.outcomes[f"{door} {head[9:12].decode()}"] += 1

    async def grpc(
        self, target: str, wait: int, *, until_refused: bool = False, patient: bool = False
    ) -> None:
        """Call over gRPC until it is over, or until a call is refused.

        Args:
            target: whom.
            wait: milliseconds that a call takes.
            until_refused: whether UNAVAILABLE is the end of it.
            patient: whether a call waits for a connection, where gRPC would end it for the time
                until it connects anew.
        """
        process = ""
        async with grpc.aio.insecure_channel(target, _ALONE) as channel:
            stub: Any = user_service_pb2_grpc.UserServiceStub(channel)
            while not self.over:
                try:
                    with self._flying(process):
                        request = user_service_pb2.GetUserRequest(id=str(wait))
                        reply = await stub.GetUser(
                            request, timeout=PATIENCE, wait_for_ready=patient
                        )
                except grpc.aio.AioRpcError as error:
                    if until_refused and error.code() is grpc.StatusCode.UNAVAILABLE:
                        self.outcomes["grpc refused"] += 1
                        return
                    self.outcomes[f"grpc {error.code().name}"] += 1
                    process = ""
                    # gRPC may not know yet that the connection is gone.
                    await asyncio.sleep(_AFTER_A_FAILURE)
                else:
                    process = reply.name
                    self._answered("grpc", process)

    async def stream(self, target: str) -> None:
        """Read a stream to its end."""
        async with grpc.aio.insecure_channel(target, _ALONE) as channel:
            stub: Any = user_service_pb2_grpc.UserServiceStub(channel)
            try:
                async for _ in stub.WatchUsers(user_service_pb2.WatchUsersRequest(id="1")):
                    pass
            except grpc.aio.AioRpcError as error:
                self.outcomes[f"stream {error.code().name}"] += 1
            else:
                self.outcomes["stream ended"] += 1

    @contextmanager
    def _flying(self, process: str) -> Iterator[None]:
        self.in_flight[process] += 1
        try:
            yield
        finally:
            self.in_flight[process] -= 1

    def _answered(self, door: str, process: str) -> None:
        self.outcomes[f"{door} answered"] += 1
        self.seen.setdefault(process, time.monotonic())


_ALONE: Final = [
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 100),
]


@asynccontextmanager
async def loading(load: Load, *clients: Awaitable[None]) -> AsyncIterator[None]:
    """Let clients call; they finish what they began."""
    running = asyncio.gather(*clients)
    try:
        yield
    finally:
        load.over = True
        await asyncio.wait_for(running, PATIENCE)


async def until(true: Callable[[], Any]) -> float:
    """Return the seconds until something is true."""
    start = time.monotonic()
    async with asyncio.timeout(PATIENCE):
        while not true():  # noqa: ASYNC110  processes tell nobody
            await asyncio.sleep(0.005)
    return time.monotonic() - start


async def is_ready(target: str) -> bool:
    """Say whether a server is, on a connection of its own."""
    host, _, port = target.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET /readyz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
    answer = _READY.match(await reader.read())
    writer.close()
    return answer is not None and answer[1] == b"200"


async def not_ready(target: str) -> float:
    """Return the seconds until a server is not ready any more."""
    start = time.monotonic()
    while await is_ready(target):  # noqa: ASYNC110  as above
        await asyncio.sleep(0.005)
    return time.monotonic() - start


async def drain(calls: int, settle: float) -> bool:
    """Tell servers to end until so many calls have been answered by them."""
    answered = ran = 0
    lost: Counter[str] = Counter()
    streams: Counter[str] = Counter()
    codes: Counter[int] = Counter()
    unready, taken = 0.0, 0.0
    while answered < calls:
        load, made = Load(), served(serve, "127.0.0.1:0", "127.0.0.1:0", settle)
        clients = [load.grpc(made.rpc, 100, until_refused=True) for _ in range(100)]
        clients += [load.rest(made.http, "/v1/users/100") for _ in range(100)]
        running = asyncio.gather(*clients, *(load.stream(made.rpc) for _ in range(4)))
        await until(lambda: load.count("answered") >= 400)  # noqa: B023  awaited at once
        made.signal()
        start = time.monotonic()
        unready = max(unready, await not_ready(made.http))
        codes[await made.ended()] += 1
        taken = max(taken, time.monotonic() - start)
        await asyncio.wait_for(running, PATIENCE)
        answered += load.count("answered")
        ran += made.pipe.recv()
        streams += Counter({k: n for k, n in load.outcomes.items() if k.startswith("stream")})
        lost += Counter({k: n for k, n in load.lost.items() if not k.startswith("stream")})
    print(f"drain: {codes.total()} drains with 200 calls in flight, {answered} calls answered")
    print(f"  lost               {lost.total():7d}     (gate 0) {dict(lost) or ''}")
    print(f"  ran unanswered     {ran - answered:7d}     (gate 0)")
    print(f"  streams            {dict(streams)}")
    print(f"  exit codes         {dict(codes)}")
    print(f"  not ready after    {unready * 1000:7.1f} ms")
    print(f"  slowest drain      {taken:7.2f} s   (gate 30, {settle:g} of them to settle)")
    clean = set(streams) == {"stream UNAVAILABLE"} and set(codes) == {0}
    return not lost and ran == answered and clean and taken <= 30


async def second() -> bool:
    """Tell a server twice, while a call runs."""
    load = Load()
    with serving(serve, "127.0.0.1:0", "127.0.0.1:0", 60.0) as made:
        call = asyncio.create_task(load.grpc(made.rpc, 30_000, until_refused=True))
        await until(load.in_flight.total)
        made.signal()
        await not_ready(made.http)
        start = time.monotonic()
        made.signal()
        code = await made.ended()
        taken = time.monotonic() - start
        await call
    print("second: a signal to a server that drains, a call in flight")
    print(f"  ended after        {taken:7.2f} s   (gate 1), exit code {code}")
    return taken <= 1


async def killed() -> bool:
    """Kill each of three workers under load."""
    load, gone, there, answers = Load(), 0, 0.0, 0.0
    with serving(serve_workers, 3, 0.5) as made:
        first = sorted(made.workers())
        clients = [load.grpc(made.rpc, 50, patient=True) for _ in range(8)]
        clients += [load.rest(made.http, "/v1/users/50") for _ in range(8)]
        async with loading(load, *clients):
            # One that ends younger counts as one that cannot live, and is replaced later.
            await asyncio.sleep(QUICK)
            for worker in first:
                before = made.workers()
                gone += load.in_flight[str(worker)] + load.in_flight[""]
                start = time.monotonic()
                os.kill(worker, signal.SIGKILL)
                await until(lambda: made.workers() - before)  # noqa: B023  awaited at once
                there = max(there, time.monotonic() - start)
                (new,) = made.workers() - before
                await _seen(load, new, made)
                answers = max(answers, load.seen[str(new)] - start)
    lost, refused = load.lost, load.count("refused")
    print(f"killed: 3 workers of 3, {load.count('answered')} calls answered")
    print(f"  lost               {lost.total():7d}     (gate {gone}, in flight) {dict(lost) or ''}")
    print(f"  refused            {refused:7d}     (gate 0)")
    print(f"  another process    {there:7.2f} s   (gate 1)")
    print(f"  which answers      {answers:7.2f} s   (gate 2)")
    return lost.total() <= gone and not refused and there <= 1 and answers <= 2


async def _seen(load: Load, process: int, made: Served) -> None:
    """Wait until a worker has answered somebody: clients that come anew, as old ones stay."""
    async with asyncio.timeout(PATIENCE):
        while str(process) not in load.seen:
            one = Load()
            asked = asyncio.create_task(one.rest(made.http, "/v1/users/0"))
            await until(lambda: one.outcomes)  # noqa: B023  awaited at once
            one.over = True
            await asked
            for name, when in one.seen.items():
                load.seen.setdefault(name, when)


async def workers(restarts: int, calls: int) -> bool:
    """Drain one worker after the other under load."""
    load, done = Load(), 0
    with serving(serve_workers, 3, 0.5) as made:
        clients = [load.grpc(made.rpc, wait) for wait in (0, 5, 50) for _ in range(2)]
        clients += [load.rest(made.http, "/v1/users/5") for _ in range(8)]
        async with loading(load, *clients):
            while done < restarts or load.count("answered") < calls:
                before = made.workers()
                worker = min(before)
                os.kill(worker, signal.SIGTERM)
                await until(lambda: made.workers() - before)  # noqa: B023  awaited at once
                (new,) = made.workers() - before
                await _seen(load, new, made)
                await until(lambda: worker not in made.workers())  # noqa: B023  awaited at once
                done += 1
    return told("workers", done, load)


async def replicas(restarts: int, calls: int) -> bool:
    """Restart one replica after the other behind a gateway under load."""
    load, done = Load(), 0
    with contextlib.ExitStack() as stack:
        made = [served(serve, "127.0.0.1:0", "127.0.0.1:0", 0.5) for _ in range(3)]
        stack.callback(lambda: [each.process.terminate() for each in made])
        http, rpc = [each.http for each in made], [each.rpc for each in made]
        gateway = stack.enter_context(serving(serve_gateway, http, rpc))
        clients = [load.grpc(gateway.rpc, wait) for wait in (0, 5, 50) for _ in range(4)]
        clients += [load.rest(gateway.http, "/v1/users/2") for _ in range(4)]
        clients += [load.rest(gateway.http, "/passed/v1/users/2", "passed") for _ in range(4)]
        async with loading(load, *clients):
            while done < restarts or load.count("answered") < calls:
                number = done % len(made)
                old = made[number]
                old.signal()
                await old.ended()
                again = await asyncio.to_thread(served, serve, old.http, old.rpc, 0.5)
                made[number] = again
                # Gone before it has calls again, it would have been no replica.
                await until(lambda: str(again.process.pid) in load.seen)  # noqa: B023  awaited at once
                done += 1
    return told("replicas", done, load)


def told(what: str, restarts: int, load: Load) -> bool:
    """Print what became of calls; say whether none was lost."""
    print(f"{what}: {restarts} restarts, {load.count('answered')} calls answered")
    for outcome, number in sorted(load.outcomes.items()):
        print(f"  {outcome:19}{number:7d}")
    lost = load.lost.total() + load.count("refused")
    print(f"  lost               {lost:7d}     (gate 0)")
    return not lost


async def measure(options: argparse.Namespace) -> bool:
    """Run each part; say whether all gates are kept."""
    calls, restarts = options.calls, options.restarts
    parts: dict[str, Callable[[], Awaitable[bool]]] = {
        "drain": lambda: drain(calls // 2, options.settle),
        "second": second,
        "killed": killed,
        "workers": lambda: workers(restarts, calls),
        "replicas": lambda: replicas(restarts, calls),
    }
    return await all_kept(parts, options.parts)


def main() -> int:
    """Measure and print; 1 when a gate is missed."""
    parser = argparse.ArgumentParser(description="servers that end under load")
    parser.add_argument("parts", nargs="*", metavar="PART", help="all of them by default")
    parser.add_argument("--calls", type=int, default=ROLLED, help="at least; half of it in drain")
    parser.add_argument("--restarts", type=int, default=12, help="at least")
    parser.add_argument("--settle", type=float, default=5.0, help="seconds, in drain")
    return 0 if asyncio.run(measure(parser.parse_args())) else 1


if __name__ == "__main__":
    sys.exit(main())
