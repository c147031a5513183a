"""Who may call what.

    Authorization(
        deny={"*": Grant(subjects=["mallory"])},
        allow={
            "shop.v1.Orders.*": Grant(scopes=["orders.read"]),
            "shop.v1.Payments.Charge": Grant(names=["spiffe://shop.example/order"]),
        },
    )

What is denied is so whatever allows it. Of the grants of all selectors that mean a call, one is
enough. A call that none of them means is refused, or allowed, by the default.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from transcoder.call_details import CallDetails, Principal
from transcoder.errors import ConfigError
from transcoder.policies.policy import Denied, Methods, Now, Stage, check_texts
from transcoder.policies.requirement import Requirement, Wanted
from transcoder.policies.selectors import Choices
from transcoder.status import Code


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """Callers of a kind: those of which everything here holds; with nothing here, everybody.

    Args:
        subjects: one of them is the caller.
        roles: the caller has one of them.
        scopes: the caller was granted all of them.
        claims: as a `Requirement` has them.
        names: one of them is a subject alternative name of the client's certificate, whether or
            not it is by this that the caller is known.
        schemes: the caller is known in one of these ways, as `jwt` or `mtls`.

    Raises:
        ConfigError: one of them is not what it should be.
    """

    subjects: Collection[str] = ()
    roles: Collection[str] = ()
    scopes: Collection[str] = ()
    claims: Mapping[str, Wanted] = field(default_factory=dict)
    names: Collection[str] = ()
    schemes: Collection[str] = ()

    def __post_init__(self) -> None:
        """Check what is granted to whom."""
        for option in ("subjects", "roles", "names", "schemes"):
            check_texts(option, getattr(self, option))
        if self.scopes or self.claims:
            Requirement(scopes=self.scopes, claims=self.claims)

    @property
    def needs_principal(self) -> bool:
        """Whether only a known caller can be of this kind."""
        return any((self.subjects, self.roles, self.scopes, self.claims, self.schemes))

    def holds(self, call: CallDetails) -> bool:
        """Say whether a call is of such a caller."""
        if self.names and not set(self.names).intersection(call.names):
            return False
        if not self.needs_principal:
            return True
        who = call.principal
        return who is not None and self._is(who)

    def _is(self, who: Principal) -> bool:
        return (
            (not self.subjects or who.subject in self.subjects)
            and (not self.roles or bool(who.roles.intersection(self.roles)))
            and (not self.schemes or who.scheme in self.schemes)
            and (
                not (self.scopes or self.claims)
                or not Requirement(scopes=self.scopes, claims=self.claims).lacking(who)
            )
        )


Grants: TypeAlias = Mapping[str, "Grant | Sequence[Grant]"]


class Authorization:
    """Says whether a caller may call this.

    Args:
        allow: by selector (see `selectors`), who may call.
        deny: by selector, who may not.
        default: what becomes of a call that no selector of `allow` means.
        name: of the policy, for logs and overrides.

    Raises:
        ConfigError: an option is none.
    """

    stage: Final = Stage.AUTHORIZATION

    def __init__(
        self,
        *,
        allow: Grants | None = None,
        deny: Grants | None = None,
        default: Literal["allow", "deny"] = "deny",
        name: str = "authorization",
    ) -> None:
        if default not in {"allow", "deny"}:
            raise ConfigError(f"{name}: default {default!r}: 'allow' or 'deny' is expected")
        self.name: Final = name
        self._allow = Choices(f"{name}: allow", _listed(allow))
        self._deny = Choices(f"{name}: deny", _listed(deny))
        self._default = default

    def compile(self, methods: Methods) -> None:
        """Find out which methods the selectors mean; the application starts.

        Raises:
            ConfigError: a selector means nothing, or a method by some of its paths only.
        """
        self._allow.compile(methods)
        self._deny.compile(methods)

    def decide(self, call: CallDetails, now: Now) -> None:
        """Let a call pass, or refuse it."""
        if any(grant.holds(call) for grants in self._deny.of(call) for grant in grants):
            raise _refusal("denied")
        meant = [grant for grants in self._allow.of(call) for grant in grants]
        if not meant:
            if self._default == "deny":
                raise _refusal("default")
            return
        if any(grant.holds(call) for grant in meant):
            return
        if call.principal is None and all(grant.needs_principal for grant in meant):
            raise Denied(Code.UNAUTHENTICATED, "this needs credentials", reason="missing")
        raise _refusal("not-allowed")


def _listed(grants: Grants | None) -> dict[str, tuple[Grant, ...]]:
    found = (grants or {}).items()
    return {text: (each,) if isinstance(each, Grant) else tuple(each) for text, each in found}


def _refusal(reason: str) -> Denied:
    return Denied(Code.PERMISSION_DENIED, "the caller may not call this", reason=reason)
