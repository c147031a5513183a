from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.longrunning import operations_pb2, operations_pb2_grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from loaded import Ledger, keep_alive_client, load_until_refused
from loopback import needs_ipv6
from transcoder import ConfigError, Gateway, Listening, Server
from transcoder.listeners import Address, Claim
from transcoder.loading import load

if TYPE_CHECKING:
    from tests.conftest import Start

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


def get_operation(channel: grpc.Channel, name: str) -> operations_pb2.Operation:
    """Call a method; its name says how long it takes."""
    stub = operations_pb2_grpc.OperationsStub(channel)  # type: ignore[no-untyped-call]
    reply: operations_pb2.Operation = stub.GetOperation(
        operations_pb2.GetOperationRequest(name=name), timeout=20
    )
    return reply


def health_of(channel: grpc.Channel, service: str = "") -> int:
    """Return the serving status of a service."""
    stub: Any = health_pb2_grpc.HealthStub(channel)
    status: int = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=10).status
    return status


def is_refused(target: str) -> bool:
    """Say whether a new connection is refused."""
    host, _, port = target.rpartition(":")
    with socket.socket() as client:
        return client.connect_ex((host, int(port))) != 0


def wait_until(true: Callable[[], bool], within: float) -> float:
    """Return the seconds until something is true."""
    start = time.monotonic()
    while not true():
        assert time.monotonic() - start < within, "not in time"
        time.sleep(0.01)
    return time.monotonic() - start


def test_one_process_answers_rest_and_grpc(start: Start) -> None:
    """The same method answers on both ports, out of one process."""
    served = start()

    status, _, body = served.get("/v1/operations/0/a")
    with served.channel() as channel:
        reply = get_operation(channel, "operations/0/a")

    assert (status, body["name"]) == (200, f"operations/0/a/{served.process.pid}")
    assert reply.name == f"operations/0/a/{served.process.pid}"


def test_plain_servicer_methods_run_off_the_loop(start: Start) -> None:
    """While a method that is not async blocks its thread, others are answered."""
    served = start()
    with served.channel() as channel, ThreadPoolExecutor() as pool:
        stub = operations_pb2_grpc.OperationsStub(channel)  # type: ignore[no-untyped-call]
        request = operations_pb2.DeleteOperationRequest(name="operations/1000/a")
        slow = pool.submit(stub.DeleteOperation, request, timeout=10)

        get_operation(channel, "operations/0/b")

        assert not slow.done()
        slow.result()


def test_health_speaks_for_each_service(start: Start) -> None:
    """grpc.health.v1 is SERVING for the server and for each service of the gateway."""
    with start().channel() as channel:
        assert health_of(channel) == SERVING
        assert health_of(channel, "google.longrunning.Operations") == SERVING
        assert health_of(channel, "test.Numbers") == SERVING
        with pytest.raises(grpc.RpcError) as caught:
            health_of(channel, "no.such.Service")

    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize(
    "path",
    [
        "/google.longrunning.Operations/GetOperation",
        "/grpc.health.v1.Health/Check",
        "/grpc.health.v1.Health/Watch",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    ],
)
def test_bytes_that_are_no_message_tell_nothing_of_the_inside(start: Start, path: str) -> None:
    """Every service, health and reflection too, answers broken bytes alike: INTERNAL."""
    with start().channel() as channel:
        call = channel.stream_stream(path, bytes, bytes)
        with pytest.raises(grpc.RpcError) as caught:
            list(call(iter([b"\xff\xff\xff"]), timeout=10))

    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert caught.value.details() == "internal error"


def test_unix_sockets(start: Start, tmp_path: Path) -> None:
    """Both listeners serve on Unix sockets, and remove them at the end."""
    http, rpc = tmp_path / "http", tmp_path / "grpc"
    served = start(http=f"unix:{http}", grpc=f"unix:{rpc}", settle=0)

    assert served.get("/v1/operations/0/a")[0] == 200
    with served.channel() as channel:
        assert health_of(channel) == SERVING
    served.signal()

    assert served.ended() == 0
    assert not http.exists()
    assert not rpc.exists()


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("host", ["127.0.0.1", pytest.param("[::1]", marks=needs_ipv6)])
def test_localhost_is_both_families(start: Start, host: str, workers: int) -> None:
    """A server at localhost answers at 127.0.0.1 and at ::1, on both ports, and leaves both."""
    served = start(http="localhost:0", grpc="localhost:0", workers=workers, settle=0)
    at_host = replace(
        served,
        http_target=served.http_target.replace("localhost", host),
        grpc_target=served.grpc_target.replace("localhost", host),
    )

    assert at_host.get("/v1/operations/0/a")[0] == 200
    with at_host.channel() as channel:
        assert get_operation(channel, "operations/0/a").name
    served.signal()

    assert served.ended() == 0
    assert served.errors() == ""
    for target in (at_host.http_target, at_host.grpc_target):
        Claim.take("http", Address.parse(target)).close()


@pytest.mark.parametrize("door", ["http", "grpc"])
def test_port_in_use_is_one_line(start: Start, door: str) -> None:
    """A second process on a port of the first says so in one line, exits with 1, holds nothing."""
    first = start()
    taken = first.http_target if door == "http" else first.grpc_target
    with socket.create_server(("127.0.0.1", 0)) as free:
        other = f"127.0.0.1:{free.getsockname()[1]}"

    second = start(http=taken, grpc=other) if door == "http" else start(http=other, grpc=taken)

    assert second.ended() == 1
    assert second.errors() == f"Error: {door}: {taken} is in use\n"
    assert second.noted() == ["started"]  # the first's; the second's application never started
    assert is_refused(other)
    assert first.get("/healthz")[0] == 200


@pytest.mark.parametrize(
    ("app", "line"),
    [
        (
            "operations:create_failing",
            "the application failed to start: RuntimeError: no database at all",
        ),
        (
            "operations:nothing",
            (
                "operations:nothing cannot be loaded: AttributeError: "
                "module 'operations' has no attribute 'nothing'"
            ),
        ),
        (
            "no_such_module:app",
            (
                "no_such_module:app cannot be loaded: ModuleNotFoundError: "
                "No module named 'no_such_module'"
            ),
        ),
        ("operations:not_a_gateway", "operations:not_a_gateway is of type int, not a Gateway"),
        ("operations", "'operations' is no import string: write 'package.module:app'"),
    ],
)
@pytest.mark.parametrize("workers", [1, 2])
def test_application_that_fails_is_one_line(
    start: Start, app: str, line: str, workers: int
) -> None:
    """A start that fails is told in one line, with exit code 1."""
    served = start(app, workers=workers)

    assert served.ended() == 1
    assert served.errors() == f"Error: {line}\n"


def test_server_takes_a_gateway() -> None:
    """A gateway is served in the running loop until `stop()`, without signals."""
    states = []

    @contextlib.asynccontextmanager
    async def lifespan(app: Any) -> Any:
        states.append("started")
        yield
        states.append("stopped")

    async def main() -> int:
        ready: asyncio.Future[Listening] = asyncio.get_running_loop().create_future()
        server = Server(Gateway(lifespan=lifespan), settle=0, on_ready=ready.set_result)
        serving = asyncio.create_task(server.serve("127.0.0.1:0", "127.0.0.1:0"))
        listening = await ready
        assert states == ["started"]
        assert not is_refused(listening.http.target)
        server.stop()
        code = await serving
        assert is_refused(listening.http.target)
        assert is_refused(listening.grpc.target)
        return code

    assert asyncio.run(main()) == 0
    assert states == ["started", "stopped"]


def test_cancelled_server_closes_what_it_opened() -> None:
    """A serving task that is cancelled, while it drains too, closes both listeners."""
    stopped = []

    @contextlib.asynccontextmanager
    async def lifespan(app: Any) -> Any:
        yield
        stopped.append(app)

    async def main(*, draining: bool) -> None:
        ready: asyncio.Future[Listening] = asyncio.get_running_loop().create_future()
        gateway = Gateway(lifespan=lifespan)
        server = Server(gateway, on_ready=ready.set_result)
        serving = asyncio.create_task(server.serve("127.0.0.1:0", "127.0.0.1:0"))
        listening = await ready
        if draining:
            server.stop()
            while not gateway.draining:  # noqa: ASYNC110  a flag, for it is read by each request
                await asyncio.sleep(0.01)
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
        assert is_refused(listening.http.target)
        assert is_refused(listening.grpc.target)

    asyncio.run(main(draining=False))
    asyncio.run(main(draining=True))

    assert len(stopped) == 2


def test_failed_lifespan_opens_nothing() -> None:
    """A lifespan that fails is a ConfigError, and the addresses are free."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        http = f"127.0.0.1:{free.getsockname()[1]}"

    @contextlib.asynccontextmanager
    async def lifespan(app: Any) -> Any:
        if is_refused(http):
            raise ConfigError("no database")
        yield

    with pytest.raises(ConfigError, match=r"^no database$"):
        asyncio.run(Server(Gateway(lifespan=lifespan)).serve(http, "127.0.0.1:0"))

    socket.create_server(("127.0.0.1", int(http.rpartition(":")[2]))).close()


def test_factory_may_be_written_as_a_call() -> None:
    """The import string of a factory may end with parentheses."""
    assert isinstance(load("transcoder:Gateway()"), Gateway)


@pytest.mark.parametrize("signals", [[signal.SIGTERM], [signal.SIGINT]])
def test_signal_ends_the_process_with_zero(start: Start, signals: list[int]) -> None:
    """SIGTERM and SIGINT drain; the lifespan stops last; the exit code is 0."""
    served = start(settle=0.2)

    served.signal(signals[0])

    assert served.ended() == 0
    assert served.noted() == ["started", "stopped"]
    assert served.errors() == ""


def test_drain_goes_by_its_stages(start: Start) -> None:
    """While settling, all is served but readiness; then both listeners close together."""
    served = start(settle=2)
    with served.channel() as channel:
        get_operation(channel, "operations/0/warm")
        began = served.signal()
        wait_until(lambda: health_of(channel) == NOT_SERVING, 10)

        status, headers, _ = served.get("/v1/operations/0/a")
        assert (status, headers["connection"]) == (200, "close")
        assert served.get("/healthz")[0] == 503
        with served.channel() as new:
            assert get_operation(new, "operations/0/b").name
            assert health_of(new, "google.longrunning.Operations") == NOT_SERVING

    wait_until(lambda: is_refused(served.http_target), 10)
    closed = time.monotonic() - began
    wait_until(lambda: is_refused(served.grpc_target), 10)
    assert closed > 1.9
    assert served.ended() == 0


def test_sigint_does_not_settle(start: Start) -> None:
    """Ctrl-C closes the listeners without the settle time."""
    served = start(settle=60)

    served.signal(signal.SIGINT)

    assert served.ended() == 0


def test_running_calls_get_their_grace(start: Start) -> None:
    """Calls that run when the listeners close are answered on both ports."""
    served = start(settle=0)
    with served.channel() as channel, ThreadPoolExecutor() as pool:
        rpc = pool.submit(get_operation, channel, "operations/1000/a")
        rest = pool.submit(lambda: served.get("/v1/operations/1000/b"))
        wait_until(lambda: len(served.noted()) == 3, 10)
        served.signal()

        assert rpc.result().name == f"operations/1000/a/{served.process.pid}"
        assert rest.result()[0] == 200
    assert served.ended() == 0
    assert served.noted()[-1] == "stopped"


def test_calls_beyond_their_grace_are_cancelled(start: Start) -> None:
    """What still runs after the grace is told UNAVAILABLE, and the process ends with 0."""
    served = start(settle=0, grace=0.5)
    with served.channel() as channel, ThreadPoolExecutor() as pool:
        rpc = pool.submit(get_operation, channel, "operations/60000/a")
        rest = pool.submit(lambda: served.get("/v1/operations/60000/b"))
        wait_until(lambda: len(served.noted()) == 3, 10)
        served.signal()

        status, headers, body = rest.result()
        assert isinstance(rpc.exception(), grpc.RpcError)
    assert (status, body["code"], body["message"]) == (503, 14, "the server is shutting down")
    assert headers["connection"] == "close"
    assert served.ended() == 0


def test_stuck_thread_does_not_keep_the_process(start: Start) -> None:
    """A plain method that outlasts its grace does not keep the process from its end."""
    served = start(settle=0, grace=0.3)
    with served.channel() as channel, ThreadPoolExecutor() as pool:
        stub = operations_pb2_grpc.OperationsStub(channel)  # type: ignore[no-untyped-call]
        request = operations_pb2.DeleteOperationRequest(name="operations/60000/a")
        stuck = pool.submit(stub.DeleteOperation, request, timeout=20)
        wait_until(lambda: len(served.noted()) == 2, 10)
        served.signal()

        assert served.ended() == 0
        assert stuck.exception() is not None


def test_stuck_thread_without_a_client_does_not_keep_the_process(start: Start) -> None:
    """A plain method whose client went away gets the same grace, and not more."""
    served = start(settle=0, grace=0.5)
    with served.channel() as channel:
        stub = operations_pb2_grpc.OperationsStub(channel)  # type: ignore[no-untyped-call]
        request = operations_pb2.DeleteOperationRequest(name="operations/60000/a")
        call = stub.DeleteOperation.future(request)
        wait_until(lambda: len(served.noted()) == 2, 10)
        call.cancel()

    served.signal()

    assert served.ended() == 0
    assert served.noted() == ["started", "ran operations/60000/a", "stopped"]
    assert served.errors() == ""


def test_signal_while_the_application_starts(start: Start) -> None:
    """A signal ends an application that starts, before it serves; the exit code is 0."""
    served = start("operations:create_slow", wait=False)
    wait_until(lambda: served.noted() == ["starting"], 10)

    served.signal()

    assert served.ended() == 0
    assert served.noted() == ["starting", "interrupted"]
    assert served.errors() == ""


def test_application_that_does_not_stop(start: Start) -> None:
    """An application that never stops is left when its grace is over: a line, and 1."""
    served = start("operations:create_hung", settle=0, grace=0.3)

    served.signal()

    assert served.ended() == 1
    assert served.noted() == ["stopping"]
    assert served.errors() == "the application did not stop within 0.3 s\n"


def test_streams_end_with_unavailable(start: Start) -> None:
    """A stream of replies ends with UNAVAILABLE when its own, shorter grace is over."""
    served = start(settle=0, stream_grace=0.5)
    with served.channel() as channel:
        replies: Any = channel.unary_stream("/test.Numbers/Count", bytes, bytes)(b"", timeout=20)
        assert next(replies) == b"0"
        began = served.signal()

        with pytest.raises(grpc.RpcError) as caught:
            list(replies)
        took = time.monotonic() - began

    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert caught.value.details() == "the server is shutting down"
    assert 0.4 < took < 20
    assert served.ended() == 0


def test_health_watchers_are_told_and_let_go(start: Start) -> None:
    """Who watches health sees NOT_SERVING at once, and does not hold the drain."""
    served = start(settle=0.3, stream_grace=0.2, grace=60)
    with served.channel() as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        watch = stub.Watch(health_pb2.HealthCheckRequest())
        assert next(watch).status == SERVING
        served.signal()
        assert next(watch).status == NOT_SERVING

        with pytest.raises(grpc.RpcError):
            next(watch)
    assert served.ended() == 0


def test_idle_connection_does_not_hold_the_drain(start: Start) -> None:
    """An HTTP connection without a request is closed soon after the listener."""
    served = start(settle=0, grace=60)
    host, _, port = served.http_target.rpartition(":")
    with socket.create_connection((host, int(port))) as idle:
        served.signal()

        assert idle.recv(1) == b""
        assert served.ended() == 0


def test_connection_of_the_last_moment_is_served(start: Start) -> None:
    """A request that arrives after the close, on a connection made before it, is answered."""
    served = start(settle=0)
    host, _, port = served.http_target.rpartition(":")
    with socket.create_connection((host, int(port))) as late:
        served.signal()
        wait_until(lambda: is_refused(served.http_target), 10)
        late.sendall(b"GET /v1/operations/0/a HTTP/1.1\r\nhost: a\r\n\r\n")
        answer = late.recv(4096)

    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"connection: close" in answer


def test_pipelined_requests_are_all_answered(start: Start) -> None:
    """While the server drains, the last of the pipelined requests closes, not the first."""
    served = start(settle=2)
    host, _, port = served.http_target.rpartition(":")
    with socket.create_connection((host, int(port))) as client:
        served.signal()
        wait_until(lambda: served.get("/healthz")[0] == 503, 10)
        client.sendall(b"GET /v1/operations/50/a HTTP/1.1\r\nhost: a\r\n\r\n" * 3)
        answer = b"".join(iter(lambda: client.recv(4096), b""))

    assert answer.count(b"HTTP/1.1 200 ") == 3
    assert answer.count(b"connection: close") == 1


def test_second_signal_ends_at_once(start: Start) -> None:
    """A second signal ends the process, whatever runs."""
    served = start(settle=60)
    with served.channel() as channel, ThreadPoolExecutor() as pool:
        running = pool.submit(get_operation, channel, "operations/60000/a")
        wait_until(lambda: len(served.noted()) == 2, 10)
        served.signal()
        wait_until(lambda: health_of(channel) == NOT_SERVING, 10)
        served.signal()

        assert served.ended() == 128 + signal.SIGTERM
        assert running.exception() is not None


def test_second_signal_reaches_a_blocked_loop(start: Start) -> None:
    """A second signal ends the process when a servicer blocks the event loop."""
    served = start(then="import time; time.sleep(60)")
    served.signal()
    time.sleep(0.2)
    # More than one more: the system may hand two signals to a process that waits for a CPU as one.
    while served.process.poll() is None:
        served.signal()
        time.sleep(0.1)

    assert served.ended() == 128 + signal.SIGTERM


FIND = """
import asyncio, gc, grpc, uvicorn
def kill():
    {}
def one(kind):
    gc.unfreeze()
    return next(found for found in gc.get_objects() if isinstance(found, kind))
asyncio.get_running_loop().call_later(0.2, kill)
globals().update(one=one, asyncio=asyncio, grpc=grpc, uvicorn=uvicorn, gc=gc, print=print)
"""


@pytest.mark.parametrize(
    ("door", "fault"),
    [
        ("grpc", "globals().update(t=asyncio.ensure_future(one(grpc.aio.Server).stop(None)))"),
        ("http", "one(uvicorn.Server).servers[0].close()"),
        ("http", "one(uvicorn.Server).should_exit = True"),
    ],
)
def test_process_goes_when_a_listener_dies(start: Start, door: str, fault: str) -> None:
    """If either listener ends by itself, the process ends with 1, and nobody is waited for."""
    served = start(then=FIND.format(fault), settle=60)

    assert served.ended() == 1
    line = f"the {door} listener ended by itself, the process goes down\n"
    assert served.errors() == line


@pytest.mark.parametrize("workers", [1, 2])
def test_nothing_is_lost_when_a_loaded_server_drains(start: Start, workers: int) -> None:
    """SIGTERM under load: each request that was begun is answered, on both ports, to the end."""
    served = start(workers=workers, settle=0.7)
    ledger = Ledger()

    asyncio.run(load_until_refused(served, ledger, served.signal))

    assert served.ended() == 0
    assert set(ledger.outcomes) == {
        "rest answered",
        "rest refused",
        "grpc answered",
        "grpc refused",
    }, ledger.outcomes
    # A refused call may be sent elsewhere: it must not have run here.
    assert not {f"ran {name}" for name in ledger.unanswered} & set(served.noted())


def test_connections_are_served_throughout_the_settle_window(start: Start) -> None:
    """New connections are answered from the signal until the listener closes."""
    served = start(settle=0.7)
    ledger = Ledger()
    began = served.signal()

    asyncio.run(keep_alive_client(served.http_target, ledger, 1))

    assert time.monotonic() - began > 0.6
    assert set(ledger.outcomes) == {"rest answered", "rest refused"}
    assert ledger.outcomes["rest answered"] > 5


def test_what_is_there_at_start_is_no_garbage(start: Start) -> None:
    """A process of its own is not held up by searches of all its modules for garbage."""
    served = start(
        settle=0,
        then="import gc, os; open(os.environ['LEDGER'], 'a').write(str(gc.get_freeze_count()))",
    )
    served.signal()

    assert served.ended() == 0
    frozen = int(served.noted()[1].removesuffix("stopped"))
    assert frozen > 10_000


def test_methods_that_never_arrive_are_told(start: Start) -> None:
    """A route of a method that the HTTP port does not take is one warning at start."""
    served = start("undelivered:create")
    served.signal()

    assert served.errors() == (
        "services.user.v1.UserService.GetUser (RESTORE /v1/users/{id}) never answers: "
        "custom kind 'RESTORE': the server's HTTP port does not take this method\n"
    )


def test_conflicting_routes_end_the_start_in_one_line(start: Start) -> None:
    """Routes that conflict end the start, with one line that names both."""
    served = start("conflicting:create", wait=False)

    told = served.errors()

    assert served.ended() == 1
    assert told.count("\n") == 1
    assert "ListUsers (GET /v1/users)" in told
