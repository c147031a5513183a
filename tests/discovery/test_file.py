from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from transcoder.discovery import Endpoint, EndpointFile, Unknown


def look(source: EndpointFile) -> list[str]:
    """Return the addresses of this moment."""
    return [endpoint.address for endpoint in asyncio.run(source.look()).endpoints]


def test_first(tmp_path: Path) -> None:
    """What a file lists is known at once."""
    path = tmp_path / "e.yaml"
    path.write_text("- a:1\n- {address: 'b:2', weight: 3}\n")
    answer = asyncio.run(EndpointFile(path).look())

    assert answer.endpoints == (Endpoint("a:1"), Endpoint("b:2", 3))
    assert answer.seconds == 1.0


def test_change(tmp_path: Path) -> None:
    """A change counts when it is there for a second look, so that none is seen by half."""
    path = tmp_path / "e.yaml"
    path.write_text("- a:1\n- b:1\n")
    source = EndpointFile(path)
    look(source)
    path.write_text("- c:1\n")
    half = look(source)
    path.write_text("- c:1\n- d:1\n")
    still = look(source)

    assert half == still == ["a:1", "b:1"]
    assert look(source) == ["c:1", "d:1"]


def test_replaced(tmp_path: Path) -> None:
    """A file that another takes the place of is another, even one of its age and length."""
    path, other = tmp_path / "e.yaml", tmp_path / "f.yaml"
    path.write_text("- a:1\n")
    other.write_text("- b:1\n")
    times = (path.stat().st_atime_ns, path.stat().st_mtime_ns)
    source = EndpointFile(path)
    look(source)
    os.utime(other, ns=times)
    other.replace(path)
    look(source)

    assert look(source) == ["b:1"]


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (None, "No such file or directory"),
        (b"\xff", "it is not UTF-8"),
        (b"# " + b" " * (1 << 20), "over 1048576 bytes"),
        (b"- a:0", "[0]: 'a:0' is no address: HOST:PORT is expected"),
    ],
)
def test_wrong(tmp_path: Path, data: bytes | None, problem: str) -> None:
    """Why there is no answer is told, each time; and there is one when the file is right."""
    path = tmp_path / "e.yaml"
    if data is not None:
        path.write_bytes(data)
    source = EndpointFile(path)
    for _ in range(3):
        with pytest.raises(Unknown) as raised:
            look(source)

        assert str(raised.value) == problem
    path.write_text("- a:1\n")
    try:
        look(source)
    except Unknown:
        assert look(source) == ["a:1"]
