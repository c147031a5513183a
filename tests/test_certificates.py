from __future__ import annotations

import datetime as dt
import logging
import os
import shutil
import signal
import ssl
import subprocess
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme
from google.longrunning import operations_pb2, operations_pb2_grpc
from tests.conftest import Connection, Served, Start

from over_tls import (
    CA,
    CLIENT,
    EXPIRED,
    HERE,
    SECURED,
    connect,
    credentials,
    trust,
    write,
    write_ca,
)
from transcoder import ConfigError, ServerTls
from transcoder.certificates import Certificates, open_certificates

OTHER = CA.issue_cert("localhost")
NOT_YET = CA.issue_cert(
    "localhost",
    not_before=dt.datetime.now(dt.UTC) + dt.timedelta(days=9),
    not_after=dt.datetime.now(dt.UTC) + dt.timedelta(days=19),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of files that are good, and of some that are not."""
    write(tmp_path, HERE)
    write(tmp_path, OTHER, "other")
    write_ca(tmp_path)
    (tmp_path / "junk").write_bytes(b"\xff\0 no PEM")
    (tmp_path / "empty").touch()
    return tmp_path


def made(folder: Path, **files: str) -> Certificates:
    """Load what is in these files of a folder."""
    named = {"certificate": "server.pem", "key": "server.key", **files}
    paths: Any = {name: folder / file for name, file in named.items()}
    return Certificates(ServerTls(**paths), "tls")


def openssl(folder: Path, *arguments: str) -> None:
    """Run OpenSSL in a folder."""
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


@pytest.mark.parametrize(
    ("option", "file", "problem"),
    [
        ("certificate", "missing", "cannot be read: no such file or directory"),
        ("certificate", ".", "cannot be read: is a directory"),
        ("certificate", "junk", "holds no certificate in PEM"),
        ("certificate", "empty", "holds no certificate in PEM"),
        ("certificate", "server.key", "holds no certificate in PEM"),
        ("key", "missing", "cannot be read: no such file or directory"),
        ("key", "junk", "holds no private key in PEM"),
        ("key", "empty", "holds no private key in PEM"),
        ("key", "server.pem", "holds no private key in PEM"),
        ("key", "other.key", "is not the key of {}/server.pem"),
        ("client_ca", "missing", "cannot be read: no such file or directory"),
        ("client_ca", "junk", "holds no certificate in PEM"),
    ],
)
def test_wrong_file(folder: Path, option: str, file: str, problem: str) -> None:
    """A file that cannot be used is told in a line, with the option's name and the file's."""
    with pytest.raises(ConfigError) as caught:
        made(folder, **{option: file})

    assert str(caught.value) == f"tls: {option}: {folder / file} {problem.format(folder)}"


def test_encrypted_key(folder: Path) -> None:
    """A key with a password is refused; nobody is asked for it on a terminal."""
    locked = ["-aes256", "-passout", "pass:x", "-out", "locked.key"]
    openssl(folder, "pkey", "-in", "server.key", *locked)
    with pytest.raises(ConfigError) as caught:
        made(folder, key="locked.key")

    problem = "is encrypted: a key without a password is expected"
    assert str(caught.value) == f"tls: key: {folder / 'locked.key'} {problem}"


@pytest.mark.parametrize(
    ("kind", "problem"),
    [
        ("rsa:1024", "cannot be used: ee key too small"),
        (
            "ec -pkeyopt ec_paramgen_curve:secp256k1",
            "cannot be used: no suitable signature algorithm",
        ),
    ],
)
def test_key_that_no_client_takes(folder: Path, kind: str, problem: str) -> None:
    """A certificate with which no handshake succeeds is refused at start."""
    request = f"req -x509 -newkey {kind} -nodes -keyout odd.key -out odd.pem -subj /CN=x -days 9"
    openssl(folder, *request.split())
    with pytest.raises(ConfigError) as caught:
        made(folder, certificate="odd.pem", key="odd.key")

    assert str(caught.value) == f"tls: certificate: {folder / 'odd.pem'} {problem}"


@pytest.mark.parametrize(
    ("leaf", "problem"),
    [
        (EXPIRED, "has expired: clients will refuse it"),
        (NOT_YET, "is not valid yet: clients will refuse it"),
    ],
)
def test_validity(folder: Path, caplog: pytest.LogCaptureFixture, leaf: Any, problem: str) -> None:
    """A certificate that is not valid now is shown all the same, after a warning."""
    write(folder, leaf)
    loaded = made(folder).current

    assert caplog.messages == [f"tls: certificate: {folder / 'server.pem'} {problem}"]
    assert loaded.certificate == (folder / "server.pem").read_bytes()


def test_purpose(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A certificate that is one of clients only is warned of."""
    request = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=x -days 9"
    extension = "extendedKeyUsage=clientAuth"
    files = ["-keyout", "server.key", "-out", "server.pem"]
    openssl(folder, *request.split(), "-addext", extension, *files)
    made(folder)

    assert "clients will refuse it" in caplog.text


def test_good_certificates_are_quiet(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """With nothing wrong, nothing is told, also where clients must show certificates."""
    bundle = "Autorité de certification\n".encode() + (folder / "ca.pem").read_bytes()
    (folder / "bundle").write_bytes(bundle)
    loaded = made(folder, client_ca="bundle").current

    assert caplog.messages == []
    assert loaded.client_ca == bundle
    assert len(loaded.context.get_ca_certs()) == 1


def test_change(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A new pair is taken when it no longer changes, and what was loaded before stays whole."""
    caplog.set_level(logging.INFO)
    certificates = made(folder)
    before = certificates.current
    assert not certificates.is_changed()

    shutil.copy(folder / "other.pem", folder / "server.pem")
    assert not certificates.is_changed()
    shutil.copy(folder / "other.key", folder / "server.key")
    assert not certificates.is_changed()
    assert certificates.is_changed()
    certificates.reload()

    assert certificates.current.certificate == (folder / "other.pem").read_bytes()
    assert certificates.current.context is not before.context
    assert not certificates.is_changed()
    assert caplog.messages == [f"tls: {folder / 'server.pem'} is read anew"]


def test_change_by_a_link(folder: Path) -> None:
    """A link that leads elsewhere is a change, as where a volume of secrets is swapped."""
    for name in ("certificate", "key"):
        (folder / name).symlink_to("server.pem" if name == "certificate" else "server.key")
    certificates = made(folder, certificate="certificate", key="key")
    for name, file in (("certificate", "other.pem"), ("key", "other.key")):
        (folder / "new").symlink_to(file)
        (folder / "new").rename(folder / name)
    certificates.is_changed()

    assert certificates.is_changed()


@pytest.mark.parametrize("fault", ["mismatch", "missing", "junk"])
def test_bad_change(folder: Path, caplog: pytest.LogCaptureFixture, fault: str) -> None:
    """A pair that does not load leaves the old one, with one warning, until it changes again."""
    certificates = made(folder)
    before, key = certificates.current, folder / "server.key"
    if fault == "missing":
        key.unlink()
    else:
        shutil.copy(folder / {"mismatch": "other.key", "junk": "junk"}[fault], key)
    certificates.is_changed()
    assert certificates.is_changed()
    certificates.reload()

    assert certificates.current is before
    assert not certificates.is_changed()
    (line,) = caplog.messages
    assert line.startswith(f"tls: key: {key} ")
    assert line.endswith("; the certificate stays that of before")

    write(folder, HERE)
    certificates.is_changed()
    assert certificates.is_changed()


def test_shared() -> None:
    """Ports without TLS of their own show one certificate; none of both is loaded in vain."""
    assert open_certificates(None, None, None) == (None, None)


def test_own(folder: Path) -> None:
    """A port's own TLS goes before that of both; the other port keeps that."""
    both = ServerTls(certificate=folder / "server.pem", key=folder / "server.key")
    own = ServerTls(certificate=folder / "other.pem", key=folder / "other.key")
    missing = ServerTls(certificate=os.devnull, key=os.devnull)

    http, grpc = open_certificates(both, None, None)
    assert http is grpc
    http, grpc = open_certificates(both, None, own)
    assert (http and http.tls, grpc and grpc.tls) == (both, own)
    http, grpc = open_certificates(missing, own, both)
    assert (http and http.tls, grpc and grpc.tls) == (own, both)
    http, grpc = open_certificates(None, own, None)
    assert (http and http.tls, grpc) == (own, None)


def test_context_is_of_servers(folder: Path) -> None:
    """What is loaded is ready for handshakes."""
    assert isinstance(made(folder).current.context, ssl.SSLContext)


LOGGED = {"root": {"level": "INFO", "handlers": ["file"]}}


class Door:
    """A port of a server, as clients see it."""

    def __init__(self, target: str, protocol: str) -> None:
        self.target = target
        self._context = trust()
        self._context.set_alpn_protocols([protocol])

    def shown(self) -> bytes:
        """Return the certificate that is shown to a new client."""
        with connect(self.target, context=self._context) as client:
            assert isinstance(client, ssl.SSLSocket)
            return client.getpeercert(binary_form=True) or b""


@dataclass
class Reloading:
    """A server, its files, and what it logs."""

    served: Served
    folder: Path
    log: Path

    def doors(self) -> list[Door]:
        """Return both ports."""
        served = self.served
        return [Door(served.http_target, "http/1.1"), Door(served.grpc_target, "h2")]

    def lines(self, text: str) -> list[str]:
        """Return the lines of the log with this text."""
        return [line for line in self.log.read_text().splitlines() if text in line]


@pytest.fixture
def reloading(start: Start, tmp_path: Path) -> Callable[[int], Reloading]:
    """Start a server of the files in a folder."""

    def begin(workers: int) -> Reloading:
        log = tmp_path / "log"
        handler = {"class": "logging.FileHandler", "filename": str(log)}
        served = start(
            workers=workers,
            settle=0,
            tls=write(tmp_path, HERE),
            log_config={**LOGGED, "handlers": {"file": handler}},
        )
        return Reloading(served, tmp_path, log)

    return begin


def replaced(folder: Path, leaf: trustme.LeafCert) -> bytes:
    """Replace the files of a server one after the other; return the new certificate."""
    new = folder / "new"
    new.mkdir(exist_ok=True)
    for file in write(new, leaf).values():
        Path(file).rename(folder / Path(file).name)
    return ssl.PEM_cert_to_DER_cert(leaf.cert_chain_pems[0].bytes().decode())


def until(true: Callable[[], object], within: float = 10) -> None:
    """Wait until something is true."""
    end = time.monotonic() + within
    while not true():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.02)


def operation(channel: grpc.Channel) -> str:
    """Return what a method answers on a connection that may be old."""
    stub = operations_pb2_grpc.OperationsStub(channel)  # type: ignore[no-untyped-call]
    request = operations_pb2.GetOperationRequest(name="operations/0/a")
    return str(stub.GetOperation(request, timeout=20).name)


def test_reload_while_clients_connect(reloading: Callable[[int], Reloading]) -> None:
    """New clients of both ports see the new certificate, none fails, open connections go on."""
    running = reloading(1)
    http, rpc = running.doors()
    old = http.shown()
    assert rpc.shown() == old
    kept = Connection(running.served.http_target)
    assert kept.get("/v1/operations/0/a")[0] == 200
    seen: list[bytes] = []
    stop = threading.Event()

    def connecting(door: Door) -> None:
        while not stop.is_set():
            seen.append(door.shown())

    with running.served.channel() as channel, ThreadPoolExecutor() as pool:
        before = operation(channel)
        clients = [pool.submit(connecting, door) for door in (http, rpc) for _ in range(2)]
        try:
            new = replaced(running.folder, CA.issue_cert("127.0.0.1"))
            until(lambda: seen.count(new) > 20)
        finally:
            stop.set()
        for client in clients:
            client.result()
        assert operation(channel) == before

    assert {*seen} == {old, new}
    assert (http.shown(), rpc.shown()) == (new, new)
    assert kept.get("/v1/operations/0/a")[0] == 200
    kept.close()
    assert len(running.lines("is read anew")) == 1
    assert running.lines("WARNING") == []


def test_bad_reload(reloading: Callable[[int], Reloading]) -> None:
    """A pair that does not fit leaves both ports the old one, with a line that names the file."""
    running = reloading(1)
    old = [door.shown() for door in running.doors()]
    shutil.copy(write(running.folder, OTHER, "other")["key"], running.folder / "server.key")
    until(lambda: running.lines("is not the key of"))

    assert [door.shown() for door in running.doors()] == old
    new = replaced(running.folder, CA.issue_cert("127.0.0.1"))
    until(lambda: [door.shown() for door in running.doors()] == [new, new])
    (line,) = running.lines("stays that of before")
    assert f"tls: key: {running.folder / 'server.key'} is not the key of" in line


@pytest.mark.parametrize("workers", [1, 2])
def test_hangup(reloading: Callable[[int], Reloading], workers: int) -> None:
    """SIGHUP has every process read the files at once, and ends none."""
    running = reloading(workers)
    shown = [door.shown() for door in running.doors()]
    for count in (1, 2):
        running.served.signal(signal.SIGHUP)
        wanted = count * workers
        until(lambda: len(running.lines("is read anew")) == wanted)  # noqa: B023  called at once

    assert [door.shown() for door in running.doors()] == shown
    new = replaced(running.folder, CA.issue_cert("127.0.0.1"))
    until(lambda: len(running.lines("is read anew")) == 3 * workers)
    assert {door.shown() for door in running.doors() for _ in range(8)} == {new}
    running.served.signal()
    assert running.served.ended() == 0


def test_hangup_without_tls(start: Start) -> None:
    """Without TLS there is nothing to read again: SIGHUP ends the process, as it does any."""
    served = start()
    served.signal(signal.SIGHUP)

    assert served.ended() == -signal.SIGHUP


def test_authority_that_is_gone(start: Start, tmp_path: Path) -> None:
    """After a change of authorities, clients of the old one are refused, sessions or not."""
    served = start(tls={**write(tmp_path, HERE), "client_ca": write_ca(tmp_path)})
    context = trust(CLIENT)
    target = served.grpc_target.removeprefix(SECURED)

    def taken_by_http() -> bool:
        with connect(served.http_target, context=context) as client:
            try:
                client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
                return client.recv(12) == b"HTTP/1.1 200"
            except OSError:
                return False

    def taken_by_grpc() -> bool:
        alone = [("grpc.use_local_subchannel_pool", 1)]
        with grpc.secure_channel(target, credentials(CLIENT), alone) as channel:
            try:
                return bool(operation(channel))
            except grpc.RpcError:
                return False

    assert (taken_by_http(), taken_by_grpc()) == (True, True)
    trustme.CA().cert_pem.write_to_path(tmp_path / "new")
    (tmp_path / "new").rename(tmp_path / "ca.pem")

    until(lambda: not taken_by_http())
    assert not taken_by_grpc()


@pytest.mark.parametrize("workers", [1, 2])
def test_wrong_file_ends_the_start(start: Start, tmp_path: Path, workers: int) -> None:
    """A server whose certificate cannot be read does not start, and says why in one line."""
    files = {**write(tmp_path, HERE), "key": str(tmp_path / "none")}
    served = start(workers=workers, tls=files, wait=False)

    assert served.ended() == 1
    problem = "cannot be read: no such file or directory"
    assert served.errors() == f"Error: tls: key: {tmp_path / 'none'} {problem}\n"
