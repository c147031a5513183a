"""Targets of tokens and keys; see fuzz_targets."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from functools import cache
from typing import Any, Final

from joserfc.jwk import OctKey
from joserfc.jwt import JWTClaimsRegistry

from transcoder import Code
from transcoder.call_details import CallDetails
from transcoder.metadata import checked
from transcoder.policies import Denied, Issuer, Jwt, Now
from transcoder.policies.key_set import ASYMMETRIC, SYMMETRIC, KeySet

NOW: Final = Now(0.0, 1_800_000_000.0)
SECRET: Final = bytes(range(32))
ISSUER: Final = "https://login.example"
HEADER: Final = b'{"alg":"HS256","kid":"s"}'


def token(data: bytes) -> None:
    """A token lets in only whom it was signed for; any other is refused, by the one answer."""
    if b"\n" in data or b"\r" in data:
        return
    call = _decided(data)
    if call is None or call.principal is None:
        return
    # Several spaces may stand behind the scheme.
    signed, _, signature = data.lstrip(b" ").rpartition(b".")
    made = hmac.new(SECRET, signed, hashlib.sha256).digest()
    _check(_b64(made) == signature, "a signature that does not hold")


def claims(data: bytes) -> None:
    """Signed claims let in whom joserfc lets in, are read as json does, and told as gRPC can."""
    signed = _b64(HEADER) + b"." + _b64(data)
    made = hmac.new(SECRET, signed, hashlib.sha256).digest()
    call = _decided(signed + b"." + _b64(made))
    if call is None or call.principal is None:
        return
    told = json.loads(data)
    _check(dict(call.principal.claims) == told, "claims that are read otherwise")
    _reference().validate(told)
    _check(checked(call.metadata) == call.metadata, "metadata that gRPC cannot carry")


def keys(data: bytes) -> None:
    """A key set is keys, or a ValueError."""
    try:
        found = KeySet.read(data, [*ASYMMETRIC, *SYMMETRIC])
    except ValueError:
        return
    _check(len(found.problems) < 100, "too many keys")


def _decided(text: bytes) -> CallDetails | None:
    """Return a call that was let pass, with its caller if it has one; None if it was refused."""
    call = CallDetails("http", headers=[(b"authorization", b"Bearer " + text)])
    try:
        _check(_policy().decide(call, NOW) is None, "something is awaited")
    except Denied as denied:
        answer = denied.status.code, denied.status.message, denied.headers
        _check(answer == _REFUSED, f"another answer: {answer}")
        return None
    return call


_REFUSED = (
    Code.UNAUTHENTICATED,
    "the token is not valid",
    (("www-authenticate", 'Bearer error="invalid_token"'),),
)


@cache
def _policy() -> Jwt:
    secret = OctKey.import_key(SECRET, {"kid": "s"}).as_dict()
    issuer = Issuer(ISSUER, audiences=["api"], keys=secret, algorithms=["HS256"])
    return Jwt(issuer, forward={"sub": "x-sub", "groups": "x-groups", "name": "x-name-bin"}, kept=4)


def _reference() -> JWTClaimsRegistry:
    return JWTClaimsRegistry(
        now=int(NOW.wall),
        leeway=30,
        iss={"essential": True, "value": ISSUER},
        aud={"essential": True, "value": "api"},
        exp={"essential": True},
        sub={"essential": True},
    )


def _b64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _check(holds: bool, problem: Any) -> None:  # noqa: FBT001  as assert has it
    if not holds:
        raise AssertionError(problem)
