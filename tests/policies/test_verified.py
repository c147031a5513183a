from __future__ import annotations

import pytest

from entrances import known
from tokens import jwks, rsa
from transcoder.policies.jwks import Given
from transcoder.policies.key_set import ASYMMETRIC, KeySet
from transcoder.policies.policy import Now
from transcoder.policies.verified import Passport, Verified, fingerprint

KEYS = KeySet.of(jwks(rsa()), ASYMMETRIC)
ISSUER = Given(KEYS)


def passport(begins: float = 0.0, ends: float = 1e9, keys: KeySet = KEYS) -> Passport:
    """Return a passport."""
    return Passport(known(), (), begins, ends, ISSUER, keys)


@pytest.mark.parametrize(
    ("monotonic", "wall", "counts"),
    [
        (0.0, 100.0, True),
        (59.9, 159.0, True),
        (60.0, 100.0, False),
        # Its exp comes first.
        (1.0, 199.9, True),
        (1.0, 200.0, False),
        # The clock went back.
        (1.0, 50.0, True),
        (1.0, 49.9, False),
    ],
)
def test_time(monotonic: float, wall: float, counts: bool) -> None:  # noqa: FBT001  a column
    """A passport counts for a minute, and within its own dates."""
    verified = Verified(10)
    verified.put(b"a", passport(50.0, 200.0), Now(0.0, 100.0))
    assert (verified.get(b"a", Now(monotonic, wall)) is not None) is counts
    assert len(verified) == counts


def test_keys() -> None:
    """A passport does not count once its issuer has other keys."""
    verified = Verified(10)
    verified.put(b"a", passport(keys=KeySet.of(jwks(rsa()), ASYMMETRIC)), Now(0.0, 0.0))
    assert verified.get(b"a", Now(0.0, 0.0)) is None
    assert len(verified) == 0


def test_size() -> None:
    """Beyond the size the first one goes."""
    verified = Verified(2)
    for key in (b"a", b"b", b"c"):
        verified.put(key, passport(), Now(0.0, 0.0))
    found = [verified.get(key, Now(0.0, 0.0)) is not None for key in (b"a", b"b", b"c")]
    assert found == [False, True, True]


def test_off() -> None:
    """A size of 0 keeps nothing."""
    verified = Verified(0)
    verified.put(b"a", passport(), Now(0.0, 0.0))
    assert len(verified) == 0


def test_over() -> None:
    """A token that is over, within the leeway, is not kept."""
    verified = Verified(10)
    verified.put(b"a", passport(ends=100.0), Now(0.0, 100.0))
    assert len(verified) == 0


def test_fingerprint() -> None:
    """A token is kept under its SHA-256, not under itself."""
    told = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert fingerprint(b"abc").hex() == told
