"""A process of the story, and what the system knows of it."""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

PATIENCE = 60
"""Seconds that a process may take until it serves."""

_READY = "REST on "
_TICKS = os.sysconf("SC_CLK_TCK")


class ProcessError(Exception):
    """A process did not come to serve; the text is what it said."""


class Process:
    """A server that is started, and may not serve yet.

    Args:
        name: of its files: `NAME.out` is what it says, `NAME.pid` its id.
        command: as for a shell.
        folder: that it runs in.
        environment: of it.
    """

    def __init__(
        self, name: str, command: str, folder: Path, environment: Mapping[str, str]
    ) -> None:
        self.name = name
        self._said = folder / f"{name}.out"
        with self._said.open("wb") as out:
            self._process = subprocess.Popen(
                shlex.split(command),
                cwd=folder,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )
        (folder / f"{name}.pid").write_text(f"{self._process.pid}\n")

    @property
    def runs(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    @property
    def said(self) -> str:
        """What it wrote to its output."""
        return self._said.read_text(errors="replace")

    @property
    def cpu(self) -> float:
        """Seconds of processor time that it took."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def end(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait()


def await_ready(processes: Iterable[Process], patience: float = PATIENCE) -> None:
    """Wait until all of some processes serve.

    Raises:
        ProcessError: one of them ended, or takes too long.
    """
    until = time.monotonic() + patience
    for process in processes:
        while _READY not in process.said:
            if not process.runs or time.monotonic() > until:
                raise ProcessError(f"{process.name} does not serve: {process.said}")
            time.sleep(0.02)
