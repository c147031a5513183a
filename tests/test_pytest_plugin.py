"""The fixtures that an installed transcoder gives to every test."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from transcoder.pytest_plugin import MakeClient

TEST = """
def test_health(transcoder_client):
    assert transcoder_client("hello:app").get("/healthz").status_code == 200
"""


def test_client(transcoder_client: MakeClient) -> None:
    """The factory's clients are entered."""
    made = transcoder_client("operations:create")

    assert made.get("/healthz").json() == {"status": "SERVING"}


def test_in_another_project(tmp_path: Path) -> None:
    """Pytest finds the fixture in any project, by the package's entry point."""
    (tmp_path / "hello.py").write_text("from transcoder import Gateway\napp = Gateway()\n")
    (tmp_path / "test_hello.py").write_text(TEST)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=tmp_path)

    assert "1 passed" in done.stdout, done.stdout


def test_the_plugin_is_light() -> None:
    """To start pytest imports neither gRPC nor starlette."""
    program = (
        "import sys, transcoder.pytest_plugin;"
        "print({'grpc', 'starlette', 'google'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, check=True, capture_output=True, text=True)

    assert done.stdout == "set()\n"
