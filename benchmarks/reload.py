"""What a reload of the configuration costs those who call meanwhile.

A gateway of a file stands before two backends. The file is one of two by turns: in each the answers
tell which backend they came from, and which limit let them in, so that a call under a mixture of
both would show. A client, another process, sends REST and gRPC calls at a fixed rate, whatever
becomes of them; the file is written anew and the process told so, once a second. Then it is told so
many times more, to see what stays in memory.

Left out: descriptors that change; a gateway whose descriptors stay takes them over.

Gates: no call fails and none is mixed, a reload takes at most 200 ms, of which the event loop is
held for 100 ms at most, and memory grows by less than 10 MB in 100 reloads. Times are those of a
machine that does nothing else.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import logging
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import grpc.aio
from served import started

from services.user.v1 import user_service_pb2, user_service_pb2_grpc
from transcoder import Listening, Server
from transcoder.reloading import GatewayFile

NAMES: Final = ("blue", "green")
FILE: Final = """\
upstreams:
  blue: {{target: "127.0.0.1:{blue}", breaker: {{}}}}
  green: {{target: "127.0.0.1:{green}", breaker: {{}}}}
services:
  - module: services.user.v1.user_service_pb2
    names: [services.user.v1.UserService]
    upstream: {name}
policies:
  request_id: {{}}
  rate_limits: [{{rate: 1000000/second, name: {name}}}]
observers: {{metrics: {{}}}}
"""
SECONDS: Final = 0.200
HELD: Final = 0.100
GROWTH: Final = 10 << 20
_PROBE: Final = 0.002


class Named(user_service_pb2_grpc.UserServiceServicer):
    """Answers with its own name."""

    def __init__(self, name: str) -> None:
        self._name = name

    async def GetUser(self, request: Any, context: Any) -> user_service_pb2.User:
        """Answer after a moment."""
        await asyncio.sleep(0.005)
        return user_service_pb2.User(id=request.id, name=self._name)


def serve_backends(ready: Connection) -> None:
    """Run both backends."""

    async def run() -> None:
        servers = []
        for name in NAMES:
            server = grpc.aio.server()
            user_service_pb2_grpc.add_UserServiceServicer_to_server(Named(name), server)
            ready.send(server.add_insecure_port("127.0.0.1:0"))
            await server.start()
            servers.append(server)
        await asyncio.gather(*(server.wait_for_termination() for server in servers))

    asyncio.run(run())


def serve_gateway(ready: Connection, path: str) -> None:
    """Run the gateway; answer whoever asks how long its loop was held, and what it counts."""
    logging.basicConfig(level=logging.WARNING)
    file = GatewayFile(path, lambda level, line: level > logging.INFO and print(line))
    worst = 0.0

    async def probe() -> None:
        nonlocal worst
        while True:
            due = time.monotonic() + _PROBE
            await asyncio.sleep(_PROBE)
            worst = max(worst, time.monotonic() - due)

    def tell(*_: Any) -> None:
        nonlocal worst
        ready.recv()
        told = {
            "-".join([each.metric.name, *each.labels.values()]): each.value  # type: ignore[union-attr]
            for each in file.readings()
        }
        ready.send({**told, "held": worst})
        worst = 0.0

    def begin(listening: Listening) -> None:
        loop = asyncio.get_running_loop()
        loop.add_reader(ready.fileno(), tell)
        probes.append(loop.create_task(probe()))
        ready.send((listening.http.port, listening.grpc.port))

    probes: list[asyncio.Task[None]] = []
    Server(file, on_ready=begin, settle=0).run(http="127.0.0.1:0", grpc="127.0.0.1:0")


class Client:
    """Sends calls at a rate, and notes what becomes of them."""

    def __init__(self, http: int, rpc: int) -> None:
        self.outcomes: Counter[str] = Counter()
        self.slowest = 0.0
        self._http, self._rpc = http, rpc
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def run(self, rate: int, is_over: Callable[[], bool]) -> None:
        """Send calls until it is over, and wait for their answers."""
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{self._rpc}")
        stub: Any = user_service_pb2_grpc.UserServiceStub(channel)
        running: set[asyncio.Task[None]] = set()
        begun = time.monotonic()
        for number in itertools.count():
            due = begun + number / rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            if is_over():
                break
            call = self._over_grpc(stub) if number % 10 == 0 else self._over_rest()
            task = asyncio.create_task(self._note(call, due))
            running.add(task)
            task.add_done_callback(running.discard)
        await asyncio.gather(*running)
        await channel.close()
        for _, writer in self._idle:
            writer.close()

    async def _note(self, call: Coroutine[Any, Any, str], due: float) -> None:
        try:
            outcome = await call
        except Exception as error:  # noqa: BLE001  whatever it is, the call failed
            outcome = f"failed: {type(error).__name__}"
        self.outcomes[outcome] += 1
        self.slowest = max(self.slowest, time.monotonic() - due)

    async def _over_rest(self) -> str:
        if not self._idle:
            self._idle.append(await asyncio.open_connection("127.0.0.1", self._http))
        reader, writer = self._idle.pop()
        writer.write(b"GET /v1/users/7 HTTP/1.1\r\nhost: a\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
        body = await reader.readexactly(length)
        self._idle.append((reader, writer))
        if not head.startswith(b"HTTP/1.1 200 "):
            return f"failed: {head.partition(b' ')[2][:3].decode()}"
        seen = {name for name in NAMES if name.encode() in body}
        limits = {name for name in NAMES if f'"{name}"'.encode() in head}
        return "answered" if seen == limits and len(seen) == 1 else "mixed"

    async def _over_grpc(self, stub: Any) -> str:
        call = stub.GetUser(user_service_pb2.GetUserRequest(id="7"), timeout=30)
        seen = (await call).name
        told = dict(await call.trailing_metadata())["ratelimit-policy"]
        return "answered" if told.startswith(f'"{seen}"') else "mixed"


def send_calls(ready: Connection, http: int, rpc: int, rate: int) -> None:
    """Send calls at a rate until told to end; then tell what became of them."""
    client = Client(http, rpc)
    asyncio.run(client.run(rate, ready.poll))
    ready.send((dict(client.outcomes), client.slowest))


class Gateway:
    """The gateway's process, and the file that it serves."""

    def __init__(self, path: Path, ports: tuple[int, int]) -> None:
        self._path = path
        self._ports = dict(zip(NAMES, ports, strict=True))
        self._turns = itertools.cycle(NAMES)
        self._write()
        self.process, self._pipe = started(serve_gateway, str(path))
        self.ports: tuple[int, int] = self._pipe.recv()

    def ask(self) -> dict[str, float]:
        """Return what it counts."""
        self._pipe.send("?")
        told: dict[str, float] = self._pipe.recv()
        return told

    def reload(self) -> dict[str, float]:
        """Have it serve the other configuration; return what it counts then."""
        before = self.ask()["transcoder_config_reloads-applied"]
        self._write()
        os.kill(self.process.pid or 0, signal.SIGHUP)
        while (told := self.ask())["transcoder_config_reloads-applied"] == before:
            time.sleep(0.02)
        return told

    def memory(self) -> int:
        """Return the bytes that it holds."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def _write(self) -> None:
        text = FILE.format(name=next(self._turns), **self._ports)
        with tempfile.NamedTemporaryFile("w", dir=self._path.parent, delete=False) as file:
            file.write(text)
        Path(file.name).replace(self._path)


def main() -> int:
    """Measure and print; 1 when a gate is missed."""
    parser = argparse.ArgumentParser(description="reloads of a gateway's file under load")
    parser.add_argument("--reloads", type=int, default=30, help="under load, one a second")
    parser.add_argument("--rate", type=int, default=500, help="calls a second")
    parser.add_argument("--more", type=int, default=100, help="reloads without load")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as processes:
        backends, pipe = started(serve_backends)
        processes.callback(backends.terminate)
        gateway = Gateway(Path(folder, "gateway.yaml"), (pipe.recv(), pipe.recv()))
        processes.callback(gateway.process.terminate)
        client, calls = started(send_calls, *gateway.ports, options.rate)
        processes.callback(client.terminate)
        time.sleep(3)
        quiet = gateway.ask()["held"]
        taken, held = [], 0.0
        for _ in range(options.reloads):
            told = gateway.reload()
            time.sleep(1)
            taken.append(told["transcoder_config_reload_duration_seconds"])
            held = max(held, told["held"], gateway.ask()["held"])
        calls.send("end")
        outcomes, slowest = calls.recv()
        before = gateway.memory()
        for _ in range(options.more):
            gateway.reload()
        grown = gateway.memory() - before
    answered, mixed = outcomes.pop("answered", 0), outcomes.pop("mixed", 0)
    print(f"{options.reloads} reloads at {options.rate} calls/s, {answered} answered")
    print(f"  failed             {sum(outcomes.values()):5d}       {outcomes or ''}")
    print(f"  mixed              {mixed:5d}")
    print(f"  slowest call       {slowest * 1000:7.1f} ms")
    print(f"  slowest reload     {max(taken) * 1000:7.1f} ms  (gate {SECONDS * 1000:.0f})")
    print(f"  loop held at most  {held * 1000:7.1f} ms  (gate {HELD * 1000:.0f})")
    print(f"    without a reload {quiet * 1000:7.1f} ms")
    print(f"  memory             {grown / 2**20:+7.1f} MB  after {options.more} more (gate 10)")
    good = not outcomes and not mixed and max(taken) <= SECONDS and held <= HELD and grown < GROWTH
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
