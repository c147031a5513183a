"""A replica of an HTTP backend in a process of its own, at a port of its choice."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import Iterator

from behind import Backend
from listening import serving


async def serve() -> None:
    """Serve until the process ends; say where when that begins."""
    async with serving(Backend().serve) as target:
        print(target, flush=True)  # noqa: T201  its parent reads it
        await asyncio.Event().wait()


@contextlib.contextmanager
def replica() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run one, which a test may kill; its address is the second value."""
    command = [sys.executable, __file__]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


if __name__ == "__main__":
    asyncio.run(serve())
