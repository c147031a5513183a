"""`transcoder gateway FILE` as processes of its own: what signals and faults do to it."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from loaded import Ledger, keep_alive_client, load_until_refused
from measuring import measured

if TYPE_CHECKING:
    from tests.conftest import Served, Start

SCRIPT = str(Path(sys.executable).with_name("transcoder"))
PATIENCE = 60


@dataclass
class Gateway:
    """A gateway that runs before a backend of `operations`."""

    path: Path
    backend: Served
    log: Path
    process: subprocess.Popen[str] = field(init=False)
    http_target: str = ""
    grpc_target: str = ""

    def write(self, **more: Any) -> None:
        """Write its file; JSON is YAML."""
        said = {
            "listen": {"http": "127.0.0.1:0", "grpc": "127.0.0.1:0"},
            "upstreams": {"backend": {"target": self.backend.grpc_target}},
            "services": [{"module": "google.longrunning.operations_pb2", "upstream": "backend"}],
        }
        new = self.path.with_suffix(".new")
        new.write_text(json.dumps({**said, **more}))
        new.replace(self.path)

    def get(self) -> tuple[int, dict[str, str]]:
        """Return status and headers of a request on a connection of its own."""
        connection = http.client.HTTPConnection(self.http_target, timeout=PATIENCE)
        connection.request("GET", "/v1/operations/0/a")
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}

    def workers(self) -> set[int]:
        """Return the ids of its workers."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        return {int(child) for child in children.split()}

    def told(self) -> list[str]:
        """Return what it logged of reloads, without the path of the file."""
        lines = self.log.read_text().splitlines()
        found = [line.partition(f"{self.path}")[2] for line in lines]
        return [line for line in found if line]


Run = Callable[..., Gateway]


@pytest.fixture
def run(start: Start, tmp_path: Path) -> Iterator[Run]:
    """Start the command before a backend."""
    started: list[Gateway] = []

    def run(**said: Any) -> Gateway:
        path, log = tmp_path / "gateway.yaml", tmp_path / "log"
        gateway = Gateway(path, start(settle=0), log)
        gateway.write(**said)
        with log.open("w") as file:
            gateway.process = process = subprocess.Popen(
                [SCRIPT, "gateway", str(path)],
                env={**os.environ, **measured()},
                stdout=subprocess.PIPE,
                stderr=file,
                text=True,
            )
        started.append(gateway)
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], [], [], PATIENCE)
        line = process.stdout.readline() if ready else ""
        found = re.match(r"REST on (\S+), gRPC on (\S+)\n", line)
        assert found is not None, log.read_text()
        gateway.http_target, gateway.grpc_target = found[1], found[2]
        return gateway

    yield run
    for gateway in started:
        if gateway.process.poll() is None:
            gateway.process.send_signal(signal.SIGINT)
        gateway.process.communicate(timeout=PATIENCE)


def until(true: Callable[[], Any]) -> None:
    """Wait until something is true."""
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.02)


def limits(gateway: Gateway, count: int = 20) -> set[str]:
    """Return the names of the limits that so many answers tell of."""
    told = [gateway.get()[1].get("ratelimit-policy", '""') for _ in range(count)]
    return {each.split('"')[1] for each in told}


def limit(name: str) -> dict[str, Any]:
    """Return policies with a limit of a name."""
    return {"policies": {"rate_limits": [{"rate": "100000/second", "name": name}]}}


def test_drain_under_load(run: Run) -> None:
    """SIGTERM under load: each request that was begun is answered, on both ports, to the end."""
    gateway = run(server={"workers": 2, "settle": 0.7})
    ledger = Ledger()

    asyncio.run(load_until_refused(gateway, ledger, gateway.process.terminate))

    assert gateway.process.wait(PATIENCE) == 0
    answers = {"rest answered", "rest refused", "grpc answered", "grpc refused"}
    assert set(ledger.outcomes) == answers, ledger.outcomes
    assert not {f"ran {name}" for name in ledger.unanswered} & set(gateway.backend.noted())


def test_second_signal(run: Run) -> None:
    """A second SIGTERM ends all processes at once, however long the drain would take."""
    gateway = run(server={"workers": 2, "settle": 600.0})
    processes = {gateway.process.pid, *gateway.workers()}
    gateway.process.terminate()
    until(lambda: gateway.get()[1].get("connection") == "close")
    gateway.process.terminate()

    assert gateway.process.wait(PATIENCE) == 128 + signal.SIGTERM
    until(lambda: not any(is_running(each) for each in processes))


def is_running(pid: int) -> bool:
    """Say whether a process exists and is no zombie."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def test_rolling_restart(run: Run) -> None:
    """Workers that are replaced one after the other lose no request, and refuse none."""
    gateway = run(server={"workers": 2, "settle": 0.3})
    ledger = Ledger()

    def roll() -> None:
        for number, worker in enumerate(sorted(gateway.workers())):
            os.kill(worker, signal.SIGTERM)
            # What each worker logs when it serves.
            serves = "transcoder.server: http on "
            until(lambda: gateway.log.read_text().count(serves) == 3 + number)  # noqa: B023  at once
            until(lambda: worker not in gateway.workers())  # noqa: B023  as above
        assert not ledger.outcomes["rest refused"]

    async def load() -> None:
        counts = [1 << 30] * 8 + [1] * 4
        clients = [keep_alive_client(gateway.http_target, ledger, count) for count in counts]
        loading = asyncio.gather(*clients)
        await asyncio.to_thread(roll)
        gateway.process.terminate()
        await asyncio.wait_for(loading, PATIENCE)

    asyncio.run(load())

    assert gateway.process.wait(PATIENCE) == 0
    assert set(ledger.outcomes) == {"rest answered", "rest refused"}, ledger.outcomes


def test_hangup(run: Run) -> None:
    """SIGHUP has the file read, and a line tells what came of it."""
    gateway = run(**limit("old"))
    gateway.write(**limit("new"))
    gateway.process.send_signal(signal.SIGHUP)
    until(lambda: limits(gateway) == {"new"})

    assert gateway.told() == [": read anew"]


def test_hangup_of_workers(run: Run) -> None:
    """It has all workers read it, and each line is told once; those that come later read it too."""
    server = {"workers": 2}
    gateway = run(server=server, **limit("old"))
    gateway.path.write_text("polices: {}")
    gateway.process.send_signal(signal.SIGHUP)
    until(gateway.told)
    assert limits(gateway) == {"old"}
    gateway.write(server=server, **limit("new"))
    gateway.process.send_signal(signal.SIGHUP)
    until(lambda: limits(gateway) == {"new"})
    before = gateway.workers()
    os.kill(min(before), signal.SIGKILL)
    until(lambda: len(gateway.workers() - before) == 1)
    assert limits(gateway) == {"new"}

    assert [line[:6] for line in gateway.told()] == [":1:1: ", ": read"]
