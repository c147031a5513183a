"""The certificate that a server shows, and what changes it while the server runs.

The files are looked at once a second. What has changed is read when it has not changed again for a
second, for a certificate and its key are seldom replaced in one step, and taken only if it is
whole: until then the server shows what it showed before. Open connections do not notice.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

from transcoder.errors import ConfigError
from transcoder.server_tls import ServerTls
from transcoder.stamps import Stamp, stamp
from transcoder.tls_context import Context, context_of

_log = logging.getLogger(__name__)

PERIOD: Final = 1.0
"""Seconds between two looks at the files."""

_TRIES = 5
# X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED of OpenSSL.
_VALIDITY = {9: "is not valid yet", 10: "has expired"}

_State: TypeAlias = "tuple[Stamp, ...]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """One certificate, for both kinds of listeners.

    Args:
        certificate: PEM, with its chain.
        key: PEM.
        client_ca: PEM of the authorities of clients; None if they are not asked.
        context: all of it, for HTTP.
    """

    certificate: bytes
    key: bytes = field(repr=False)
    client_ca: bytes | None
    context: Context


class Certificates:
    """The certificate of a port as its files have it.

    Args:
        tls: names the files.
        name: of the option, for messages.

    Raises:
        ConfigError: a file cannot be read, or does not fit the others.
    """

    def __init__(self, tls: ServerTls, name: str) -> None:
        self.tls = tls
        self._name = name
        self._files = {"certificate": tls.certificate, "key": tls.key, "client_ca": tls.client_ca}
        self._state = self._pending = self._look()
        self.current = self._load()

    def is_changed(self) -> bool:
        """Look at the files: say whether they have changed, and are no longer changing."""
        seen = self._look()
        is_settled, self._pending = seen == self._pending, seen
        return is_settled and seen != self._state

    def reload(self) -> None:
        """Take what the files hold now; what is wrong with it is a line of the log."""
        self._pending = self._look()
        try:
            loaded = self._load()
        except ConfigError as error:
            self._state = self._pending
            _log.warning("%s; the certificate stays that of before", error)
        else:
            self.current = loaded
            _log.info("%s: %s is read anew", self._name, self.tls.certificate)

    def unavailable(self, option: str, known: str) -> ConfigError:
        """Return the error of an option that the gRPC port does not have.

        Args:
            option: of TLS.
            known: what it knows in its place.
        """
        advice = "" if self._name == "grpc_tls" else "; give it a grpc_tls of its own"
        return ConfigError(f"{self._name}: {option}: the gRPC port knows {known} only{advice}")

    def _look(self) -> _State:
        return tuple(stamp(file or "") for file in self._files.values())

    def _load(self) -> Loaded:
        """Return what the files hold, all at one time."""
        seen, loaded = self._look(), self._read()
        for _ in range(_TRIES):
            now = self._look()
            if now == seen:
                break
            seen, loaded = now, self._read()
        self._state = seen
        return loaded

    def _read(self) -> Loaded:
        certificate, key = self._bytes("certificate"), self._bytes("key")
        client_ca = self._bytes("client_ca") if self.tls.client_ca else None
        context = context_of(self.tls)
        self._use_pair(context, certificate)
        if client_ca is not None:
            self._trust(context, "client_ca", client_ca)
        self._try(context, certificate)
        return Loaded(certificate=certificate, key=key, client_ca=client_ca, context=context)

    def _bytes(self, name: str) -> bytes:
        try:
            return Path(self._files[name] or "").read_bytes()
        except OSError as error:
            raise self._wrong(name, f"cannot be read: {str(error.strerror).lower()}") from error

    def _use_pair(self, context: ssl.SSLContext, certificate: bytes) -> None:
        self._trust(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), "certificate", certificate)

        def password() -> str:
            raise self._wrong("key", "is encrypted: a key without a password is expected")

        try:
            context.load_cert_chain(self.tls.certificate, self.tls.key, password)
        except ssl.SSLError as error:
            if error.reason == "KEY_VALUES_MISMATCH":
                problem = f"is not the key of {self.tls.certificate}"
                raise self._wrong("key", problem) from error
            if error.reason in {None, "PEM_LIB"}:
                raise self._wrong("key", "holds no private key in PEM") from error
            raise self._wrong("certificate", f"cannot be used: {_in_words(error)}") from error
        except OSError as error:
            raise self._wrong("key", f"cannot be read: {str(error.strerror).lower()}") from error

    def _trust(self, context: ssl.SSLContext, name: str, pem: bytes) -> None:
        try:
            context.load_verify_locations(cadata=_text(pem))
        except (ssl.SSLError, ValueError) as error:
            raise self._wrong(name, "holds no certificate in PEM") from error

    def _try(self, context: Context, certificate: bytes) -> None:
        try:
            problem = _refusal(context, certificate)
        except ssl.SSLError as error:
            raise self._wrong("certificate", f"cannot be used: {_in_words(error)}") from error
        if problem:
            _log.warning("%s", self._wrong("certificate", f"{problem}: clients will refuse it"))

    def _wrong(self, name: str, problem: str) -> ConfigError:
        return ConfigError(f"{self._name}: {name}: {self._files[name]} {problem}")


def open_certificates(
    tls: ServerTls | None, http_tls: ServerTls | None, grpc_tls: ServerTls | None
) -> tuple[Certificates | None, Certificates | None]:
    """Return what the HTTP port and the gRPC port show, None for a port without TLS.

    Args:
        tls: of ports that have none of their own; they show the same, at any time.
        http_tls: of the HTTP port.
        grpc_tls: of the gRPC port.

    Raises:
        ConfigError: a file cannot be read, or does not fit the others.
    """
    shared = Certificates(tls, "tls") if tls and not (http_tls and grpc_tls) else None
    return (
        Certificates(http_tls, "http_tls") if http_tls else shared,
        Certificates(grpc_tls, "grpc_tls") if grpc_tls else shared,
    )


async def keep_fresh(certificates: Iterable[Certificates | None], asked: asyncio.Event) -> None:
    """Look at the files every PERIOD, and read them whenever it is asked for, without end."""
    watched = set(filter(None, certificates))
    while watched:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asked.wait(), PERIOD)
        is_asked = asked.is_set()
        asked.clear()
        for each in watched:
            if is_asked or each.is_changed():
                await asyncio.to_thread(each.reload)


def _refusal(server: Context, certificate: bytes) -> str:
    """Return what is wrong with a certificate for a client that trusts whoever issued it."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    client.load_verify_locations(cadata=_text(certificate))
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = client.wrap_bio(down, up)
    asked = server.wrap_bio(up, down, server_side=True)
    try:
        for side in (asking, asked, asking):
            with contextlib.suppress(ssl.SSLWantReadError):
                side.do_handshake()
    except ssl.SSLCertVerificationError as error:
        return _VALIDITY.get(error.verify_code, error.verify_message)
    return ""


def _text(pem: bytes) -> str:
    # Bundles of authorities have comments, with names of everywhere.
    return pem.decode("ascii", "ignore")


def _in_words(error: ssl.SSLError) -> str:
    return (error.reason or "unknown").replace("_", " ").lower()
