"""Who is who: certificates of two authorities and a stranger, and tokens of one issuer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import trustme
from joserfc import jwt
from joserfc.jwk import ECKey

ISSUER = "https://login.example.com"
AUDIENCE = "shop"

_HERE = ("localhost", "127.0.0.1")
_INSIDE = {
    "edge": (),
    "business-a": _HERE,
    "business-b": _HERE,
    "order": _HERE,
    "inventory": _HERE,
    "payment": _HERE,
    "user": _HERE,
    "warehouse": (),
    "reporting": (),
}
"""Whom the authority of the inside knows, and the hosts that each of them is."""


def write_certificates(folder: Path) -> None:
    """Write certificates and their keys: of the inside, of the edge's public side, of a stranger.

    Clients outside trust `public-ca.pem`, processes inside `ca.pem`; `rogue.pem` has the edge's
    name, of an authority that nobody knows.
    """
    inside, public = trustme.CA(), trustme.CA()
    inside.cert_pem.write_to_path(folder / "ca.pem")
    public.cert_pem.write_to_path(folder / "public-ca.pem")
    for name, hosts in _INSIDE.items():
        _write(folder, name, inside.issue_cert(name, *hosts))
    _write(folder, "public", public.issue_cert("*.example.com", *_HERE))
    _write(folder, "rogue", trustme.CA().issue_cert("edge"))


def _write(folder: Path, name: str, leaf: trustme.LeafCert) -> None:
    chain = b"".join(blob.bytes() for blob in leaf.cert_chain_pems)
    (folder / f"{name}.pem").write_bytes(chain)
    (folder / f"{name}.key").write_bytes(leaf.private_key_pem.bytes())


class Issuer:
    """Signs tokens, and publishes the key by which they are known.

    Args:
        now: the time in seconds since 1970, which tokens are issued at.
    """

    def __init__(self, now: float) -> None:
        self._key = ECKey.generate_key("P-256", {"kid": "demo"})
        self._now = int(now)

    def write_keys(self, file: Path) -> None:
        """Write the public half as a JSON Web Key Set."""
        file.write_text(json.dumps({"keys": [self._key.as_dict(private=False)]}))

    def token(self, subject: str, **more: Any) -> str:
        """Return a token that is good for a day; `more` are claims beside or in place of others."""
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": subject,
            "iat": self._now,
            "exp": self._now + 86_400,
            **more,
        }
        return jwt.encode({"alg": "ES256", "kid": "demo", "typ": "JWT"}, claims, self._key)

    def tokens(self) -> dict[str, str]:
        """Return the tokens of the story, by the variable that commands have for each."""
        return {
            "TOKEN": self.token("ann", tenant="basic"),
            "ACME": self.token("bob", tenant="acme"),
            "EXPIRED": self.token("ann", iat=self._now - 7200, exp=self._now - 3600),
            "ELSEWHERE": self.token("ann", aud="bank"),
        }
