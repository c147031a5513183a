"""The wheel, the sdist, and the README's hello in an environment that has only the wheel."""

from __future__ import annotations

import json
import os
import re
import shlex
import socket
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path

import pytest

from environments import CONSTRAINTS
from pages import ROOT, readme

FILE_NAME = re.compile(r"(?://|#) (\S+\.(?:proto|py))\n")

pytestmark = pytest.mark.timeout(300)


def line_with(words: str) -> str:
    """The README's first shell block that runs `words`."""
    return next(
        text for text in readme().blocks("sh") + readme().blocks("console") if words in text
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with the files that the README shows, each at the path its first line names."""
    for text in readme().blocks("proto") + readme().blocks("python"):
        if named := FILE_NAME.match(text):
            path = tmp_path / named[1]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return tmp_path


@contextmanager
def serving(command: str, port: int, folder: Path, path: str) -> Iterator[None]:
    """Run a server until the block ends, and wait until its port answers."""
    arguments = [*shlex.split(command), "--port", str(port), "--host", "127.0.0.1"]
    process = subprocess.Popen(arguments, cwd=folder, env={**os.environ, "PATH": path})
    try:
        deadline = time.monotonic() + 30
        while not _listens(port):
            assert process.poll() is None, "the server ended before it listened"
            assert time.monotonic() < deadline, "the server does not listen"
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(10)


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_the_wheel_holds_the_library_only(wheel: Path) -> None:
    """Nothing of services, tests or scripts is in the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        folders = {name.split("/")[0] for name in archive.namelist()}

    assert folders == {"transcoder", f"transcoder-{wheel.name.split('-')[1]}.dist-info"}


def test_the_wheel_says_that_it_is_typed(wheel: Path) -> None:
    """Type checkers read the library's annotations."""
    with zipfile.ZipFile(wheel) as archive:
        assert "transcoder/py.typed" in archive.namelist()


def test_the_wheel_holds_every_module(wheel: Path) -> None:
    """No module of the source tree is left out."""
    modules = {f"transcoder/{path}" for path in _modules(ROOT / "src" / "transcoder")}
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if name.endswith(".py")}

    assert packed == modules


def test_the_sdist_holds_the_library_only(dist: Path) -> None:
    """The sdist is the library, its metadata, and what describes it."""
    [path] = dist.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {"/".join(name.split("/")[1:]) for name in archive.getnames()}

    outside = {name for name in names if not name.startswith("src/transcoder/")}
    assert outside == {".gitignore", "CHANGELOG.md", "PKG-INFO", "README.md", "pyproject.toml"}


def test_the_readme_builds_and_installs_the_wheel(wheel: Path) -> None:
    """The README's first commands are what makes this wheel, and what names it."""
    build, install = line_with("pip install").splitlines()
    recipe = subprocess.run(
        [*shlex.split(build), "--no-print-directory", "-n"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    pattern = install.removeprefix("pip install ")

    assert recipe.strip().endswith("-m build --no-isolation")
    assert fnmatch(f"dist/{wheel.name}", pattern)


def test_an_extra_is_added_to_what_is_installed(clean: Path) -> None:
    """Who installs an extra, as errors tell to, keeps this transcoder and gets none of an index."""
    pip = [sys.executable, "-m", "pip", "--python", str(clean / "python"), "install"]
    done = subprocess.run(
        [*pip, "--dry-run", "-q", "--report", "-", "-c", str(CONSTRAINTS), "transcoder[forms]"],
        check=True,
        capture_output=True,
    )
    found = [each["metadata"]["name"] for each in json.loads(done.stdout)["install"]]

    assert found == ["python-multipart"]


OURS = [
    path
    for path in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "src").rglob("*.*"))
    if path.suffix != ".pyc"
]


def test_nobody_is_sent_to_an_index() -> None:
    """No text tells to install transcoder by its name, which another project has in indexes."""
    found = re.compile(r"pip install (?:[^\n`]* )?['\"]?transcoder(?![-/\w])")
    texts = {path: path.read_text(encoding="utf-8") for path in OURS}

    assert len(texts) > 100
    assert [path for path, text in texts.items() if found.search(text)] == []


def test_the_readme_hello_answers_in_a_clean_environment(clean: Path, project: Path) -> None:
    """Who follows the README with nothing but the wheel gets the answer that the README shows."""
    path = f"{clean}:{os.environ['PATH']}"
    protoc = line_with("grpc_tools.protoc")
    environment = {**os.environ, "PATH": path}
    subprocess.run(["sh", "-ec", protoc], cwd=project, env=environment, check=True)
    port = _free_port()
    command, answer = line_with("curl localhost:8000").removeprefix("$ ").split("\n")[:2]
    with serving(line_with("uvicorn hello:app"), port, project, path):
        curl = shlex.split(command.replace("localhost:8000", f"127.0.0.1:{port}"))
        answered = subprocess.run([*curl, "-sS"], check=True, capture_output=True, text=True)

    assert answered.stdout == answer


def _modules(package: Path) -> Iterator[str]:
    return (path.relative_to(package).as_posix() for path in package.rglob("*.py"))
