from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from transcoder.observers.sink import Sink


def rendered(text: str) -> bytes:
    """Return a line; "bad" has none."""
    if text == "bad":
        raise ValueError
    return f"{text}\n".encode()


def test_order(tmp_path: Path) -> None:
    """Lines are written in the order in which they come, and all of them before it closes."""
    sink = Sink(tmp_path / "log", rendered)
    for index in range(3000):
        sink.put(str(index))
    sink.close(20)
    assert (tmp_path / "log").read_text().split() == [str(index) for index in range(3000)]
    assert sink.dropped == 0


def test_nothing(tmp_path: Path) -> None:
    """A sink that is given nothing opens nothing."""
    sink = Sink(tmp_path / "log", rendered)
    sink.close()
    assert not (tmp_path / "log").exists()


def test_full_disk() -> None:
    """What a full disk does not take is dropped and counted, and holds nobody up."""
    sink = Sink("/dev/full", rendered)
    begun = time.monotonic()
    for index in range(100):
        sink.put(str(index))
    assert time.monotonic() - begun < 1
    sink.close(20)
    assert sink.dropped == 100


def test_full_pipe(tmp_path: Path) -> None:
    """A pipe that nobody reads fills the queue, and what comes then is dropped and counted."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    sink = Sink(path, rendered, queue=100)
    text = "x" * 1000
    begun = time.monotonic()
    for _ in range(1000):
        sink.put(text)
    assert time.monotonic() - begun < 1
    assert sink.dropped > 0
    begun = time.monotonic()
    sink.close(0.1)
    assert time.monotonic() - begun < 5
    # Who reads at last lets the thread go.
    os.set_blocking(reader, True)
    while _writes():
        os.read(reader, 1 << 20)
    os.close(reader)


def _writes() -> bool:
    return any(each.name == "log" for each in threading.enumerate())


def test_moved(tmp_path: Path) -> None:
    """A file that was moved away is begun anew, as log rotation wants it."""
    path = tmp_path / "log"
    sink = Sink(path, rendered)
    sink.put("first")
    _until(lambda: path.exists() and path.read_text() == "first\n")
    path.rename(tmp_path / "log.1")
    until = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < until
        sink.put("more")
        time.sleep(0.05)
    sink.close(20)
    assert set(path.read_text().split()) == {"more"}


def _until(condition: object) -> None:
    assert callable(condition)
    until = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_cannot_open(tmp_path: Path) -> None:
    """Where no file can be, lines are dropped and counted."""
    sink = Sink(tmp_path / "nowhere" / "log", rendered)
    sink.put("first")
    sink.close(20)
    assert sink.dropped == 1


def test_bad_record(tmp_path: Path) -> None:
    """A record that has no line is dropped alone."""
    sink = Sink(tmp_path / "log", rendered)
    for text in ("a", "bad", "b"):
        sink.put(text)
    sink.close(20)
    assert (tmp_path / "log").read_text() == "a\nb\n"
    assert sink.dropped == 1


def test_standard_output(capfd: pytest.CaptureFixture[str]) -> None:
    """A hyphen stands for standard output."""
    sink = Sink("-", rendered)
    sink.put("told")
    sink.close(20)
    assert capfd.readouterr().out == "told\n"
