"""The policies of a gateway, and which of them stand before which calls.

All of them do, less those that calls of trusted peers pass over, and before public calls less those
that ask who calls; an override puts another in the place of one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

from transcoder.errors import ConfigError
from transcoder.path_template import PathTemplate
from transcoder.policies.any_of import AnyOf
from transcoder.policies.mutual_tls import MutualTls
from transcoder.policies.policy import (
    Authenticator,
    Limiting,
    Methods,
    Policy,
    Selective,
    Stage,
    check_policy,
    load,
)
from transcoder.policies.selectors import Selectors
from transcoder.security import Requirement, Security

Overrides: TypeAlias = Mapping[str, Mapping[str, Policy | None]]

HEALTH_SERVICE: Final = "grpc.health.v1.Health"
"""Those who ask for a server's health have no tokens: it is public."""

_OF_CALLER = frozenset({Stage.AUTHENTICATION, Stage.AUTHORIZATION})


class PolicySet:
    """The policies of a gateway.

    Args:
        policies: in any order; those of one stage meet calls in this one. A text is the name of
            an installed one.
        public: the calls that nobody needs to be known for: neither authentication nor
            authorization looks at them. Selectors, see `selectors`.
        overrides: by selector, what stands in the place of the policy of a name for some calls;
            None for nothing. Of several that fit a call, the last one counts.
        own: paths of the gateway's health, which are public.
        skip_for_trusted: names of policies that calls of trusted peers pass over.

    Raises:
        ConfigError: one of these is not what it should be.
    """

    def __init__(
        self,
        policies: Iterable[Policy | str] = (),
        *,
        public: Iterable[str] = (),
        overrides: Overrides | None = None,
        own: Iterable[str] = (),
        skip_for_trusted: Iterable[str] = (),
    ) -> None:
        given = [load(each) if isinstance(each, str) else check_policy(each) for each in policies]
        self.usual: Final = tuple(sorted(given, key=lambda each: each.stage))
        """Those that are no overrides, in their order."""
        self._check_names()
        self._public = Selectors("public", public)
        self._overrides = [
            (Selectors("overrides", [text]), by_name) for text, by_name in (overrides or {}).items()
        ]
        self._check_overrides()
        self.own: Final = frozenset(own)
        """Paths that are public whatever else is."""
        self.skipped: Final = frozenset(skip_for_trusted)
        """Names of the policies that calls of trusted peers pass over."""
        self._check_skipped()
        self.by_path: Final = bool(self._public) or bool(self._overrides)
        """Whether other paths that no method has may meet others too."""
        self._methods: Methods = {}

    def __iter__(self) -> Iterator[Policy]:
        """Return the usual ones, in their order."""
        return iter(self.usual)

    def __bool__(self) -> bool:
        """Say whether there is any."""
        return bool(self.usual)

    @property
    def every(self) -> list[Policy]:
        """All policies, those of overrides included, each once."""
        others = [each for _, by_name in self._overrides for each in by_name.values()]
        given = (*self.usual, *(each for each in others if each is not None))
        return list({id(each): each for each in given}.values())

    @property
    def limits(self) -> dict[str, str]:
        """What they bound, in words, by their names."""
        found = {each.name: each for each in self.usual}
        for selectors, by_name in self._overrides:
            found |= {f"{name} of {selectors}": each for name, each in by_name.items() if each}
        return {name: each.limits for name, each in found.items() if isinstance(each, Limiting)}

    def security(self, methods: Methods) -> Security:
        """Return what clients must show for each method: one of the schemes that stand before it.

        Args:
            methods: full names, and the templates of their paths.
        """
        schemes: dict[str, Mapping[str, Any]] = {}
        for each in self.every:
            if isinstance(each, Authenticator):
                schemes |= each.security
        usual = _required(self.usual)
        found = {name: _required(self._chosen(name, "", paths)) for name, paths in methods.items()}
        own = {name: needed for name, needed in found.items() if needed != usual}
        return Security(schemes=schemes, requires=usual, methods=own)

    def compile(self, methods: Methods) -> None:
        """Learn which methods there are.

        Args:
            methods: full names, and the templates of their paths.

        Raises:
            ConfigError: a selector means nothing, or a method by some of its paths only.
        """
        self._methods = methods
        for selectors in (self._public, *(selectors for selectors, _ in self._overrides)):
            selectors.check(methods)
        for policy in self.every:
            if isinstance(policy, Selective):
                policy.compile(methods)

    def before(self, method: str, path: str = "", *, trusted: bool = False) -> tuple[Policy, ...]:
        """Return the policies that calls of a method meet, in their order.

        Args:
            method: its full name; empty for paths that no method has.
            path: of those.
            trusted: whether the calls are of trusted peers.
        """
        kept = self._chosen(method, path, self._methods.get(method, ()), trusted=trusted)
        return tuple(sorted(kept, key=lambda each: each.stage))

    def assembled(self, method: str, path: str, *, trusted: bool) -> tuple[Policy, ...]:
        """Return what `before` does, but those that know callers as one, for one is enough."""
        kept = self._chosen(method, path, self._methods.get(method, ()), trusted=trusted)
        knowing = [each for each in kept if each.stage is Stage.AUTHENTICATION]
        if knowing:
            kept = [each for each in kept if each.stage is not Stage.AUTHENTICATION]
            kept.append(AnyOf(knowing))
        return tuple(sorted(kept, key=lambda each: each.stage))

    def _chosen(
        self,
        method: str,
        path: str,
        templates: Sequence[PathTemplate],
        *,
        trusted: bool = False,
    ) -> list[Policy]:
        chosen: dict[str, Policy | None] = {each.name: each for each in self.usual}
        for selectors, by_name in self._overrides:
            if selectors.selects(method, templates) if method else selectors.selects_path(path):
                chosen |= by_name
        skipped = self.skipped if trusted else ()
        kept = [each for name, each in chosen.items() if each is not None and name not in skipped]
        if self._is_public(method, path, templates):
            kept = [each for each in kept if each.stage not in _OF_CALLER]
        return kept

    def _is_public(self, method: str, path: str, templates: Sequence[PathTemplate]) -> bool:
        if method:
            if method.rpartition(".")[0] == HEALTH_SERVICE:
                return True
            return self._public.selects(method, templates)
        return path in self.own or self._public.selects_path(path)

    def _check_names(self) -> None:
        seen: set[str] = set()
        for policy in self.usual:
            if policy.name in seen:
                problem = "give one of them another name"
                raise ConfigError(f"policies: two of them are named {policy.name!r}: {problem}")
            seen.add(policy.name)

    def _check_skipped(self) -> None:
        named = {each.name: each for each in self.usual}
        for name in self.skipped:
            policy = named.get(name)
            if policy is None:
                known = ", ".join(sorted(named)) or "none"
                problem = f"no policy is named {name!r}: there are {known}"
                raise ConfigError(f"skip_for_trusted: {problem}")
            if policy.stage is Stage.AUTHORIZATION or isinstance(policy, MutualTls):
                problem = "what a certificate allows is asked of everybody"
                raise ConfigError(f"skip_for_trusted: {name}: {problem}")

    def _check_overrides(self) -> None:
        names = {each.name for each in self.usual}
        for selectors, by_name in self._overrides:
            for name, policy in by_name.items():
                if policy is not None:
                    check_policy(policy)
                elif name not in names:
                    known = ", ".join(sorted(names)) or "none"
                    problem = f"no policy is named {name!r}: there are {known}"
                    raise ConfigError(f"overrides: {selectors}: {problem}")


def _required(policies: Iterable[Policy]) -> tuple[Requirement, ...]:
    """Return the schemes of some policies, of which one is enough."""
    knowing = [each for each in policies if isinstance(each, Authenticator)]
    return tuple({name: ()} for each in knowing for name in each.security)
