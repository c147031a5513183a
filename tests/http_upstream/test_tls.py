"""TLS to a backend, with certificates of an authority of the tests."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import os
import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

from behind import PATIENCE, Backend, Front, Request, Told, before, run
from over_tls import CA, CLIENT, HERE, ROGUE, chain, write, write_ca
from transcoder import ConfigError, HttpUpstream, Tls

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok"
EXPIRED = CA.issue_cert(
    "127.0.0.1",
    not_before=dt.datetime(2020, 1, 1, tzinfo=dt.UTC),
    not_after=dt.datetime(2021, 1, 1, tzinfo=dt.UTC),
)
NAMED = CA.issue_cert("orders.internal")
TRUSTED = Tls(ca=CA.cert_pem.bytes())


def shown(certificate: trustme.LeafCert, *, mutual: bool = False) -> ssl.SSLContext:
    """Return the context of a backend."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    if mutual:
        CA.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def answered(certificate: trustme.LeafCert, tls: Tls | None, *, mutual: bool = False) -> Told:
    """Return what a client is told where the backend shows a certificate."""

    async def fact(front: Front) -> Told:
        return await front.get()

    return run(fact, OK, secured=shown(certificate, mutual=mutual), options={"tls": tls})


def test_trusted(tmp_path: Path) -> None:
    """A backend is believed by the authority that is named, as bytes or as a file."""
    assert answered(HERE, TRUSTED).body == b"ok"
    assert answered(HERE, Tls(ca=write_ca(tmp_path))).body == b"ok"


@pytest.mark.parametrize(
    ("certificate", "tls", "cause"),
    [
        (EXPIRED, TRUSTED, "expired"),
        (HERE, None, "self-signed|self signed|unable to get local issuer"),
        (ROGUE, TRUSTED, "unable to get local issuer"),
        (NAMED, TRUSTED, "mismatch|not valid for '127.0.0.1'"),
    ],
    ids=["expired", "unknown", "rogue", "name"],
)
def test_not_trusted(
    certificate: trustme.LeafCert,
    tls: Tls | None,
    cause: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A backend that is not who it should be is 503; the log tells why, and the client nothing."""
    caplog.set_level(logging.INFO, "transcoder")
    answer = answered(certificate, tls)
    (line,) = [each.getMessage() for each in caplog.records if "/back/a" in each.getMessage()]

    assert answer.status == 503
    assert b"certificate" not in answer.body
    assert any(each in line for each in cause.split("|"))


def test_server_name() -> None:
    """A backend's name on its certificate may be another than its address."""
    tls = Tls(ca=CA.cert_pem.bytes(), server_name="orders.internal")

    assert answered(NAMED, tls).body == b"ok"


@pytest.mark.parametrize(
    ("certificate", "status"), [(CLIENT, 200), (ROGUE, 503), (None, 503)], ids=["ours", "2", "no"]
)
def test_mutual(certificate: trustme.LeafCert | None, status: int) -> None:
    """A backend that asks who we are is shown our certificate."""
    pair: dict[str, Any] = {}
    if certificate is not None:
        pair = {"certificate": chain(certificate), "key": certificate.private_key_pem.bytes()}

    assert answered(HERE, Tls(ca=CA.cert_pem.bytes(), **pair), mutual=True).status == status


def test_renewed(tmp_path: Path) -> None:
    """A certificate that changes on disk is shown on the connections that are made then."""
    names: list[Any] = []

    async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
        names.append(writer.get_extra_info("peercert")["subjectAltName"][0][1])
        writer.write(OK)

    def replace(leaf: trustme.LeafCert) -> None:
        # As those who renew certificates do it: whole files, in place of the old.
        files = write(tmp_path, leaf, "new")
        for kind in ("key", "certificate"):
            os.replace(files[kind], files[kind].replace("new.", "client."))  # noqa: PTH105

    async def fact(front: Front) -> list[int]:
        statuses = [(await front.get()).status]
        (tmp_path / "client.pem").write_bytes(b"half a cert")
        statuses.append((await front.get()).status)
        replace(CA.issue_cert("second@example.com"))
        statuses.append((await front.get()).status)
        return statuses

    files = write(tmp_path, CA.issue_cert("first@example.com"), "client")
    tls = Tls(ca=CA.cert_pem.bytes(), **files)
    secured = shown(HERE, mutual=True)

    assert run(fact, answer, secured=secured, options={"tls": tls}) == [200, 200, 200]
    assert names == ["first@example.com", "first@example.com", "second@example.com"]


@pytest.mark.parametrize(
    ("tls", "told"),
    [
        ({"ca": "missing.pem"}, "tls: ca: missing.pem cannot be read"),
        ({"ca": b""}, "tls: ca: what is given holds no certificate"),
        ({"ca": b"none"}, "tls: ca: what is given holds no certificate"),
        (
            {"certificate": chain(CLIENT), "key": ROGUE.private_key_pem.bytes()},
            "tls: certificate: what is given and its key cannot be used",
        ),
    ],
)
def test_no_certificate(tls: dict[str, Any], told: str) -> None:
    """What is no certificate, or not that of its key, is told at start."""
    with pytest.raises(ConfigError, match=told):
        HttpUpstream("https://a", tls=Tls(**tls))


def test_websocket() -> None:
    """A WebSocket goes over TLS where the backend's URL says so."""

    async def greet(socket: ServerConnection) -> None:
        await socket.send("hello")

    async def running() -> str | bytes:
        context = shown(HERE, mutual=True)
        pair: dict[str, Any] = {"certificate": chain(CLIENT), "key": CLIENT.private_key_pem.bytes()}
        tls = Tls(ca=CA.cert_pem.bytes(), **pair)
        async with asyncio.timeout(PATIENCE), serve(greet, "127.0.0.1", 0, ssl=context) as server:
            at = f"127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
            async with (
                before(Backend(), at=at, secured=context, options={"tls": tls}) as front,
                connect(f"ws://{front.target}/back/a", proxy=None) as client,
            ):
                return await client.recv()

    assert asyncio.run(running()) == "hello"
