"""What a call passes on its way: the policies before it, in their order, and who is told of it.

A call meets each policy once, from the outermost stage inwards, and the first refusal is the
answer. What stands in the way is put together once for each method.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Iterable, Sequence
from typing import Final, NoReturn

from starlette.types import ASGIApp

from transcoder.call_details import CallDetails
from transcoder.errors import StatusError
from transcoder.events import Auditor, Observer
from transcoder.measured import Measured, Readings, labelled
from transcoder.policies.policy import (
    Answered,
    Check,
    Checking,
    Denied,
    Methods,
    Now,
    Policy,
    Resource,
    Wrapper,
    Writer,
)
from transcoder.policies.policy_set import PolicySet
from transcoder.status import Code

_new = tuple.__new__
_KEPT = 10_000


class Chain:
    """What stands between the doors and the methods.

    Args:
        policies: which of them stand before which calls.
        observers: are told of calls, or of decisions, or of both.
    """

    def __init__(self, policies: PolicySet, observers: Iterable[Observer | Auditor] = ()) -> None:
        self.policies: Final = policies
        """Which of them stand before which calls."""
        self._observers = [each for each in observers if isinstance(each, Observer)]
        self._auditors = [each for each in observers if isinstance(each, Auditor)]
        usual: dict[str, tuple[Policy, ...]] = {}
        self._of_method = (usual, {} if policies.skipped else usual)
        """What stands before each method: of anybody, and of trusted peers."""
        self._default: list[tuple[Policy, ...] | None] = [None, None]

    def __bool__(self) -> bool:
        """Say whether there is anything to do."""
        return bool(self.policies or self._observers or self._auditors)

    @property
    def checks(self) -> tuple[Check, ...]:
        """What readiness is to ask for."""
        found: list[Check] = []
        for each in self.policies.every:
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
        for policy in self.policies.every:
            if isinstance(policy, Measured):
                yield from labelled(policy.readings(), policy=policy.name)
        others = [*self._observers, *self._auditors]
        for each in {id(each): each for each in others}.values():
            if isinstance(each, Measured):
                yield from each.readings()

    @property
    def writes(self) -> frozenset[str]:
        """The metadata keys that are for policies and observers to say, and for nobody else."""
        writers = (*self._observers, *self.policies.every)
        return frozenset(key for each in writers if isinstance(each, Writer) for key in each.writes)

    def wrapped(self, app: ASGIApp) -> ASGIApp:
        """Return an application with the policies around it that are middlewares too."""
        for each in reversed(self.policies.usual):
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
        self.policies.compile(methods)
        self._default = [None, None]
        for trusted, of_method in enumerate(self._of_method):
            of_method.clear()
            for method in methods:
                of_method[method] = self.policies.assembled(method, "", trusted=bool(trusted))

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
            found = self.policies.assembled(call.method, "", trusted=trusted)
            if len(self._of_method[trusted]) < _KEPT:
                self._of_method[trusted][call.method] = found
            return found
        path = call.path
        if self.policies.by_path or path in self.policies.own:
            return self.policies.assembled("", path, trusted=trusted)
        default = self._default[trusted]
        if default is None:
            default = self._default[trusted] = self.policies.assembled("", "", trusted=trusted)
        return default

    @property
    def _resources(self) -> list[Resource]:
        # Observers first: they are told of what happens until the end.
        found = [*self._observers, *self._auditors, *self.policies.every]
        known = {id(each): each for each in found if isinstance(each, Resource)}
        return list(known.values())
