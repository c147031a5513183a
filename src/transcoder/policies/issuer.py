"""Issuers of JSON Web Tokens: whom to believe, about whom, and by which keys."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

from transcoder.errors import ConfigError
from transcoder.policies.bearer import BadToken
from transcoder.policies.json_web_token import Token, check_times
from transcoder.policies.jwks import Fetched, Filed, Given, Keys
from transcoder.policies.key_set import ASYMMETRIC, SYMMETRIC, KeySet, check_algorithms
from transcoder.policies.policy import check_texts
from transcoder.policies.published import BY_DISCOVERY, Published, discovery_url

KeySource: TypeAlias = "Published | Path | str | Mapping[str, Any]"


_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who is believed.

    Args:
        name: what `iss` says, to the letter.
        audiences: what `aud` must have one of; None to look at no `aud`.
        keys: `Published`; a file, as `Path`, which is read again when it changes; or the keys
            themselves: a JSON Web Key Set, or a text with it, or with public keys in PEM.
        algorithms: those that are allowed. HS256 and its kin only where they are listed, and the
            keys are secrets that are given by file or value.
        types: what `typ` must be one of, such as `at+jwt` (RFC 9068, section 2.1); any by default.

    Raises:
        ConfigError: one of these is not what it should be.
    """

    name: str
    _: KW_ONLY
    audiences: Collection[str] | None
    keys: KeySource = BY_DISCOVERY
    algorithms: Collection[str] = ASYMMETRIC
    types: Collection[str] = ()

    def __post_init__(self) -> None:
        """Check them."""
        for option in ("audiences", "algorithms", "types"):
            check_texts(option, getattr(self, option) or ())
        if not self.name:
            raise ConfigError("an issuer needs a name: what `iss` says")
        if self.audiences is not None and not self.audiences:
            raise ConfigError(f"{self.name}: audiences: at least one is expected, or None for any")
        check_algorithms(self.algorithms)
        if isinstance(self.keys, Published) and not SYMMETRIC.keys().isdisjoint(self.algorithms):
            raise ConfigError(f"{self.name}: algorithms: who publishes secrets has none")


class Trusted:
    """An issuer with its keys.

    Args:
        issuer: which.
        leeway: seconds that its clock and ours may differ.

    Raises:
        ConfigError: there are no keys in the file or the value, or it is no URL that says where
            they are.
    """

    def __init__(self, issuer: Issuer, leeway: float) -> None:
        self._audiences = None if issuer.audiences is None else frozenset(issuer.audiences)
        self._algorithms = frozenset(issuer.algorithms)
        self._types = frozenset(each.lower().removeprefix("application/") for each in issuer.types)
        self._leeway = leeway
        self.discovery: Final = _discovery(issuer)
        """Where the issuer tells about itself; empty where nobody asks."""
        self.keys: Final = _keys(issuer)

    def check(self, token: Token, wall: float) -> float:
        """Refuse a token that is not good even if the issuer signed it.

        Returns:
            When its time came.

        Raises:
            BadToken: it is not good.
        """
        if token.head.algorithm not in self._algorithms:
            raise BadToken("algorithm")
        if self._types and token.head.type not in self._types:
            raise BadToken("type")
        begins = check_times(token.claims, wall, self._leeway)
        if self._audiences is not None:
            _check_audience(token.claims.get("aud"), self._audiences)
        return begins


def _check_audience(told: Any, wanted: Collection[str]) -> None:
    """Refuse what is for others (RFC 7519, section 4.1.3)."""
    if isinstance(told, str) and told in wanted:
        return
    audiences = [told] if isinstance(told, str) else told
    if not isinstance(audiences, list) or not all(isinstance(each, str) for each in audiences):
        raise BadToken("audience")
    if not any(each in wanted for each in audiences):
        raise BadToken("audience")


def _discovery(issuer: Issuer) -> str:
    keys = issuer.keys
    return discovery_url(issuer.name) if isinstance(keys, Published) and not keys.url else ""


def _keys(issuer: Issuer) -> Keys:
    source, name, algorithms = issuer.keys, issuer.name, issuer.algorithms

    def read(data: bytes) -> KeySet:
        return _whole(KeySet.read(data, algorithms))

    def read_fetched(data: bytes) -> KeySet:
        keys = KeySet.read(data, algorithms)
        for problem in keys.problems:
            _log.warning("a key of %s is left out: %s", name, problem)
        return keys

    if isinstance(source, Published):
        from transcoder.policies.jwks_fetch import HttpFetch  # noqa: PLC0415  only this needs HTTP

        return Fetched(name, HttpFetch(name, source), read_fetched, source)
    if isinstance(source, Path):
        return Filed(source, read)
    try:
        given = read(source.encode()) if isinstance(source, str) else KeySet.of(source, algorithms)
        return Given(_whole(given))
    except ValueError as error:
        raise ConfigError(f"{name}: keys: {error}") from error


def _whole(keys: KeySet) -> KeySet:
    if keys.problems:
        raise ValueError("; ".join(keys.problems[:3]))
    return keys
