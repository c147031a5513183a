"""A name server of its own: dnsmasq, which knows what a test tells it, and asks nobody else."""

from __future__ import annotations

import contextlib
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from programs import program

PATIENCE = 30.0


class NameServer:
    """Answers for the names of `test`, with records of no lasting.

    Args:
        folder: an empty one.
        port: on which it listens.
    """

    def __init__(self, folder: Path, port: int) -> None:
        self.address = f"127.0.0.1:{port}"
        self._folder = folder
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None

    def tell(self, *records: str) -> None:
        """Answer from now on with these.

        Args:
            records: lines of dnsmasq's configuration, as `host-record=NAME,ADDRESS` and
                `srv-host=NAME,TARGET,PORT,PRIORITY,WEIGHT`.
        """
        self.stop()
        lines = [
            f"port={self._port}",
            "listen-address=127.0.0.1",
            "bind-interfaces",
            "no-resolv",
            "no-hosts",
            "local=/test/",
            "user=root",
            "pid-file",
            *records,
        ]
        configuration = self._folder / "dnsmasq.conf"
        configuration.write_text("\n".join(lines) + "\n")
        command = program("dnsmasq", also=["/usr/sbin"])
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [command, "--keep-in-foreground", f"--conf-file={configuration}"],
                stdout=log,
                stderr=log,
            )
        limit = time.monotonic() + PATIENCE
        while not self._answers():
            assert self._process.poll() is None, (self._folder / "log").read_text()
            assert time.monotonic() < limit
            time.sleep(0.01)

    def stop(self) -> None:
        """Answer nobody."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        # The question for the address of `test`, which it knows that it has none of.
        question = struct.pack("!6H", 1, 0x0100, 1, 0, 0, 0) + b"\x04test\0" + b"\0\x01\0\x01"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(0.2)
            client.connect(("127.0.0.1", self._port))
            try:
                client.send(question)
                return bool(client.recv(512))
            except OSError:
                return False


@contextlib.contextmanager
def name_server(folder: Path, *records: str) -> Iterator[NameServer]:
    """Run a name server that answers with these records; see `NameServer.tell`."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
    server = NameServer(folder, port)
    server.tell(*records)
    try:
        yield server
    finally:
        server.stop()
