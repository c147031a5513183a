"""A page as somebody follows it: files are written, commands run, servers started, in its order."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from pages import ROOT, Block, Page, commands, fits

FILE = re.compile(r"(?://|#) (\S+\.\w+|Dockerfile)\n")
PORTS = re.compile(r"\b(?:8000|8080|8081|50051)\b")
SERVERS = ("uvicorn ", "transcoder serve ", "python serve.py")
PATIENCE = 30.0
"""Seconds in which a server opens its port."""


class Session:
    """What somebody does who follows a page, in a folder that is empty at first.

    A block that begins with a file's name is that file. A command that serves goes on until the
    next one does, or to the end of the session.

    Args:
        folder: where.
        shown: the page.
    """

    def __init__(self, folder: Path, shown: Page) -> None:
        self.folder = folder
        self._page = shown
        self._ports: dict[str, str] = {}
        self._server: subprocess.Popen[str] | None = None
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        # Nothing is run here that is not measured elsewhere, and measuring makes it slow.
        untraced = {k: v for k, v in os.environ.items() if not k.startswith("COVERAGE_PROCESS_")}
        told = {"PATH": path, "PYTHONPATH": str(ROOT / "src"), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        self._environment = {**untraced, **told}

    def follow(self) -> None:
        """Do all of it; assert that everything is as the page shows it."""
        try:
            for block in self._page.all_blocks:
                place = f"{self._page.name}:{block.line}"
                self._do(block, place)
        finally:
            self._stop_serving()

    def here(self, text: str) -> str:
        """Return a text of the page with ports that are free on this machine."""
        return PORTS.sub(lambda found: self._port(found[0]), text)

    def _port(self, number: str) -> str:
        if number not in self._ports:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                self._ports[number] = str(probe.getsockname()[1])
        return self._ports[number]

    def _do(self, block: Block, place: str) -> None:
        named = FILE.match(block.text)
        if named:
            path = self.folder / named[1]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(self.here(block.text), encoding="utf-8")
        elif block.language == "console":
            for command, expected in commands(block.text):
                printed = self._run(command, place).stdout
                assert fits(self.here(expected), printed), f"{place}: {command}\n{printed}"
        elif block.language == "sh":
            self._do_shell(block.text, place)
        else:
            raise AssertionError(f"{place}: nobody knows what to do with this block")

    def _do_shell(self, script: str, place: str) -> None:
        if script.startswith("pip install "):
            self._install(script, place)
        elif script.startswith(SERVERS):
            self._serve(self.here(script), place)
        else:
            done = self._run(script, place)
            assert done.returncode == 0, f"{place}: {done.stderr}"

    def _install(self, script: str, place: str) -> None:
        """Let pip say what it would do, beside a clone of this repository; the rest is there."""
        dry = "pip install --dry-run --no-build-isolation --quiet"
        command = script.replace("pip install", dry).replace("../transcoder", str(ROOT))
        done = self._run(command, place)
        # An extra that is not there is a warning.
        assert (done.returncode, done.stderr) == (0, ""), f"{place}: {done.stderr}"

    def _run(self, script: str, place: str) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                ["sh", "-ec", self.here(script)],
                cwd=self.folder,
                env=self._environment,
                capture_output=True,
                text=True,
                check=False,
                timeout=50,
            )
        except subprocess.TimeoutExpired as late:
            raise AssertionError(f"{place}: does not end: {script}") from late

    def _serve(self, command: str, place: str) -> None:
        self._stop_serving()
        with (self.folder / "server.log").open("w") as log:
            self._server = subprocess.Popen(
                shlex.split(command),
                cwd=self.folder,
                env=self._environment,
                stdout=log,
                stderr=log,
                text=True,
            )
        limit = time.monotonic() + PATIENCE
        while not _answers(self._port("8080")):
            log_text = (self.folder / "server.log").read_text()
            assert self._server.poll() is None, f"{place}: the server ended\n{log_text}"
            assert time.monotonic() < limit, f"{place}: the server does not listen\n{log_text}"
            time.sleep(0.05)

    def _stop_serving(self) -> None:
        if self._server is None:
            return
        # Without the first wait of a drain.
        self._server.send_signal(signal.SIGINT)
        try:
            self._server.wait(20)
        finally:
            self._server.kill()
            self._server = None


def _answers(port: str) -> bool:
    with socket.socket() as client, contextlib.suppress(OSError):
        client.connect(("127.0.0.1", int(port)))
        return True
    return False
