"""A Redis server of a test's own, on a port of its own, which can be stopped and started."""

from __future__ import annotations

import socket
import subprocess
import time
from pathlib import Path
from typing import Self

SECONDS = 20


class Store:
    """A Redis server.

    Args:
        folder: where it works.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            self.port: int = found.getsockname()[1]

    @property
    def url(self) -> str:
        """Where it is."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it, empty; return when it answers."""
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly"]
        self._process = subprocess.Popen(
            ["redis-server", *options, "no", "--dir", str(self._folder)],
            stdout=subprocess.DEVNULL,
        )
        until = time.monotonic() + SECONDS
        while not self._answers():
            if time.monotonic() > until:
                raise TimeoutError("redis-server does not answer")
            time.sleep(0.01)

    def say(self, *words: str) -> bytes:
        """Send one command; return the first piece of the answer."""
        with socket.create_connection(("127.0.0.1", self.port), SECONDS) as connection:
            connection.sendall(" ".join(words).encode() + b"\r\n")
            return connection.recv(65_536)

    def stop(self) -> None:
        """Stop it at once; what it held is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        try:
            return self.say("PING") == b"+PONG\r\n"
        except OSError:
            return False

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
