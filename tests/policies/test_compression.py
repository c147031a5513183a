from __future__ import annotations

import asyncio
import gzip
import http.client
import json
import random
import zlib
from collections.abc import Mapping
from typing import Any

import pytest

from entrances import Running, call_each, run
from transcoder import Code
from transcoder.errors import ConfigError
from transcoder.policies.compression import Compression, Decompression

ACCEPT = {"accept-encoding": "gzip"}
GZIP = {"content-encoding": "gzip", "content-type": "application/json"}
NOISE = random.Random(7).randbytes(150_000).hex().encode()
LONG = "/v1/" + "a" * 2000 + "/single"


def exchange(
    path: str, headers: Mapping[str, str], body: bytes | None = None, **options: Any
) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body of an answer of a gateway with these options."""

    def asked(target: str) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(target, timeout=20)
        try:
            connection.request("GET" if body is None else "POST", path, body, dict(headers))
            answer = connection.getresponse()
            told = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, told, answer.read()
        finally:
            connection.close()

    async def fact(running: Running) -> tuple[int, dict[str, str], bytes]:
        return await asyncio.to_thread(asked, running.listening.http.target)

    return run(fact, **options)


def test_compressed() -> None:
    """A client that accepts gzip gets an answer as gzip."""
    status, headers, body = exchange(LONG, ACCEPT, policies=[Compression()])
    assert status == 200
    assert headers["content-encoding"] == "gzip"
    assert "Accept-Encoding" in headers["vary"]
    assert json.loads(gzip.decompress(body)) == {"text": "a" * 2000}


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        (LONG, {"accept-encoding": "identity"}),
        # Too short to pay.
        ("/v1/a/single", ACCEPT),
        # A stream says at once what it has to say.
        ("/v1/a/told?count=2&size=4000", ACCEPT),
    ],
)
def test_as_it_is(path: str, headers: dict[str, str]) -> None:
    """Other answers are sent as they are."""
    status, told, body = exchange(path, headers, policies=[Compression()])
    assert status == 200
    assert "content-encoding" not in told
    json.loads(body)


def test_other_entrances() -> None:
    """Calls through other entrances are answered as ever."""
    outcomes = call_each(ACCEPT, policies=[Compression(minimum=0), Decompression()])
    assert {calls[0].code for calls in outcomes.values()} == {Code.OK}


def post(body: bytes, headers: Mapping[str, str] = GZIP, **options: Any) -> tuple[int, Any]:
    """Send a stream of requests as one body; return the status and the JSON of the answer."""
    told = {**headers, "content-type": "application/x-ndjson"}
    status, _, answer = exchange("/v1/a/asks", told, body, policies=[Decompression(**options)])
    return status, json.loads(answer)


def test_decompressed() -> None:
    """A body that is gzip is read as what it was."""
    assert post(gzip.compress(b'{"count":1}\n{"count":2}\n')) == (200, {"topic": "a", "count": "2"})


def test_off() -> None:
    """Without the policy it is not taken."""
    status, _, _ = exchange("/v1/a/told", GZIP, gzip.compress(b"{}"))
    assert status == 415


def test_plain() -> None:
    """A body that is not compressed is read as ever."""
    assert post(b'{"count":1}\n', {})[0] == 200


@pytest.mark.parametrize(
    ("body", "status", "problem"),
    [
        (b"{}", 400, "the body is not gzip"),
        (gzip.compress(b'{"count":1}\n')[:-4], 400, "the gzip body ends before its end"),
        (b"", 400, "the gzip body ends before its end"),
        (gzip.compress(b"{}\n") + b"more", 400, "something stands behind the gzip body"),
        (zlib.compress(b"{}\n"), 400, "the body is not gzip"),
        (gzip.compress(NOISE), 413, "the body is over the limit of 200000 bytes"),
        # A bomb: a thousand bytes of it are a million.
        (gzip.compress(b" " * 190_000, 9), 413, "the body is over the limit of"),
    ],
)
def test_bad_bodies(body: bytes, status: int, problem: str) -> None:
    """What is no gzip, or grows too much, is refused before it takes room."""
    answer = post(body, limit=200_000)
    assert answer[0] == status
    assert problem in answer[1]["message"]


@pytest.mark.parametrize("encoding", ["br", "gzip, gzip", "GZIP2", "zstd"])
def test_other_encodings(encoding: str) -> None:
    """Other encodings are not taken."""
    assert post(b"{}", {"content-encoding": encoding})[0] == 415


@pytest.mark.parametrize(
    "make",
    [
        lambda: Compression(level=0),
        lambda: Compression(minimum=-1),
        lambda: Decompression(limit=0),
        lambda: Decompression(ratio=0),
    ],
)
def test_wrong_options(make: Any) -> None:
    """Numbers that make no sense are told at start."""
    with pytest.raises(ConfigError, match=r"(compression|decompression): "):
        make()
