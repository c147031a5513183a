"""The policies of a gateway stand before what is passed on, as before methods."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from behind import Front, Request, Told, run
from tokens import ISSUER, claims, jwks, mint, rsa
from transcoder.policies import Compression, Cors, IpFilter, Issuer, Jwt, RateLimit, RequestId


def answered(*headers: str, times: int = 1, **options: Any) -> tuple[list[Told], list[Request]]:
    """Return the answers to requests, and what the backend was asked."""

    async def fact(front: Front) -> tuple[list[Told], list[Request]]:
        answers = [await front.get("/back/a", *headers) for _ in range(times)]
        return answers, front.backend.asked

    return run(fact, **options)


def test_jwt(tmp_path: Path) -> None:
    """Without a token nothing is passed on; with one, what it says, and not the client's word."""
    key = rsa()
    (tmp_path / "keys.json").write_text(json.dumps(jwks(key)))
    issuer = Issuer(ISSUER, audiences=["api"], keys=tmp_path / "keys.json")
    policies = [Jwt(issuer, forward={"sub": "x-user-id"})]
    forged = "X-User-ID: root"
    (refusal,), unasked = answered(forged, policies=policies)
    bearer = f"Authorization: Bearer {mint(claims(time.time()), key)}"
    (answer,), (asked,) = answered(forged, "x_user_id: root", bearer, policies=policies)

    assert (refusal.status, unasked) == (401, [])
    assert answer.status == 200
    assert asked.all(b"x-user-id") == [b"ann"]
    assert asked.all(b"x_user_id") == []
    assert asked.all(b"authorization") == []


def test_rate_limit() -> None:
    """A limit counts what is passed on."""
    answers, asked = answered(times=3, policies=[RateLimit("2/hour", burst=2)])

    assert [answer.status for answer in answers] == [200, 200, 429]
    assert len(answers[2].all(b"retry-after")) == 1
    assert len(asked) == 2


def test_ip_filter() -> None:
    """Who may not come in is refused, with a path of a backend as with any other."""
    (answer,), asked = answered(policies=[IpFilter(deny=["127.0.0.0/8"])])

    assert (answer.status, asked) == (403, [])


def test_answer_headers() -> None:
    """What policies say to a client stands beside what the backend says."""
    policies = [RequestId(), Cors(origins=["https://app.example"])]
    (answer,), _ = answered("Origin: https://app.example", policies=policies)

    assert answer.all(b"access-control-allow-origin") == [b"https://app.example"]
    assert len(answer.all(b"x-request-id")) == 1
    assert answer.all(b"content-type") == [b"text/plain"]


@pytest.mark.parametrize("encoded", [True, False])
def test_compression(encoded: bool) -> None:  # noqa: FBT001  a case
    """An answer is compressed once: by the backend, or else by the policy."""
    coding = b"content-encoding: gzip\r\n" if encoded else b""
    raw = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n%bcontent-length: 2000\r\n\r\n" % coding
    body = b"a" * 2000
    policies = [Compression(minimum=100)]
    (answer,), _ = answered("Accept-Encoding: gzip", answer=raw + body, policies=policies)

    assert answer.all(b"content-encoding") == [b"gzip"]
    assert (answer.body == body) is encoded
