"""Whether calls had better come here or go elsewhere.

Each check is asked once a second at most, by whoever wants to know, and waits for no longer than it
may take. HTTP and gRPC tell the same, for they read the same report.
"""

from __future__ import annotations

import asyncio
import enum
import itertools
import logging
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from transcoder.errors import SHUTTING_DOWN, ConfigError
from transcoder.measured import Metric, Reading, Readings
from transcoder.policies.policy import Check

KEPT: Final = 1.0
"""Seconds for which a report holds."""

_FAILING: Final = Metric("transcoder_check_failing", "1 for a check with a problem.")
_SECONDS: Final = Metric(
    "transcoder_check_duration_seconds", "How long a check took, the last time."
)
_NOT_READY: Final = Metric("transcoder_not_ready", "1 while calls had better go elsewhere.")
_DRAINING: Final = Metric("transcoder_draining", "1 while the server is about to end.")

_log = logging.getLogger(__name__)


class State(enum.Enum):
    """Of a check, of a service, of all; the worst comes last."""

    SERVING = "SERVING"
    DEGRADED = "DEGRADED"
    """Something is amiss that calls can live with."""
    NOT_SERVING = "NOT_SERVING"


_ORDER: Final = list(State)


def worst(states: Iterable[State]) -> State:
    """Return the worst of some states; SERVING of none."""
    return max(states, key=_ORDER.index, default=State.SERVING)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of one check.

    Args:
        name: of the check.
        state: what it means for calls.
        seconds: that the check took.
        problem: what is amiss, for the operator; clients are not told.
        services: full names of those that it is about; none for all.
    """

    name: str
    state: State
    seconds: float = 0.0
    problem: str = ""
    services: tuple[str, ...] = ()

    def as_json(self, *, problems: bool) -> dict[str, Any]:
        """Return it as JSON has it.

        Args:
            problems: whether the reader is an operator.
        """
        told = {
            "name": self.name,
            "status": self.state.value,
            "seconds": round(self.seconds, 6),
        }
        return {**told, "problem": self.problem} if problems and self.problem else told


@dataclass(frozen=True, slots=True)
class Report:
    """What came of all checks.

    >>> down = Verdict("upstream:a.v1.A", State.NOT_SERVING, services=("a.v1.A",))
    >>> report = Report((down, Verdict("jwt", State.SERVING)))
    >>> report.state().value, report.state("b.v1.B").value
    ('NOT_SERVING', 'SERVING')
    """

    verdicts: tuple[Verdict, ...] = ()

    def about(self, service: str = "") -> Report:
        """Return what is about a service; about all, if it has no name."""
        if not service:
            return self
        told = (each for each in self.verdicts if not each.services or service in each.services)
        return Report(tuple(told))

    def state(self, service: str = "") -> State:
        """Return the state of a service; of all of them, if it has no name."""
        return worst(each.state for each in self.about(service).verdicts)

    def as_json(self, *, problems: bool = False) -> dict[str, Any]:
        """Return it as JSON has it; as `Verdict.as_json`."""
        checks = [each.as_json(problems=problems) for each in self.verdicts]
        return {"status": self.state().value, "checks": checks}


@dataclass(slots=True)
class _Entry:
    check: Check
    name: str
    services: tuple[str, ...]
    task: asyncio.Task[tuple[str, float]] | None = field(default=None)


class Readiness:
    """Asks the checks.

    Args:
        is_draining: says whether the server is about to end.
        checks: that are about all services.
        timeout: seconds that a check may take.
        tolerates: names of checks whose problems calls can live with, beside those that say so.
    """

    def __init__(
        self,
        is_draining: Callable[[], bool],
        checks: Iterable[Check] = (),
        *,
        timeout: float = 1.0,
        tolerates: Collection[str] = (),
    ) -> None:
        self._is_draining = is_draining
        self._timeout = timeout
        self._tolerates = frozenset(tolerates)
        self._entries: list[_Entry] = []
        self._latest = Report()
        self._states: dict[str, State] = {}
        self._until = float("-inf")
        self._flight: asyncio.Task[None] | None = None
        for check in checks:
            self.add(check)

    @property
    def latest(self) -> Report:
        """The last report, however old."""
        return self._told(self._latest)

    def readings(self) -> Readings:
        """Tell what came of the checks the last time; see `Measured`."""
        for each in self._latest.verdicts:
            labels = {"check": each.name}
            yield Reading(_FAILING, float(each.state is not State.SERVING), labels)
            yield Reading(_SECONDS, each.seconds, labels)
        yield Reading(_NOT_READY, float(self.latest.state() is State.NOT_SERVING))
        yield Reading(_DRAINING, float(self._is_draining()))

    def add(self, check: Check, services: Iterable[str] = ()) -> None:
        """Ask a check from now on.

        Args:
            check: which; one whose name is taken, as that of a policy in another's place for some
                calls, is told with a number behind it.
            services: full names of those that it is about; none for all.
        """
        taken = {each.name for each in self._entries}
        others = (f"{check.name}-{number}" for number in itertools.count(2))
        name = next(each for each in itertools.chain([check.name], others) if each not in taken)
        self._entries = [*self._entries, _Entry(check, name, tuple(services))]
        self._until = float("-inf")

    def remove(self, check: Check) -> None:
        """Ask a check no longer."""
        self._entries = [each for each in self._entries if each.check is not check]
        self._until = float("-inf")

    def compile(self) -> None:
        """Look at the names.

        Raises:
            ConfigError: none has one that is tolerated.
        """
        names = [each.name for each in self._entries]
        for name in sorted(self._tolerates.difference(names)):
            known = ", ".join(names) or "none"
            raise ConfigError(
                f"health: tolerates {name!r}: there is no such check; there are: {known}"
            )

    async def report(self) -> Report:
        """Return what came of the checks, a second ago at most."""
        loop = asyncio.get_running_loop()
        if loop.time() >= self._until:
            flight = self._flight
            # A loop that was stopped leaves its tasks as they were.
            if flight is None or flight.done() or flight.get_loop() is not loop:
                flight = self._flight = loop.create_task(self._look())
            # Others wait for the same answer, whoever goes away.
            await asyncio.shield(flight)
        return self._told(self._latest)

    def _told(self, report: Report) -> Report:
        if not self._is_draining():
            return report
        draining = Verdict("drain", State.NOT_SERVING, problem=SHUTTING_DOWN)
        return Report((draining, *report.verdicts))

    async def _look(self) -> None:
        loop = asyncio.get_running_loop()
        entries = self._entries
        for each in entries:
            # One that did not even end when it was cancelled is not asked twice.
            if each.task is None or each.task.done() or each.task.get_loop() is not loop:
                each.task = loop.create_task(_ask(each.check))
        waiting = [each.task for each in entries if each.task is not None]
        if waiting:
            _, late = await asyncio.wait(waiting, timeout=self._timeout)
            for task in late:
                task.cancel()
        self._latest = Report(tuple(self._verdict(each) for each in entries))
        self._note()
        if entries is self._entries:
            self._until = loop.time() + KEPT

    def _verdict(self, entry: _Entry) -> Verdict:
        task, name = entry.task, entry.name
        if task is None or not task.done() or task.cancelled():
            problem, seconds = f"no answer within {self._timeout:g} s", self._timeout
        else:
            problem, seconds = task.result()
        state = State.SERVING
        if problem:
            vital = getattr(entry.check, "vital", True) and name not in self._tolerates
            state = State.NOT_SERVING if vital else State.DEGRADED
        return Verdict(name, state, seconds, problem, entry.services)

    def _note(self) -> None:
        before = self._states
        self._states = {each.name: each.state for each in self._latest.verdicts}
        for each in self._latest.verdicts:
            if each.state is before.get(each.name, State.SERVING):
                continue
            if each.problem:
                _log.warning("%s, %s: %s", each.state.value, each.name, each.problem)
            else:
                _log.warning("%s again, %s", each.state.value, each.name)


async def _ask(check: Check) -> tuple[str, float]:
    """Return what is amiss, and in how many seconds that was found out."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    try:
        problem = await check.check()
    except Exception as error:  # noqa: BLE001  a check that fails is a problem, whatever it raises
        problem = f"{type(error).__name__}: {error}"
    return problem, loop.time() - began
