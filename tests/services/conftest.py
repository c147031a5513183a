from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest


def _postgres_command(name: str) -> str | None:
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return shutil.which(name, path=os.pathsep.join([*map(str, folders), os.environ["PATH"]]))


@pytest.fixture(scope="session")
def cluster() -> Iterator[Path]:
    """The folder of a private PostgreSQL server, which is also the folder of its socket."""
    initdb, pg_ctl = _postgres_command("initdb"), _postgres_command("pg_ctl")
    if initdb is None or pg_ctl is None:
        if os.environ.get("CI") == "true":
            pytest.fail("PostgreSQL is not installed, and CI tests both databases")
        pytest.skip("PostgreSQL's initdb and pg_ctl are not installed")
    folder = Path(tempfile.mkdtemp(prefix="postgres"))
    data = folder / "data"
    # PostgreSQL refuses to run as root.
    as_postgres = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    if as_postgres:
        shutil.chown(folder, "postgres")
    options = f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off"

    def run(*command: str) -> None:
        output = folder / "output"
        with output.open("wb") as file:
            done = subprocess.run([*as_postgres, *command], cwd="/", stdout=file, stderr=file)  # noqa: PLW1510  the output says more
        assert done.returncode == 0, output.read_text()

    try:
        run(initdb, "-D", f"{data}", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-sync")
        run(pg_ctl, "-D", f"{data}", "-l", f"{data}/log", "-o", options, "-w", "start")
        try:
            yield folder
        finally:
            run(pg_ctl, "-D", f"{data}", "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder)


_numbers = itertools.count()


@pytest.fixture
def postgres_url(cluster: Path) -> str:
    """The URL of an empty PostgreSQL database."""
    name = f"users_{next(_numbers)}"

    async def create() -> None:
        connection = await asyncpg.connect(host=str(cluster), user="postgres")
        await connection.execute(f"CREATE DATABASE {name}")
        await connection.close()

    asyncio.run(create())
    return f"postgresql://postgres@/{name}?host={cluster}"


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The URL of a SQLite database that does not exist yet."""
    return f"sqlite:///{tmp_path / 'users.db'}"


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty database of each kind."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url
