"""TLS towards a backend: whom to trust, and who we are."""

from __future__ import annotations

import logging
import ssl
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Self, TypeAlias

import grpc

from transcoder.errors import ConfigError

_log = logging.getLogger(__name__)

Pem: TypeAlias = "bytes | str | PathLike[str]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """TLS to a backend; each part is PEM, as bytes or as the path of a file.

    Args:
        ca: certificates of the authorities to trust; None for those that gRPC comes with.
        certificate: our own, with its chain, for a backend that asks for one (mTLS).
        key: the private key of `certificate`.
        server_name: the name on the backend's certificate, if it is not the target's host.

    Raises:
        ConfigError: a certificate without its key, or the other way round.
    """

    ca: Pem | None = None
    certificate: Pem | None = None
    key: Pem | None = None
    server_name: str | None = None

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            raise ConfigError("tls: a certificate and its key are given together")

    def credentials(self) -> grpc.ChannelCredentials:
        """Return what gRPC takes; files are read now.

        Raises:
            ConfigError: a file cannot be read, or does not hold what it should.
        """
        # gRPC would tell of it when it connects, in a line of its own log.
        ca, certificate, key = self._load(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
        return grpc.ssl_channel_credentials(ca, key, certificate)

    def context(self) -> ssl.SSLContext:
        """Return what OpenSSL takes, to speak HTTP/1.1; files are read now.

        Raises:
            ConfigError: a file cannot be read, or does not hold what it should.
        """
        context = (
            ssl.create_default_context()
            if self.ca is None
            else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        )
        context.set_alpn_protocols(["http/1.1"])
        self._load(context)
        return context

    def _load(self, context: ssl.SSLContext) -> tuple[bytes | None, bytes | None, bytes | None]:
        """Take the files into a context; return the authorities, the certificate and its key."""
        ca = _read("ca", self.ca)
        if ca is not None:
            try:
                # Bundles of authorities have comments, with names of everywhere.
                context.load_verify_locations(cadata=ca.decode("ascii", "ignore"))
            except (ssl.SSLError, ValueError) as error:
                raise ConfigError(f"tls: ca: {self._told(self.ca)} holds no certificate") from error
        certificate, key = _read("certificate", self.certificate), _read("key", self.key)
        if certificate is not None and key is not None:
            if b"PRIVATE KEY" not in key:
                raise ConfigError(f"tls: key: {self._told(self.key)} holds no private key in PEM")
            # OpenSSL, as Python has it, reads these from files only.
            with tempfile.NamedTemporaryFile() as pair:
                pair.write(b"\n".join((key, certificate)))
                pair.flush()
                try:
                    context.load_cert_chain(pair.name, password=_no_password)
                except ssl.SSLError as error:
                    problem = f"{self._told(self.certificate)} and its key cannot be used"
                    raise ConfigError(f"tls: certificate: {problem}") from error
        return ca, certificate, key

    @staticmethod
    def _told(pem: Pem | None) -> str:
        return "what is given" if isinstance(pem, bytes) else str(pem)

    def signature(self) -> tuple[tuple[int, int, int] | None, ...]:
        """Return what is another when a file has changed."""
        return tuple(_signature(pem) for pem in (self.ca, self.certificate, self.key))

    def options(self) -> tuple[tuple[str, str], ...]:
        """Return the options that gRPC takes beside the credentials."""
        name = self.server_name
        return (("grpc.ssl_target_name_override", name),) if name else ()


class BackendContext(ssl.SSLContext):
    """TLS to a backend, as the files have it when a connection is made.

    Args:
        tls: names the files.

    Raises:
        ConfigError: a file cannot be read, or does not hold what it should.
    """

    def __new__(cls, tls: Tls) -> Self:  # noqa: ARG004  __init__ takes it
        """Make a context of clients."""
        return super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)

    def __init__(self, tls: Tls) -> None:
        self._tls = tls
        self._signature = tls.signature()
        self._current = tls.context()

    def set_alpn_protocols(self, alpn_protocols: Iterable[str]) -> None:
        """Do nothing: there is one, which is set."""

    def wrap_bio(self, *args: Any, **options: Any) -> ssl.SSLObject:
        """Begin a handshake."""
        signature = self._tls.signature()
        if signature != self._signature:
            self._renew(signature)
        return self._current.wrap_bio(*args, **options)

    def _renew(self, signature: tuple[tuple[int, int, int] | None, ...]) -> None:
        self._signature = signature
        try:
            self._current = self._tls.context()
        except ConfigError as error:
            # A certificate and its key are seldom replaced in one step.
            _log.warning("%s; the certificate stays that of before", error)


def _no_password() -> str:
    raise ConfigError("tls: key: is encrypted: a key without a password is expected")


def _signature(pem: Pem | None) -> tuple[int, int, int] | None:
    if pem is None or isinstance(pem, bytes):
        return None
    try:
        found = Path(pem).stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size


def _read(name: str, pem: Pem | None) -> bytes | None:
    if pem is None or isinstance(pem, bytes):
        return pem
    try:
        return Path(pem).read_bytes()
    except OSError as error:
        raise ConfigError(f"tls: {name}: {pem} cannot be read: {error.strerror}") from error
