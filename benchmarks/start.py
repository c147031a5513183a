"""How long a server takes from start to ready, and from SIGTERM to its end when nothing runs.

    .venv/bin/python benchmarks/start.py

Every round starts a new interpreter; ready is when both ports answer, which the server says by
`on_ready`. The settle time of the drain is zero here, so that what remains is its own. The median
of several rounds is shown. Exit code 1: one process took longer than 1.5 s from start to ready;
workers compete for the machine's cores, so that their times are shown and judged by nobody.

Left out: the application's own imports and lifespan, whatever they cost; the gateway here has one
service, `google.longrunning.Operations`.
"""

from __future__ import annotations

import signal
import statistics
import subprocess
import sys
import time

ROUNDS = 7
LIMIT = 1.5

SCRIPT = """
import sys
from transcoder import Server
Server("start:create", settle=0, on_ready=lambda _: print("ready", flush=True)).run(
    "127.0.0.1:0", "127.0.0.1:0", workers=int(sys.argv[1])
)
"""


REFUSED = """
from transcoder import Server
Server("no.such:app").run("127.0.0.1:0", "127.0.0.1:0")
"""


def create() -> object:
    """Return the gateway that is served."""
    from google.longrunning import operations_pb2_grpc  # noqa: PLC0415  the parent needs neither

    from transcoder import Gateway  # noqa: PLC0415

    gateway = Gateway()
    servicer = operations_pb2_grpc.OperationsServicer()
    operations_pb2_grpc.add_OperationsServicer_to_server(servicer, gateway)  # type: ignore[no-untyped-call]
    return gateway


def measure(workers: int) -> tuple[float, float]:
    """Start and end one server; return the seconds that each took."""
    path = f"import sys; sys.path.insert(0, {sys.path[0]!r})"
    began = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-c", path + SCRIPT, str(workers)], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        ready = time.perf_counter()
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 0
    return ready - began, time.perf_counter() - ready


def refused() -> float:
    """Return the seconds from start to exit code 1 of an application that cannot be loaded."""
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        ended = subprocess.run(
            [
                sys.executable,
                "-c",
                REFUSED,
            ],
            stderr=subprocess.DEVNULL,
            check=False,
        )
        assert ended.returncode == 1
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def main() -> int:
    """Print the figures; return the exit code."""
    alone = 0.0
    print(f"application that fails: refused after {refused():.2f} s")
    for workers in (1, 2, 4):
        rounds = [measure(workers) for _ in range(ROUNDS)]
        start, end = (statistics.median(figures) for figures in zip(*rounds, strict=True))
        alone = start if workers == 1 else alone
        print(f"{workers} worker(s): ready after {start:.2f} s, ended after {end:.2f} s")
    return int(alone > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
