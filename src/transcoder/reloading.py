"""A file that describes a gateway, read again whenever it changes.

The file, and what it names, is looked at once a second; what has changed is read when it has not
changed again for a second, and on SIGHUP at once. Another gateway is built of it in a thread, with
the parts of the one before that are described as they were, and serves when it is whole, see
`generations`. A file that is wrong changes nothing, and is told in a line.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from transcoder.errors import ConfigError
from transcoder.gateway import Gateway
from transcoder.generations import Generations
from transcoder.measured import Metric, Reading, Readings
from transcoder.schema_diff import Difference, differences
from transcoder.stamps import Stamp, stamp

if TYPE_CHECKING:
    # What it needs is an extra.
    from transcoder.config import Built, Config
    from transcoder.descriptors import Descriptors

PERIOD: Final = 1.0
"""Seconds between two looks at the files."""

FIXED: Final = ("listen", "listeners", "tls", "server")
"""What is taken at the start, and not again."""

Report: TypeAlias = "Callable[[int, str], object]"
"""Is told what came of a reload: the level of the log, and a line."""

_GENERATION: Final = Metric(
    "transcoder_config_generation", "How many configurations were served, with this one."
)
_LEAVING: Final = Metric(
    "transcoder_config_leaving", "Earlier configurations under which calls still run."
)
_RELOADS: Final = Metric(
    "transcoder_config_reloads", "Times that the configuration was read anew.", rises=True
)
_FAILING: Final = Metric(
    "transcoder_config_failing", "1 while the file is wrong, and what it said before is served."
)
_AT: Final = Metric(
    "transcoder_config_reload_timestamp_seconds", "When it was read anew the last time."
)
_SECONDS: Final = Metric(
    "transcoder_config_reload_duration_seconds", "How long that took, for the most part aside."
)

_STAYS: Final = "the configuration stays that of before"

_log = logging.getLogger(__name__)


class GatewayFile:
    """A file that describes a gateway, for a `Server`.

    Args:
        path: of the file.
        report: is told what came of each reload, a line at a time; the log by default.
    """

    def __init__(self, path: str, report: Report = _log.log) -> None:
        self.path: Final = path
        self._report = report
        self._built: Built | None = None
        self._first: Config | None = None
        self._files: dict[Path, Stamp] = {}
        self._pending: dict[Path, Stamp] = {}
        self._generations: Generations | None = None
        self._counts = {"applied": 0, "refused": 0}
        self._failing = False
        self._asked = time.monotonic()
        self._at = self._seconds = 0.0

    def load(self) -> Gateway:
        """Return the gateway that it describes.

        Raises:
            ConfigError: it is wrong, or what it needs is not installed.
        """
        self._built = built = self._open(None)
        self._first = built.config
        return built.gateway

    async def keep_fresh(self, generations: Generations, asked: asyncio.Event) -> None:
        """Look at the files every PERIOD, and read them whenever it is asked for, without end.

        Args:
            generations: where what they describe is served.
            asked: that they are read, changed or not.
        """
        self._generations = generations
        generations.measure(self)
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asked.wait(), PERIOD)
            is_asked = asked.is_set()
            asked.clear()
            if is_asked or self._is_changed() or await self._is_described_anew():
                await self._reload(generations)

    def readings(self) -> Readings:
        """Tell what came of reloads; see `Measured`."""
        if self._generations is not None:
            yield Reading(_GENERATION, self._generations.number)
            yield Reading(_LEAVING, self._generations.leaving)
        for outcome, count in self._counts.items():
            yield Reading(_RELOADS, count, {"outcome": outcome})
        yield Reading(_FAILING, float(self._failing))
        if self._at:
            yield Reading(_AT, self._at)
            yield Reading(_SECONDS, self._seconds)

    def _is_changed(self) -> bool:
        """Look at the files: say whether they have changed, and are no longer changing."""
        seen = {path: stamp(path) for path in self._files}
        is_settled, self._pending = seen == self._pending, seen
        return is_settled and seen != self._files

    async def _is_described_anew(self) -> bool:
        """Ask the servers that are to be asked now and then; say whether they tell otherwise."""
        built = self._built
        every = built.config.refresh if built is not None else None
        if built is None or every is None or time.monotonic() < self._asked + every:
            return False
        self._asked = time.monotonic()
        try:
            now = await asyncio.to_thread(self._described, built)
        except ConfigError as error:
            # A file that is changing; it is read when it no longer does.
            _log.debug("%s", error)
            return False
        return any(one is not other for one, other in zip(built.descriptors, now, strict=False))

    def _described(self, built: Built) -> tuple[Descriptors, ...]:
        from transcoder.config.build import describe  # noqa: PLC0415  as in `_open`

        return describe(built, Path(self.path).parent)

    async def _reload(self, generations: Generations) -> None:
        begun = time.monotonic()
        built: Built | None = None
        try:
            before = self._built
            built = await asyncio.to_thread(self._open, before)
            changes = await asyncio.to_thread(_changes, before, built)
            await generations.follow(built.gateway)
        except Exception as error:  # noqa: BLE001  whatever it is, the one before serves
            _log.debug("%s cannot be served", self.path, exc_info=error)
            self._note("refused", begun)
            self._report(logging.ERROR, f"{self._why(error, built)}; {_STAYS}")
        else:
            self._note("applied", begun)
            self._built = built
            self._tell(built, changes)

    def _why(self, error: Exception, built: Built | None) -> str:
        """Return why a configuration is not served, and where in the file."""
        problem = None if built is None else built.parts.problem
        if built is not None and problem is not None:
            return str(built.place(problem.keys, str(problem)))
        if isinstance(error, ConfigError):
            return str(error)
        return f"{self.path}: {type(error).__name__}: {' '.join(str(error).split())}"

    def _note(self, outcome: str, begun: float) -> None:
        self._counts[outcome] += 1
        self._failing = outcome == "refused"
        self._at, self._seconds = time.time(), time.monotonic() - begun

    def _tell(self, built: Built, changes: Iterable[Difference]) -> None:
        self._report(logging.INFO, f"{self.path}: read anew")
        for each in changes:
            level = logging.WARNING if each.breaks else logging.INFO
            self._report(level, f"{self.path}: {each}")
        first: Any = self._first
        fixed = [name for name in FIXED if getattr(built.config, name) != getattr(first, name)]
        if fixed:
            takes = "takes a restart" if len(fixed) == 1 else "take a restart"
            self._report(
                logging.WARNING,
                f"{self.path}: {', '.join(fixed)}: to change it {takes}; the rest is applied",
            )

    def _open(self, before: Built | None) -> Built:
        # Not every installation has what it needs.
        try:
            from transcoder.config.build import open_file  # noqa: PLC0415
            from transcoder.config.folder import Folder  # noqa: PLC0415
        except ImportError as error:
            raise ConfigError(f"{self.path}: {error}") from error
        path = Path(self.path)
        folder = Folder(path.parent)
        folder(path.name)
        try:
            return open_file(path, folder, before)
        finally:
            self._pending = self._files = folder.files


def _changes(before: Built | None, after: Built) -> list[Difference]:
    """Return what changed in the descriptors; most often nothing, and they are the same objects."""
    if before is None or before.descriptors == after.descriptors:
        return []
    return list(differences(before.services, after.services))
