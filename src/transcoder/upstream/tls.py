"""TLS towards a backend: whom to trust, and who we are."""

from __future__ import annotations

import ssl
import tempfile
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TypeAlias

import grpc

from transcoder.errors import ConfigError

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
            ConfigError: a file cannot be read.
        """
        return grpc.ssl_channel_credentials(
            _read("ca", self.ca), _read("key", self.key), _read("certificate", self.certificate)
        )

    def context(self) -> ssl.SSLContext:
        """Return what OpenSSL takes, to speak HTTP/1.1; files are read now.

        Raises:
            ConfigError: a file cannot be read, or does not hold what it should.
        """
        ca = _read("ca", self.ca)
        try:
            context = ssl.create_default_context(cadata=None if ca is None else ca.decode("ascii"))
        except (ssl.SSLError, ValueError) as error:
            raise ConfigError("tls: ca: it holds no certificate") from error
        context.set_alpn_protocols(["http/1.1"])
        certificate, key = _read("certificate", self.certificate), _read("key", self.key)
        if certificate is not None and key is not None:
            # OpenSSL, as Python has it, reads these from files only.
            with tempfile.NamedTemporaryFile() as pair:
                pair.write(b"\n".join((key, certificate)))
                pair.flush()
                try:
                    context.load_cert_chain(pair.name)
                except ssl.SSLError as error:
                    raise ConfigError("tls: certificate: with its key it is no pair") from error
        return context

    def options(self) -> tuple[tuple[str, str], ...]:
        """Return the options that gRPC takes beside the credentials."""
        name = self.server_name
        return (("grpc.ssl_target_name_override", name),) if name else ()


def _read(name: str, pem: Pem | None) -> bytes | None:
    if pem is None or isinstance(pem, bytes):
        return pem
    try:
        return Path(pem).read_bytes()
    except OSError as error:
        raise ConfigError(f"tls: {name}: {pem} cannot be read: {error.strerror}") from error
