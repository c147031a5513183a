"""Fetches from a real server that answers in every bad way."""

from __future__ import annotations

import asyncio
import gzip
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from over_tls import CA, HERE
from publishing import (
    CONFIGURATION,
    PATH,
    Answer,
    Publisher,
    cut,
    dripping,
    endless,
    publishing,
    saying,
    silent,
)
from tokens import jwks, rsa
from transcoder.errors import ConfigError
from transcoder.policies.jwks import JWKS_LIMIT, Unavailable
from transcoder.policies.jwks_fetch import HttpFetch
from transcoder.policies.published import Published

KEYS = json.dumps(jwks(rsa())).encode()


def fetched(answer: Answer | None, *, discovered: bool = False, **options: Any) -> bytes:
    """Return what a fetch brings from a server that answers so."""

    async def fetch() -> bytes:
        async with asyncio.timeout(20), publishing(rsa()) as publisher:
            if answer is not None:
                publisher.answers[CONFIGURATION if discovered else PATH] = answer
            url = None if discovered else publisher.url
            published = Published(url, loopback=True, **options)
            return await HttpFetch(publisher.issuer, published)()

    return asyncio.run(fetch())


def test_fetched() -> None:
    """A key set comes as it is."""
    assert fetched(None) == KEYS


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (saying(b"no", 500), "answers 500"),
        (saying(b"no", 404), "answers 404"),
        (saying(KEYS, 206), "answers 206"),
        (saying(b"", 204), "answers 204"),
        (saying(b"", 302, location="file:///etc/passwd"), "answers 302"),
        (saying(b"", 301, location="/elsewhere"), "answers 301"),
        (saying(b"", 307, location="http://169.254.169.254/"), "answers 307"),
        (saying(gzip.compress(b" " * 10_000_000), content_encoding="gzip"), "compressed"),
        (saying(b" " * (JWKS_LIMIT + 1)), "more than 1048576 bytes"),
        (endless, "more than 1048576 bytes"),
        (cut, "RemoteProtocolError"),
        (saying(b"", x="y\r\n" * 100_000), "RemoteProtocolError"),
    ],
)
def test_bad_answers(answer: Answer, why: str) -> None:
    """What is no plain answer of bounded size is none, and a redirect is not followed."""
    with pytest.raises(Unavailable, match=f"{PATH}(:| answers).*{why}|{PATH} {why}"):
        fetched(answer)


def test_largest() -> None:
    """A key set of one MiB comes."""
    assert len(fetched(saying(b" " * JWKS_LIMIT))) == JWKS_LIMIT


@pytest.mark.parametrize("answer", [silent, dripping])
def test_slow(answer: Answer) -> None:
    """The time is that of the whole answer, however many parts of it come."""
    with pytest.raises(Unavailable, match=r"has not answered within 0\.2 s"):
        fetched(answer, timeout=0.2)


def test_refused() -> None:
    """Where nobody listens, nothing comes."""

    async def fetch() -> None:
        async with publishing() as publisher:
            url = publisher.url
        await HttpFetch("a", Published(url, loopback=True))()

    with pytest.raises(Unavailable, match="ConnectError"):
        asyncio.run(fetch())


def tell(**told: Any) -> Answer:
    """Return a configuration that tells this."""
    return saying(json.dumps(told).encode())


async def discover(set_up: Callable[[Publisher], None]) -> tuple[bytes, Publisher]:
    """Return what discovery brings, and from whom."""
    async with asyncio.timeout(20), publishing(rsa()) as publisher:
        set_up(publisher)
        return await HttpFetch(publisher.issuer, Published(loopback=True))(), publisher


def test_discovered() -> None:
    """An issuer tells where its keys are."""
    body, publisher = asyncio.run(discover(Publisher.tell))
    assert body == KEYS
    assert publisher.asked == {CONFIGURATION: 1, PATH: 1}


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({"issuer": "https://elsewhere.example"}, "is of another issuer"),
        ({"issuer": None}, "is of another issuer"),
        ({"jwks_uri": None}, "no jwks_uri that may be asked"),
        ({"jwks_uri": 7}, "no jwks_uri that may be asked"),
        ({"jwks_uri": "file:///etc/passwd"}, "no jwks_uri that may be asked"),
        ({"jwks_uri": "http://169.254.169.254/latest"}, "no jwks_uri that may be asked"),
        ({"jwks_uri": "http://elsewhere.example/jwks"}, "no jwks_uri that may be asked"),
    ],
)
def test_badly_discovered(told: dict[str, Any], why: str) -> None:
    """Another issuer's word counts for nothing, and keys come over https only."""
    with pytest.raises(Unavailable, match=why):
        asyncio.run(discover(lambda publisher: publisher.tell(**told)))


def test_issuer_with_slash() -> None:
    """The issuer is compared to the letter."""
    with pytest.raises(Unavailable, match="is of another issuer"):
        asyncio.run(discover(lambda publisher: publisher.tell(issuer=f"{publisher.issuer}/")))


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"[" * 100_000])
def test_no_configuration(body: bytes) -> None:
    """What is no configuration names no keys."""
    with pytest.raises(Unavailable, match=r"is no JSON|is of another issuer"):
        fetched(saying(body), discovered=True)


@asynccontextmanager
async def over_tls(leaf: trustme.LeafCert) -> AsyncIterator[Publisher]:
    """Run an issuer over https."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    leaf.configure_cert(context)
    async with asyncio.timeout(20), publishing(rsa(), tls=context) as publisher:
        yield publisher


def test_https(tmp_path: Path) -> None:
    """An authority of one's own is trusted where it is named, and only for its own names."""
    authority = tmp_path / "ca.pem"
    CA.cert_pem.write_to_path(str(authority))
    asked = []

    async def fetch(leaf: trustme.LeafCert, ca: Path | None) -> bytes:
        async with over_tls(leaf) as publisher:
            try:
                return await HttpFetch("a", Published(publisher.url, ca=ca))()
            finally:
                asked.append(publisher.fetches)

    assert asyncio.run(fetch(HERE, authority)) == KEYS
    elsewhere = CA.issue_cert("elsewhere.example")
    rogue = trustme.CA().issue_cert("127.0.0.1")
    for leaf, ca in ((HERE, None), (elsewhere, authority), (rogue, authority)):
        with pytest.raises(Unavailable, match="ConnectError"):
            asyncio.run(fetch(leaf, ca))
    assert asked == [1, 0, 0, 0]


def test_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment sends no fetch elsewhere."""
    for name in ("HTTP_PROXY", "ALL_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert fetched(None) == KEYS


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_no_authority(tmp_path: Path, content: str | None) -> None:
    """A file without certificates is an error at start."""
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError, match=r"ca .*ca\.pem: no certificates in PEM"):
        HttpFetch("https://a.example", Published(ca=path))


@pytest.mark.parametrize("issuer", ["login", "http://a.example", "http://127.0.0.1/a"])
def test_no_discovery(issuer: str) -> None:
    """An issuer that is no https URL tells nothing about itself: that is an error at start."""
    with pytest.raises(ConfigError, match="is no https URL that could tell where its keys are"):
        HttpFetch(issuer, Published())
