r"""Who a client is by its certificate, in the words of gRPC's `auth_context()`.

The names are read from the certificate as it came, in DER (X.690), for whoever hands them on alters
them: gRPC ends a name at a NUL within it, so that `edge.example\0.evil` would pass for
`edge.example`, and Python fails over a name that is not UTF-8. Only what TLS has verified is read,
so the reader may be small: what it does not understand has no names.
"""

from __future__ import annotations

import functools
import ipaddress
import ssl
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

NAMES: Final = "x509_subject_alternative_name"

_COMMON_NAME: Final = "x509_common_name"
_PEM: Final = "x509_pem_cert"
_SECURITY: Final = "transport_security_type"

# Of RFC 5280, section 4: the extensions, the object identifiers, and the kinds of names that gRPC
# tells.
_EXTENSIONS = 0xA3
_ALTERNATIVE, _COMMON = (6, b"\x55\x1d\x11"), (6, b"\x55\x04\x03")
_EMAIL, _DNS, _URI, _IP = 0x81, 0x82, 0x86, 0x87
_KINDS = {_EMAIL: "peer_email", _DNS: "peer_dns", _URI: "peer_uri", _IP: "peer_ip"}
_ENCODINGS = {0x14: "latin-1", 0x1C: "utf-32-be", 0x1E: "utf-16-be"}

Identity: TypeAlias = Mapping[str, Sequence[bytes]]


def identity(certificate: bytes) -> dict[str, list[bytes]]:
    """Return the names that a verified certificate holds.

    Args:
        certificate: in DER; empty for a client that showed none.
    """
    return {_SECURITY: [b"ssl"], **_names(certificate)} if certificate else {}


def identity_behind(transport: Any) -> dict[str, list[bytes]]:
    """Return the names that the client at the other end of a transport has proved to have."""
    secured = transport.get_extra_info("ssl_object")
    return {} if secured is None else identity(secured.getpeercert(binary_form=True) or b"")


def name_asked(transport: Any) -> str | None:
    """Return the host that the client at the other end asked TLS for; None where it did not."""
    secured = transport.get_extra_info("ssl_object")
    return getattr(secured, "named", None)


def exact(told: Identity) -> Identity:
    """Return what gRPC tells of a client, with its names as they are in its certificate."""
    for pem in told.get(_PEM, ()):
        kept = {key: values for key, values in told.items() if key not in _KINDS.values()}
        return {**kept, **{key: [*values] for key, values in _names_of_pem(pem).items()}}
    return told


def is_secured(told: Identity) -> bool:
    """Say whether what gRPC tells is of a connection within TLS."""
    return b"ssl" in told.get(_SECURITY, ())


@functools.lru_cache(1024)
def _names_of_pem(pem: bytes) -> dict[str, list[bytes]]:
    certificate = ssl.PEM_cert_to_DER_cert(pem.decode("ascii"))
    found: dict[str, list[bytes]] = {NAMES: [], **_names(certificate)}
    for kind, name in _alternative(certificate):
        found.setdefault(_KINDS[kind], []).append(name)
    return found


def _names(certificate: bytes) -> dict[str, list[bytes]]:
    told = [name for _, name in _alternative(certificate)]
    # gRPC tells one common name, which is empty for a certificate without.
    common = {_COMMON_NAME: [_common_name(certificate)]}
    return {NAMES: told, **common} if told else common


def _alternative(certificate: bytes) -> list[tuple[int, bytes]]:
    """Return the kinds and names of the certificate's subject alternative names."""
    try:
        listed = [parts[-1][1] for parts in _extensions(certificate) if parts[0] == _ALTERNATIVE]
        ((_, names),) = _parts(b"".join(listed))
        return [
            (kind, _address(name) if kind == _IP else name)
            for kind, name in _parts(names)
            if kind in _KINDS
        ]
    except (ValueError, IndexError):
        return []


def _extensions(certificate: bytes) -> Iterator[list[tuple[int, bytes]]]:
    for tag, part in _signed(certificate):
        if tag == _EXTENSIONS:
            ((_, extensions),) = _parts(part)
            for _, extension in _parts(extensions):
                yield list(_parts(extension))


def _common_name(certificate: bytes) -> bytes:
    try:
        # Behind the number, the algorithm, the issuer and the dates; a version may stand before.
        fields = [part for tag, part in _signed(certificate) if tag != 0xA0]
        for _, relative in _parts(fields[4]):
            for _, attribute in _parts(relative):
                kind, (tag, text) = _parts(attribute)
                if kind == _COMMON:
                    encoding = _ENCODINGS.get(tag)
                    return text.decode(encoding).encode() if encoding else text
    except (ValueError, IndexError):
        pass
    return b""


def _signed(certificate: bytes) -> Iterator[tuple[int, bytes]]:
    ((_, whole),) = _parts(certificate)
    (_, signed), *_ = _parts(whole)
    return _parts(signed)


def _address(packed: bytes) -> bytes:
    return str(ipaddress.ip_address(packed)).encode()


def _parts(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Return tag and content of the values that stand one after another.

    Raises:
        ValueError: the last one ends early.
    """
    at = 0
    while at < len(data):
        tag, length = data[at], data[at + 1]
        at += 2
        if length >= 0x80:
            size, at = length & 0x7F, at + (length & 0x7F)
            length = int.from_bytes(data[at - size : at])
        if at + length > len(data):
            raise ValueError("a value ends early")
        yield tag, data[at : at + length]
        at += length
