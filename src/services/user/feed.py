"""What happens, as it happens: changes of users, and messages of the chat.

Both are logs in the database with growing numbers, and every process reads on from the number it
has seen: whoever watches or chats hears of all processes, not of its own alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from services.user.database import Database
from services.user.schema import CHANGES, MESSAGES
from services.user.v1.user_service_pb2 import ChatResponse, User, WatchUsersResponse

LOG_LIMIT = 10_000
"""How many changes, and how many messages, are kept."""

_BATCH = 100


class Forgotten(Exception):
    """The log does not hold what follows that number: too old, or not of this log."""


class Feed(Protocol):
    """Tells what happens, from now on or from a number on, without an end."""

    def changes(self, after: int | None, user_id: str) -> AsyncIterator[WatchUsersResponse]:
        """Yield the changes of one user, or of all; raise Forgotten if some are gone."""

    def messages(self, room: str) -> AsyncIterator[ChatResponse]:
        """Yield what is said in a room from now on."""

    async def say(self, room: str, message: ChatResponse) -> None:
        """Send a message to all who are in a room."""


class SqlFeed:
    """The `Feed` of a SQL database.

    Args:
        interval: seconds between two looks at the database for one who waits.
    """

    def __init__(self, database: Database, *, interval: float = 0.2) -> None:
        self._database = database
        self._interval = interval

    async def changes(  # noqa: D102  described by Feed
        self, after: int | None, user_id: str
    ) -> AsyncIterator[WatchUsersResponse]:
        newest = await self._newest(CHANGES)
        seen = newest if after is None else after
        if not newest - LOG_LIMIT <= seen <= newest:
            raise Forgotten
        condition = CHANGES.c.user_id == user_id if user_id else sa.true()
        async for row in self._tail(CHANGES, seen, condition):
            yield WatchUsersResponse(
                sequence=row.sequence, change=row.change, user=User.FromString(row.document)
            )

    async def messages(self, room: str) -> AsyncIterator[ChatResponse]:  # noqa: D102
        seen = await self._newest(MESSAGES)
        async for row in self._tail(MESSAGES, seen, MESSAGES.c.room == room):
            yield ChatResponse.FromString(row.document)

    async def say(self, room: str, message: ChatResponse) -> None:  # noqa: D102
        async with self._database.writing() as connection:
            await self._database.serialize(connection)
            row = {"room": room, "document": message.SerializeToString()}
            await _append(connection, MESSAGES, row)

    async def _newest(self, log: sa.Table) -> int:
        async with self._database.reading() as connection:
            newest = await connection.scalar(sa.select(sa.func.max(log.c.sequence)))
        return newest or 0

    async def _tail(
        self, log: sa.Table, seen: int, condition: sa.ColumnElement[bool]
    ) -> AsyncIterator[sa.Row[tuple[object, ...]]]:
        while True:
            statement = sa.select(log).where(log.c.sequence > seen, condition)
            rows = await self._rows(statement.order_by(log.c.sequence).limit(_BATCH))
            for row in rows:
                seen = row.sequence
                yield row
            if len(rows) < _BATCH:
                await asyncio.sleep(self._interval)

    async def _rows(
        self, statement: sa.Select[tuple[object, ...]]
    ) -> Sequence[sa.Row[tuple[object, ...]]]:
        async with self._database.reading() as connection:
            return (await connection.execute(statement)).all()


async def append_change(
    connection: AsyncConnection, change: WatchUsersResponse.Change, user: User
) -> None:
    """Add a change to the log, within the transaction that makes it."""
    row = {"change": change, "user_id": user.id, "document": user.SerializeToString()}
    await _append(connection, CHANGES, row)


async def _append(connection: AsyncConnection, log: sa.Table, row: Mapping[str, object]) -> None:
    statement = log.insert().values(dict(row)).returning(log.c.sequence)
    sequence = (await connection.execute(statement)).scalar_one()
    await connection.execute(log.delete().where(log.c.sequence <= sequence - LOG_LIMIT))
