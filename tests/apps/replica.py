"""A replica of the user service in a process of its own: `replica.py PORT`."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import Iterator

from backend import Users, backend


async def serve(port: int) -> None:
    """Serve until the process ends; say when that begins."""
    async with backend(Users(), port=port):
        print("serving", flush=True)  # noqa: T201  its parent reads it
        await asyncio.Event().wait()


@contextlib.contextmanager
def replica(port: int) -> Iterator[subprocess.Popen[str]]:
    """Run one, which a test may kill."""
    command = [sys.executable, __file__, str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "serving\n"
            yield process
        finally:
            process.kill()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
