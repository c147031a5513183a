"""What a step of the story did: its commands, what they printed, and what holds."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from demo.processes import PATIENCE
from demo.world import World


@dataclass(frozen=True, slots=True)
class Words:
    """The same in both languages of the documentation."""

    en: str
    zh: str


@dataclass(frozen=True, slots=True)
class Command:
    """A command, with the real ports.

    Args:
        text: as for a shell.
        output: what it printed on both outputs.
    """

    text: str
    output: str


@dataclass(frozen=True, slots=True)
class Check:
    """Something that should hold, and whether it does."""

    what: Words
    holds: bool


@dataclass(frozen=True, slots=True)
class Step:
    """A step of the story.

    Args:
        number: of the step.
        title: of the step.
        quotes: the words whose meaning it shows, in Chinese.
        shows: the same in a line of English.
        needs: the processes that it needs.
        run: shows it.
    """

    number: int
    title: Words
    quotes: tuple[str, ...]
    shows: str
    needs: tuple[str, ...]
    run: Callable[[Transcript], None]


@dataclass(slots=True)
class Transcript:
    """What is told of a step, as it happens.

    Args:
        world: in which commands run.
        tell: is called with each command and check, when it is over.
        entries: what was told.
    """

    world: World
    tell: Callable[[Command | Check], object] = lambda _: None
    entries: list[Command | Check] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether all that should hold does."""
        return all(each.holds for each in self.entries if isinstance(each, Check))

    def command(self, text: str) -> str:
        """Run a command, given with ports as they are written; return what it printed."""
        done = self.world.run(text)
        output = done.stdout + done.stderr
        self._add(Command(self.world.ports.real(text), output))
        return output

    def told(self, text: str, output: str) -> None:
        """Take note of a command that ran otherwise, and what came of it."""
        self._add(Command(self.world.ports.real(text), output))

    def check(self, en: str, zh: str, holds: bool) -> None:  # noqa: FBT001  what it asks
        """Take note of something that should hold."""
        self._add(Check(Words(en, zh), holds))

    def _add(self, entry: Command | Check) -> None:
        self.entries.append(entry)
        self.tell(entry)


def until(holds: Callable[[], object], patience: float = PATIENCE) -> None:
    """Wait until something holds, or patience is over: what comes next tells which."""
    end = time.monotonic() + patience
    while not holds() and time.monotonic() < end:
        time.sleep(0.02)
