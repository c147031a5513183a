from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import x25519
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tokens import b64, by_hmac, ec, jwks, okp, rsa, secret, signer
from transcoder.errors import ConfigError
from transcoder.policies.key_set import ASYMMETRIC, KEYS_LIMIT, KeySet, check_algorithms

DATA = b"signed"


def public(key: Any, **more: Any) -> dict[str, Any]:
    """Return a key as it is published, with other members."""
    told = {**key.as_dict(private=False), **more}
    return {name: value for name, value in told.items() if value is not None}


def pem(key: Any) -> bytes:
    """Return a public key in PEM."""
    found: bytes = key.as_pem(private=False)
    return found


def key_set(*keys: Any, algorithms: tuple[str, ...] = ASYMMETRIC) -> KeySet:
    """Return such a set."""
    return KeySet(keys, algorithms)


def verifies(
    keys: KeySet, algorithm: str, kid: str | None, signed: bytes, signature: bytes
) -> bool:
    """Say whether a set verifies the signature of a token that names its key so."""
    return any(each.verifies(signed, signature) for each in keys.find(algorithm, kid))


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        (rsa(), "RS256"),
        (rsa(), "PS512"),
        (ec(), "ES256"),
        (ec("f", "P-384"), "ES384"),
        (ec("g", "P-521"), "ES512"),
        (okp(), "EdDSA"),
        (okp(), "Ed25519"),
    ],
)
def test_verifies(key: Any, algorithm: str) -> None:
    """A key verifies what its algorithms signed, in PEM as well, and nothing else."""
    signature = signer(key, algorithm)(DATA)
    for keys, kid in ((key_set(public(key)), key.kid), (key_set(pem(key)), "any")):
        assert verifies(keys, algorithm, kid, DATA, signature)
        assert not verifies(keys, algorithm, kid, DATA + b"x", signature)
        assert not verifies(keys, algorithm, kid, DATA, signature[:-1])
        for size in (0, 1, 31, 63, 64, 65, 96, 132, 255, 256, 257, 6000):
            assert not verifies(keys, algorithm, kid, DATA, bytes(size))
            assert not verifies(keys, algorithm, kid, DATA, b"\xff" * size)


@pytest.mark.parametrize("text", [b"secret", pem(rsa()), json.dumps(jwks(rsa())).encode(), b""])
def test_confusion(text: bytes) -> None:
    """A public key is no secret, though both kinds of algorithm are allowed."""
    keys = key_set(public(rsa()), public(secret()), algorithms=("RS256", "HS256"))
    for kid in ("r", "s", None):
        assert not verifies(keys, "HS256", kid, DATA, by_hmac(text)(DATA))
    assert verifies(keys, "HS256", "s", DATA, by_hmac(secret().raw_value)(DATA))
    assert not keys.find("HS256", "r")


def test_names() -> None:
    """A name means the key of that name; a key without one is tried for others' names."""
    named, other = public(rsa()), public(rsa("other"), kid=None)
    both, strict = key_set(named, other), key_set(named)
    signature = signer(rsa("other"), "RS256")(DATA)

    assert verifies(both, "RS256", "x", DATA, signature)
    assert verifies(both, "RS256", None, DATA, signature)
    assert not verifies(both, "RS256", "r", DATA, signature)
    assert not strict.find("RS256", "x")


def test_one_name_twice() -> None:
    """Of two keys of one name both count."""
    keys = key_set(public(rsa()), public(rsa("other"), kid="r"))
    for key in (rsa(), rsa("other")):
        assert verifies(keys, "RS256", "r", DATA, signer(key, "RS256")(DATA))


def test_tried() -> None:
    """A token that names no key is not tried with more than four."""
    keys = [public(rsa(), kid=f"k{number}") for number in range(5)]
    signature = signer(rsa(), "RS256")(DATA)

    assert verifies(key_set(*keys[:4]), "RS256", None, DATA, signature)
    assert not verifies(key_set(*keys), "RS256", None, DATA, signature)
    assert verifies(key_set(*keys), "RS256", "k4", DATA, signature)


@pytest.mark.parametrize(
    ("members", "fits"),
    [
        ({"alg": "RS256"}, True),
        ({"alg": "RS512"}, False),
        ({"use": "sig"}, True),
        ({"key_ops": ["verify"]}, True),
        ({"key_ops": ["encrypt"]}, False),
        ({"x5c": ["MIIB"], "x5t": "a"}, True),
    ],
)
def test_meant_for(members: dict[str, Any], fits: bool) -> None:  # noqa: FBT001  a column
    """A key that says what it is for is used for nothing else (RFC 7517, section 4)."""
    keys = key_set(public(rsa(), **members), public(ec()))
    assert bool(keys.find("RS256", "r")) is fits


X25519 = x25519.X25519PrivateKey.generate().public_key()
WEAK = generate_private_key(65537, 1024).public_key()  # noqa: S505  that is the fact


def subject_public_key(key: Any) -> bytes:
    """Return any public key in PEM."""
    found: bytes = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return found


def weak() -> dict[str, Any]:
    """Return a key that is too short, as it is published."""
    modulus = WEAK.public_numbers().n.to_bytes(128, "big")
    return {"kty": "RSA", "kid": "w", "n": b64(modulus), "e": "AQAB"}


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        (weak(), "RSA with 1024 bits: 2048 to 8192"),
        (subject_public_key(WEAK), "RSA with 1024 bits"),
        (public(rsa(), e="AQ"), "no such key"),
        (public(rsa(), e="Ag"), "no such key"),
        (public(rsa(), n=""), "no such key"),
        (public(rsa(), n=None), "no such key"),
        (public(rsa(), kid=7), "no such key"),
        (public(rsa(), kty="rsa"), "kty is none of RSA, EC, OKP and oct"),
        (public(rsa(), kty=None), "kty is none of"),
        (rsa().as_dict(private=True), "it is private"),
        (rsa().as_pem(private=True), "it is private"),
        (public(ec(), x="AA"), "no such key"),
        (public(ec(), crv="P-384"), "no such key"),
        (public(ec(), crv="secp256k1"), "no algorithm signs with its curve"),
        (public(okp(), crv="X25519"), "no algorithm signs with its curve"),
        (subject_public_key(X25519), "it is none of RSA, EC, Ed25519 and Ed448"),
        (b"-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----", "no such key"),
        (b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----", "no such key"),
        (public(secret()), "none of the allowed algorithms fits it"),
        (public(rsa(), alg="HS256"), "none of the allowed algorithms fits it"),
    ],
)
def test_unusable(key: Any, problem: str) -> None:
    """A key that is too weak, of another kind or a secret of its owner's is left out, and told."""
    with pytest.raises(ValueError, match=f"no key can be used: key 1: .*{problem}"):
        key_set(key)
    assert len(key_set(key, public(ec("good"))).problems) == 1


@pytest.mark.parametrize(("bits", "algorithm"), [(248, "HS256"), (376, "HS384"), (504, "HS512")])
def test_short_secret(bits: int, algorithm: str) -> None:
    """A secret is as long as what its algorithm computes (RFC 7518, section 3.2)."""
    with pytest.raises(ValueError, match=f"a secret for {algorithm} has {bits // 8 + 1} bytes"):
        key_set(public(secret("short", bits)), algorithms=(algorithm,))
    key_set(public(secret("long", bits + 8)), algorithms=(algorithm,))


def test_encryption() -> None:
    """Keys for encryption are passed over: issuers publish them beside the others."""
    assert key_set(public(rsa("enc"), use="enc"), public(ec())).problems == []


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b"null",
        b'{"keys": {}}',
        b'{"keys": ["a"]}',
        b'{"keys": []}',
        b'{"keys": [{}]}',
        b'{"keys": [], "keys": []}',
        b"[" * 100_000,
        b"\xff",
    ],
)
def test_no_set(data: bytes) -> None:
    """What is no key set is an error, which tells nothing of it."""
    with pytest.raises(ValueError, match=r"JSON Web Key Set|no key can be used"):
        KeySet.read(data, ASYMMETRIC)


def test_forms() -> None:
    """A set, one key, and keys in PEM one behind another are read."""
    one = json.dumps(public(rsa())).encode()
    for data in (json.dumps(jwks(rsa(), ec())).encode(), one, b"# ours\n" + pem(rsa()) + pem(ec())):
        assert KeySet.read(data, ASYMMETRIC).find("RS256", "r")


def test_many() -> None:
    """A set of more than a hundred keys is refused before they are read."""
    keys = [{"kty": "x"}] * (KEYS_LIMIT + 1)
    with pytest.raises(ValueError, match="101 keys: 100 are allowed"):
        key_set(*keys)


@pytest.mark.parametrize(
    ("algorithms", "problem"),
    [
        (["none"], "algorithms: 'none': one of RS256"),
        (["RS256", "rs256"], "algorithms: 'rs256'"),
        (["A128KW"], "algorithms: 'A128KW'"),
        ([], "algorithms: at least one"),
    ],
)
def test_algorithms(algorithms: list[str], problem: str) -> None:
    """What verifies nothing is no algorithm."""
    with pytest.raises(ConfigError, match=problem):
        check_algorithms(algorithms)
