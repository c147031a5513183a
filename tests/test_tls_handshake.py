from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
import re
import socket
import ssl
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import Connection, Served, Start

import operations
from over_tls import CA, CLIENT, EXPIRED, HERE, ROGUE, SECURED, connect, trust, write, write_ca
from transcoder import Listening, Server, ServerTls

GET = b"GET /v1/a/single HTTP/1.1\r\nHost: localhost\r\n\r\n"
TIMEOUT = 1.0


@pytest.fixture(scope="module")
def served(start_shared: Start, tmp_path_factory: pytest.TempPathFactory) -> Served:
    """A server whose clients must show certificates."""
    folder = tmp_path_factory.mktemp("files")
    files = {**write(folder, HERE), "client_ca": write_ca(folder)}
    return start_shared("identified:create", tls={**files, "handshake_timeout": TIMEOUT})


@dataclass
class Asking:
    """Asks the server, and reads what it logs meanwhile."""

    served: Served
    before: int

    def lines(self) -> list[str]:
        """Return what was logged so far, without the ports of clients."""
        log = self.served.ledger.with_name("log").read_text().splitlines()
        return [re.sub(r"127\.0\.0\.1:\d+", "CLIENT", line) for line in log[self.before :]]

    def told(self) -> list[str]:
        """Wait for a line, and return all."""
        until = time.monotonic() + 10
        while not self.lines() and time.monotonic() < until:
            time.sleep(0.01)
        return self.lines()

    def connect(self) -> socket.socket:
        """Return a connection in the clear."""
        return connect(self.served.http_target.removeprefix(SECURED))

    def ask(self, context: ssl.SSLContext) -> bytes:
        """Return all that a client gets within TLS, or the beginning of it."""
        with connect(self.served.http_target, context=context) as client:
            client.sendall(GET)
            return client.recv(1 << 16)


@pytest.fixture
def asking(served: Served) -> Asking:
    """The server, and what it logs from now on."""
    asking = Asking(served, 0)
    asking.before = len(asking.lines())
    return asking


def ended(client: socket.socket) -> bytes:
    """Read what comes until the server has ended the connection."""
    received = b""
    while data := client.recv(1 << 16):
        received += data
    return received


V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
FAILED = "transcoder.tls_handshake: CLIENT: the TLS handshake failed:"
UNVERIFIED = "certificate verify failed:"


@pytest.mark.parametrize("version", [V12, V13])
@pytest.mark.parametrize(
    ("client", "alert", "line"),
    [
        # As TLS 1.2 and 1.3 put it.
        (None, "HANDSHAKE_FAILURE|CERTIFICATE_REQUIRED", "peer did not return a certificate"),
        (ROGUE, "UNKNOWN_CA", f"{UNVERIFIED} unable to get local issuer certificate"),
        (EXPIRED, "CERTIFICATE_EXPIRED", f"{UNVERIFIED} certificate has expired"),
    ],
)
def test_refused_client(asking: Asking, client: Any, version: Any, alert: str, line: str) -> None:
    """A client without the certificate that is wanted is told why, and the log too, in one line."""
    context = trust(client)
    context.maximum_version = version
    with pytest.raises(ssl.SSLError) as caught:
        asking.ask(context)

    assert re.search(alert, str(caught.value.reason))
    assert asking.told() == [f"{FAILED} {line}"]


@pytest.mark.parametrize("version", [V12, V13])
def test_client_that_shows_a_certificate(asking: Asking, version: Any) -> None:
    """A client with a certificate of the authority is served, and it is no line of the log."""
    context = trust(CLIENT)
    context.maximum_version = version
    head, _, body = asking.ask(context).partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 200 ")
    assert "developer@example.com" in json.loads(body)["text"]
    assert asking.lines() == []


def test_old_versions(asking: Asking) -> None:
    """TLS 1.1 is not spoken."""
    context = trust(CLIENT)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError) as caught:
        asking.ask(context)

    assert caught.value.reason == "TLSV1_ALERT_PROTOCOL_VERSION"
    assert asking.told() == [f"{FAILED} unsupported protocol"]


def test_http_in_the_clear(asking: Asking) -> None:
    """Who speaks plain HTTP to a port of TLS is told so, and the connection ends."""
    with asking.connect() as client:
        client.sendall(GET)
        answer = ended(client)

    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"\r\nconnection: close\r\n" in answer
    assert answer.endswith(b"\r\n\r\nthis port speaks TLS: use https://\n")
    assert asking.told() == [f"{FAILED} http request"]


@pytest.mark.parametrize("junk", [b"\0" * 1000, b"\x16\x03\x01\xff\xff" + b"\0" * 70_000, b"SSH-2"])
def test_something_else(asking: Asking, junk: bytes) -> None:
    """Who speaks something else is cut, with one line of the log and none of what was sent."""
    with asking.connect() as client:
        client.sendall(junk)
        try:
            answer = ended(client)
        except ConnectionResetError:
            answer = b""

    assert len(answer) < 20
    (line,) = asking.told()
    assert re.fullmatch(r"transcoder.tls_handshake: CLIENT: the TLS handshake [a-z0-9 ]+:?.*", line)


@pytest.mark.parametrize("kind", ["silent", "slow"])
def test_handshake_that_does_not_end(asking: Asking, kind: str) -> None:
    """Who does not finish the handshake in time is cut, also one who sends a byte now and then."""
    hello, outgoing = trust(), ssl.MemoryBIO()
    started = hello.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        started.do_handshake()
    with asking.connect() as client:
        client.settimeout(TIMEOUT / 20)
        start = time.monotonic()
        for byte in outgoing.read() * 9 if kind == "slow" else [0] * 1000:
            try:
                if kind == "slow":
                    client.sendall(bytes([byte]))
                if client.recv(1) == b"":
                    break
            except TimeoutError:
                continue
            except ConnectionError:
                break

    assert TIMEOUT * 0.9 < time.monotonic() - start < TIMEOUT * 10
    assert asking.told() == [
        "transcoder.tls_handshake: CLIENT: the TLS handshake was not over in 1 s"
    ]


@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01"])
def test_client_that_goes_away(asking: Asking, sent: bytes) -> None:
    """A client that connects and goes away, as health checks do, is no line of the log."""
    with asking.connect() as client:
        client.sendall(sent)

    assert asking.ask(trust(CLIENT)).startswith(b"HTTP/1.1 200 ")
    assert asking.lines() == []


@pytest.mark.parametrize(
    ("offered", "chosen"), [(["h2", "http/1.1"], "http/1.1"), (["h2"], None), ([], None)]
)
def test_alpn(asking: Asking, offered: list[str], chosen: str | None) -> None:
    """Of the protocols that a client offers, HTTP/1.1 is chosen."""
    context = trust(CLIENT)
    if offered:
        context.set_alpn_protocols(offered)
    with connect(asking.served.http_target, context=context) as client:
        assert isinstance(client, ssl.SSLSocket)
        assert client.selected_alpn_protocol() == chosen


@pytest.mark.parametrize(("version", "seconds"), [(V13, 60), (V12, 2)])
def test_sessions_end_with_certificates(asking: Asking, version: Any, seconds: int) -> None:
    """No session is resumed whose certificate has expired; of TLS 1.3, none at all."""
    until = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds)
    context = trust(CA.issue_cert("developer@example.com", not_after=until))
    context.maximum_version = version

    def again(session: ssl.SSLSession | None) -> tuple[bytes, bool | None, ssl.SSLSession | None]:
        connection = asking.connect()
        with context.wrap_socket(
            connection, server_hostname="localhost", session=session
        ) as client:
            client.sendall(GET)
            return client.recv(12), client.session_reused, client.session

    answer, _, session = again(None)
    assert answer == b"HTTP/1.1 200"
    if version == V12:
        time.sleep(max(0, until.timestamp() - time.time()) + 1)
        with contextlib.suppress(ConnectionError):
            assert again(session)[0] == b""
        assert asking.told() == [
            "transcoder.tls_handshake: CLIENT: the TLS session is of a certificate that has expired"
        ]
    else:
        assert not again(session)[1]


def test_nothing_is_left(asking: Asking) -> None:
    """Handshakes that fail leave no file open."""
    files = Path(f"/proc/{asking.served.process.pid}/fd")
    before = len(list(files.iterdir()))
    for _ in range(20):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            asking.ask(trust())
    until = time.monotonic() + 10
    while len(list(files.iterdir())) > before + 2:
        assert time.monotonic() < until
        time.sleep(0.05)


def test_idle_connections_do_not_hold_the_drain(start: Start, tmp_path: Path) -> None:
    """A client that does not answer the end of TLS does not keep a server that drains."""
    served = start(settle=0, grace=30, tls=write(tmp_path, HERE))
    connection = Connection(served.http_target)
    assert connection.get("/v1/operations/0/a")[0] == 200
    signalled = served.signal()

    assert served.ended() == 0
    assert time.monotonic() - signalled < 15
    connection.close()


def test_drain_waits_for_handshakes(tmp_path: Path) -> None:
    """A connection made just before the end of a server is served, by asyncio's own loop too."""

    async def main() -> bytes:
        ready: asyncio.Future[Listening] = asyncio.get_running_loop().create_future()
        tls = ServerTls(**write(tmp_path, HERE))
        server = Server(operations.create(), settle=0, http_tls=tls, on_ready=ready.set_result)
        serving = asyncio.create_task(server.serve("127.0.0.1:0", "127.0.0.1:0"))
        address = (await ready).http
        accepted = socket.create_connection((address.host, address.port))
        await asyncio.sleep(0)
        server.stop()
        reader, writer = await asyncio.open_connection(
            sock=accepted, ssl=trust(), server_hostname="localhost"
        )
        writer.write(GET.replace(b"/v1/a/single", b"/v1/operations/0/a"))
        answer = await reader.read()
        writer.close()
        assert await serving == 0
        return answer

    answer = asyncio.run(main())

    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"connection: close" in answer


@pytest.mark.parametrize(
    ("client", "outcome"),
    [(CLIENT, b"HTTP/1.1 200"), (None, "CERTIFICATE_REQUIRED"), (ROGUE, "UNKNOWN_CA")],
)
def test_loop_of_asyncio(tmp_path: Path, client: Any, outcome: bytes | str) -> None:
    """Handshakes go as well, and fail as well, where the loop is not uvloop's."""

    async def main() -> bytes | str:
        ready: asyncio.Future[Listening] = asyncio.get_running_loop().create_future()
        tls = ServerTls(**write(tmp_path, HERE), client_ca=write_ca(tmp_path))
        server = Server(operations.create(), settle=0, tls=tls, on_ready=ready.set_result)
        serving = asyncio.create_task(server.serve("127.0.0.1:0", "127.0.0.1:0"))
        address = (await ready).http

        def request() -> bytes | str:
            with connect(f"{SECURED}{address}", context=trust(client)) as connection:
                connection.sendall(GET.replace(b"/v1/a/single", b"/v1/operations/0/a"))
                try:
                    return connection.recv(12)
                except ssl.SSLError as error:
                    return (
                        str(error.reason).removeprefix("TLSV13_ALERT_").removeprefix("TLSV1_ALERT_")
                    )

        answer = await asyncio.to_thread(request)
        server.stop()
        assert await serving == 0
        return answer

    assert asyncio.run(main()) == outcome


LIMITED: dict[str, dict[str, int]] = {"total": {"total": 3}, "address": {"per_address": 3}}


@pytest.fixture(scope="module", params=LIMITED)
def limited(
    request: pytest.FixtureRequest,
    start_shared: Start,
    tmp_path_factory: pytest.TempPathFactory,
) -> Served:
    """A server of at most three connections, whose handshakes may take long."""
    files = write(tmp_path_factory.mktemp("files"), HERE)
    limits = LIMITED[request.param]
    return start_shared("identified:create", tls=files, connections=limits)


def test_handshakes_are_connections(limited: Served) -> None:
    """Handshakes that do not begin count; what is too many is cut, and one that ends makes room."""
    asking = Asking(limited, 0)
    asking.before = len(asking.lines())
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(asking.connect())
        assert stack.enter_context(asking.connect()).recv(1) == b""
        told = asking.told()

    assert told == ["transcoder.tls_handshake: CLIENT: too many connections"]
    assert asked_until_served(asking).startswith(b"HTTP/1.1 200 ")


def test_secured_connections_are_counted_once(limited: Served) -> None:
    """A connection whose handshake is over is one, as before; the fourth is one too many."""
    asking = Asking(limited, 0)
    assert asked_until_served(asking).startswith(b"HTTP/1.1 200 ")
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            client = stack.enter_context(connect(limited.http_target, context=trust(None)))
            client.sendall(GET)
            assert client.recv(1 << 16).startswith(b"HTTP/1.1 200 ")
        assert stack.enter_context(asking.connect()).recv(1) == b""


def asked_until_served(asking: Asking) -> bytes:
    """Ask until there is room: the server learns of an end a moment after its client."""
    until = time.monotonic() + 20
    while True:
        with contextlib.suppress(OSError):
            return asking.ask(trust(None))
        assert time.monotonic() < until
        time.sleep(0.02)
