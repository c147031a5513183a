from __future__ import annotations

import contextlib
import gc
import logging
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from transcoder.errors import InvalidRequest, PayloadTooLarge, StatusError, UnsupportedMedia
from transcoder.multipart import FormLimits, Multipart

TYPE = "multipart/form-data; boundary=b"
Read = tuple[str, str, str, bytes]
NAMED = b'Content-Disposition: form-data; name="a"'


def part(headers: bytes, data: bytes = b"") -> bytes:
    return b"--b\r\n" + headers + b"\r\n\r\n" + data + b"\r\n"


def field(name: bytes, data: bytes = b"") -> bytes:
    return part(b'Content-Disposition: form-data; name="' + name + b'"', data)


def file(name: bytes, data: bytes = b"", file_name: bytes = b"f") -> bytes:
    said = b'Content-Disposition: form-data; name="' + name + b'"; filename="' + file_name + b'"'
    return part(said, data)


def fed(chunks: list[bytes], limits: FormLimits, content_type: str = TYPE) -> list[Read]:
    form = Multipart(content_type, limits)
    with contextlib.closing(form):
        for chunk in chunks:
            form.feed(chunk)
        form.end()
        return [(each.name, each.content_type, each.kind, each.read()) for each in form.parts]


def whole(body: bytes) -> list[bytes]:
    return [body]


def byte_by_byte(body: bytes) -> list[bytes]:
    return [body[at : at + 1] for at in range(len(body))]


def with_trailing_data(body: bytes) -> list[bytes]:
    return [body, b"\r\nepilogue --b\r\n"]


JSON = part(NAMED + b"\r\nContent-Type: application/json", b"[]")


@pytest.mark.parametrize("cut", [whole, byte_by_byte, with_trailing_data])
@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", []),
        (field(b"a", b"1"), [("a", "", "text", b"1")]),
        (field(b"a"), [("a", "", "text", b"")]),
        (field(b"a", b"1") + field(b"a", b"2"), [("a", "", "text", b"1"), ("a", "", "text", b"2")]),
        (field(b"a", b"\r\n--B\r\n-"), [("a", "", "text", b"\r\n--B\r\n-")]),  # no boundary
        (field("ü".encode(), b"1"), [("ü", "", "text", b"1")]),
        (file(b"a", b"\0\xff"), [("a", "", "file", b"\0\xff")]),
        (file(b"a"), [("a", "", "file", b"")]),
        (file(b"a", file_name=b"") + field(b"c"), [("c", "", "text", b"")]),  # no file was chosen
        (file(b"a", b"1", file_name=b""), [("a", "", "file", b"1")]),
        (
            part(b"content-disposition:form-data;name=a\r\nContent-Type: Text/Plain;charset=x"),
            [("a", "Text/Plain;charset=x", "text", b"")],
        ),
        (
            part(b'Content-Disposition: form-data; name="a"\r\nContent-Type: application/json'),
            [("a", "application/json", "json", b"")],
        ),
        (
            file(b"a", b"{}", b'f"\r\nContent-Type: application/json; x="'),
            [("a", 'application/json; x=""', "file", b"{}")],
        ),
        (
            part(b'Content-Disposition: form-data; name="a"\r\nContent-Type: image/png'),
            [("a", "image/png", "file", b"")],
        ),
        (
            part(b'Content-Disposition: form-data; name="a"\r\nContent-Transfer-Encoding: 8Bit'),
            [("a", "", "text", b"")],
        ),
    ],
)  # fmt: skip
def test_parts(cut: Callable[[bytes], list[bytes]], body: bytes, expected: list[Read]) -> None:
    """A body's parts are the same however its bytes arrive."""
    assert fed(cut(body + b"--b--\r\n"), FormLimits()) == expected


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"x",
        b"--c\r\n",
        b"--b--"[:-1],
        field(b"a", b"1"),
        b"--b\r\nContent-Disposition",
        part(b"no header") + b"--b--",
        part(b"Content-Type: text/plain") + b"--b--",
        part(b'Content-Disposition: attachment; name="a"') + b"--b--",
        part(b'Content-Disposition: form-data; name=""') + b"--b--",
        part(b"Content-Disposition: form-data; name*=UTF-8''a") + b"--b--",
        field(b"\xff") + b"--b--",
        part(b"A: " + b"a" * 5000) + b"--b--",
        part(b"\r\n".join(b"A%d: 1" % each for each in range(9))) + b"--b--",
        part(b'Content-Disposition: form-data; name="a"\r\ncontent-disposition: x') + b"--b--",
    ],
)
def test_malformed(body: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """What is no multipart body is refused in words of our own, and nothing is logged."""
    caplog.set_level(logging.DEBUG)
    for chunks in ([body], byte_by_byte(body)):
        with pytest.raises(InvalidRequest) as refused:
            fed(chunks, FormLimits())
        assert "multipart body" in refused.value.problem
    assert not caplog.records


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary=""',
        "multipart/form-data; boundary=" + "b" * 300,
    ],
)
def test_boundary(content_type: str) -> None:
    """A body whose type names no usable boundary is refused."""
    with pytest.raises(InvalidRequest):
        Multipart(content_type, FormLimits())


@pytest.mark.parametrize(
    ("limits", "body", "problem", "name"),
    [
        (FormLimits(size=40), field(b"a"), "the body is over the limit of 40 bytes", ""),
        (FormLimits(fields=1), field(b"a") + field(b"c"), "over 1 fields", "c"),
        (FormLimits(field_size=3), field(b"a", b"1234"), "over the limit of 3 bytes", "a"),
        (FormLimits(files=1), file(b"a") + file(b"c"), "over 1 files", "c"),
        (FormLimits(files=0), file(b"a"), "over 0 files", "a"),
        (FormLimits(files=0, fields=1), JSON + JSON, "over 1 fields", "a"),
        (FormLimits(), part(NAMED + b"; a=b" * 16), "header has over 16 options", ""),
        (FormLimits(), part(NAMED + b"\r\nContent-Type: a/b" + b";" * 17), "over 16 options", ""),
    ],
)
def test_limits(limits: FormLimits, body: bytes, problem: str, name: str) -> None:
    """A body over a limit is refused, naming the part that is too much."""
    for chunks in ([body], byte_by_byte(body)):
        with pytest.raises(StatusError, match=problem) as refused:
            fed(chunks, limits)
        assert isinstance(refused.value, PayloadTooLarge) == ("the body is" in problem)
        assert getattr(refused.value, "field", "") == name


def test_within_limits() -> None:
    """A body of exactly so many fields, files and bytes passes."""
    body = field(b"a", b"123") + file(b"c", b"12345") + b"--b--"
    limits = FormLimits(size=len(body), fields=1, field_size=3, files=1, memory=1)

    assert [data for *_, data in fed([body], limits)] == [b"123", b"12345"]


def test_transfer_encoding() -> None:
    """A part whose bytes are encoded is refused by its name."""
    headers = b'Content-Disposition: form-data; name="a"\r\nContent-Transfer-Encoding: base64'

    with pytest.raises(UnsupportedMedia, match="a: send the part's bytes as they are"):
        fed([part(headers)], FormLimits())


def open_files() -> int:
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir()))


def test_spools() -> None:
    """Of a large file little stays in memory, and of a closed form nothing on disk."""
    before = open_files()
    form = Multipart(TYPE, FormLimits(size=1 << 25, memory=1 << 16))
    form.feed(field(b"a", b"1") + file(b"c")[:-2])
    assert not form.spools(1 << 16)
    assert form.spools((1 << 16) + 1)

    chunk = b"x" * (1 << 16)
    tracemalloc.start()
    try:
        for _ in range(1 << 8):
            form.feed(chunk)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert held < 1 << 19
    assert form.spools(1)
    assert open_files() == before + 1
    form.close()
    assert open_files() == before


def test_missing_package() -> None:
    """Without the parser the error names the extra to install."""
    script = "import sys; sys.modules['python_multipart'] = None; import transcoder.multipart"

    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )

    assert "install transcoder[forms]" in done.stderr.splitlines()[-1]
