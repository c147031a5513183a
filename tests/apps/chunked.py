"""A client of streamed answers: what came, when, and whether it came to its end."""

from __future__ import annotations

import contextlib
import ssl
import time
from typing import Self

from over_tls import connect


class Chunked:
    """One connection with one request, read chunk by chunk.

    Args:
        target: host and port, with `https://` before them for TLS.
        raw: the request, or the beginning of it.
        room: bytes that the system may hold for a client that does not read; None for its default.
        context: of a client within TLS; None for one that shows no certificate.
    """

    def __init__(
        self,
        target: str,
        raw: bytes,
        room: int | None = None,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self.socket = connect(target, room, context)
        self.socket.sendall(raw)
        self._received = bytearray()
        self._read_to = 0
        self.status = 0
        self.headers: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def head(self) -> int:
        """Read status and headers; return the status."""
        head = self._until(b"\r\n\r\n").decode("latin-1")
        first, *lines = head.split("\r\n")
        self.status = int(first.split()[1])
        self.headers = {
            name.lower(): value for name, _, value in (line.partition(": ") for line in lines)
        }
        return self.status

    def chunk(self) -> bytes | None:
        """Return the next chunk; empty at the end, None when the connection was cut."""
        try:
            size = int(self._until(b"\r\n"), 16)
            while len(self._received) < self._read_to + size + 2:
                self._receive()
        except (EOFError, ConnectionError, ssl.SSLEOFError):
            return None
        start = self._read_to
        self._read_to += size + 2
        return bytes(self._received[start : start + size])

    def rest(self) -> tuple[bytes, bool]:
        """Return all that comes, and whether it came to its end."""
        chunks = []
        while chunk := self.chunk():
            chunks.append(chunk)
        return b"".join(chunks), chunk == b""

    def all(self) -> bytes:
        """Return what comes until the connection ends, whatever it is."""
        with contextlib.suppress(EOFError):
            while True:
                self._receive()
        return bytes(self._received[self._read_to :])

    def send(self, data: bytes) -> None:
        """Send the body's next chunk; the last one is empty."""
        self.socket.sendall(b"%x\r\n%b\r\n" % (len(data), data))

    def _until(self, mark: bytes) -> bytes:
        while (end := self._received.find(mark, self._read_to)) < 0:
            self._receive()
        start, self._read_to = self._read_to, end + len(mark)
        return bytes(self._received[start:end])

    def _receive(self) -> None:
        data = self.socket.recv(1 << 18)
        if not data:
            raise EOFError
        del self._received[: self._read_to]
        self._read_to = 0
        self._received += data


def noted(lines: object, text: str, within: float) -> bool:
    """Wait for a line of a ledger.

    Args:
        lines: returns the lines so far.
        text: that one of them starts with.
        within: seconds.
    """
    assert callable(lines)
    until = time.monotonic() + within
    while time.monotonic() < until:
        if any(line.startswith(text) for line in lines()):
            return True
        time.sleep(0.01)
    return False
