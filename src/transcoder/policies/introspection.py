"""Tokens that only their issuer understands: it is asked what they are (RFC 7662). Extra `oauth2`.

However many calls bring a token, it is asked about once at a time; what it says of a token that is
active is kept until that expires, a minute at most. Where it does not answer, calls are refused
with UNAVAILABLE: nobody is let in because the issuer is down.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import OrderedDict
from collections.abc import Awaitable, Collection, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple

try:
    import httpx2
    from authlib.integrations.httpx_client import AsyncOAuth2Client
except ImportError as error:
    raise ImportError(f"{error.name} is missing: install transcoder[oauth2]") from error

from transcoder.call_details import CallDetails, Principal
from transcoder.errors import BEARER, ConfigError
from transcoder.metadata import Metadatum
from transcoder.policies.bearer import BadToken, bearer, refusal
from transcoder.policies.json_web_token import parsed
from transcoder.policies.policy import Denied, Methods, Now, Stage, check_texts
from transcoder.policies.published import Published
from transcoder.policies.requirement import ClaimPath, Requirement, claim_at
from transcoder.policies.selectors import Choices
from transcoder.policies.told_claims import Forward, ToldClaims
from transcoder.policies.verified import KEPT_FOR, fingerprint
from transcoder.status import Code

ANSWER_LIMIT: Final = 65_536
"""Bytes of what the issuer says of one token."""

_REFUSED_FOR: Final = 5.0
"""Seconds for which a token that is not active is not asked about again."""


class _Known(NamedTuple):
    """What the issuer said of a token."""

    until: float
    ends: float
    principal: Principal | None
    metadata: tuple[Metadatum, ...]


class Introspection:
    """Knows callers by tokens about which the issuer is asked.

    Args:
        url: of the introspection endpoint; https, or an address of this machine where `loopback`
            allows that.
        client_id: how we are known there.
        client_secret: what proves it.
        authentication: how it is sent: `client_secret_basic` or `client_secret_post`.
        audiences: one of them must be among the token's `aud`; without any, that is not looked at.
        require: by selector, what a token must hold for such calls; see `selectors`.
        forward: metadata keys by member of the answer; see `told_claims`.
        forward_token: leave servicers the token too; else they do not see `authorization`.
        subject: the member that names the caller.
        roles: the member that lists the caller's roles.
        timeout: seconds for an answer; 2 at most.
        at_once: how many questions may be under way; what comes then waits within the timeout.
        kept: answers that are kept; 0 for none.
        kept_for: seconds for which one counts, and never beyond the token's `exp`. So long may
            a token that was revoked still let its bearer in.
        ca: a file with the certificates of the authorities to be trusted, in PEM.
        loopback: let addresses of this machine be asked over http.
        name: of the policy, for logs, overrides and the API's description.

    Raises:
        ConfigError: an option is none.
    """

    stage: Final = Stage.AUTHENTICATION
    challenge: Final = BEARER

    def __init__(
        self,
        url: str,
        *,
        client_id: str,
        client_secret: str,
        authentication: Literal[
            "client_secret_basic", "client_secret_post"
        ] = "client_secret_basic",
        audiences: Collection[str] = (),
        require: Mapping[str, Requirement] = MappingProxyType({}),
        forward: Forward = MappingProxyType({}),
        forward_token: bool = False,
        subject: ClaimPath = "sub",
        roles: ClaimPath = "roles",
        timeout: float = 2.0,
        at_once: int = 20,
        kept: int = 4096,
        kept_for: float = KEPT_FOR,
        ca: str | Path | None = None,
        loopback: bool = False,
        name: str = "oauth2",
    ) -> None:
        check_texts(f"{name}: audiences", audiences)
        if not Published(loopback=loopback).allows(url):
            raise ConfigError(f"{name}: url {url!r}: https is expected, or a loopback address")
        if authentication not in {"client_secret_basic", "client_secret_post"}:
            raise ConfigError(f"{name}: authentication {authentication!r} is unknown")
        if not 0 < timeout <= 2 or at_once < 1 or kept < 0 or not 0 <= kept_for <= KEPT_FOR:
            problem = "timeout up to 2, at_once from 1, kept from 0 and kept_for up to 60"
            raise ConfigError(f"{name}: {problem} are expected")
        self.name: Final = name
        self._url = url
        self._client_options = {
            "client_id": client_id,
            "client_secret": client_secret,
            "token_endpoint_auth_method": authentication,
        }
        self._trust = _trust(name, ca)
        self._client: Any = None
        self._audiences = frozenset(audiences)
        self._require = Choices(f"{name}: require", require)
        self._tell = ToldClaims(forward)
        self.writes: Final = self._tell.keys | (set() if forward_token else {"authorization"})
        self._subject, self._roles = subject, roles
        self._timeout = timeout
        self._places = asyncio.Semaphore(at_once)
        self._kept, self._kept_for = kept, kept_for
        self._known: OrderedDict[bytes, _Known] = OrderedDict()
        self._asking: dict[bytes, asyncio.Task[_Known]] = {}
        self.questions = 0
        """How often the issuer was asked."""

    @property
    def security(self) -> Mapping[str, Mapping[str, Any]]:
        """The OpenAPI security scheme."""
        return {self.name: {"type": "http", "scheme": "bearer"}}

    def compile(self, methods: Methods) -> None:
        """Find out which methods the requirements mean."""
        self._require.compile(methods)

    async def start(self) -> None:
        """Do nothing: the first token opens the first connection."""

    async def close(self) -> None:
        """End the questions that are under way."""
        for task in list(self._asking.values()):
            task.cancel()
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    def decide(self, call: CallDetails, now: Now) -> Awaitable[None] | None:
        """Find out who calls, or refuse the token."""
        try:
            token = bearer(call)
        except BadToken as error:
            raise refusal(error.reason) from None
        if token is None:
            return None
        key = fingerprint(token)
        known = self._known.get(key)
        if known is None or not self._counts(known, now):
            return self._later(key, token, call, now)
        self._let_in(call, known)
        return None

    async def _later(self, key: bytes, token: bytes, call: CallDetails, now: Now) -> None:
        asking = self._asking.get(key)
        if asking is None:
            asking = self._asking[key] = asyncio.create_task(self._asked(key, token, now))
            asking.add_done_callback(lambda _: self._asking.pop(key, None))
            asking.add_done_callback(_heed)
        # Several calls may wait for it, and one that is given up must not end it for the others.
        known = await asyncio.shield(asking)
        self._let_in(call, known)

    async def _asked(self, key: bytes, token: bytes, now: Now) -> _Known:
        try:
            async with asyncio.timeout(self._timeout), self._places:
                answer = await self._ask(token)
        except (TimeoutError, httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
            raise _unavailable(type(error).__name__) from None
        try:
            known = self._judged(answer, now)
        except BadToken as error:
            ends = now.wall + _REFUSED_FOR
            known = _Known(now.monotonic + _REFUSED_FOR, ends, None, ())
            self._keep(key, known)
            raise refusal(error.reason) from None
        if known.ends:
            self._keep(key, known)
        return known

    async def _ask(self, token: bytes) -> dict[str, Any]:
        self.questions += 1
        if self._client is None:
            self._client = AsyncOAuth2Client(
                **self._client_options,
                verify=self._trust,
                trust_env=False,
                follow_redirects=False,
                timeout=None,
            )
        client = self._client
        told = {"token": token.decode("latin-1"), "token_type_hint": "access_token"}
        method = self._client_options["token_endpoint_auth_method"]
        asking = client.stream(
            "POST",
            self._url,
            withhold_token=True,
            auth=client.client_auth(method),
            data=told,
            headers={"accept": "application/json", "accept-encoding": "identity"},
        )
        async with asking as answer:
            if answer.status_code != 200:
                raise ValueError("no answer of 200")
            body = bytearray()
            async for part in answer.aiter_raw():
                body += part
                if len(body) > ANSWER_LIMIT:
                    raise ValueError("too long an answer")
        found = parsed(bytes(body))
        if not isinstance(found, dict):
            raise ValueError("no object")  # noqa: TRY004  as what else is no answer
        return found

    def _judged(self, answer: dict[str, Any], now: Now) -> _Known:
        """Return what an answer makes of a token.

        Raises:
            BadToken: it lets nobody in.
        """
        if answer.get("active") is not True:
            raise BadToken("inactive")
        ends = _date(answer, "exp")
        if ends is not None and now.wall >= ends:
            raise BadToken("expired")
        begins = _date(answer, "nbf")
        if begins is not None and now.wall < begins:
            raise BadToken("not-yet")
        audience = answer.get("aud")
        listed = audience if isinstance(audience, list) else [audience]
        if self._audiences and not any(each in self._audiences for each in map(_text, listed)):
            raise BadToken("audience")
        principal = self._principal(answer)
        until = now.monotonic + self._kept_for
        return _Known(until, ends or 0.0, principal, self._tell(answer))

    def _principal(self, answer: dict[str, Any]) -> Principal:
        subject = claim_at(answer, self._subject)
        if not isinstance(subject, str) or not subject:
            raise BadToken("claim")
        scope, roles = answer.get("scope"), claim_at(answer, self._roles)
        return Principal(
            subject=subject,
            scheme="oauth2",
            issuer=_text(answer.get("iss")),
            scopes=frozenset(scope.split() if isinstance(scope, str) else ()),
            roles=frozenset(filter(None, map(_text, roles if isinstance(roles, list) else ()))),
            claims=MappingProxyType(answer),
        )

    def _counts(self, known: _Known, now: Now) -> bool:
        return now.monotonic < known.until and now.wall < known.ends

    def _keep(self, key: bytes, known: _Known) -> None:
        if not self._kept:
            return
        self._known.pop(key, None)
        while len(self._known) >= self._kept:
            self._known.popitem(last=False)
        self._known[key] = known

    def _let_in(self, call: CallDetails, known: _Known) -> None:
        if known.principal is None:
            raise refusal("inactive")
        for requirement in self._require.of(call):
            requirement.check(known.principal)
        call.principal = known.principal
        call.metadata += known.metadata


def _date(answer: dict[str, Any], name: str) -> float | None:
    found = answer.get(name)
    if found is None:
        return None
    if type(found) not in {int, float}:
        raise BadToken("claim")
    return float(found)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _heed(task: asyncio.Task[_Known]) -> None:
    """Take note of what a task raised, for all who waited may have gone."""
    if not task.cancelled():
        task.exception()


def _trust(name: str, ca: str | Path | None) -> ssl.SSLContext:
    if ca is None:
        return httpx2.create_ssl_context(trust_env=False)
    try:
        return ssl.create_default_context(cafile=ca)
    except OSError as error:
        raise ConfigError(f"{name}: ca {ca}: no certificates in PEM are there") from error


def _unavailable(why: str) -> Denied:
    denied = Denied(
        Code.UNAVAILABLE,
        "callers cannot be made sure of now",
        reason="issuer-down",
        headers=[("retry-after", "1")],
    )
    denied.log = f"the issuer was asked about a token: {why}"
    return denied
