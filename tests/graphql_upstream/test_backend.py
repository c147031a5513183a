"""Backends that are not there, or answer in every bad way."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import socket
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from graphs import graph
from listening import serving
from over_tls import CA, CLIENT, HERE, ROGUE
from publishing import Answer, cut, endless, saying
from transcoder import ConfigError, Gateway, GraphQl, Tls

JSON = "application/json"
GOOD = b'{"data":{"echo":"hi"}}'
SECRET = b"the inside"


def gateway(url: str, **options: Any) -> Gateway:
    """Return a gateway with one route.

    Args:
        url: of the backend that answers it.
        options: of how it is spoken to.
    """
    made = Gateway()
    operation = GraphQl(url, **options).operation('{ echo(text: "hi") }', answer="echo")
    made.forward("/v1/echo", operation, method="GET")
    return made


async def got(made: Gateway) -> tuple[int, Any]:
    """Return the status and the JSON of an answer."""
    sent: list[Any] = []

    async def receive() -> Any:
        await asyncio.Event().wait()

    async def send(event: Any) -> None:
        sent.append(event)

    scope = {"type": "http", "method": "GET", "path": "/v1/echo", "raw_path": b"/v1/echo"}
    await made({**scope, "query_string": b"", "headers": []}, receive, send)
    return sent[0]["status"], json.loads(sent[1]["body"])


def answering(answer: Answer, times: int = 1, **options: Any) -> list[tuple[int, Any]]:
    """Return what clients are told of a backend that answers each connection so."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
        await reader.readexactly(length)
        await answer(writer)

    async def ask() -> list[tuple[int, Any]]:
        async with asyncio.timeout(60), serving(serve) as target:
            made = gateway(f"http://{target}/graphql", **options)
            async with made.router.lifespan_context(made):
                return [await got(made) for _ in range(times)]

    return asyncio.run(ask())


async def closing(writer: asyncio.StreamWriter) -> None:
    """Answer nothing, and close."""


async def no_http(writer: asyncio.StreamWriter) -> None:
    """Answer what is no HTTP."""
    writer.write(b"SSH-2.0-OpenSSH\r\n\r\n")
    await writer.drain()


def test_good() -> None:
    """A backend that closes its connections is asked by new ones."""
    assert answering(saying(GOOD, content_type=JSON), 2) == [(200, "hi")] * 2


@pytest.mark.parametrize(
    ("answer", "status", "told"),
    [
        (closing, 503, "the backend is unavailable"),
        (no_http, 503, "the backend is unavailable"),
        (cut, 502, "the backend's answer cannot be read"),
        (endless, 502, "the backend's answer is over a limit"),
        (saying(SECRET, content_type="text/html"), 502, "the backend's answer cannot be read"),
        (saying(SECRET, content_type=JSON), 502, "the backend's answer cannot be read"),
        (saying(GOOD), 502, "the backend's answer cannot be read"),
        (saying(SECRET, 500, content_type=JSON), 502, "the backend's answer cannot be read"),
        (saying(SECRET, 503), 503, "the backend is unavailable"),
        (
            saying(gzip.compress(GOOD), content_type=JSON, content_encoding="gzip"),
            502,
            "the backend's answer cannot be read",
        ),
    ],
)
def test_bad(answer: Answer, status: int, told: str, caplog: pytest.LogCaptureFixture) -> None:
    """What a backend does wrong is told in our words, and is one line in the log."""
    caplog.set_level(logging.INFO, "transcoder")
    ((code, body),) = answering(answer)

    assert (code, body["message"], body["details"]) == (status, told, [])
    (record,) = [each for each in caplog.records if each.name.startswith("transcoder")]
    assert record.levelname == "WARNING"
    assert "GraphQL at 127.0.0.1:" in record.getMessage()


def test_redirects() -> None:
    """A redirect is followed nowhere."""
    asked = []

    async def redirect(writer: asyncio.StreamWriter) -> None:
        asked.append(writer)
        await saying(b"", 307, location="/elsewhere")(writer)

    ((status, _),) = answering(redirect)

    assert (status, len(asked)) == (502, 1)


def test_limit() -> None:
    """How large a reply may be is the file's to say."""
    answer = saying(GOOD, content_type=JSON)

    assert answering(answer, answer_limit=len(GOOD)) == [(200, "hi")]
    assert answering(answer, answer_limit=len(GOOD) - 1)[0][0] == 502


def test_down() -> None:
    """A backend that is not there is UNAVAILABLE."""

    async def ask() -> tuple[int, Any]:
        # A socket that is bound and does not listen refuses connections, and keeps its port.
        with socket.socket() as bound:
            bound.bind(("127.0.0.1", 0))
            made = gateway(f"http://127.0.0.1:{bound.getsockname()[1]}/graphql")
            async with asyncio.timeout(60), made.router.lifespan_context(made):
                return await got(made)

    status, body = asyncio.run(ask())

    assert (status, body["code"], body["message"]) == (503, 14, "the backend is unavailable")


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """Certificates and keys, as files of PEM."""
    CA.cert_pem.write_to_path(tmp_path / "ca.pem")
    for name, leaf in (("here", HERE), ("client", CLIENT), ("rogue", ROGUE)):
        leaf.cert_chain_pems[0].write_to_path(tmp_path / f"{name}.pem")
        leaf.private_key_pem.write_to_path(tmp_path / f"{name}.key")
    return {path.name: str(path) for path in tmp_path.iterdir()}


def test_tls(files: dict[str, str]) -> None:
    """Over mTLS it is known who is spoken to, and who speaks."""
    options = {
        "ssl_certfile": files["here.pem"],
        "ssl_keyfile": files["here.key"],
        "ssl_ca_certs": files["ca.pem"],
        "ssl_cert_reqs": ssl.CERT_REQUIRED,
    }
    known = {"certificate": files["client.pem"], "key": files["client.key"]}
    told: dict[str, int] = {}
    with graph(**options) as served:
        for name, tls in {
            "known": Tls(ca=files["ca.pem"], **known),
            "named": Tls(ca=files["ca.pem"], server_name="localhost", **known),
            "as another": Tls(ca=files["ca.pem"], server_name="elsewhere", **known),
            "nobody": Tls(ca=files["ca.pem"]),
            "rogue": Tls(
                ca=files["ca.pem"], certificate=files["rogue.pem"], key=files["rogue.key"]
            ),
            "untrusting": Tls(**known),
        }.items():
            with TestClient(gateway(served.url, tls=tls)) as client:
                told[name] = client.get("/v1/echo").status_code

    assert told == {
        "known": 200,
        "named": 200,
        "as another": 503,
        "nobody": 503,
        "rogue": 503,
        "untrusting": 503,
    }


@pytest.mark.parametrize(
    ("tls", "told"),
    [
        ({"ca": b"none"}, "tls: ca: what is given holds no certificate"),
        ({"ca": "/nowhere/ca.pem"}, "tls: ca: /nowhere/ca.pem cannot be read"),
        (
            {"certificate": b"a", "key": b"b"},
            "tls: key: what is given holds no private key in PEM",
        ),
    ],
)
def test_wrong_tls(tls: dict[str, Any], told: str) -> None:
    """Files that do not hold what they should are told at start."""
    with pytest.raises(ConfigError, match=told):
        GraphQl("https://localhost:1/", tls=Tls(**tls))


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("localhost:1/graphql", {}),
        ("ftp://localhost/", {}),
        ("http:///graphql", {}),
        ("http://localhost:x/", {}),
        ("http://ann:secret@localhost/", {}),
        ("http://localhost/ a", {}),
        ("http://localhost/#a", {}),
        ("http://localhost/", {"tls": Tls()}),
        ("http://localhost/", {"timeout": 0}),
        ("http://localhost/", {"answer_limit": -1}),
        ("http://localhost/", {"identity": "authorization"}),
        ("http://localhost/", {"identity": ["Authorization"]}),
        ("http://localhost/", {"sdl": "type"}),
    ],
)
def test_options(url: str, options: dict[str, Any]) -> None:
    """Options that are none are refused."""
    with pytest.raises(ConfigError):
        GraphQl(url, **options)


def test_no_schema_needed() -> None:
    """A URL may have a query, and IPv6; what is logged of it is host and port alone."""
    assert GraphQl("https://[::1]/graphql?key=secret").name == "[::1]:443"
    assert GraphQl("http://graph.internal:8080").name == "graph.internal:8080"


@pytest.mark.parametrize("missing", ["graphql", "httpx2"])
def test_without_the_extra(missing: str) -> None:
    """Without the extra it is said which one it takes."""
    script = f"import sys; sys.modules[{missing!r}] = None; import transcoder; transcoder.GraphQl"
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, check=False, capture_output=True, text=True)

    assert done.stderr.endswith(f"{missing} is missing: install transcoder[graphql]\n")
