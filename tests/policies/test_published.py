from __future__ import annotations

import math
from typing import Any

import pytest

from tokens import jwks, rsa
from transcoder.errors import ConfigError
from transcoder.policies.key_set import ASYMMETRIC, KeySet
from transcoder.policies.published import Published, Rotation, discovery_url

KEYS = KeySet.of(jwks(rsa()), ASYMMETRIC)
DAY = 86_400.0


def test_nothing_yet() -> None:
    """Without keys a fetch is due, and may be sought by whoever needs one."""
    rotation = Rotation(Published())
    assert rotation.current(0.0) is None
    assert rotation.is_due(0.0)
    assert rotation.seek(0.0)


def test_age() -> None:
    """Keys are due again after five minutes, and count for a day, from when they were asked for."""
    rotation = Rotation(Published())
    rotation.succeeded(100.0, KEYS)

    assert not rotation.is_due(399.9)
    assert rotation.is_due(400.0)
    assert rotation.current(100.0 + DAY - 1) is KEYS
    assert rotation.current(100.0 + DAY) is None


def test_failure() -> None:
    """After a fetch that failed nobody tries again for thirty seconds, and keys count on."""
    rotation = Rotation(Published())
    rotation.succeeded(0.0, KEYS)
    rotation.failed(400.0)

    assert rotation.current(400.0) is KEYS
    assert not rotation.is_due(429.9)
    assert not rotation.seek(429.9)
    assert rotation.retry_after(410.0) == 20.0
    assert rotation.is_due(430.0)
    assert rotation.seek(430.0)


def test_seeking() -> None:
    """What is not among the keys has them fetched once in thirty seconds, however new they are."""
    rotation = Rotation(Published())
    rotation.succeeded(0.0, KEYS)

    assert rotation.seek(1.0)
    assert not any(rotation.seek(1.0 + second / 10) for second in range(300))
    assert rotation.seek(31.0)


def test_success_after_failure() -> None:
    """Keys that came make up for a failure before."""
    rotation = Rotation(Published())
    rotation.failed(0.0)
    rotation.succeeded(30.0, KEYS)

    assert rotation.retry_after(30.0) == 0.0
    assert rotation.seek(31.0)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"refresh": 0}, "refresh 0: seconds above 0"),
        ({"cool_down": -1}, "cool_down -1"),
        ({"timeout": math.inf}, "timeout inf"),
        ({"stale": math.nan}, "stale nan"),
        ({"stale": 10.0}, "stale 10.0: no less than refresh"),
        (
            {"url": "http://login.example/jwks"},
            "url 'http://login.example/jwks': https is expected",
        ),
        ({"url": "http://127.0.0.1/jwks"}, "https is expected, or a loopback address"),
        ({"url": "http://10.0.0.1/jwks", "loopback": True}, "https is expected"),
        # Resolvers may say anything of a name that only begins like an address.
        ({"url": "http://127.0.0.1.nip.io/", "loopback": True}, "https is expected"),
        ({"url": "file:///etc/passwd", "loopback": True}, "https is expected"),
        ({"url": "https:///jwks"}, "https is expected"),
        ({"url": "https://user@login.example/"}, "https is expected"),
        ({"url": "https://[::1/"}, "https is expected"),
        ({"url": "https://a.example:99999/"}, "https is expected"),
        ({"url": "https://a.example/\n"}, "https is expected"),
    ],
)
def test_options(options: dict[str, Any], problem: str) -> None:
    """An option that is none is an error at start, which names it."""
    with pytest.raises(ConfigError, match=problem):
        Published(**options)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8080/a", "http://[::1]/a", "http://localhost/a", "https://a.example"]
)
def test_loopback(url: str) -> None:
    """Addresses of this machine may be asked over http, if that is said."""
    assert Published(url, loopback=True).url == url


@pytest.mark.parametrize(
    ("issuer", "url"),
    [
        ("https://a.example", "https://a.example/.well-known/openid-configuration"),
        ("https://a.example/", "https://a.example/.well-known/openid-configuration"),
        ("https://a.example/b", "https://a.example/b/.well-known/openid-configuration"),
    ],
)
def test_discovery_url(issuer: str, url: str) -> None:
    """An issuer tells about itself below its own path (OpenID Connect Discovery 1.0, 4.1)."""
    assert discovery_url(issuer) == url
