"""JSON Web Tokens: who calls is what the token of an issuer says, once its signature holds.

A call's way: cheap refusals first (size, form, issuer, algorithm, times, audience), so that only a
token that could be good costs a signature, or has keys fetched; then the signature; then what the
token must hold. Whatever is wrong with a token, the client is told the same.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from transcoder.call_details import CallDetails, Principal
from transcoder.errors import BEARER, ConfigError
from transcoder.policies.bearer import AUTHORIZATION, BadToken, bearer, refusal
from transcoder.policies.issuer import Issuer, Trusted
from transcoder.policies.json_web_token import Token, read
from transcoder.policies.key_set import KeySet, Verifier
from transcoder.policies.policy import Denied, Methods, Now, Stage
from transcoder.policies.requirement import ClaimPath, Requirement, claim_at
from transcoder.policies.selectors import Choices
from transcoder.policies.told_claims import Forward, ToldClaims
from transcoder.policies.verified import Passport, Verified, fingerprint
from transcoder.status import Code

_BEARER_SCHEME: Final = MappingProxyType(
    {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
)

_NONE: Final[frozenset[str]] = frozenset()
_new = tuple.__new__


class _Brought(NamedTuple):
    """A token that could be good, of an issuer that is believed."""

    key: bytes
    token: Token
    trusted: Trusted
    begins: float
    now: Now


class Jwt:
    """Knows callers by JSON Web Tokens, in `Authorization: Bearer`.

    Args:
        issuers: who is believed.
        require: by selector, what a token must hold for such calls; see `selectors`. Where several
            fit a call, all of them count.
        forward: metadata keys by claim: what servicers are told; see `told_claims`.
        forward_token: leave servicers the token too; else they do not see `authorization`.
        subject: the claim that names the caller.
        roles: the claim that lists the caller's roles.
        leeway: seconds that the issuers' clocks and ours may differ.
        opaque: leave a bearer token that is none of ours by its form to another policy.
        kept: how many verified tokens are remembered, each for 60 seconds and not beyond its
            `exp`; 0 for none.
        name: of the policy, for logs and overrides.

    Raises:
        ConfigError: an option is none, or there are no keys in a file or a value.
    """

    stage: Final = Stage.AUTHENTICATION
    challenge: Final = BEARER

    def __init__(
        self,
        *issuers: Issuer,
        require: Mapping[str, Requirement] = MappingProxyType({}),
        forward: Forward = MappingProxyType({}),
        forward_token: bool = False,
        subject: ClaimPath = "sub",
        roles: ClaimPath = "roles",
        leeway: float = 30.0,
        opaque: bool = False,
        kept: int = 4096,
        name: str = "jwt",
    ) -> None:
        if not 0 <= leeway <= 600:
            raise ConfigError(f"leeway {leeway!r}: seconds from 0 to 600 are expected")
        if kept < 0:
            raise ConfigError(f"kept {kept!r}: 0 or more is expected")
        self._trusted = {each.name: Trusted(each, leeway) for each in issuers}
        if not issuers or len(self._trusted) != len(issuers):
            raise ConfigError("issuers: at least one is expected, and no two of a name")
        self.name: Final = name
        self._require = Choices("require", require)
        self._tell = ToldClaims(forward)
        self.writes: Final = self._tell.keys | (set() if forward_token else {AUTHORIZATION})
        self._subject, self._roles, self._opaque = subject, roles, opaque
        self._verified = Verified(kept)

    @property
    def security(self) -> Mapping[str, Mapping[str, Any]]:
        """The OpenAPI security scheme: what the one issuer tells of itself, or bearer tokens."""
        told = [each.discovery for each in self._trusted.values()]
        if len(told) == 1 and told[0]:
            return {self.name: {"type": "openIdConnect", "openIdConnectUrl": told[0]}}
        return {self.name: _BEARER_SCHEME}

    def compile(self, methods: Methods) -> None:
        """Find out which methods the requirements mean."""
        self._require.compile(methods)

    async def start(self) -> None:
        """Ask for the keys that issuers publish, and wait for none of them."""
        self.ready()

    async def close(self) -> None:
        """End the fetches that are under way."""
        for each in self._trusted.values():
            await each.keys.close()

    def ready(self) -> bool:
        """Say whether there are keys of every issuer; they are asked for where there are none."""
        return not self._keyless()

    async def check(self) -> str:
        """Return of which issuers there are no keys."""
        keyless = self._keyless()
        return f"no keys of {', '.join(keyless)}" if keyless else ""

    def decide(self, call: CallDetails, now: Now) -> Awaitable[None] | None:
        """Find out who calls, or refuse the token."""
        try:
            token = bearer(call)
            if token is None or (self._opaque and token.count(b".") != 2):
                return None
            key = fingerprint(token)
            passport = self._verified.get(key, now)
            if passport is None:
                return self._verify(call, self._read(key, token, now))
        except BadToken as error:
            raise refusal(error.reason) from None
        self._let_in(call, passport)
        return None

    def _read(self, key: bytes, token: bytes, now: Now) -> _Brought:
        found = read(token)
        issuer = found.claims.get("iss")
        trusted = self._trusted.get(issuer) if isinstance(issuer, str) else None
        if trusted is None:
            raise BadToken("issuer")
        return _new(_Brought, (key, found, trusted, trusted.check(found, now.wall), now))

    def _verify(self, call: CallDetails, brought: _Brought) -> Awaitable[None] | None:
        head, trusted, now = brought.token.head, brought.trusted, brought.now
        keys = trusted.keys.current(now.monotonic)
        verifiers = () if keys is None else keys.find(head.algorithm, head.key)
        if not verifiers:
            waiting = trusted.keys.renewal(now.monotonic)
            if waiting is not None:
                return self._verify_later(waiting, call, brought)
        self._let_in(call, self._passport(brought, keys, verifiers))
        return None

    async def _verify_later(
        self, waiting: Awaitable[None], call: CallDetails, brought: _Brought
    ) -> None:
        await waiting
        head = brought.token.head
        keys = brought.trusted.keys.current(brought.now.monotonic)
        verifiers = () if keys is None else keys.find(head.algorithm, head.key)
        try:
            passport = self._passport(brought, keys, verifiers)
        except BadToken as error:
            raise refusal(error.reason) from None
        self._let_in(call, passport)

    def _passport(
        self, brought: _Brought, keys: KeySet | None, verifiers: Sequence[Verifier]
    ) -> Passport:
        key, token, trusted, begins, now = brought
        if keys is None:
            raise _no_keys(trusted.keys.retry_after(now.monotonic))
        if not verifiers:
            raise BadToken("unknown-key")
        for verifier in verifiers:
            if verifier.verifies(token.signed, token.signature):
                break
        else:
            raise BadToken("signature")
        claims = token.claims
        principal, metadata = self._principal(claims), self._tell(claims)
        passport = _new(Passport, (principal, metadata, begins, claims["exp"], trusted.keys, keys))
        self._verified.put(key, passport, now)
        return passport

    def _principal(self, claims: dict[str, Any]) -> Principal:
        subject = claim_at(claims, self._subject)
        if not isinstance(subject, str) or not subject:
            raise BadToken("claim")
        return Principal(
            subject=subject,
            scheme="jwt",
            issuer=claims["iss"],
            scopes=_words(claims.get("scope", claims.get("scp"))),
            roles=_words(claim_at(claims, self._roles)),
            claims=MappingProxyType(claims),
        )

    def _let_in(self, call: CallDetails, passport: Passport) -> None:
        for requirement in self._require.of(call):
            requirement.check(passport.principal)
        call.principal = passport.principal
        call.metadata += passport.metadata

    def _keyless(self) -> list[str]:
        now = time.monotonic()
        return [name for name, each in self._trusted.items() if each.keys.current(now) is None]


def _words(claim: Any) -> frozenset[str]:
    """Return the words of a text, or the texts of a list."""
    if claim is None:
        return _NONE
    if isinstance(claim, str):
        return frozenset(claim.split())
    items = claim if isinstance(claim, list) else ()
    return frozenset(item for item in items if isinstance(item, str))


def _no_keys(seconds: int) -> Denied:
    return Denied(
        Code.UNAVAILABLE,
        "callers cannot be made sure of now",
        reason="no-keys",
        headers=[("retry-after", str(seconds))],
    )
