from __future__ import annotations

import contextlib
import gc
import http.client
import json
import logging
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from hypothesis import HealthCheck, settings

from compiled import pool
from cost import untraced
from environments import create, install
from measuring import measure_no_process, measured
from over_tls import SECURED, connect, credentials
from wire import Catalogue

HERE = Path(__file__).parent

# The same cases each time, however busy the machine is; `make fuzz` tries new ones.
settings.register_profile(
    "repeated", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("repeated")


def pytest_configure() -> None:
    """Start the processes of tests as from a terminal: not as by make, nor in the background."""
    for name in ("ARGS", "COVERAGE", "MAKEFLAGS", "MAKELEVEL"):
        os.environ.pop(name, None)
    # What ignores these hands it down to each process that it starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep what is collected, which stays to the end, out of each search for garbage."""
    measure_no_process()
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name a test by no long text and no binary one: either may be another in each process."""
    if isinstance(val, bytes):
        return None if len(val) <= 40 and val.isascii() and val.decode().isprintable() else argname
    return argname if isinstance(val, str) and len(val) > 120 else None


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Measure no coverage in tests of many cases, which it makes three times as long."""
    marks = {mark.name for mark in pyfuncitem.iter_markers()}
    with untraced() if marks & {"hypothesis", "untraced"} else contextlib.nullcontext():
        return (yield)


@pytest.fixture(autouse=True)
def _logging() -> Iterator[None]:
    """Leave no level and no stream of a command that is run here, which configures logging."""
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    yield
    root.setLevel(level)
    for handler in root.handlers[:]:
        # Those that capture a test's log come and go by themselves.
        if handler not in handlers and type(handler) is logging.StreamHandler:
            root.removeHandler(handler)


@pytest.fixture(scope="session")
def protos() -> DescriptorPool:
    """The protos of `tests/protos`, compiled, in a pool of their own."""
    return pool()


@pytest.fixture(scope="session")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the sdist, built by what `make build` runs."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder)]
    subprocess.run([*command, str(HERE.parent)], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="session")
def wheel(dist: Path) -> Path:
    """The wheel; built from the sdist, so that the sdist is complete."""
    [path] = dist.glob("*.whl")
    return path


@pytest.fixture(scope="session")
def clean(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of an environment with the wheel, what it depends on, and nothing else."""
    commands = create(tmp_path_factory.mktemp("clean"))
    install(commands, str(wheel))
    return commands


SCRIPT = """
import json, sys
from transcoder import Server, ServerTls
from transcoder import Admin, ConnectionLimits
told = json.loads(sys.argv[1])
if isinstance(told["options"].get("admin"), dict):
    told["options"]["admin"] = Admin(**told["options"]["admin"])
if "connections" in told["options"]:
    told["options"]["connections"] = ConnectionLimits(**told["options"]["connections"])
options = {
    name: ServerTls(**value) if name.endswith("tls") else value
    for name, value in told["options"].items()
}
def ready(listening):
    doors = [listening.http, listening.grpc, listening.admin]
    print(json.dumps([door.target if door else "" for door in doors]), flush=True)
    exec(told["then"])
Server(told["app"], on_ready=ready, **options).run(
    told["http"], told["grpc"], workers=told["workers"]
)
"""


class Connection(http.client.HTTPConnection):
    """An HTTP connection to HOST:PORT or unix:/path, within TLS after `https://`."""

    def __init__(self, target: str) -> None:
        self.path = target.removeprefix("unix:") if target.startswith("unix:") else ""
        self.target = target
        super().__init__("localhost" if self.path else target.removeprefix(SECURED), timeout=20)

    def connect(self) -> None:
        if self.path:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(20)
            self.sock.connect(self.path)
        elif self.target.startswith(SECURED):
            self.sock = connect(self.target)
        else:
            super().connect()

    def get(self, path: str) -> tuple[int, dict[str, str], Any]:
        """Return status, headers and JSON of an answer."""
        self.request("GET", path)
        answer = self.getresponse()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, headers, json.loads(answer.read())


@dataclass
class Served:
    """A server process that the test started."""

    process: subprocess.Popen[str]
    http_target: str
    grpc_target: str
    ledger: Path
    admin_target: str = ""

    def workers(self) -> set[int]:
        """Return the process ids of the process's children."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        return {int(child) for child in children.split()}

    def get(self, path: str) -> tuple[int, dict[str, str], Any]:
        """Answer one GET on a connection of its own."""
        connection = Connection(self.http_target)
        try:
            return connection.get(path)
        finally:
            connection.close()

    def channel(self) -> grpc.Channel:
        """Return a gRPC channel that shares its connection with no other."""
        alone = [("grpc.use_local_subchannel_pool", 1)]
        if self.grpc_target.startswith(SECURED):
            target = self.grpc_target.removeprefix(SECURED)
            return grpc.secure_channel(target, credentials(), alone)
        return grpc.insecure_channel(self.grpc_target, alone)

    def signal(self, number: int = signal.SIGTERM) -> float:
        """Send a signal; return the time."""
        self.process.send_signal(number)
        return time.monotonic()

    def ended(self, timeout: float = 60) -> int:
        """Wait for the process's end; return the exit code."""
        return self.process.wait(timeout)

    def errors(self) -> str:
        """Wait for the process's end; return what it wrote to stderr."""
        return self.process.communicate(timeout=60)[1]

    def noted(self) -> list[str]:
        """Return what the application noted so far."""
        return self.ledger.read_text().splitlines() if self.ledger.exists() else []


class Start(Protocol):
    def __call__(
        self,
        app: str = ...,
        http: str = ...,
        grpc: str = ...,
        *,
        workers: int = ...,
        then: str = ...,
        wait: bool = ...,
        **options: Any,
    ) -> Served: ...


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start servers of `tests/apps`; no target is known of one that did not become ready."""
    with starting(tmp_path) as start:
        yield start


@pytest.fixture(scope="module")
def start_shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Start servers, as `start` does, for all tests of a module."""
    with starting(tmp_path_factory.mktemp("served"), traced=False) as start:
        yield start


@pytest.fixture(scope="module")
def catalogue(start_shared: Start) -> Iterator[Catalogue]:
    """The server of a route of each shape; it holds nothing of what the tests sent it."""
    catalogue = Catalogue(start_shared("catalogue:create"))
    yield catalogue
    files, threads = catalogue.grown()
    assert files <= 2
    assert threads <= 2


@contextmanager
def starting(folder: Path, *, traced: bool = True) -> Iterator[Start]:
    """Start servers, which note what they do in a folder, and end them.

    Args:
        folder: theirs.
        traced: whether their coverage counts; it makes them slow, which tells of no request's cost.
    """
    started: list[Served] = []

    def start(
        app: str = "operations:create",
        http: str = "127.0.0.1:0",
        grpc: str = "127.0.0.1:0",
        *,
        workers: int = 1,
        then: str = "",
        wait: bool = True,
        **options: Any,
    ) -> Served:
        told = {"app": app, "http": http, "grpc": grpc, "workers": workers, "then": then}
        ledger = folder / "ledger"
        environment = measured() if traced else os.environ
        path = os.pathsep.join([str(HERE.parent / "src"), str(HERE / "apps")])
        process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, json.dumps({**told, "options": options})],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**environment, "PYTHONPATH": path, "LEDGER": str(ledger)},
        )
        started.append(Served(process, "", "", ledger))
        assert process.stdout is not None
        timeout = 60 if wait else 0
        answered, _, _ = select.select([process.stdout], [], [], timeout)
        line = process.stdout.readline() if answered else ""
        *targets, started[-1].admin_target = json.loads(line) if line else ("", "", "")
        started[-1].http_target, started[-1].grpc_target = [
            SECURED + target if target and options.keys() & {"tls", door} else target
            for target, door in zip(targets, ("http_tls", "grpc_tls"), strict=True)
        ]
        return started[-1]

    try:
        yield start
    finally:
        for served in started:
            if served.process.poll() is None:
                workers = served.workers()
                served.process.kill()
                for worker in workers:
                    os.kill(worker, signal.SIGKILL)
            served.process.communicate()
