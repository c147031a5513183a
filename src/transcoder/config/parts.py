"""The parts that a gateway of a file is made of, and which of them the next one takes over.

A part that is described as before is the same object again, so that limits count on, connections
stay open, and breakers stay as they are. Parts are opened with the first gateway that has them and
closed with the last one.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias, TypeVar, runtime_checkable

from transcoder.config.file import Keys, path_of
from transcoder.config.folder import Folder
from transcoder.config.models.model import Model
from transcoder.errors import ConfigError
from transcoder.events import Auditor, Observer
from transcoder.policies.policy import Check, Checking, Policy, Resource
from transcoder.stamps import Stamp, stamp

T = TypeVar("T")

PATIENCE: Final = 5.0
"""Seconds in which a policy that is new gets ready, as by keys that an issuer publishes."""

_LOOK: Final = 0.05
_log = logging.getLogger(__name__)


class WrongPart(ConfigError):
    """A part of a file that cannot be made.

    Args:
        keys: the way to it.
        problem: why.
    """

    def __init__(self, keys: Keys, problem: object) -> None:
        path, told = path_of(keys), _without_name(keys, str(problem))
        super().__init__(f"{path}: {told}" if path else told)
        self.keys: Keys = keys
        """The way to it, and to the option that the problem begins with."""
        for option in told.split(": ")[:-1]:
            found = _OPTION.fullmatch(option)
            if found is None:
                break
            self.keys += (found[1],) if found[2] is None else (found[1], int(found[2]))


_OPTION: Final = re.compile(r"([A-Za-z_]\w*)(?:\[([0-9]+)\])?")
"""An option, or one of several in it, as `path_of` has them."""


def _without_name(keys: Keys, problem: str) -> str:
    """Return a problem without the name of its part, with which policies and observers begin."""
    words = str(keys[-1] if keys else "").split("_")
    for name in ("_".join(words), "-".join(words), " ".join(words)):
        problem = problem.removeprefix(f"{name}: ")
    return problem


@contextlib.contextmanager
def placed(*keys: str | int) -> Iterator[None]:
    """Say which part of the file it is that does not go.

    Raises:
        WrongPart: within, something raised that it is wrong, or that an extra is missing.
    """
    try:
        yield
    except WrongPart:
        raise
    except (ConfigError, ImportError) as error:
        # Not every installation has the extra that it needs.
        problem = str(error).removeprefix(f"{keys[0]}: ").removeprefix(": ")
        raise WrongPart(keys, problem) from error


@runtime_checkable
class Closable(Protocol):
    """What holds something open."""

    async def close(self) -> None:
        """Let go of it."""
        ...


@dataclass(slots=True, eq=False)
class Part:
    """A part.

    Args:
        keys: the way to what describes it.
        made: itself.
        files: that it was read of, as they were.
        owns: whether it is opened and closed; else it only consists of others.
        users: how many gateways that serve have it.
        stale: whether it could not be made anew the last time, which is told once.
    """

    keys: Keys
    made: Any
    files: Mapping[Any, Stamp]
    owns: bool
    users: int = 0
    stale: bool = False

    def is_fresh(self) -> bool:
        """Say whether its files are as they were."""
        return all(stamp(path) == seen for path, seen in self.files.items())

    async def release(self) -> None:
        """Close it, unless another gateway has it."""
        self.users -= 1
        if not self.users and self.owns and isinstance(self.made, Closable):
            await self.made.close()


_Key: TypeAlias = "tuple[str, ...]"
_Known: TypeAlias = "Mapping[_Key, Part]"


class Parts:
    """The parts of one gateway.

    Args:
        folder: of the file.
        known: the parts of the gateway before, by what describes them; None for the first gateway.
    """

    def __init__(self, folder: Folder, known: _Known | None = None) -> None:
        self.known: dict[_Key, Part] = {}
        """By what describes them."""
        self.problem: WrongPart | None = None
        """Why they cannot be opened."""
        self._folder = folder
        self._waits = known is not None
        self._before: _Known = known or {}
        self._used = contextlib.AsyncExitStack()

    def made(
        self,
        keys: Keys,
        make: Callable[[Any, Folder], T],
        given: object,
        *also: object,
        owns: bool = True,
        same: Callable[[T, T], bool] | None = None,
    ) -> T:
        """Return a part.

        Args:
            keys: the way to what describes it.
            make: makes it of that, and finds its files.
            given: what describes it.
            also: what else it depends on.
            owns: whether it is opened and closed; else it only consists of others.
            same: of a part that is asked for elsewhere and so made each time: whether it is as
                before. What cannot be asked for then stays as it was.

        Raises:
            WrongPart: it cannot be made.
        """
        place = path_of(tuple(each for each in keys if not isinstance(each, int)))
        key = (place, *map(_text, (given, *also)))
        before = self._before.get(key)
        found = before if before is not None and same is None and before.is_fresh() else None
        if found is None:
            found = self._new(keys, make, given, before, owns=owns)
            if before is not None and same is not None and same(before.made, found.made):
                found = before
        self._folder.files.update(found.files)
        self.known[key] = found
        made: T = found.made
        return made

    def done(self) -> None:
        """Forget the gateway before; all parts are made."""
        self._before = {}

    async def start(self) -> None:
        """Open those that are new.

        Raises:
            WrongPart: a policy does not get ready; none of the new ones is open then.
        """
        parts = sorted(set(self.known.values()), key=_rank)
        new = [each for each in parts if not each.users]
        try:
            for part in parts:
                part.users += 1
                self._used.push_async_callback(part.release)
                if part in new and part.owns and isinstance(part.made, Resource):
                    await part.made.start()
            if self._waits:
                await _ready(new)
        except BaseException as error:
            self.problem = error if isinstance(error, WrongPart) else None
            await self.close()
            raise

    async def close(self) -> None:
        """Close those that no other gateway has."""
        await self._used.aclose()

    def _new(
        self,
        keys: Keys,
        make: Callable[[Any, Folder], Any],
        given: object,
        before: Part | None,
        *,
        owns: bool,
    ) -> Part:
        at = self._folder.apart()
        try:
            made = Part(keys, make(given, at), at.files, owns)
        except (ConfigError, ImportError) as error:
            # Not every installation has the extra that it needs.
            if before is not None and before.is_fresh():
                if not before.stale:
                    _log.warning("%s: %s; it stays as it was", path_of(keys), error)
                before.stale = True
                return before
            raise WrongPart(keys, error) from error
        else:
            if before is not None and before.stale:
                _log.warning("%s: it is there again", path_of(keys))
                before.stale = False
            return made
        finally:
            self._folder.files.update(at.files)


def _text(given: object) -> str:
    return given.model_dump_json() if isinstance(given, Model) else repr(given)


def _rank(part: Part) -> int:
    """Return when a part is opened: observers first, for they are told of all until the end."""
    return 0 if isinstance(part.made, Observer | Auditor) else 1


async def _ready(parts: list[Part]) -> None:
    """Wait until new policies can decide."""
    checks = [(part, check) for part in parts for check in _checks(part.made)]
    until = time.monotonic() + PATIENCE
    while checks:
        told = [(part, check, await check.check()) for part, check in checks]
        checks = [(part, check) for part, check, problem in told if problem]
        if checks and time.monotonic() >= until:
            part, _, problem = next(each for each in told if each[2])
            raise WrongPart(part.keys, problem)
        await asyncio.sleep(_LOOK if checks else 0)


def _checks(made: object) -> Iterator[Check]:
    if isinstance(made, Policy):
        found: list[Check] = [made] if isinstance(made, Check) else []
        if isinstance(made, Checking):
            found += made.checks
        yield from (each for each in found if getattr(each, "vital", True))
