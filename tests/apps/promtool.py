"""The tool of Prometheus that checks files."""

from __future__ import annotations

import subprocess

from programs import program


def promtool(*arguments: str, text: str = "") -> str:
    """Run promtool, which finds no fault; return what it says."""
    command = [program("promtool"), *arguments]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr
