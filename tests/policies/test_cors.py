from __future__ import annotations

import asyncio
import http.client
from collections.abc import Mapping
from typing import Any

import pytest

from entrances import Running, run
from transcoder.errors import ConfigError
from transcoder.policies.api_keys import ApiKeys
from transcoder.policies.cors import Cors
from transcoder.policies.ip_filter import IpFilter
from transcoder.policies.rate_limit import RateLimit

APP = "https://app.example"
PREFLIGHT = {"origin": APP, "access-control-request-method": "GET"}


class NoKeys:
    """Knows no keys."""

    def find(self, name: str, now: float) -> None:
        """Find none."""


def ask(
    headers: Mapping[str, str], method: str = "GET", path: str = "/v1/a/single", **options: Any
) -> tuple[int, dict[str, str]]:
    """Return status and headers of an answer of a gateway with these options."""

    def asked(target: str) -> tuple[int, dict[str, str]]:
        connection = http.client.HTTPConnection(target, timeout=20)
        try:
            connection.request(method, path, headers=dict(headers))
            answer = connection.getresponse()
            answer.read()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}
        finally:
            connection.close()

    async def fact(running: Running) -> tuple[int, dict[str, str]]:
        return await asyncio.to_thread(asked, running.listening.http.target)

    return run(fact, **options)


def test_answers() -> None:
    """An answer tells a browser that a page of a listed origin may read it."""
    status, headers = ask({"origin": APP}, policies=[Cors([APP])])
    assert status == 200
    assert headers["access-control-allow-origin"] == APP
    assert "Origin" in headers["vary"]
    assert "Accept" in headers["vary"]


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://app.example"])
def test_others(origin: str) -> None:
    """To a page of another origin it says nothing, and is no less an answer."""
    status, headers = ask({"origin": origin}, policies=[Cors([APP])])
    assert status == 200
    assert "access-control-allow-origin" not in headers


def test_everybody() -> None:
    """A star is for all origins."""
    headers = ask({"origin": "https://any.example"}, policies=[Cors(["*"])])[1]
    assert headers["access-control-allow-origin"] == "*"


def test_streams() -> None:
    """A stream tells it too."""
    told = {"origin": APP, "accept": "text/event-stream"}
    headers = ask(told, path="/v1/a/told?count=1", policies=[Cors([APP])])[1]
    assert headers["access-control-allow-origin"] == APP


def test_preflight() -> None:
    """A browser that asks first is answered without being known, for it brings no credentials."""
    status, headers = ask(PREFLIGHT, "OPTIONS", policies=[Cors([APP]), ApiKeys(NoKeys())])
    assert status == 200
    assert headers["access-control-allow-origin"] == APP
    assert "PATCH" in headers["access-control-allow-methods"]
    assert "Authorization" in headers["access-control-allow-headers"]
    assert headers["access-control-max-age"] == "600"


@pytest.mark.parametrize(
    "headers",
    [
        {**PREFLIGHT, "origin": "https://evil.example"},
        {**PREFLIGHT, "access-control-request-method": "TRACE"},
        {**PREFLIGHT, "access-control-request-headers": "X-Secret"},
    ],
)
def test_refused_preflight(headers: dict[str, str]) -> None:
    """Who asks for more than is allowed is told 400."""
    assert ask(headers, "OPTIONS", policies=[Cors([APP])])[0] == 400


def test_preflights_count() -> None:
    """What stands before it holds for preflights too: addresses, and rates."""
    assert ask(PREFLIGHT, "OPTIONS", policies=[Cors([APP]), IpFilter(deny=["127.0.0.1"])])[0] == 403

    async def fact(running: Running) -> list[int]:
        return [await asyncio.to_thread(_preflight, running) for _ in range(3)]

    policies = [Cors([APP]), RateLimit("2/hour", burst=2)]
    assert run(fact, policies=policies) == [200, 200, 429]


def _preflight(running: Running) -> int:
    connection = http.client.HTTPConnection(running.listening.http.target, timeout=20)
    try:
        connection.request("OPTIONS", "/v1/a/single", headers=PREFLIGHT)
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.parametrize("policy", [ApiKeys(NoKeys()), IpFilter(deny=["127.0.0.1"])])
def test_refusals(policy: Any) -> None:
    """A page may read why it was refused, whichever policy did it."""
    status, headers = ask({"origin": APP}, policies=[Cors([APP]), policy])
    assert status in {401, 403}
    assert headers["access-control-allow-origin"] == APP


def test_plain_options() -> None:
    """An OPTIONS that is no preflight is answered as ever."""
    status, headers = ask({}, "OPTIONS", policies=[Cors([APP])])
    assert status == 204
    assert "GET" in headers["allow"]


def test_credentials() -> None:
    """With credentials, browsers are told so."""
    headers = ask({"origin": APP}, policies=[Cors([APP], credentials=True)])[1]
    assert headers["access-control-allow-credentials"] == "true"


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"origins": APP}, f"cors: origins '{APP}': a sequence is expected"),
        ({"origins": ["app.example"]}, "cors: origins: 'app.example': write a scheme and a host"),
        ({"origins": ["*"], "headers": ["x a"]}, "cors: headers: 'x a' is no name of a header"),
        ({"origins": ["*"], "expose": ["x:a"]}, "cors: expose: 'x:a' is no name of a header"),
        ({"origins": [f"{APP}/"]}, "cors: origins: 'https://app.example/'"),
        ({"origins": ["*"], "credentials": True}, "cors: credentials: list the origins"),
        ({"origins": [APP], "max_age": -1}, "cors: max_age -1"),
    ],
)
def test_wrong_options(options: dict[str, Any], problem: str) -> None:
    """What is wrong with an option is told at start."""
    with pytest.raises(ConfigError) as caught:
        Cors(**options)
    assert str(caught.value).startswith(problem)
