"""TLS of a server's ports: which files, and whether clients show certificates.

What protects a port is not left to whoever calls it: TLS 1.2 at least, no renegotiation, and where
clients show certificates, no session is resumed that outlives what its client has shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike, fspath
from typing import Any, Literal, TypeAlias, get_args

from transcoder.errors import ConfigError

ClientCertificates: TypeAlias = Literal["required", "optional", "none"]
Version: TypeAlias = Literal["1.2", "1.3"]
File: TypeAlias = "str | PathLike[str]"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerTls:
    """TLS of a port. The files are PEM, and are read again when they change.

    Args:
        certificate: the file of the server's certificate, followed by its chain.
        key: the file of its private key, without a password.
        client_ca: the file of the authorities whose certificates clients show; None to ask for
            none.
        client_certificates: whether a client must show one; "required" unless told otherwise, where
            there is a `client_ca`. The gRPC port knows no "optional".
        min_version: the oldest version of TLS that is spoken. The gRPC port speaks 1.2 as well.
        handshake_timeout: seconds until a client is cut whose handshake is not over.

    Raises:
        ConfigError: the values do not go together.

    >>> ServerTls(certificate="server.pem", key="server.key", client_ca="ca.pem").asks
    'required'
    """

    certificate: File
    key: File
    client_ca: File | None = None
    client_certificates: ClientCertificates | None = None
    min_version: Version = "1.2"
    handshake_timeout: float = 10.0

    def __post_init__(self) -> None:
        for name in ("certificate", "key", "client_ca"):
            given = getattr(self, name)
            if given is not None:
                object.__setattr__(self, name, _path(name, given))
        _check(self.client_certificates, (None, *get_args(ClientCertificates)))
        if self.client_certificates in {"required", "optional"} and self.client_ca is None:
            raise ConfigError(
                f"tls: client_certificates is {self.client_certificates!r}, and no client_ca says "
                "of which authority"
            )
        if self.client_certificates == "none" and self.client_ca is not None:
            raise ConfigError("tls: client_ca is given, and client_certificates is 'none'")
        if self.min_version not in get_args(Version):
            raise ConfigError(f"tls: min_version {self.min_version!r}: '1.2' or '1.3' is expected")
        if not self.handshake_timeout > 0:
            raise ConfigError("tls: handshake_timeout: more than 0 seconds are expected")

    @property
    def asks(self) -> ClientCertificates:
        """Whether clients show certificates."""
        return self.client_certificates or ("required" if self.client_ca else "none")


def _path(name: str, given: Any) -> str:
    if not isinstance(given, str | PathLike) or not fspath(given):
        raise ConfigError(f"tls: {name}: the path of a file is expected, not {given!r}")
    return str(fspath(given))


def _check(given: str | None, known: tuple[str | None, ...]) -> None:
    if given not in known:
        expected = " or ".join(repr(each) for each in known if each)
        raise ConfigError(f"tls: client_certificates {given!r}: {expected} is expected")
