from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest

from streams import POOL
from transcoder import Gateway
from transcoder.console.explained import LONGEST, plain, shown
from transcoder.console.look import Question

SERVICE = POOL.FindServiceByName("streams.v1.Streams")


def explained(method: str, target: str, body: str = "") -> dict[str, Any]:
    """Return what a gateway does with a request."""
    gateway = Gateway(pool=POOL)
    gateway.transcoder.add(SERVICE)
    return plain(gateway.transcoder, asdict(Question(method=method, target=target, body=body)))


def test_match() -> None:
    """A request that matches has its route, what it binds, and the message that it becomes."""
    told = explained("GET", "/v1/a/single?how=x")
    assert told["route"] == ["streams.v1.Streams.Single", "GET /v1/{topic}/single"]
    assert told["bound"] == [
        ["path", "topic", "a", "topic", "string"],
        ["query", "how", "x", "how", "string"],
    ]
    assert '"topic": "a"' in told["request"]
    assert "single" in shown(told)


def test_miss() -> None:
    """One that does not has where the nearest routes stopped."""
    told = explained("GET", "/v1/a/singel")
    assert told["error"].startswith("404 NOT_FOUND")
    assert any("'singel'" in why for *_, why in told["candidates"])


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/docs", "/openapi.json"])
def test_own(path: str) -> None:
    """What the gateway answers itself binds nothing."""
    told = explained("GET", path)
    assert told["route"][1] == f"GET {path}"
    assert (told["bound"], told["request"], told["error"]) == ([], "", "")


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "no path"),
        ("get", "/v1/a/single"),
        ("", ""),
        ("GET", "/v1/%"),
        ("GET", "/v1/é\ud800/single"),
        ("GET", "//" + "a/" * 9000),
    ],
)
def test_odd_requests(method: str, target: str) -> None:
    """Whatever is asked has an answer."""
    told = explained(method, target)
    assert told["error"] or told["route"]
    assert shown(told)


def test_long_body() -> None:
    """Of a body the beginning is read."""
    assert explained("GET", "/v1/a/single", "x" * (10 * LONGEST))["route"]


def test_hostile() -> None:
    """What was asked is told as text."""
    told = explained("GET", "/v1/a/single?how=%3Cscript%3E&%3Cb%3E=1")
    assert "<script>" not in shown(told)
    assert "&lt;script&gt;" in shown(told)
    assert "<b>" not in shown(told)
    assert shown({"problem": "<i>"}) == '<p class="bad">&lt;i&gt;</p>'
