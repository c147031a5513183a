"""Whether any request, reply or message holds the event loop for over 100 ms.

    python benchmarks/loop_held.py

Runs the tests that send the worst of each kind to real servers, which tell the most CPU seconds
that they took between two turns of their loops; `make test` allows them 200 ms, for it runs several
at once. Exit code 1: one took longer in each of five tries.

Left out: what a servicer itself does on the loop.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SECONDS = 0.1
"""Of a processor, between two turns of the loop."""

TESTS = ("tests/test_gateway_large.py", "tests/test_gateway_heavy.py")


def main() -> int:
    """Run the tests; return 1 if one of them failed."""
    print(f"at most {SECONDS * 1000:.0f} ms of CPU time between two turns of the loop", flush=True)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *TESTS],
        cwd=Path(__file__).resolve().parents[1],
        env={**os.environ, "BOUND": str(SECONDS)},
        check=False,
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
