"""How long `transcoder --help` takes: what a user waits for before anything is looked at.

    python benchmarks/cli_help.py

Wall time of the console script in a new process, median of the rounds, beside that of a Python
that does nothing. Left out: the disk's first read of the files (the round before the first).

Gate: 150 ms.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

GATE = 0.15
ROUNDS = 21
SCRIPT = Path(sys.executable).with_name("transcoder")


def wall(*command: str) -> float:
    """Return the seconds that a command takes."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> int:
    """Print the figures; 1 if the gate is missed."""
    wall(str(SCRIPT), "--help")
    help_ = statistics.median(wall(str(SCRIPT), "--help") for _ in range(ROUNDS))
    nothing = statistics.median(wall(sys.executable, "-c", "") for _ in range(ROUNDS))
    print(f"transcoder --help   {help_ * 1e3:5.0f} ms   (gate {GATE * 1e3:.0f} ms)")
    print(f"python -c ''        {nothing * 1e3:5.0f} ms")
    return int(help_ > GATE)


if __name__ == "__main__":
    sys.exit(main())
