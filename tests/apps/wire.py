"""The client of `catalogue.py`: requests byte by byte, and what must hold of each answer."""

from __future__ import annotations

import contextlib
import json
import re
import select
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from over_tls import connect

if TYPE_CHECKING:
    from tests.conftest import Served

LOOP_LIMIT = 0.1
"""Seconds of CPU that one case may take of the server's event loop."""

INSIDE = re.compile(
    r"Traceback|<class|Error\b|\.py\b|site-packages|/src/|google\.protobuf|everything\.v1|"
    r"sfixed64_value|Available Fields"
)
"""What only the inside knows: exceptions, files, types, lists of fields."""

TRIES = 3
"""How often a case is tried that takes longer than it may."""

CANARY = "/v1/canary"


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, read to its last byte."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    closed: bool

    def json(self) -> Any:
        """Return the body's tree."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class _Tried:
    """What came of a request: the method that was called, the lines logged, the loop's seconds."""

    answer: Answer
    called: str
    logged: list[str]
    seconds: float


class Wire:
    """One connection, on which every byte is ours."""

    def __init__(self, target: str) -> None:
        self._socket = connect(target)
        self._received = b""

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def send(self, raw: bytes) -> None:
        """Send bytes."""
        self._socket.sendall(raw)

    def send_until_answered(self, piece: bytes) -> None:
        """Send the same bytes again and again, until the server has something to say."""
        while not select.select([self._socket], [], [], 0)[0]:
            if select.select([], [self._socket], [], 1)[1]:
                self._socket.send(piece)

    def send_until_cut(self, piece: bytes) -> int:
        """Send the same bytes until the server ends the connection; return how many were taken."""
        sent = 0
        with contextlib.suppress(ConnectionError):
            while True:
                self._socket.sendall(piece)
                sent += len(piece)
        return sent

    def is_answered(self, within: float) -> bool:
        """Say whether there is something to read, after so many seconds at most."""
        return bool(select.select([self._socket], [], [], within)[0])

    def answer(self, *, head: bool = False) -> Answer:
        """Read one answer; one to HEAD has no body, whatever its length says."""
        while b"\r\n\r\n" not in self._received:
            assert self._read(), f"closed without an answer, after {self._received!r}"
        raw, _, self._received = self._received.partition(b"\r\n\r\n")
        first, *lines = raw.decode("latin-1").split("\r\n")
        headers = {
            name.lower(): value for name, _, value in (line.partition(": ") for line in lines)
        }
        assert len(headers) == len(lines), "a header came twice"
        length = 0 if head else int(headers.get("content-length", 0))
        while len(self._received) < length:
            assert self._read(), "closed within a body"
        body, self._received = self._received[:length], self._received[length:]
        closed = headers.get("connection") == "close"
        assert not closed or not (self._received or self._read()), "bytes behind the last answer"
        return Answer(int(first.split()[1]), headers, body, closed)

    def _read(self) -> bytes:
        received = self._socket.recv(1 << 16)
        self._received += received
        return received


class Catalogue:
    """The server of `tests/apps/catalogue.py`, and what it wrote and used so far."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self.pid = served.process.pid
        self._log = served.ledger.with_name("log")
        self._before = self.resources()

    def wire(self) -> Wire:
        """Return a new connection."""
        return Wire(self.served.http_target)

    def log(self) -> list[str]:
        """Return the lines of the log."""
        return self._log.read_text().split("\n")[:-1]

    def loop_seconds(self) -> float:
        """Return the CPU seconds of the thread that runs the event loop."""
        stat = Path(f"/proc/{self.pid}/task/{self.pid}/schedstat").read_text()
        return int(stat.split()[0]) / 1e9

    def resources(self) -> tuple[int, int]:
        """Return how many files and threads the server has open."""
        process = Path(f"/proc/{self.pid}")
        return len(list((process / "fd").iterdir())), len(list((process / "task").iterdir()))

    def peak_memory(self) -> int:
        """Return how many bytes of memory the server held when it held most."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) * 1024

    def forget_peak(self) -> None:
        """Let the peak be what the server holds now."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def check_alive(self) -> None:
        """Check that a new connection works."""
        wire = self.wire()
        self._check_canary(wire)
        wire.close()

    def grown(self) -> tuple[int, int]:
        """Return by how many files and threads the server grew, once its connections are gone."""
        deadline = time.monotonic() + 5
        while True:
            now = self.resources()
            files, threads = now[0] - self._before[0], now[1] - self._before[1]
            if files <= 2 or time.monotonic() > deadline:
                return files, threads
            time.sleep(0.05)

    def send(
        self, raw: bytes, limit: float = LOOP_LIMIT, *, endless: bytes = b""
    ) -> tuple[Answer, str]:
        """Send a request; return the answer and the method that was called, if one was.

        The connection, if it is open still, and a new one work afterwards. What takes too long is
        sent again: neighbours on the same machine and a server that is traced only ever add to it.

        Args:
            raw: the request.
            limit: CPU seconds that it may take of the event loop.
            endless: sent after it, until there is an answer.
        """
        tried = self._tried(raw, limit, endless)
        return tried.answer, tried.called

    def refused(self, raw: bytes, limit: float = LOOP_LIMIT, *, endless: bytes = b"") -> Answer:
        """Send a request that is refused: told in little, logged once, and nothing is called."""
        tried = self._tried(raw, limit, endless)
        answer, logged = tried.answer, tried.logged
        assert tried.called == ""
        assert len(logged) == 1, logged
        assert logged[0].isprintable()
        assert len(logged[0]) <= 8192
        assert answer.headers["x-request-id"] in logged[0]
        check_status(answer, has_body=not raw.startswith(b"HEAD "))
        return answer

    def _tried(self, raw: bytes, limit: float, endless: bytes) -> _Tried:
        taken = []
        for _ in range(TRIES):
            tried = self._sent(raw, endless)
            taken.append(tried.seconds)
            if tried.seconds < limit:
                return tried
        raise AssertionError(f"the loop was held for {taken} seconds")

    def _sent(self, raw: bytes, endless: bytes) -> _Tried:
        lines, noted, used = len(self.log()), len(self.served.noted()), self.loop_seconds()
        wire = self.wire()
        wire.send(raw)
        if endless:
            wire.send_until_answered(endless)
        answer = wire.answer(head=raw.startswith(b"HEAD "))
        seconds = self.loop_seconds() - used
        calls = self.served.noted()[noted:]
        if not answer.closed:
            self._check_canary(wire)
        wire.close()
        fresh = self.wire()
        self._check_canary(fresh)
        fresh.close()
        assert len(calls) <= 1
        assert self.served.process.poll() is None
        return _Tried(answer, "".join(calls), self.log()[lines:], seconds)

    def _check_canary(self, wire: Wire) -> None:
        wire.send(request("GET", CANARY))
        answer = wire.answer()
        assert (answer.status, answer.json()) == (200, {"stringValue": "canary"})


def check_status(answer: Answer, *, has_body: bool = True) -> None:
    """Check that a refusal is a `google.rpc.Status` of ours which tells nothing of the inside."""
    assert 400 <= answer.status < 500 or answer.status == 501
    assert answer.headers["content-type"] == "application/json"
    assert int(answer.headers["content-length"]) <= 2048
    if not has_body:
        return
    status = answer.json()
    assert list(status) == ["code", "message", "details"]
    assert 0 < status["code"] <= 16
    assert 0 < len(status["message"].encode()) <= 512
    assert not INSIDE.search(status["message"])
    for name, value in answer.headers.items():
        assert not INSIDE.search(f"{name}: {value}")


def request(
    method: str, target: str | bytes, *headers: str, body: bytes = b"", host: str = "localhost"
) -> bytes:
    """Return a request's bytes."""
    raw = target if isinstance(target, bytes) else target.encode()
    lines = [f"Host: {host}", *headers]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    head = "\r\n".join(lines).encode("latin-1")
    return b"%b %b HTTP/1.1\r\n%b\r\n\r\n%b" % (method.encode(), raw, head, body)


def get(target: str | bytes) -> bytes:
    """Return the bytes of a GET."""
    return request("GET", target)
