"""The keys of an issuer, and what each of them may verify.

What a token says of itself only chooses among the pairs of key and algorithm that were put together
when the keys were read: a key of one kind never meets an algorithm of another, whatever the token
asks for (RFC 8725, section 3.1).
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Protocol, TypeAlias

from transcoder.errors import ConfigError
from transcoder.policies.json_web_token import parsed

try:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key
    from joserfc.errors import JoseError, SecurityWarning
    from joserfc.jwk import ECKey, JWKRegistry, OctKey, OKPKey, RSAKey
    from joserfc.jws import JWSRegistry
except ImportError as error:
    raise ImportError(f"{error.name} is missing: install transcoder[jwt]") from error

ASYMMETRIC: Final = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA", "Ed25519"),
)
"""The algorithms that are allowed unless an issuer's are listed."""

SYMMETRIC: Final = {"HS256": 32, "HS384": 48, "HS512": 64}
"""Algorithms for which whoever verifies can sign too, with the bytes that their secrets need."""

KEYS_LIMIT: Final = 100
"""Keys in one set."""

RSA_BITS: Final = range(2048, 8193)

_PRIVATE: Final = "it is private: give the public one of the pair"

_Key: TypeAlias = RSAKey | ECKey | OKPKey | OctKey
_PEM = re.compile(rb"-----BEGIN ([A-Z ]+)-----.+?-----END \1-----", re.DOTALL)
_CURVES = frozenset({"P-256", "P-384", "P-521", "Ed25519", "Ed448"})
_NONE: Final[Sequence[Verifier]] = ()
_TRIED = 4
"""How many signatures are computed for a token that names no key."""


class _Algorithm(Protocol):
    """An algorithm, as joserfc has them."""

    name: str

    def verify(self, msg: bytes, sig: bytes, key: Any) -> bool: ...


class _Ready:
    """A key that was checked, as joserfc's algorithms ask for it."""

    __slots__ = ("_public", "curve_key_size")

    def __init__(self, key: _Key) -> None:
        self._public = key.get_op_key("verify")
        self.curve_key_size = key.curve_key_size if isinstance(key, ECKey) else 0

    def get_op_key(self, operation: str) -> Any:
        """Return the public key; it does nothing but verify."""
        return self._public


class Verifier:
    """A key and an algorithm that fit each other.

    Args:
        model: the algorithm.
        key: for which the model has checked it.
    """

    __slots__ = ("_key", "_verify", "algorithm")

    def __init__(self, model: _Algorithm, key: _Key) -> None:
        self.algorithm: Final = model.name
        self._verify, self._key = model.verify, _Ready(key)

    def verifies(self, signed: bytes, signature: bytes) -> bool:
        """Say whether a signature is by the key."""
        return self._verify(signed, signature, self._key)


class _Unusable(ValueError):
    """A key is not used; the text says why, and nothing of the key."""


class KeySet:
    """Keys, compiled.

    Args:
        keys: JSON Web Keys (RFC 7517, section 4), or keys in PEM.
        algorithms: those that are allowed.

    Raises:
        ValueError: none of the keys can be used, or there are more than KEYS_LIMIT.
    """

    __slots__ = ("_named", "_of_algorithm", "_unnamed", "problems")

    def __init__(
        self, keys: Iterable[Mapping[str, Any] | bytes], algorithms: Collection[str]
    ) -> None:
        self._named: dict[tuple[str, str], list[Verifier]] = {}
        self._unnamed: dict[str, list[Verifier]] = {}
        self._of_algorithm: dict[str, list[Verifier]] = {}
        self.problems: Final[list[str]] = []
        """What is wrong with the keys that are left out; nothing of their content."""
        given = [key for key in keys if isinstance(key, bytes) or key.get("use") != "enc"]
        if len(given) > KEYS_LIMIT:
            raise ValueError(f"{len(given)} keys: {KEYS_LIMIT} are allowed")
        for number, each in enumerate(given, 1):
            try:
                self._add(_imported(each), algorithms)
            except (ValueError, TypeError, KeyError, JoseError, UnsupportedAlgorithm) as error:
                self.problems.append(f"key {number}: {_told(error)}")
        if not self._of_algorithm:
            told = "; ".join(self.problems[:3]) or "there is none"
            raise ValueError(f"no key can be used: {told}")

    @classmethod
    def read(cls, data: bytes, algorithms: Collection[str]) -> KeySet:
        """Return the keys of a file or an answer: a JSON Web Key Set, one such key, or PEM.

        Raises:
            ValueError: it is none of these, or none of the keys can be used.
        """
        if blocks := list(_PEM.finditer(data)):
            return cls([block[0] for block in blocks], algorithms)
        try:
            found = parsed(data)
        except ValueError:
            raise ValueError("neither a JSON Web Key Set nor PEM") from None
        return cls.of(found, algorithms)

    @classmethod
    def of(cls, jwks: Any, algorithms: Collection[str]) -> KeySet:
        """Return the keys of a JSON Web Key Set, or one such key, as JSON was read.

        Raises:
            ValueError: it is neither, or none of the keys can be used.
        """
        if isinstance(jwks, Mapping):
            keys = jwks.get("keys", [jwks] if "kty" in jwks else None)
            if isinstance(keys, list) and all(isinstance(key, Mapping) for key in keys):
                return cls(keys, algorithms)
        raise ValueError("a JSON Web Key Set has a list of keys")

    def find(self, algorithm: str, name: str | None) -> Sequence[Verifier]:
        """Return the keys for a token of this algorithm and this `kid`.

        Without a `kid` these are all of the algorithm, unless there are too many to try them.
        """
        if name is None:
            all_of_them = self._of_algorithm.get(algorithm, _NONE)
            return all_of_them if len(all_of_them) <= _TRIED else _NONE
        found = self._named.get((algorithm, name), _NONE)
        return found or self._unnamed.get(algorithm, _NONE)

    def _add(self, key: _Key, algorithms: Collection[str]) -> None:
        name = key.kid
        found = [Verifier(model, key) for model in _models(key, algorithms)]
        if not found:
            raise _Unusable("none of the allowed algorithms fits it")
        for verifier in found:
            algorithm = verifier.algorithm
            self._of_algorithm.setdefault(algorithm, []).append(verifier)
            if name is None:
                self._unnamed.setdefault(algorithm, []).append(verifier)
            else:
                self._named.setdefault((algorithm, name), []).append(verifier)


def check_algorithms(algorithms: Collection[str]) -> None:
    """Refuse algorithms that there are not, or that verify nothing.

    Raises:
        ConfigError: one of them is such a one, or there is none.
    """
    known = [*ASYMMETRIC, "Ed448", *SYMMETRIC]
    for each in algorithms:
        if each not in known or each not in JWSRegistry.algorithms:
            raise ConfigError(f"algorithms: {each!r}: one of {', '.join(known)} is expected")
    if not algorithms:
        raise ConfigError("algorithms: at least one is expected")


def _imported(given: Mapping[str, Any] | bytes) -> _Key:
    """Return a key that is strong enough, and no private one of a pair."""
    with warnings.catch_warnings():
        # What joserfc warns of is refused below.
        warnings.simplefilter("ignore", SecurityWarning)
        key = _of_pem(given) if isinstance(given, bytes) else _of_jwk(given)
    if isinstance(key, RSAKey) and key.public_key.key_size not in RSA_BITS:
        bits = f"{RSA_BITS.start} to {RSA_BITS.stop - 1}"
        raise _Unusable(f"RSA with {key.public_key.key_size} bits: {bits} are expected")
    return key


def _of_jwk(given: Mapping[str, Any]) -> _Key:
    kind = given.get("kty")
    if kind != "oct" and "d" in given:
        raise _Unusable(_PRIVATE)
    if kind in {"EC", "OKP"} and given.get("crv") not in _CURVES:
        raise _Unusable("no algorithm signs with its curve")
    if kind not in JWKRegistry.key_types:
        raise _Unusable("kty is none of RSA, EC, OKP and oct")
    return JWKRegistry.import_key(dict(given))


def _of_pem(block: bytes) -> _Key:
    if b"PRIVATE" in block.partition(b"\n")[0]:
        raise _Unusable(_PRIVATE)
    public = load_pem_public_key(block)
    if isinstance(public, RSAPublicKey):
        return RSAKey.import_key(public)
    if isinstance(public, EllipticCurvePublicKey):
        return ECKey.import_key(public)
    if isinstance(public, Ed25519PublicKey | Ed448PublicKey):
        return OKPKey.import_key(public)
    raise _Unusable("it is none of RSA, EC, Ed25519 and Ed448")


def _models(key: _Key, algorithms: Collection[str]) -> Iterator[_Algorithm]:
    """Return the algorithms that are allowed, that the key is for, and that it is good for."""
    for name in algorithms:
        model = JWSRegistry.algorithms[name]
        try:
            model.check_key(key)
            key.check_key_op("verify")
        except JoseError:
            continue
        if isinstance(key, OctKey) and len(key.raw_value) < SYMMETRIC[name]:
            # RFC 7518, section 3.2.
            raise _Unusable(f"a secret for {name} has {SYMMETRIC[name]} bytes at least")
        yield model


def _told(error: Exception) -> str:
    return str(error) if isinstance(error, _Unusable) else f"no such key ({type(error).__name__})"
