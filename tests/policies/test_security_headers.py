from __future__ import annotations

from typing import Any

import pytest

from entrances import call_each
from transcoder.call_details import CallDetails
from transcoder.errors import ConfigError
from transcoder.policies import Now
from transcoder.policies.ip_filter import IpFilter
from transcoder.policies.security_headers import DEFAULTS, SecurityHeaders

NOW = Now(0.0, 0.0)


def told(policy: SecurityHeaders, **options: Any) -> dict[str, str]:
    """Return the headers that a policy adds."""
    call = CallDetails("http", **options)
    policy.decide(call, NOW)
    return {name.decode(): value.decode() for name, value in call.answer_headers}


@pytest.mark.parametrize("entrance", ["http", "sse", "websocket"])
def test_answers(entrance: str) -> None:
    """Every answer over HTTP has them."""
    headers = call_each(policies=[SecurityHeaders()])[entrance][0].headers
    assert {name: headers[name] for name in DEFAULTS} == DEFAULTS


@pytest.mark.parametrize("entrance", ["http", "sse", "websocket"])
def test_refusals(entrance: str) -> None:
    """Refusals of other policies have them too."""
    policies = [SecurityHeaders(), IpFilter(deny=["127.0.0.1"])]
    headers = call_each(policies=policies)[entrance][0].headers
    assert {name: headers[name] for name in DEFAULTS} == DEFAULTS


def test_grpc() -> None:
    """GRPC clients are no browsers."""
    assert not DEFAULTS.keys() & call_each(policies=[SecurityHeaders()])["grpc"][0].headers.keys()


def test_encrypted() -> None:
    """Only over an encrypted connection are browsers told to come by https."""
    policy = SecurityHeaders()
    assert "strict-transport-security" not in told(policy)
    assert told(policy, secure=True)["strict-transport-security"] == "max-age=31536000"


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"hsts": 60, "subdomains": True}, "max-age=60; includeSubDomains"),
        ({"hsts": 0}, None),
    ],
)
def test_hsts(options: dict[str, Any], wanted: str | None) -> None:
    """For how long, and for whom, is an option."""
    headers = told(SecurityHeaders(**options), secure=True)
    assert headers.get("strict-transport-security") == wanted


def test_own_headers() -> None:
    """Headers of one's own come beside the defaults, in their place, or leave one out."""
    own = {"X-Frame-Options": "SAMEORIGIN", "Referrer-Policy": None, "permissions-policy": "a=()"}
    headers = told(SecurityHeaders(headers=own))
    assert headers["x-frame-options"] == "SAMEORIGIN"
    assert headers["permissions-policy"] == "a=()"
    assert "referrer-policy" not in headers


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"hsts": -1}, "security-headers: hsts -1"),
        ({"headers": {"a b": "c"}}, "security-headers: 'a b' cannot be sent"),
        ({"headers": {"a": "b\r\nc: d"}}, "security-headers: 'a' cannot be sent"),
    ],
)
def test_wrong_options(options: dict[str, Any], problem: str) -> None:
    """What cannot be sent is told at start."""
    with pytest.raises(ConfigError) as caught:
        SecurityHeaders(**options)
    assert str(caught.value).startswith(problem)
