"""Tokens of issuers that the tests run: good ones, and more than seventy bad ones."""

from __future__ import annotations

import base64
import functools
import hashlib
import hmac
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from joserfc import jws
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from transcoder.call_details import CallDetails
from transcoder.policies import Issuer

ISSUER = "https://login.example"
BOTH = "https://both.example"
TYPED = "https://typed.example"

Sign = Callable[[bytes], bytes]


@functools.cache
def rsa(kid: str = "r", bits: int = 2048) -> RSAKey:
    """Return the private key of a name; the same each time."""
    return RSAKey.generate_key(bits, {"kid": kid})


@functools.cache
def ec(kid: str = "e", curve: str = "P-256") -> ECKey:
    """Return such a key on a curve."""
    return ECKey.generate_key(curve, {"kid": kid})


@functools.cache
def okp(kid: str = "d") -> OKPKey:
    """Return an Ed25519 key."""
    return OKPKey.generate_key("Ed25519", {"kid": kid})


@functools.cache
def secret(kid: str = "s", bits: int = 256) -> OctKey:
    """Return a secret."""
    return OctKey.generate_key(bits, {"kid": kid})


def jwks(*keys: Any) -> dict[str, Any]:
    """Return the key set of the public halves of some keys."""
    return {"keys": [key.as_dict(private=False) for key in keys]}


def issuers() -> list[Issuer]:
    """Return whom the bad tokens would like to be believed for."""
    asymmetric = jwks(rsa(), ec(), okp())
    both = jwks(rsa(), secret())
    typed = jwks(rsa())
    return [
        Issuer(ISSUER, audiences=["api", "other"], keys=asymmetric),
        Issuer(BOTH, audiences=["api"], keys=both, algorithms=["RS256", "HS256"]),
        Issuer(TYPED, audiences=["api"], keys=typed, types=["at+jwt"]),
    ]


def claims(now: float, **more: Any) -> dict[str, Any]:
    """Return the claims of a token that is good for five minutes; None leaves one out."""
    told = {"iss": ISSUER, "sub": "ann", "aud": "api", "exp": int(now) + 300, "iat": int(now)}
    return {name: value for name, value in {**told, **more}.items() if value is not None}


def signer(key: Any, algorithm: str) -> Sign:
    """Return what signs with a key."""
    model = jws.JWSRegistry.algorithms[algorithm]
    return lambda data: model.sign(data, key)


def by_hmac(key: bytes) -> Sign:
    """Return what signs as HS256 does, with whatever bytes."""
    return lambda data: hmac.new(key, data, hashlib.sha256).digest()


def b64(data: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def written(value: Any) -> bytes:
    """Return bytes as they are, and anything else as JSON."""
    return value if isinstance(value, bytes) else json.dumps(value).encode()


def token(header: Any, payload: Any, sign: Sign) -> str:
    """Return a token of any header and payload, with a signature that fits them."""
    signed = f"{b64(written(header))}.{b64(written(payload))}"
    return f"{signed}.{b64(sign(signed.encode()))}"


def mint(told: Mapping[str, Any], key: Any = None, algorithm: str = "RS256", **header: Any) -> str:
    """Return a good token."""
    key = rsa() if key is None else key
    head = {"alg": algorithm, "kid": key.kid, "typ": "JWT", **header}
    kept = {name: value for name, value in head.items() if value is not None}
    return token(kept, dict(told), signer(key, algorithm))


def bringing(text: str | bytes, **options: Any) -> CallDetails:
    """Return a call with a bearer token."""
    value = text if isinstance(text, bytes) else text.encode("latin-1")
    return CallDetails("http", headers=[(b"authorization", b"Bearer " + value)], **options)


@dataclass(frozen=True, slots=True)
class Bad:
    """A bad token.

    Args:
        name: says what is wrong with it.
        text: the token.
        reason: for logs and metrics.
    """

    name: str
    text: str
    reason: str


def bad_tokens(now: float) -> list[Bad]:
    """Return the bad tokens; B6 of the catalogue of bad inputs, rows 145 to 168."""
    tables = (_algorithms, _secrets, _times, _audiences, _issuers, _headers, _forms, _values)
    return [row for table in tables for row in table(now)]


RS256 = {"alg": "RS256", "kid": "r"}


def _rs256(payload: Any, **header: Any) -> str:
    return token({**RS256, **header}, payload, signer(rsa(), "RS256"))


def _algorithms(now: float) -> Iterator[Bad]:
    good = claims(now)
    for algorithm in ("none", "NoNe", "", 256, ["RS256"], None, "RS1", "ES256K", "rs256"):
        text = token({"alg": algorithm, "kid": "r"}, good, signer(rsa(), "RS256"))
        yield Bad(f"alg {algorithm!r}", text, "algorithm")
    yield Bad("no alg", token({"kid": "r"}, good, signer(rsa(), "RS256")), "algorithm")
    unsigned = token({"alg": "none"}, good, lambda _: b"")
    yield Bad("none, without a signature", unsigned, "malformed")
    yield Bad("RS256, without a signature", f"{mint(good).rpartition('.')[0]}.", "malformed")
    other = token({"alg": "PS256", "kid": "r"}, good, signer(rsa(), "RS256"))
    yield Bad("RS256 called PS256", other, "signature")
    wrong = token({"alg": "ES256", "kid": "r"}, good, signer(ec(), "ES256"))
    yield Bad("ES256 with the kid of an RSA key", wrong, "unknown-key")


def _secrets(now: float) -> Iterator[Bad]:
    pem = rsa().as_pem(private=False)
    keys = {
        "the public key in PEM": pem,
        "the public key in PEM, without its last newline": pem.rstrip(),
        "the public key in DER": rsa().as_der(private=False),
        "the key set": json.dumps(jwks(rsa())).encode(),
        "nothing": b"",
    }
    both = claims(now, iss=BOTH)
    for name, key in keys.items():
        one = token({"alg": "HS256", "kid": "r"}, claims(now), by_hmac(key))
        yield Bad(f"HS256 with {name}", one, "algorithm")
        two = token({"alg": "HS256", "kid": "r"}, both, by_hmac(key))
        yield Bad(f"HS256 with {name}, where it is allowed", two, "unknown-key")
        three = token({"alg": "HS256"}, both, by_hmac(key))
        yield Bad(f"HS256 with {name} and no kid, where it is allowed", three, "signature")


def _times(now: float) -> Iterator[Bad]:
    past = {"expired": now - 31, "expired long ago": 1, "expires at 0": 0}
    for name, end in past.items():
        yield Bad(name, mint(claims(now, exp=end)), "expired")
    yield Bad("no exp", mint(claims(now, exp=None)), "claim")
    far: list[Any] = [str(int(now) + 300), True, [now + 300], {"a": 1}, 10**400, -1, 253402300800]
    for date in far:
        yield Bad(f"exp {str(date)[:20]}", mint(claims(now, exp=date)), "claim")
    text = json.dumps(claims(now, exp=None))[:-1]
    for number, reason in (("null", "claim"), ("1e400", "malformed"), ("NaN", "malformed")):
        payload = f'{text}, "exp": {number}}}'.encode()
        yield Bad(f"exp {number}", _rs256(payload), reason)
    for name in ("nbf", "iat"):
        yield Bad(f"{name} in the future", mint(claims(now, **{name: now + 3600})), "not-yet")
        for date in ("1", True, -1):
            yield Bad(f"{name} {date!r}", mint(claims(now, **{name: date})), "claim")


def _audiences(now: float) -> Iterator[Bad]:
    others: list[Any] = [
        "ap",
        "apis",
        "API",
        "",
        7,
        {"api": 1},
        [],
        ["apis"],
        ["api", 7],
        [["api"]],
    ]
    yield Bad("no aud", mint(claims(now, aud=None)), "audience")
    for audience in others:
        yield Bad(f"aud {audience!r}", mint(claims(now, aud=audience)), "audience")
    payload = f'{json.dumps(claims(now, aud=None))[:-1]}, "aud": null}}'.encode()
    yield Bad("aud null", _rs256(payload), "audience")


def _issuers(now: float) -> Iterator[Bad]:
    names: list[Any] = ["https://login", f"{ISSUER}/", ISSUER.upper(), "", 7, [ISSUER], {"a": 1}]
    for issuer in [*names, "https://elsewhere.example"]:
        yield Bad(f"iss {issuer!r}", mint(claims(now, iss=issuer)), "issuer")
    yield Bad("no iss", mint(claims(now, iss=None)), "issuer")
    other = mint(claims(now), rsa("other"), kid="r")
    yield Bad("another issuer's key under this one's kid", other, "signature")
    yield Bad("another issuer's key", mint(claims(now), rsa("other")), "unknown-key")
    yield Bad("no access token where typ counts", mint(claims(now, iss=TYPED)), "type")


def _headers(now: float) -> Iterator[Bad]:
    good = claims(now)
    for critical in (["exp"], [], ["b64"], ["x"], "x", None):
        yield Bad(f"crit {critical!r}", _rs256(good, crit=critical), "critical")
    for unencoded in (False, True):
        yield Bad(f"b64 {unencoded}", _rs256(good, b64=unencoded), "critical")
    forged = rsa("other")
    tempting: dict[str, Any] = {
        "jwk": forged.as_dict(private=False),
        "jku": "http://127.0.0.1:1/jwks",
        "x5u": "file:///etc/passwd",
        "x5c": ["MIIB"],
    }
    for name, told in tempting.items():
        yield Bad(f"{name} in the header", mint(good, forged, kid="r", **{name: told}), "signature")
    for kid in ("../../dev/null", "' OR 1=1 --", "a\0b", "", "x" * 5000, "http://127.0.0.1:1/a"):
        yield Bad(f"kid {kid[:20]!r}", _rs256(good, kid=kid), "unknown-key")
    for number in (7, ["r"], {"r": 1}, True):
        yield Bad(f"kid {number!r}", _rs256(good, kid=number), "malformed")
    yield Bad("typ 7", _rs256(good, typ=7), "malformed")


def _forms(now: float) -> Iterator[Bad]:
    good = mint(claims(now))
    head, payload, signature = good.split(".")
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    # Two digits that say the same byte: the rest of their bits is not used.
    same = signature[:-1] + last[last.index(signature[-1]) ^ 1]
    texts = {
        "nothing": "",
        "a word": "abc",
        "two segments": f"{head}.{payload}",
        "four segments": f"{good}.{signature}",
        "five, as JWE has them": f"{good}.{payload}.{signature}",
        "empty segments": "..",
        "no header": f".{payload}.{signature}",
        "no claims": f"{head}..{signature}",
        "padded": f"{good}==",
        "a padded header": f"{head}=.{payload}.{signature}",
        "a space inside": f"{head}. {payload}.{signature}",
        "two tokens": f"{good} {good}",
        "a comma behind": f"{good},",
        "another last digit of the same bytes": f"{head}.{payload}.{same}",
        "a signature with + and /": f"{head}.{payload}.{signature[:-8]}+/+/{signature[-4:]}",
        "a length that base64 has not": f"{head}.{payload}.{signature}AAA",
    }
    for name, text in texts.items():
        yield Bad(name, text, "malformed")
    yield Bad("a header that is none", _rs256_of(b"{", claims(now)), "malformed")
    yield Bad("a header that is a list", _rs256_of(["RS256"], claims(now)), "malformed")
    twice = b'{"alg":"none","alg":"RS256","kid":"r"}'
    yield Bad("alg twice", _rs256_of(twice, claims(now)), "malformed")
    deep = b"[" * 2000
    yield Bad("a header of depth 2000", _rs256_of(b'{"a":' + deep, claims(now)), "malformed")
    body = json.dumps(claims(now)).encode()
    for name, told in {
        "claims that are none": b"{",
        "claims that are a list": [claims(now)],
        "claims that are a text": "a",
        "claims that are null": b"null",
        "claims with a byte order mark": b"\xef\xbb\xbf" + body,
        "claims in UTF-16": body.decode().encode("utf-16"),
        "claims that are no UTF-8": body.replace(b"ann", b"\xff\xfe"),
        "claims with something behind": body + b"{}",
        "claims of depth 2000": body[:-1] + b', "a": ' + deep + b"]" * 2000 + b"}",
        "sub twice": body[:-1] + b', "sub": "eve"}',
        "a name twice inside": body[:-1] + b', "a": {"b": 1, "b": 2}}',
        "a number of 5000 digits": body[:-1] + b', "a": ' + b"1" * 5000 + b"}",
    }.items():
        reason = "malformed"
        yield Bad(name, _rs256(told), reason)


def _rs256_of(header: Any, payload: Any) -> str:
    return token(header, payload, signer(rsa(), "RS256"))


def _values(now: float) -> Iterator[Bad]:
    good = claims(now)
    head, payload, signature = mint(good).split(".")
    eve = b64(json.dumps(claims(now, sub="eve")).encode())
    yield Bad("claims of another token", f"{head}.{eve}.{signature}", "signature")
    yield Bad("half a signature", f"{head}.{payload}.{signature[:172]}", "signature")
    es256 = {"alg": "ES256", "kid": "e"}
    signatures: dict[str, Sign] = {
        "r and s of zero": lambda _: bytes(64),
        "r and s of all ones": lambda _: b"\xff" * 64,
        "r and s, and more": lambda data: signer(ec(), "ES256")(data) + b"\0\0",
        "another curve's": signer(ec("e", "P-384"), "ES384"),
        "another key's": signer(ec("other"), "ES256"),
    }
    for name, sign in signatures.items():
        yield Bad(f"ES256, {name}", token(es256, good, sign), "signature")
    for subject in (7, "", ["ann"], True):
        yield Bad(f"sub {subject!r}", mint(claims(now, sub=subject)), "claim")
    yield Bad("no sub", mint(claims(now, sub=None)), "claim")
    # What the policy of the tests forwards.
    for told in ("ann\r\nx-internal: 1", "a\0b", "a\x1bb", "ann\u00e9", "\ud800", "\u202eann"):
        yield Bad(f"sub {told!r}", mint(claims(now, sub=told)), "untellable")
    for groups in (["a,b"], ["a\nb"], [["a"]], {"a": 1}, "x" * 9000):
        text = mint(claims(now, groups=groups))
        if len(text) <= 8192:
            yield Bad(f"groups {groups!r}"[:40], text, "untellable")


FORWARD = {"sub": "x-user-id", "groups": "x-groups"}
"""What the policy that these tokens meet tells servicers."""
