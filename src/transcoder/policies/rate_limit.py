"""Rate limits: how often somebody may call.

Who that is, the key says: an address, whoever was found out to call, a header, or everybody
together. Limits by address stand before authentication, so that guesses at tokens count and
nothing is computed for those that come too often; limits by identity stand behind it.

Clients are told as draft-ietf-httpapi-ratelimit-headers has it, by `RateLimit-Policy` and
`RateLimit`, and with a 429 by `Retry-After`.
"""

from __future__ import annotations

import hashlib
import ipaddress
import math
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeAlias

from transcoder.call_details import CallDetails
from transcoder.errors import ConfigError
from transcoder.measured import Measured, Readings
from transcoder.policies.gcra import Gcra
from transcoder.policies.policy import Check, Denied, Named, Now, Stage, check_texts
from transcoder.policies.rates import Closing, Limiter, Rate, Stored, Taken
from transcoder.status import Code

Key: TypeAlias = Callable[[CallDetails], str]

_NAME = re.compile(r"[a-z][a-z0-9-]{0,63}")
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+")
_KEY_SIZE = 16
_V6_PREFIX: Final = 64
"""Bits of an IPv6 address that one site has: whoever has them can have the others."""


class RateLimit:
    """Keeps away what comes too often.

    Args:
        rate: as `1000/second`, or a `Rate`.
        by: whose calls are counted together; several for those that have all of it in common:
            `address` (an IPv6 address by its /64), `principal` (the subject and its issuer),
            `method`, `header:NAME`, `claim:NAME`, or `all`.
        burst: how many may come at once; see `Rate`. It counts where the rate is a text.
        limiter: counts; the default counts in this process.
        name: of the policy, for logs and overrides, and in `RateLimit`.

    Raises:
        ConfigError: an option is none.

    >>> policy = RateLimit("2/minute", burst=1)
    >>> call = CallDetails("http", peer="192.0.2.1")
    >>> policy.decide(call, Now(0.0, 0.0))
    >>> call.answer_headers[0]
    (b'ratelimit-policy', b'"rate-limit";q=2;w=60')
    >>> policy.decide(call, Now(1.0, 1.0))
    Traceback (most recent call last):
        ...
    transcoder.policies.policy.Denied: too many requests
    """

    def __init__(
        self,
        rate: str | Rate,
        *,
        by: str | Sequence[str] = "address",
        burst: int = 0,
        limiter: Limiter | None = None,
        name: str = "rate-limit",
    ) -> None:
        self.rate: Final = rate if isinstance(rate, Rate) else Rate.parse(rate, burst)
        parts = [by] if isinstance(by, str) else list(by)
        check_texts("by", parts)
        if not parts:
            raise ConfigError(f"{name}: by: at least one is expected, such as 'address'")
        if not _NAME.fullmatch(name):
            raise ConfigError(f"{name!r} is no name of a policy: a-z, 0-9 and - are allowed")
        self.name: Final = name
        self._by = " and ".join(parts)
        keys = [_key(name, part) for part in parts]
        self.stage: Final = max(stage for _, stage in keys)
        self._parts = [key for key, _ in keys]
        self._part = self._parts[0] if len(keys) == 1 else None
        self._quoted = f'"{name}"'.encode()
        self._limiter: Limiter = Gcra(self.rate) if limiter is None else limiter
        told = f'"{name}";q={self.rate.limit};w={math.ceil(self.rate.per)}'
        self._policy = b"ratelimit-policy", told.encode()

    @property
    def checks(self) -> Sequence[Check]:
        """What the limiter counts in, if that may fail; see `Checking`."""
        limiter = self._limiter
        if not isinstance(limiter, Stored):
            return ()
        return (Named(f"{self.name}-store", limiter.check, vital=limiter.vital),)

    @property
    def limits(self) -> str:
        """What it allows."""
        rate = self.rate
        return f"{rate.limit} calls in {rate.per:g} s and {rate.burst} at once, by {self._by}"

    def readings(self) -> Readings:
        """Tell what the limiter counts of itself; see `Measured`."""
        limiter = self._limiter
        return limiter.readings() if isinstance(limiter, Measured) else ()

    def decide(self, call: CallDetails, now: Now) -> Awaitable[None] | None:
        """Count a call, or refuse it."""
        taken = self._limiter.take(self._key(call), now.monotonic)
        if isinstance(taken, Taken):
            self._tell(call, taken)
            return None
        return self._later(call, taken)

    async def start(self) -> None:
        """Do nothing: what the limiter holds is opened by the first call."""

    async def close(self) -> None:
        """Close what the limiter holds."""
        if isinstance(self._limiter, Closing):
            await self._limiter.close()

    async def _later(self, call: CallDetails, taken: Awaitable[Taken]) -> None:
        self._tell(call, await taken)

    def _key(self, call: CallDetails) -> bytes:
        # Hashed: keys may be secrets, or as long as their sender likes.
        text = self._part(call) if self._part else "\0".join([key(call) for key in self._parts])
        return hashlib.blake2b(text.encode(), digest_size=_KEY_SIZE).digest()

    def _tell(self, call: CallDetails, taken: Taken) -> None:
        allowed, remaining, reset, retry_after = taken
        said = b"ratelimit", b"%b;r=%d;t=%d" % (self._quoted, remaining, math.ceil(reset))
        call.answer_headers = (*call.answer_headers, self._policy, said)
        if not allowed:
            seconds = max(1, math.ceil(retry_after))
            raise Denied(
                Code.RESOURCE_EXHAUSTED,
                "too many requests",
                reason="rate",
                headers=[("retry-after", str(seconds))],
            )


def _key(option: str, part: str) -> tuple[Key, Stage]:
    kind, _, name = part.partition(":")
    if part in _PARTS:
        return _PARTS[part]
    if kind == "header" and _HEADER.fullmatch(name.lower()):
        return _of_header(name.lower().encode()), Stage.RATE_BY_ADDRESS
    if kind == "claim" and name:
        return _of_claim(name), Stage.RATE_BY_IDENTITY
    known = ", ".join([*_PARTS, "header:NAME", "claim:NAME"])
    raise ConfigError(f"{option}: by {part!r}: one of {known} is expected")


def _of_address(call: CallDetails) -> str:
    if ":" not in call.peer:
        return call.peer
    try:
        network = ipaddress.IPv6Network((call.peer.partition("%")[0], _V6_PREFIX), strict=False)
    except ValueError:
        return call.peer
    return str(network)


def _of_principal(call: CallDetails) -> str:
    who = call.principal
    return f"address {_of_address(call)}" if who is None else f"{who.issuer}\0{who.subject}"


def _of_header(name: bytes) -> Key:
    def key(call: CallDetails) -> str:
        return b",".join(call.all(name)).decode("latin-1")

    return key


def _of_claim(name: str) -> Key:
    def key(call: CallDetails) -> str:
        claims = {} if call.principal is None else call.principal.claims
        return repr(claims.get(name))

    return key


_PARTS: Final[dict[str, tuple[Key, Stage]]] = {
    "address": (_of_address, Stage.RATE_BY_ADDRESS),
    "all": (lambda _: "", Stage.RATE_BY_ADDRESS),
    "method": (lambda call: call.method, Stage.RATE_BY_ADDRESS),
    "principal": (_of_principal, Stage.RATE_BY_IDENTITY),
}
