"""What a caller must hold so that a call is let in: scopes, and claims of some value."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from transcoder.call_details import Principal
from transcoder.errors import ConfigError
from transcoder.policies.policy import Denied, check_texts
from transcoder.status import Code

ClaimPath: TypeAlias = "str | Sequence[str]"
"""A claim's name; several names for one inside another, as `("realm_access", "roles")`."""

Wanted: TypeAlias = "str | int | bool | Collection[str | int | bool]"

# RFC 6749, section 3.3.
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """What a caller must hold.

    Args:
        scopes: all of these.
        claims: by name, the value that is expected, or several of which one is enough. Of a claim
            that is a list, one item must be such a value.

    Raises:
        ConfigError: a scope is none (RFC 6749, section 3.3), or nothing is required.

    >>> requirement = Requirement(scopes=["orders.write"], claims={"tenant": ["a", "b"]})
    >>> requirement.lacking(Principal(subject="ann", scheme="jwt", claims={"tenant": "a"}))
    'scope'
    """

    scopes: Collection[str] = ()
    claims: Mapping[str, Wanted] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check what is required."""
        check_texts("scopes", self.scopes)
        for scope in self.scopes:
            if not _SCOPE.fullmatch(scope):
                raise ConfigError(f"scopes: {scope!r} is no scope: it has no spaces, quotes and \\")
        if not self.scopes and not self.claims:
            raise ConfigError("a requirement needs scopes or claims: leave it out instead")

    def lacking(self, principal: Principal) -> str:
        """Return what a caller lacks, `scope` or `claim`; empty for nothing."""
        if not principal.scopes.issuperset(self.scopes):
            return "scope"
        claims = principal.claims
        if not self.claims or all(
            _holds(claims.get(name), wanted) for name, wanted in self.claims.items()
        ):
            return ""
        return "claim"

    def check(self, principal: Principal) -> None:
        """Refuse a caller that lacks something, as RFC 6750, section 3.1, has it.

        Raises:
            Denied: PERMISSION_DENIED.
        """
        lacking = self.lacking(principal)
        if lacking:
            challenge = 'Bearer error="insufficient_scope"'
            if self.scopes:
                challenge += f', scope="{" ".join(self.scopes)}"'
            raise Denied(
                Code.PERMISSION_DENIED,
                "the caller may not call this",
                reason=lacking,
                headers=[("www-authenticate", challenge)],
            )


def claim_at(claims: Mapping[str, Any], path: ClaimPath) -> Any:
    """Return the claim at a path; None where there is none.

    >>> claim_at({"realm_access": {"roles": ["admin"]}}, ("realm_access", "roles"))
    ['admin']
    """
    if isinstance(path, str):
        return claims.get(path)
    found: Any = claims
    for name in path:
        if not isinstance(found, Mapping):
            return None
        found = found.get(name)
    return found


def _holds(claim: Any, wanted: Wanted) -> bool:
    items = claim if isinstance(claim, list) else [claim]
    values = [wanted] if isinstance(wanted, str | int) else wanted
    # True == 1, and neither is the other here.
    return any(type(item) is type(value) and item == value for item in items for value in values)
