"""The database behind a store: SQLite by default, PostgreSQL by URL."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool
from sqlalchemy.schema import CreateIndex, CreateTable

from services.sqlite import Connector
from transcoder import Code, ConfigError, StatusError

T = TypeVar("T")

_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "sqlite+aiosqlite": "sqlite+aiosqlite",
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
    "postgresql+asyncpg": "postgresql+asyncpg",
}
# Held by one transaction at a time while it writes a log, or the tables at the start.
_LOCK = sa.text("SELECT pg_advisory_xact_lock(8314205)")
# What PostgreSQL calls connection exceptions, insufficient resources and operator intervention.
_OUTAGES = ("08", "53", "57")
_FREE_WITHIN = 5
"""Seconds that a call waits for one of the connections."""
_PASSWORD = re.compile(r"(?<=://)([^:/]*):[^@]*@|((?:ssl)?password=)[^&]*")


_log = logging.getLogger(__name__)


class Unavailable(StatusError):
    """The database cannot be reached, or is too busy to answer.

    Its text says which, and why; a client whom it reaches is told UNAVAILABLE, and neither.
    """

    def __init__(self, why: str) -> None:
        super().__init__(Code.UNAVAILABLE, "the database cannot be reached: try again")
        self.log = why

    def __str__(self) -> str:
        return self.log


class Database:
    """Connections to one database. What it has begun it ends, though the caller be cancelled.

    Args:
        url: `sqlite:///path`, `sqlite://` (in memory) or `postgresql://user@host/name`.
        tables: those that it has.
        connections: how many at most; in memory it is one.

    Raises:
        ValueError: the URL names another kind of database, or is none.
    """

    def __init__(self, url: str, tables: sa.MetaData, *, connections: int = 10) -> None:
        parsed = _url(url)
        self._tables = tables
        self._name = _PASSWORD.sub(_masked, url)
        self._embedded = parsed.get_backend_name() == "sqlite"
        # Each connection to a database in memory would have one of its own.
        in_memory = self._embedded and parsed.database in {None, "", ":memory:"}
        self._connector = Connector()
        self._engine = create_async_engine(
            parsed,
            connect_args={"factory": self._connector} if self._embedded else {},
            poolclass=AsyncAdaptedQueuePool,
            pool_size=1 if in_memory else connections,
            max_overflow=0,
            pool_timeout=_FREE_WITHIN,
            pool_pre_ping=not self._embedded,
            isolation_level="AUTOCOMMIT",
            skip_autocommit_rollback=True,
        )
        level = "SERIALIZABLE" if self._embedded else "READ COMMITTED"
        self._transactional = self._engine.execution_options(isolation_level=level)
        self._writer = asyncio.Lock()
        self._running: set[asyncio.Task[Any]] = set()

    @contextlib.asynccontextmanager
    async def lifespan(self, _: object) -> AsyncIterator[None]:
        """Be open while an application runs.

        Raises:
            ConfigError: the database cannot be opened.
        """
        try:
            await self.open()
        except Unavailable as error:
            _log.debug("the database cannot be opened", exc_info=error)
            # The one kind that the server tells as it stands.
            raise ConfigError(str(error)) from None
        try:
            yield
        finally:
            await self.close()

    async def open(self) -> None:
        """Connect, and create the tables that are missing.

        Raises:
            Unavailable: the database cannot be reached, or does not know an option of its URL.
        """
        try:
            await self.write(self._create_tables)
        except BaseException as error:
            await self.close()
            if isinstance(error, TypeError | ValueError):
                raise self._unavailable(error) from error
            raise

    async def close(self) -> None:
        """Close all connections, once what runs has ended."""
        await asyncio.gather(*self._running, return_exceptions=True)
        await self._engine.dispose()
        await self._connector.close()

    async def read(self, statement: sa.Executable) -> sa.CursorResult[Any]:
        """Return the result of one statement, all of it."""
        return await self._uninterrupted(self._execute(statement))

    async def write(self, change: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """Return what `change` returns; it makes one transaction, undone if it raises."""
        # SQLite has one writer, and those who wait for it poll: a queue is fair, and faster.
        async with self._writer if self._embedded else contextlib.nullcontext():
            return await self._uninterrupted(self._transact(change))

    async def serialize(self, connection: AsyncConnection) -> None:
        """Let no other transaction write a log until this one ends.

        Numbers of rows are then seen in the order in which they were given; without it a reader
        could meet row 5 while 4 is not yet committed, and never come back for it.
        """
        if not self._embedded:
            await connection.execute(_LOCK)

    async def _execute(self, statement: sa.Executable) -> sa.CursorResult[Any]:
        with self._availability():
            async with self._engine.connect() as connection:
                return await connection.execute(statement)

    async def _transact(self, change: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        with self._availability():
            async with self._transactional.begin() as connection:
                return await change(connection)

    async def _create_tables(self, connection: AsyncConnection) -> None:
        await self.serialize(connection)
        for table in self._tables.sorted_tables:
            await connection.execute(CreateTable(table, if_not_exists=True))
            for index in sorted(table.indexes, key=lambda index: index.name or ""):
                await connection.execute(CreateIndex(index, if_not_exists=True))

    @contextlib.contextmanager
    def _availability(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            if not _is_outage(error):
                raise
            raise self._unavailable(error) from error

    def _unavailable(self, error: Exception) -> Unavailable:
        return Unavailable(f"database {self._name}: {_reason(error)}")

    async def _uninterrupted(self, work: Coroutine[Any, Any, T]) -> T:
        # A cancelled call would throw a connection away in the middle of a statement, and in
        # SQLite's case leave a thread that reports to a loop which may be closed by then.
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(task)


def _url(text: str) -> URL:
    try:
        url = sa.make_url(text)
    except (ArgumentError, ValueError):
        # Not the text itself: it may hold a password.
        raise ValueError("the database is not a URL such as sqlite:///users.db") from None
    driver = _DRIVERS.get(url.drivername)
    if driver is None:
        raise ValueError(f"{url.drivername} is not a database of this service: sqlite, postgresql")
    sslmode = url.query.get("sslmode")
    if sslmode is not None:
        # libpq's name for what asyncpg calls ssl.
        url = url.difference_update_query(["sslmode"]).update_query_dict({"ssl": sslmode})
    return url.set(drivername=driver)


def _masked(found: re.Match[str]) -> str:
    user, parameter = found.groups()
    return f"{user}:***@" if parameter is None else f"{parameter}***"


def _is_outage(error: Exception) -> bool:
    match error:
        case OperationalError() | InterfaceError() | PoolTimeout() | OSError():
            return True
        case DBAPIError():
            state = getattr(error.orig, "sqlstate", None) or ""
            connecting = error.statement is None
            return connecting or error.connection_invalidated or state.startswith(_OUTAGES)
    return False


def _reason(error: BaseException) -> str:
    """Return what the driver says, in one line, of an error that others have wrapped."""
    if isinstance(error, PoolTimeout):
        return f"no connection became free within {_FREE_WITHIN} s"
    if isinstance(error, DBAPIError) and error.orig is not None:
        error = error.orig
    while error.__cause__ is not None:
        error = error.__cause__
    return " ".join(str(error).split()) or type(error).__name__
