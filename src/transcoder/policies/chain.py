"""Policies in their order, with what is public and what is another way for some calls.

A call meets each policy once, from the outermost stage inwards, and the first refusal is the
answer. What stands in the way is put together once for each method, when it is first called.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from typing import Any, Final, NoReturn, TypeAlias

from starlette.types import ASGIApp

from transcoder.call_details import CallDetails
from transcoder.errors import ConfigError, StatusError
from transcoder.events import Auditor, Observer
from transcoder.measured import Measured, Readings, labelled
from transcoder.path_template import PathTemplate
from transcoder.policies.any_of import AnyOf
from transcoder.policies.mutual_tls import MutualTls
from transcoder.policies.policy import (
    Answered,
    Authenticator,
    Check,
    Checking,
    Denied,
    Limiting,
    Methods,
    Now,
    Policy,
    Resource,
    Selective,
    Stage,
    Wrapper,
    Writer,
    check_policy,
    load,
)
from transcoder.policies.selectors import Selectors
from transcoder.security import Requirement, Security
from transcoder.status import Code

Overrides: TypeAlias = Mapping[str, Mapping[str, Policy | None]]

HEALTH_SERVICE: Final = "grpc.health.v1.Health"
"""Those who ask for a server's health have no tokens: it is public."""

_new = tuple.__new__
_OF_CALLER = frozenset({Stage.AUTHENTICATION, Stage.AUTHORIZATION})
_ONCE = frozenset(
    {
        Stage.ADDRESS,
        Stage.RATE_BY_ADDRESS,
        Stage.CORS,
        Stage.AUTHENTICATION,
        Stage.RATE_BY_IDENTITY,
    }
)
_KEPT = 10_000


class Chain:
    """What stands between the doors and the methods.

    Args:
        policies: in any order; those of one stage meet calls in this one. A text is the name of
            an installed one.
        public: the calls that nobody needs to be known for: neither authentication nor
            authorization looks at them. Selectors, see `selectors`.
        overrides: by selector, what stands in the place of the policy of a name for some calls;
            None for nothing. Of several that fit a call, the last one counts.
        observers: are told of calls, or of decisions, or of both.
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
        observers: Iterable[Observer | Auditor] = (),
        own: Iterable[str] = (),
        skip_for_trusted: Iterable[str] = (),
    ) -> None:
        given = [load(each) if isinstance(each, str) else check_policy(each) for each in policies]
        self.policies: Final = tuple(sorted(given, key=lambda each: each.stage))
        self._check_names()
        self._public = Selectors("public", public)
        self._own_public = frozenset(own)
        self._overrides = [
            (Selectors("overrides", [text]), by_name) for text, by_name in (overrides or {}).items()
        ]
        self._check_overrides()
        self._observers = [each for each in observers if isinstance(each, Observer)]
        self._auditors = [each for each in observers if isinstance(each, Auditor)]
        self._methods: Methods = {}
        self.skipped: Final = frozenset(skip_for_trusted)
        """Names of the policies that calls of trusted peers pass over."""
        self._check_skipped()
        usual: dict[str, tuple[Policy, ...]] = {}
        self._of_method = (usual, {} if self.skipped else usual)
        """What stands before each method: of anybody, and of trusted peers."""
        self._default: list[tuple[Policy, ...] | None] = [None, None]
        self._by_path = bool(self._public) or bool(self._overrides)

    def __bool__(self) -> bool:
        """Say whether there is anything to do."""
        return bool(self.policies or self._observers or self._auditors)

    @property
    def checks(self) -> tuple[Check, ...]:
        """What readiness is to ask for."""
        found: list[Check] = []
        for each in self.every:
            if isinstance(each, Check):
                found.append(each)
            if isinstance(each, Checking):
                found += each.checks
        return tuple(found)

    @property
    def observers(self) -> tuple[Observer, ...]:
        """Who is told of calls."""
        return tuple(self._observers)

    def observe(self, observer: Observer) -> None:
        """Tell somebody of calls, from now on."""
        self._observers.append(observer)

    def readings(self) -> Readings:
        """Tell what policies and observers count; see `Measured`."""
        for policy in self.every:
            if isinstance(policy, Measured):
                yield from labelled(policy.readings(), policy=policy.name)
        others = [*self._observers, *self._auditors]
        for each in {id(each): each for each in others}.values():
            if isinstance(each, Measured):
                yield from each.readings()

    @property
    def writes(self) -> frozenset[str]:
        """The metadata keys that are for policies and observers to say, and for nobody else."""
        writers = (*self._observers, *self.every)
        return frozenset(key for each in writers if isinstance(each, Writer) for key in each.writes)

    @property
    def limits(self) -> dict[str, str]:
        """What the policies bound, in words, by their names."""
        found = {each.name: each for each in self.policies}
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
        usual = _required(self.policies)
        found = {name: _required(self._chosen(name, "", paths)) for name, paths in methods.items()}
        own = {name: needed for name, needed in found.items() if needed != usual}
        return Security(schemes=schemes, requires=usual, methods=own)

    def wrapped(self, app: ASGIApp) -> ASGIApp:
        """Return an application with the policies around it that are middlewares too."""
        for each in reversed(self.policies):
            if isinstance(each, Wrapper):
                app = each.wrap(app)
        return app

    def compile(self, methods: Methods) -> None:
        """Put together what stands before each method.

        Args:
            methods: full names, and the templates of their paths.

        Raises:
            ConfigError: a selector means nothing, or a method by some of its paths only.
        """
        self._methods = methods
        self._default = [None, None]
        for selectors in (self._public, *(selectors for selectors, _ in self._overrides)):
            selectors.check(methods)
        for policy in self.every:
            if isinstance(policy, Selective):
                policy.compile(methods)
        for trusted, of_method in enumerate(self._of_method):
            of_method.clear()
            for method in methods:
                of_method[method] = self._assembled(method, "", trusted=bool(trusted))

    def before(self, method: str, path: str = "", *, trusted: bool = False) -> tuple[Policy, ...]:
        """Return the policies that calls of a method meet, in their order.

        Args:
            method: its full name; empty for paths that no method has.
            path: of those.
            trusted: whether the calls are of trusted peers.
        """
        kept = self._chosen(method, path, self._methods.get(method, ()), trusted=trusted)
        return tuple(sorted(kept, key=lambda each: each.stage))

    async def start(self) -> None:
        """Open what policies and observers hold; the application starts."""
        for each in self._resources:
            await each.start()

    async def close(self) -> None:
        """Close it."""
        for each in reversed(self._resources):
            await each.close()

    def begin(self, call: CallDetails) -> None:
        """Tell the observers of a call that has come."""
        for each in self._observers:
            each.began(call)

    def admit(self, call: CallDetails) -> Awaitable[None] | None:
        """Let a call pass.

        Args:
            call: which.

        Returns:
            Nothing, or what is to be awaited: most policies decide at once.

        Raises:
            StatusError: a policy refuses it.
            Answered: a policy answers it.
        """
        policies = self._of_method[call.trusted].get(call.method)
        if policies is None:
            policies = self._unknown(call)
        if not policies:
            return None
        now = _new(Now, (call.started, call.wall))
        for index, policy in enumerate(policies):
            try:
                waiting = policy.decide(call, now)
            except Exception as error:  # noqa: BLE001  whatever a stranger's policy raises
                self._raise(call, policy, error)
            if waiting is not None:
                return self._rest(call, waiting, policies[index:])
            if self._auditors:
                self._passed(call, policy)
        return None

    async def _rest(
        self, call: CallDetails, waiting: Awaitable[None] | None, policies: Sequence[Policy]
    ) -> None:
        """Wait for the first of the policies, and ask the others."""
        first = policies[0]
        for policy in policies:
            try:
                if policy is not first:
                    waiting = policy.decide(call, Now(time.monotonic(), time.time()))
                if waiting is not None:
                    await waiting
            except Exception as error:  # noqa: BLE001  as above
                self._raise(call, policy, error)
            self._passed(call, policy)

    def _passed(self, call: CallDetails, policy: Policy) -> None:
        for auditor in self._auditors:
            auditor.decided(call, policy.name, None)

    def _raise(self, call: CallDetails, policy: Policy, error: Exception) -> NoReturn:
        """Raise what a policy raised, or that it has a defect."""
        if isinstance(error, Answered):
            raise error
        if isinstance(error, StatusError):
            self._refused(call, policy, error)
            raise error
        failed = StatusError(Code.INTERNAL, "internal error")
        self._refused(call, policy, failed)
        raise failed from error

    def end(self, call: CallDetails) -> None:
        """Tell of a call that is over, whoever waits for it."""
        call.ended = time.monotonic()
        if call.on_end is not None:
            for callback in call.on_end:
                callback()
        for each in self._observers:
            each.ended(call)

    def _refused(self, call: CallDetails, policy: Policy, error: StatusError) -> None:
        call.denied_by = policy.name
        call.reason = error.reason if isinstance(error, Denied) else error.status.code.name.lower()
        for auditor in self._auditors:
            auditor.decided(call, policy.name, error)

    def _unknown(self, call: CallDetails) -> tuple[Policy, ...]:
        """Return what stands before a path of no method, or a method that came after the start."""
        trusted = call.trusted
        if call.method:
            found = self._assembled(call.method, "", trusted=trusted)
            if len(self._of_method[trusted]) < _KEPT:
                self._of_method[trusted][call.method] = found
            return found
        path = call.path
        if self._by_path or path in self._own_public:
            return self._assembled("", path, trusted=trusted)
        default = self._default[trusted]
        if default is None:
            default = self._default[trusted] = self._assembled("", "", trusted=trusted)
        return default

    def _assembled(self, method: str, path: str, *, trusted: bool) -> tuple[Policy, ...]:
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
        chosen: dict[str, Policy | None] = {each.name: each for each in self.policies}
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
        return path in self._own_public or self._public.selects_path(path)

    @property
    def every(self) -> list[Policy]:
        """All policies, those of overrides included, each once."""
        others = [each for _, by_name in self._overrides for each in by_name.values()]
        given = (*self.policies, *(each for each in others if each is not None))
        return list({id(each): each for each in given}.values())

    @property
    def _resources(self) -> list[Resource]:
        # Observers first: they are told of what happens until the end.
        found = [*self._observers, *self._auditors, *self.every]
        known = {id(each): each for each in found if isinstance(each, Resource)}
        return list(known.values())

    def _check_names(self) -> None:
        seen: set[str] = set()
        for policy in self.policies:
            if policy.name in seen:
                problem = "give one of them another name"
                raise ConfigError(f"policies: two of them are named {policy.name!r}: {problem}")
            seen.add(policy.name)

    def _check_skipped(self) -> None:
        named = {each.name: each for each in self.policies}
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
        names = {each.name for each in self.policies}
        for selectors, by_name in self._overrides:
            for name, policy in by_name.items():
                if policy is not None:
                    check_policy(policy)
                elif name not in names:
                    known = ", ".join(sorted(names)) or "none"
                    problem = f"no policy is named {name!r}: there are {known}"
                    raise ConfigError(f"overrides: {selectors}: {problem}")


def done_before(policies: Iterable[Policy]) -> tuple[str, ...]:
    """Return the names of policies that a gateway in front has done for the calls it passes on.

    Who calls by which certificate, and what that one may, each gateway finds out itself; and what
    a process can bear is its own.
    """
    return tuple(
        each.name for each in policies if each.stage in _ONCE and not isinstance(each, MutualTls)
    )


def _required(policies: Iterable[Policy]) -> tuple[Requirement, ...]:
    """Return the schemes of some policies, of which one is enough."""
    knowing = [each for each in policies if isinstance(each, Authenticator)]
    return tuple({name: ()} for each in knowing for name in each.security)
