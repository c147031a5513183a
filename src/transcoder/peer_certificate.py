"""What a client's certificate says of it, in the words of gRPC's `auth_context()`."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Mapping
from typing import Any, Final

_KINDS: Final = frozenset({"DNS", "URI", "IP Address", "email"})


def has_expired(certificate: Mapping[str, Any], now: float) -> bool:
    """Say whether a certificate was valid until a time before now, in seconds since 1970.

    Args:
        certificate: as `ssl.SSLObject.getpeercert()` returns it; empty without one.
        now: the time.
    """
    return bool(certificate) and ssl.cert_time_to_seconds(certificate["notAfter"]) < now


def identity_behind(transport: Any) -> dict[str, list[bytes]]:
    """Return the names that the client at the other end of a transport has proved to have."""
    secured = transport.get_extra_info("ssl_object")
    return {} if secured is None else identity(secured.getpeercert() or {})


def identity(certificate: Mapping[str, Any]) -> dict[str, list[bytes]]:
    """Return the names that a verified certificate holds.

    Args:
        certificate: as `ssl.SSLObject.getpeercert()` returns it; empty without one.

    >>> identity({"subjectAltName": (("DNS", "edge.example"),)})["x509_subject_alternative_name"]
    [b'edge.example']
    """
    if not certificate:
        return {}
    told: dict[str, list[bytes]] = {"transport_security_type": [b"ssl"]}
    names = [
        _in_short(kind, name).encode()
        for kind, name in certificate.get("subjectAltName", ())
        if kind in _KINDS
    ]
    if names:
        told["x509_subject_alternative_name"] = names
    common = [
        value.encode()
        for part in certificate.get("subject", ())
        for key, value in part
        if key == "commonName"
    ]
    # gRPC tells one, which is empty for a certificate without.
    told["x509_common_name"] = common[:1] or [b""]
    return told


def _in_short(kind: str, name: str) -> str:
    """Return a name as gRPC writes it; OpenSSL writes all groups of an IPv6 address."""
    return str(ipaddress.ip_address(name.strip())) if kind == "IP Address" else name
