"""The tool of Prometheus that checks files."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest


def promtool(*arguments: str, text: str = "") -> str:
    """Run promtool, which finds no fault; return what it says."""
    found = shutil.which("promtool")
    if found is None:
        reason = "promtool is not installed"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    done = subprocess.run(
        [found, *arguments], input=text, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr
