from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.longrunning import operations_pb2, operations_pb2_grpc

from transcoder import Gateway, Server

if TYPE_CHECKING:
    from tests.conftest import Served, Start


def rest_pid(served: Served) -> int:
    """Return the id of the process that answers over HTTP, on a connection of its own."""
    return int(served.get("/v1/operations/0/a")[2]["name"].rpartition("/")[2])


def grpc_pid(served: Served) -> int:
    """Return the id of the process that answers over gRPC, on a connection of its own."""
    with served.channel() as channel:
        stub = operations_pb2_grpc.OperationsStub(channel)  # type: ignore[no-untyped-call]
        request = operations_pb2.GetOperationRequest(name="operations/0/a")
        return int(stub.GetOperation(request, timeout=10).name.rpartition("/")[2])


def seen(pid: Callable[[], int], wanted: int, within: float = 10) -> set[int]:
    """Ask until that many processes have answered; return their ids."""
    found: set[int] = set()
    until = time.monotonic() + within
    while len(found) < wanted and time.monotonic() < until:
        found.add(pid())
    return found


def is_free(target: str) -> bool:
    """Say whether a port can be had."""
    host, _, port = target.rpartition(":")
    try:
        socket.create_server((host, int(port))).close()
    except OSError:
        return False
    return True


def is_running(pid: int) -> bool:
    """Say whether a process exists and is no zombie."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def wait_until(true: Callable[[], Any], within: float) -> float:
    """Return the seconds until something is true."""
    start = time.monotonic()
    while not true():
        assert time.monotonic() - start < within, "not in time"
        time.sleep(0.01)
    return time.monotonic() - start


def test_workers_serve_both_ports(start: Start) -> None:
    """Each worker answers on the one HTTP port and on the one gRPC port; the parent on none."""
    served = start(workers=2)
    workers = served.workers()

    assert len(workers) == 2
    assert seen(lambda: rest_pid(served), 2) == workers
    assert seen(lambda: grpc_pid(served), 2) == workers


def test_workers_share_a_unix_socket_for_http(start: Start, tmp_path: Path) -> None:
    """HTTP workers share a Unix socket, which goes with the parent."""
    path = tmp_path / "http"
    served = start(http=f"unix:{path}", workers=2, settle=0)

    assert rest_pid(served) in served.workers()
    served.signal()

    assert served.ended() == 0
    assert not path.exists()


def test_killed_worker_is_replaced(start: Start) -> None:
    """When a worker is killed another serves soon, and meanwhile nobody is refused."""
    served = start(workers=2)
    before = served.workers()
    killed = min(before)

    os.kill(killed, signal.SIGKILL)
    after = seen(lambda: rest_pid(served), len(before) + 1) - {killed}

    assert len(after) == 2
    assert killed not in served.workers()
    assert seen(lambda: grpc_pid(served), 2) == served.workers()


def test_worker_that_drains_alone_is_replaced(start: Start) -> None:
    """A worker that is told to end drains, and another takes its place."""
    served = start(workers=2, settle=0.1)
    drained = min(served.workers())

    os.kill(drained, signal.SIGTERM)

    wait_until(lambda: drained not in served.workers() and len(served.workers()) == 2, 10)
    assert served.noted().count("stopped") == 1


async def calls_through_a_drain(served: Served) -> Counter[str]:
    """Drain one of the workers while clients call without a pause; count what they are told."""
    outcomes: Counter[str] = Counter()
    drained = asyncio.Event()

    async def call(channel: grpc.aio.Channel, milliseconds: int) -> None:
        stub = operations_pb2_grpc.OperationsStub(channel)  # type: ignore[no-untyped-call]
        request = operations_pb2.GetOperationRequest(name=f"operations/{milliseconds}/a")
        while not drained.is_set():
            try:
                await stub.GetOperation(request, timeout=60)
                outcomes["answered"] += 1
            except grpc.aio.AioRpcError as error:
                outcomes[f"{error.code().name}: {error.details()}"] += 1

    alone = [("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.aio.insecure_channel(served.grpc_target, alone) for _ in range(6)]
    calling = [
        asyncio.create_task(call(channel, milliseconds))
        for channel in channels
        for milliseconds in (0, 5, 50)
    ]
    worker = min(served.workers())
    while not outcomes:  # noqa: ASYNC110  a counter has no event
        await asyncio.sleep(0.01)
    os.kill(worker, signal.SIGTERM)
    await asyncio.to_thread(wait_until, lambda: worker not in served.workers(), 60)
    drained.set()
    await asyncio.gather(*calling)
    for channel in channels:
        await channel.close()
    return outcomes


def test_worker_that_drains_alone_fails_no_call(start: Start) -> None:
    """A worker that is told to end answers each gRPC call that reaches it."""
    served = start(workers=2, settle=0.2)

    outcomes = asyncio.run(calls_through_a_drain(served))

    assert outcomes.keys() == {"answered"}, outcomes


def test_workers_that_die_in_a_row_are_replaced_ever_slower(start: Start) -> None:
    """A worker that dies again and again does not keep the parent busy."""
    served = start(workers=2, settle=0)
    stable = max(served.workers())
    deaths = 0
    until = time.monotonic() + 2.5
    while time.monotonic() < until:
        for worker in served.workers() - {stable}:
            os.kill(worker, signal.SIGKILL)
            deaths += 1
        time.sleep(0.01)

    served.signal()
    assert served.ended() == 0
    assert served.errors().count("exit code -9") <= 5
    assert deaths >= 3


def test_worker_that_cannot_be_started_is_tried_again(start: Start) -> None:
    """The parent says that it cannot start a process, and starts the worker when it can."""
    hide = (
        "import asyncio, sys; "
        "asyncio.get_running_loop().call_later(1, setattr, sys, 'executable', sys.executable); "
        "sys.executable = '/no/such/python'"
    )
    served = start(workers=2, settle=0, then=hide)
    killed = min(served.workers())

    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: len(served.workers() - {killed}) == 2, 10)
    served.signal()

    assert served.ended() == 0
    lines = served.errors().splitlines()
    assert lines[0] == f"worker {killed} ended, exit code -9; the next starts in 0 s"
    assert lines[1] == (
        "no worker can be started, No such file or directory; the next try is in 0.5 s"
    )


LOGGING = {
    "formatters": {"line": {"format": "%(levelname)s %(name)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"level": "WARNING", "handlers": ["stderr"]},
}


@pytest.mark.parametrize("workers", [1, 2])
def test_logging_is_that_of_every_process(start: Start, workers: int) -> None:
    """The configuration of the log holds where the application runs, in workers too."""
    app = "operations:create_hung"
    served = start(app, workers=workers, settle=0, grace=0.3, log_config=LOGGING)

    served.signal()

    line = "ERROR transcoder.lifespan: the application did not stop within 0.3 s\n"
    assert served.errors() == line * workers


@pytest.mark.parametrize("workers", [1, 2])
def test_wrong_logging_is_one_line(start: Start, workers: int) -> None:
    """A configuration of the log that is none is told in one line, with exit code 1."""
    served = start(workers=workers, log_config={"root": {"level": "LOUD"}})

    assert served.ended() == 1
    assert served.errors() == (
        "Error: log_config: Unable to configure root logger: Unknown level: 'LOUD'\n"
    )


def test_workers_want_plain_values_for_logging(capsys: pytest.CaptureFixture[str]) -> None:
    """Objects in the configuration of the log cannot be handed to other processes."""
    with pytest.raises(SystemExit) as caught:
        Server("operations:app", log_config={"filters": {"a": {"()": object}}}).run(workers=2)

    assert caught.value.code == 1
    assert capsys.readouterr().err == (
        "Error: log_config cannot be told to workers: "
        "Object of type type is not JSON serializable\n"
    )


def test_drain_ends_all_workers(start: Start) -> None:
    """SIGTERM to the parent drains every worker; all lifespans stop; the exit code is 0."""
    served = start(workers=2, settle=0.2)
    workers = served.workers()

    served.signal()

    assert served.ended() == 0
    assert sorted(served.noted()) == ["started", "started", "stopped", "stopped"]
    assert not any(Path(f"/proc/{worker}").exists() for worker in workers)
    assert is_free(served.http_target)
    assert is_free(served.grpc_target)


def test_signal_to_all_processes_is_one_drain(start: Start) -> None:
    """A service manager that signals parent and workers alike gets the same drain."""
    served = start(workers=2, settle=0.3)

    for process in (*served.workers(), served.process.pid):
        os.kill(process, signal.SIGTERM)

    assert served.ended() == 0
    assert served.noted().count("stopped") == 2


def test_second_signal_ends_parent_and_workers(start: Start) -> None:
    """A second signal to the parent ends all processes."""
    served = start(workers=2, settle=60)
    workers = served.workers()
    served.signal()
    wait_until(lambda: served.get("/healthz")[0] == 503, 10)
    served.signal()

    assert served.ended() == 128 + signal.SIGTERM
    wait_until(lambda: is_free(served.http_target) and is_free(served.grpc_target), 10)
    wait_until(lambda: not any(is_running(worker) for worker in workers), 10)


def test_workers_end_with_a_killed_parent(start: Start) -> None:
    """When the parent is killed the workers end, and both ports are free."""
    served = start(workers=2)
    workers = served.workers()

    served.process.kill()

    wait_until(lambda: is_free(served.http_target) and is_free(served.grpc_target), 5)
    wait_until(lambda: not any(is_running(worker) for worker in workers), 5)


def test_blocked_worker_ends_with_a_killed_parent(start: Start) -> None:
    """A worker whose event loop is blocked does not outlive its parent."""
    served = start("operations:create_blocked", workers=2)
    workers = served.workers()
    time.sleep(0.3)

    served.process.kill()

    wait_until(lambda: not any(is_running(worker) for worker in workers), 5)


@pytest.mark.parametrize("door", ["http", "grpc"])
@pytest.mark.parametrize("workers", [1, 2])
def test_port_of_workers_is_refused_to_others(start: Start, door: str, workers: int) -> None:
    """A second server, with workers or without, is refused either port of the first's workers."""
    first = start(workers=2)
    taken = first.http_target if door == "http" else first.grpc_target

    if door == "http":
        second = start(http=taken, workers=workers)
    else:
        second = start(grpc=taken, workers=workers)

    assert second.ended() == 1
    assert second.errors() == f"Error: {door}: {taken} is in use\n"


def test_workers_do_not_start_beside_a_single_server(start: Start) -> None:
    """Workers do not share the gRPC port of a process that never meant to share it."""
    first = start()

    second = start(grpc=first.grpc_target, workers=2)

    assert second.ended() == 1
    assert second.errors() == f"Error: grpc: {first.grpc_target} is in use\n"


def test_signal_before_workers_are_ready_ends_them(start: Start) -> None:
    """A signal while the application starts ends all at once, with 0 and without a word."""
    served = start("operations:create_slow", workers=2, wait=False)
    wait_until(lambda: served.noted().count("starting") == 2, 10)

    served.signal()

    assert served.ended() == 0
    assert served.noted().count("interrupted") == 2
    assert served.errors() == ""


def test_workers_that_do_not_stop_are_ended(start: Start) -> None:
    """Workers whose application never stops go when its grace is over, and the parent with 1."""
    served = start("operations:create_hung", workers=2, settle=0, grace=0.3)

    served.signal()

    assert served.ended() == 1
    assert served.errors() == "the application did not stop within 0.3 s\n" * 2


def test_workers_want_an_import_string(capsys: pytest.CaptureFixture[str]) -> None:
    """An object cannot be handed to other processes: exit code 1, and the line says what can."""
    with pytest.raises(SystemExit) as caught:
        Server(Gateway()).run("127.0.0.1:0", "127.0.0.1:0", workers=2)

    assert caught.value.code == 1
    assert capsys.readouterr().err == (
        "Error: with 2 workers the app is given as an import string, such as 'package.module:app'\n"
    )


def test_workers_do_not_share_a_unix_socket_for_grpc(capsys: pytest.CaptureFixture[str]) -> None:
    """Workers are refused a Unix socket for gRPC: SO_REUSEPORT is for ports."""
    with pytest.raises(SystemExit) as caught:
        Server("operations:app").run("127.0.0.1:0", "unix:/tmp/grpc", workers=2)

    assert caught.value.code == 1
    assert capsys.readouterr().err == (
        "Error: grpc: unix:/tmp/grpc cannot be shared by 2 workers: use HOST:PORT\n"
    )


def test_clients_are_asked_to_connect_anew(start: Start) -> None:
    """A gRPC connection to one of several workers has an age; calls go on over the next one."""
    served = start(workers=2, max_connection_age=0.2)
    found: set[str] = set()
    with served.channel() as channel:
        stub = operations_pb2_grpc.OperationsStub(channel)  # type: ignore[no-untyped-call]
        until = time.monotonic() + 8
        while len(found) < 2 and time.monotonic() < until:
            request = operations_pb2.GetOperationRequest(name="operations/1/a")
            try:
                found.add(stub.GetOperation(request, timeout=10).name.rpartition("/")[2])
            except grpc.RpcError as error:
                assert error.code() is grpc.StatusCode.UNAVAILABLE  # noqa: PT017  a rare, fair end

    assert found == {str(worker) for worker in served.workers()}
