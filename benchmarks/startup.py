"""How long the example service takes from its first instruction to its first answer.

Each round starts `python -m services.user` over an empty SQLite file in a new process and asks
`/healthz` once it says where it listens. Wall time, median of the rounds; a client waits in wall
time too.

Left out: the disk's first read of the files (one round before the first counts for nothing).

Gate: 1.5 s.
"""

from __future__ import annotations

import http.client
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time

GATE = 1.5
ROUNDS = 7


def start() -> tuple[float, float]:
    """Start the service once; return the seconds until it was ready and until it had answered."""
    with tempfile.TemporaryDirectory() as folder:
        begun = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", "services.user", "--http=127.0.0.1:0", "--grpc=127.0.0.1:0"],
            cwd=folder,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        [target] = re.findall(r"REST on (\S+),", process.stdout.readline())
        ready = time.monotonic() - begun
        connection = http.client.HTTPConnection(target)
        connection.request("GET", "/healthz")
        assert connection.getresponse().status == http.client.OK
        answered = time.monotonic() - begun
        connection.close()
        process.send_signal(signal.SIGINT)
        process.communicate()
    return ready, answered


def main() -> int:
    """Measure and print; 1 when the gate is missed."""
    start()
    ready, answered = zip(*(start() for _ in range(ROUNDS)), strict=True)
    print(f"the user service from start, median of {ROUNDS} rounds")
    print(f"  ready     {statistics.median(ready):5.2f} s   (gate {GATE})")
    print(f"  answered  {statistics.median(answered):5.2f} s")
    return 0 if statistics.median(ready) <= GATE else 1


if __name__ == "__main__":
    sys.exit(main())
