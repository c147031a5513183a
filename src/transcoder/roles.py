"""What a gateway is to others: at the edge, behind one, or neither; and whose word it takes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal, TypeAlias

from transcoder.errors import ConfigError
from transcoder.forwarded import TrustedProxies
from transcoder.inbound import Inbound
from transcoder.internal_methods import InternalMethods
from transcoder.metadata import Matcher
from transcoder.policies.internal import Internal
from transcoder.policies.mutual_tls import MutualTls
from transcoder.policies.policy import Policy, Stage, check_policy, check_texts, load
from transcoder.profile import Profile
from transcoder.trusted_peers import IDENTITY_HEADERS, TrustedPeers

Role: TypeAlias = Literal["edge", "internal"]

# A client may name its request, where nobody has named it before.
_OF_AN_EDGE: Final = tuple(name for name in IDENTITY_HEADERS if name != "x-request-id")

_ONCE: Final = frozenset(
    {
        Stage.ADDRESS,
        Stage.RATE_BY_ADDRESS,
        Stage.CORS,
        Stage.AUTHENTICATION,
        Stage.RATE_BY_IDENTITY,
    }
)


class Trust:
    """What follows from a role, and from what is said beside it; a `Gateway` describes all that.

    Raises:
        ConfigError: something is wrong, or does not go with the role.
    """

    def __init__(
        self,
        role: Role | None,
        *,
        policies: Iterable[Policy | str],
        skip_for_trusted: Iterable[str] | None,
        strip: Iterable[str],
        keep: Iterable[str],
        trusted_proxies: Iterable[str] | TrustedProxies,
        trusted_peers: Iterable[str],
        internal: Iterable[str],
    ) -> None:
        self.internal: Final = InternalMethods(internal)
        """The methods that are for other services alone."""
        self.withholds: Final = self.internal if role == "edge" else None
        """Says which methods are not there for clients; None for none."""
        self.peers: Final = TrustedPeers(trusted_peers, internal=role == "internal")
        """Whose word is taken."""
        self.policies: Final = _policies_of(role, policies)
        """Those that are given, and what the role adds."""
        self.skipped: Final = _skipped(role, self.policies, skip_for_trusted)
        """Names of those that calls of trusted peers pass over."""
        self.proxies: Final = _proxies(trusted_proxies)
        """Who is believed about the client's address."""
        self.strip: Final = _stripped(role, strip)
        """Headers that only trusted peers may send."""
        self.keep: Final = _names("keep", keep)
        """Those of them that anybody may send nevertheless."""

    def inbound(self, profile: Profile, matcher: Matcher | None, owned: Iterable[str]) -> Inbound:
        """Return how the headers of requests become metadata; see `Inbound`."""
        return Inbound(
            profile,
            matcher=matcher,
            strip=self.strip,
            keep=self.keep,
            proxies=self.proxies,
            owned=owned,
        )


def _policies_of(role: Role | None, policies: Iterable[Policy | str]) -> list[Policy]:
    """Return the policies of a gateway, with what its role adds."""
    given = [load(each) if isinstance(each, str) else check_policy(each) for each in policies]
    if role not in {None, "edge", "internal"}:
        raise ConfigError(f"role {role!r}: 'edge' or 'internal' is expected")
    marks = any(each.name == Internal.name for each in given)
    if role == "internal" and marks:
        problem = "an internal gateway keeps what trusted peers say, and marks none"
        raise ConfigError(f"policies: {Internal.name}: {problem}")
    return [*given, Internal()] if role == "edge" and not marks else given


def _skipped(
    role: Role | None, policies: Iterable[Policy], names: Iterable[str] | None
) -> Iterable[str]:
    """Return the names of policies that calls of trusted peers pass over."""
    if names is not None:
        return names
    return _done_before(policies) if role == "internal" else ()


def _done_before(policies: Iterable[Policy]) -> tuple[str, ...]:
    """Return the names of policies that a gateway in front has done for the calls it passes on.

    Who calls by which certificate, and what that one may, each gateway finds out itself; and what
    a process can bear is its own.
    """
    return tuple(
        each.name for each in policies if each.stage in _ONCE and not isinstance(each, MutualTls)
    )


def _stripped(role: Role | None, names: Iterable[str]) -> tuple[str, ...]:
    """Return what only trusted peers may send, with what a role adds."""
    ours = {"edge": _OF_AN_EDGE, "internal": IDENTITY_HEADERS}
    return (*_names("strip", names), *(ours[role] if role else ()))


def _names(option: str, names: Iterable[str]) -> tuple[str, ...]:
    given = names if isinstance(names, str) else tuple(names)
    check_texts(option, given)
    return tuple(given)


def _proxies(trusted: Iterable[str] | TrustedProxies) -> TrustedProxies:
    return trusted if isinstance(trusted, TrustedProxies) else TrustedProxies(trusted)
