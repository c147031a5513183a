from __future__ import annotations

import asyncio
import sqlite3
import threading
from pathlib import Path

import pytest

from services.database import Database, Unavailable
from services.user.schema import METADATA


async def refused(url: str) -> str:
    """Return why a database cannot be opened."""
    with pytest.raises(Unavailable) as caught:
        await Database(url, METADATA).open()
    return str(caught.value)


def test_two_processes_may_create_the_tables_at_once(database_url: str) -> None:
    """Databases that are opened together find or create the same tables."""

    async def scenario() -> None:
        databases = [Database(database_url, METADATA) for _ in range(4)]
        try:
            await asyncio.gather(*(database.open() for database in databases))
        finally:
            await asyncio.gather(*(database.close() for database in databases))

    asyncio.run(scenario())


def test_waits_for_who_creates_the_file(tmp_path: Path) -> None:
    """A database that another connection writes to, not yet in WAL, is opened when it is done."""
    path = tmp_path / "users.db"
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("CREATE TABLE other (x)")
    other.execute("BEGIN IMMEDIATE")

    async def scenario() -> None:
        asyncio.get_running_loop().call_later(0.1, other.execute, "COMMIT")
        database = Database(f"sqlite:///{path}", METADATA)
        await database.open()
        await database.close()

    try:
        asyncio.run(scenario())
    finally:
        other.close()


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("sqlite:////no/such/folder/users.db", "sqlite:////no/such/folder/users.db: unable to "),
        ("postgresql://localhost:1/x", "postgresql://localhost:1/x: "),
        ("postgres://me:a/secret@localhost:1/x", "postgres://me:***@localhost:1/x: "),
        (
            "postgresql://localhost:1/x?password=secret&sslmode=disable",
            "postgresql://localhost:1/x?password=***&sslmode=disable: ",
        ),
        (
            "postgresql://localhost:1/x?sslmode=no",
            "postgresql://localhost:1/x?sslmode=no: `sslmode",
        ),
        ("postgresql://localhost:1/x?no=1", "postgresql://localhost:1/x?no=1: "),
    ],
)
def test_names_a_database_that_cannot_be_reached(url: str, told: str) -> None:
    """What cannot be opened is named in one line as it was written, without the password."""
    reason = asyncio.run(refused(url))

    assert reason.startswith(f"database {told}")
    assert len(reason) > len(f"database {told}")
    for word in ("secret", "sqlalche", "asyncpg", "\n"):
        assert word not in reason


def test_tells_what_postgres_says(cluster: Path) -> None:
    """A server that refuses the connection is quoted."""
    url = f"postgresql://postgres:secret@/nope?host={cluster}"

    assert asyncio.run(refused(url)) == (
        f'database postgresql://postgres:***@/nope?host={cluster}: database "nope" does not exist'
    )


def test_tells_a_file_that_is_no_database(tmp_path: Path) -> None:
    """A file of another kind is refused, and left as it is."""
    path = tmp_path / "letter.txt"
    path.write_text("Dear Ann" * 100)

    reason = asyncio.run(refused(f"sqlite:///{path}"))

    assert reason == f"database sqlite:///{path}: file is not a database"
    assert path.read_text() == "Dear Ann" * 100


def test_a_failed_open_leaves_no_thread() -> None:
    """Threads of connections that failed have ended when the failure is told."""

    async def scenario() -> list[threading.Thread]:
        before = set(threading.enumerate())
        left = []
        for _ in range(50):
            await refused("sqlite:////no/such/folder/users.db")
            left += [each for each in threading.enumerate() if each not in before]
        # Those of the loop's own executor end with the loop.
        return [each for each in left if not each.name.startswith("asyncio_")]

    assert asyncio.run(scenario()) == []


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("mysql://localhost/users", "mysql is not a database of this service"),
        ("users.db", "not a URL"),
    ],
)
def test_refuses_other_databases(url: str, problem: str) -> None:
    """A URL of another kind of database is refused by name."""
    with pytest.raises(ValueError, match=problem):
        Database(url, METADATA)
