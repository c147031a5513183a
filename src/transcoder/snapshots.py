"""What several processes tell the one that started them, each second: metrics, readiness, failures.

A worker's place is a number that its successor takes over, so that there are as many series as
there are workers. What only rises counts on when a worker is gone: its last word stays.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from transcoder.admin import about, recent, registries
from transcoder.generations import Generations
from transcoder.listeners import Address
from transcoder.observers.failures import Failure, Recent
from transcoder.readiness import State, worst

if TYPE_CHECKING:
    # What it needs is an extra.
    from transcoder.console.look import Look, Question

EVERY: Final = 1.0
"""Seconds between two snapshots."""

STALE: Final = 5.0
"""Seconds without one after which a worker counts as not ready: its event loop hangs."""

LONGEST: Final = 64 << 20
"""Bytes of a snapshot; what is longer is not told."""

Explain: TypeAlias = "Callable[[Mapping[str, str]], Mapping[str, Any]]"
Ask: TypeAlias = "Callable[[Mapping[str, str]], Awaitable[Mapping[str, Any]]]"

_STARTS: Final = "the worker starts"


class Line:
    """What joins a worker to the process that started it.

    Args:
        tell: sends a line to that process; called in a thread, for it may have to wait.
    """

    def __init__(self, tell: Callable[[bytes], object]) -> None:
        self.tell: Final = tell
        self.explain: Explain | None = None
        """What answers its questions, in a thread; None until there is something to explain."""


class Telling:
    """Tells of this process, from the opening of its listeners to their end.

    Args:
        generations: of the gateway that it serves. One without metrics of its own gets some.
        line: to the other process.
        limits: of what serves it, in words.

    Raises:
        ConfigError: what counts is not installed.
    """

    address: Address | None = None

    def __init__(self, generations: Generations, line: Line, limits: Mapping[str, str]) -> None:
        self._generations = generations
        self._limits = limits
        self._registries = registries(generations)
        self._recent = recent(generations)
        self._line = line
        self._told = 0
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Tell the first time, and begin to tell."""
        self._line.explain = self._explain
        await self._once()
        self._task = asyncio.create_task(self._on_and_on())

    def watch(self) -> asyncio.Task[None]:
        """Return a task that is done when nothing is told any more."""
        return asyncio.create_task(self._ended(), name="snapshots")

    async def close(self) -> None:
        """Tell the last time."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self._once()

    async def _ended(self) -> None:
        if self._task is not None:
            await asyncio.wait({self._task})

    async def _on_and_on(self) -> None:
        while True:
            await asyncio.sleep(EVERY)
            await self._once()

    async def _once(self) -> None:
        report = await self._generations.current.readiness.report()
        await asyncio.to_thread(self._send, report.as_json(problems=True))

    def _send(self, ready: Mapping[str, Any]) -> None:
        from transcoder.observers.scrape import taken, to_plain  # noqa: PLC0415  an extra

        failures = self._recent.since(self._told)
        told = {
            "metrics": to_plain(taken(self._registries)),
            "ready": ready,
            "about": asdict(about(self._generations, self._limits)),
            "failures": failures,
        }
        line = json.dumps({"snapshot": told}, separators=(",", ":")).encode() + b"\n"
        if len(line) <= LONGEST:
            self._line.tell(line)
            self._told = failures[-1].number if failures else self._told

    def _explain(self, question: Mapping[str, str]) -> Mapping[str, Any]:
        from transcoder.console.explained import plain  # noqa: PLC0415  an extra

        return plain(self._generations.current.transcoder, question)


@dataclass(slots=True)
class _Place:
    """What is known of a worker, and of those that had its place before.

    Args:
        gone: what those counted, as families of metrics.
        last: what it told of its metrics.
        ready: what it told of its readiness.
        at: when.
        pid: its process id.
        about: what it says of itself.
        recent: its last failures, and theirs.
    """

    gone: list[Any] = field(default_factory=list)
    last: list[Any] = field(default_factory=list)
    ready: Mapping[str, Any] | None = None
    at: float = 0.0
    pid: int = 0
    about: Mapping[str, Any] = field(default_factory=dict)
    recent: Recent = field(default_factory=Recent)


class Snapshots:
    """What an admin port tells of several processes; see `transcoder.admin.Source`.

    Args:
        count: how many.
        ask: has one of them explain a request.
        now: the clock.

    Raises:
        ImportError: what counts is not installed.
    """

    def __init__(self, count: int, ask: Ask, now: Callable[[], float] = time.monotonic) -> None:
        from transcoder.observers import scrape  # noqa: PLC0415  an extra

        self._scrape = scrape
        self._ask = ask
        self._now = now
        self._places = {str(number): _Place() for number in range(count)}

    def took(self, place: int, pid: int, told: Mapping[str, Any]) -> None:
        """Take note of what a worker told."""
        held = self._places[str(place)]
        held.last = self._scrape.from_plain(told["metrics"])
        held.ready, held.at, held.pid = told["ready"], self._now(), pid
        held.about = told["about"]
        for each in told["failures"]:
            held.recent.add(Failure(*each))

    def ended(self, place: int) -> None:
        """Take note that a worker is gone."""
        held = self._places[str(place)]
        rising = [each for each in held.last if each.rises]
        held.gone, held.last = self._scrape.summed([held.gone, rising]), []
        held.ready = None

    def metrics(self, accept: str, *, apart: bool) -> tuple[bytes, str]:
        """Return the sum of what all count, or what each does; see `Source`."""
        scrape, counted = self._scrape, self._counted()
        found = scrape.told_apart(counted) if apart else scrape.summed(counted.values())
        told: tuple[bytes, str] = scrape.exposition(found, accept)
        return told

    def _counted(self) -> dict[str, list[Any]]:
        return {
            name: self._scrape.summed([held.last, held.gone]) for name, held in self._places.items()
        }

    def look(self, worker: str = "") -> Look:
        """Return what is known of one, or of all together; see `Source`."""
        from transcoder.console.look import About, Look  # noqa: PLC0415  an extra

        places = [self._places[worker]] if worker else list(self._places.values())
        counted = self._scrape.summed(
            families for held in places for families in (held.last, held.gone)
        )
        failures = [each for held in places for each in held.recent.since()]
        told = next((held.about for held in places if held.about), {})
        return Look(
            about=About(services=tuple(told["services"]), limits=told["limits"])
            if told
            else About(),
            families=counted,
            failures=sorted(failures, key=lambda each: each.at),
        )

    async def explain(self, question: Question) -> Mapping[str, Any]:
        """Return what one of them does with a request; see `Source`."""
        return await self._ask(asdict(question))

    async def ready(self) -> Mapping[str, Any]:
        """Return the worst state, and what each worker tells; see `Source`."""
        told = [self._state(name, held) for name, held in self._places.items()]
        return {"status": worst(State(each["status"]) for each in told).value, "workers": told}

    def _state(self, name: str, held: _Place) -> dict[str, Any]:
        problem = ""
        age = self._now() - held.at
        if held.ready is None:
            problem = _STARTS
        elif age > STALE:
            problem = f"nothing was heard of it for {age:.0f} s"
        if problem:
            return {"worker": name, "status": State.NOT_SERVING.value, "problem": problem}
        return {"worker": name, "pid": held.pid, **(held.ready or {})}
