"""Before backends of other authors, and under other servers than ours."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn

from behind import PATIENCE, Backend, Front, before
from nginx import fronting
from transcoder import Gateway, HttpUpstream

HERE = Path(__file__).parent
APPS = HERE.parent / "apps"


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


@contextmanager
def hypercorn(port: int) -> Iterator[None]:
    """Run a backend on hypercorn."""
    command = [sys.executable, "-m", "hypercorn", "--bind", f"127.0.0.1:{port}", "echoing:app"]
    with subprocess.Popen(command, cwd=APPS, stderr=subprocess.DEVNULL) as process:
        try:
            wait_for(port)
            yield
        finally:
            process.terminate()


def wait_for(port: int) -> None:
    """Wait until somebody listens on a port."""
    limit = time.monotonic() + PATIENCE
    while True:
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert time.monotonic() < limit
        time.sleep(0.02)


@contextmanager
def served(app: Any, port: int) -> Iterator[None]:
    """Run an application on uvicorn alone."""
    config = uvicorn.Config(app, port=port, log_config=None, lifespan="on")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_for(port)
        yield
    finally:
        server.should_exit = True
        thread.join()


def exchanged(front: Front) -> Any:
    """Return what a client is told that sends a body in chunks, twice on one connection."""

    def pieces() -> Iterator[bytes]:
        yield b"abc"
        yield b"def"

    with httpx2.Client(base_url=f"http://{front.target}", timeout=PATIENCE) as client:
        first = client.post("/back/a%2Fb?x=1", content=pieces())
        second = client.put("/back/c", content=b"ghi")
    assert (first.status_code, second.status_code) == (200, 200)
    return first.json(), second.json()


def test_hypercorn() -> None:
    """A backend on hypercorn sees what the client sent."""
    port = free_port()

    async def running() -> Any:
        async with before(Backend(), at=f"127.0.0.1:{port}") as front:
            return await asyncio.to_thread(exchanged, front)

    with hypercorn(port):
        first, second = asyncio.run(running())

    assert first == {"method": "POST", "path": "/back/a%2Fb", "query": "x=1", "body": "abcdef"}
    assert second == {"method": "PUT", "path": "/back/c", "query": "", "body": "ghi"}


def test_nginx(tmp_path: Path) -> None:
    """A backend behind nginx answers, with a file of its own as well."""
    port = free_port()

    async def running() -> list[tuple[int, int, str]]:
        async with before(Backend(), at=f"127.0.0.1:{port}") as front:
            return await asyncio.to_thread(asked, front)

    def asked(front: Front) -> list[tuple[int, int, str]]:
        with httpx2.Client(base_url=f"http://{front.target}", timeout=PATIENCE) as client:
            whole = client.get("/back/large")
            known = client.get("/back/large", headers={"if-none-match": whole.headers["etag"]})
            part = client.get("/back/large", headers={"range": "bytes=0-9"})
            head = client.head("/back/large")
        return [
            (each.status_code, len(each.content), each.headers.get("content-length", ""))
            for each in (whole, known, part, head)
        ]

    with tempfile.TemporaryDirectory() as www:
        # nginx reads it as somebody else.
        Path(www).chmod(0o755)
        (Path(www) / "back").mkdir()
        (Path(www) / "back/large").write_bytes(b"x" * 3_000_000)
        site = f"server {{ listen 127.0.0.1:{port}; location / {{ root {www}; }} }}"
        with fronting(site, port, tmp_path):
            found = asyncio.run(running())

    assert found == [
        (200, 3_000_000, "3000000"),
        (304, 0, ""),
        (206, 10, "10"),
        (200, 0, "3000000"),
    ]


def gateway_of(target: str) -> Gateway:
    """Return a gateway before a backend."""
    gateway = Gateway()
    gateway.forward("/back/**", HttpUpstream(f"http://{target}"))
    return gateway


@pytest.mark.parametrize("whole", [True, False])
def test_under_uvicorn(whole: bool) -> None:  # noqa: FBT001  a case
    """Under uvicorn alone an answer passes; one that is cut is cut by an exception."""
    raw = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n"
    end = b"0\r\n\r\n" if whole else b"garbage\r\n"
    port = free_port()

    async def running() -> bytes:
        backend = Backend(raw + end)
        async with before(backend) as front:
            return await asyncio.to_thread(asked, front)

    def asked(front: Front) -> bytes:
        with (
            served(gateway_of(front.backend.target), port),
            httpx2.Client(timeout=PATIENCE) as client,
        ):
            try:
                return client.get(f"http://127.0.0.1:{port}/back/a").content
            except httpx2.RemoteProtocolError:
                return b"cut"

    assert asyncio.run(running()) == (b"ok" if whole else b"cut")
