"""What a client's certificate says of it, in the words of gRPC's `auth_context()`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_KINDS: Final = frozenset({"DNS", "URI", "IP Address", "email"})


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
        name.encode() for kind, name in certificate.get("subjectAltName", ()) if kind in _KINDS
    ]
    if names:
        told["x509_subject_alternative_name"] = names
    common = [
        value.encode()
        for part in certificate.get("subject", ())
        for key, value in part
        if key == "commonName"
    ]
    if common:
        told["x509_common_name"] = common
    return told
