"""What a gateway holds for clients that do not read, in a process of its own."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.conftest import Start

from behind import Backend, Request, pause
from listening import serving

READERS = 20
MB = 1 << 20


def memory(pid: int) -> int:
    """Return the bytes of memory that a process holds."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096


def test_stalled_readers(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """For a client that does not read, a megabyte of its answer is held at most."""
    stuck = asyncio.Semaphore(0)

    async def flood(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 999999999\r\n\r\n")
        try:
            while True:
                writer.write(b"x" * 65_536)
                async with asyncio.timeout(2):
                    await writer.drain()
        except TimeoutError:
            stuck.release()
        await request.reader.read()

    async def running() -> int:
        async with serving(Backend(flood).serve) as target:
            monkeypatch.setenv("BACKEND", target)
            served = await asyncio.to_thread(start, "passing:create")
            host, _, port = served.http_target.rpartition(":")
            writers: list[asyncio.StreamWriter] = []

            async def stall() -> None:
                _, writer = await asyncio.open_connection(host, int(port))
                pause(writer)
                writer.write(b"GET /back/a HTTP/1.1\r\nhost: a\r\n\r\n")
                writers.append(writer)

            await stall()
            await stuck.acquire()
            before = memory(served.process.pid)
            for _ in range(READERS):
                await stall()
            for _ in range(READERS):
                await stuck.acquire()
            held = memory(served.process.pid) - before
            for writer in writers:
                writer.transport.abort()
            return held

    assert asyncio.run(running()) < READERS * MB
