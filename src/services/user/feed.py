"""What happens, as it happens: changes of users, and messages of the chat.

Both are logs in the database with growing numbers, and a reader reads on from the number it has
seen: whoever watches or chats hears of all processes, not of its own alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from services.database import Database
from services.user.schema import CHANGES, MESSAGES
from services.user.v1.user_service_pb2 import ChatResponse, User, WatchUsersResponse

LOG_LIMIT = 10_000
"""How many changes, and how many messages, are kept."""

_BATCH = 100


class Feed(Protocol):
    """Tells what happened since a number. Every method raises `Unavailable` if that fails."""

    async def newest_change(self) -> int:
        """Return the number of the newest change; 0 if there was none."""

    async def changes(self, after: int, user_id: str) -> Sequence[WatchUsersResponse]:
        """Return the next changes, of one user or of all; none if there are none yet."""

    async def newest_message(self) -> int:
        """Return the number of the newest message in any room; 0 if there was none."""

    async def messages(self, after: int, room: str) -> Sequence[tuple[int, ChatResponse]]:
        """Return the next messages in a room with their numbers; none if there are none yet."""

    async def say(self, room: str, message: ChatResponse) -> None:
        """Add a message to a room."""


class SqlFeed:
    """The `Feed` of a SQL database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def newest_change(self) -> int:  # noqa: D102  described by Feed
        return await self._newest(CHANGES)

    async def changes(self, after: int, user_id: str) -> Sequence[WatchUsersResponse]:  # noqa: D102
        rows = await self._rows(CHANGES, after, CHANGES.c.user_id == user_id if user_id else None)
        return [
            WatchUsersResponse(
                sequence=row.sequence, change=row.change, user=User.FromString(row.document)
            )
            for row in rows
        ]

    async def newest_message(self) -> int:  # noqa: D102
        return await self._newest(MESSAGES)

    async def messages(  # noqa: D102
        self, after: int, room: str
    ) -> Sequence[tuple[int, ChatResponse]]:
        rows = await self._rows(MESSAGES, after, MESSAGES.c.room == room)
        return [(row.sequence, ChatResponse.FromString(row.document)) for row in rows]

    async def say(self, room: str, message: ChatResponse) -> None:  # noqa: D102
        row = {"room": room, "document": message.SerializeToString()}

        async def change(connection: AsyncConnection) -> None:
            await self._database.serialize(connection)
            await _append(connection, MESSAGES, row)

        await self._database.write(change)

    async def _newest(self, log: sa.Table) -> int:
        newest = await self._database.read(sa.select(sa.func.max(log.c.sequence)))
        return newest.scalar() or 0

    async def _rows(
        self, log: sa.Table, after: int, condition: sa.ColumnElement[bool] | None
    ) -> Sequence[sa.Row[Any]]:
        statement = sa.select(log).where(log.c.sequence > after)
        if condition is not None:
            statement = statement.where(condition)
        statement = statement.order_by(log.c.sequence).limit(_BATCH)
        return (await self._database.read(statement)).all()


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
