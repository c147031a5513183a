"""Where users are kept: what the service asks of a store, and the store in SQL.

A change is one transaction: the user's row, the avatar's, and a line in the log of changes that
watchers read.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from services.database import Database
from services.user.feed import append_change
from services.user.filter import Comparison, Order, Value
from services.user.schema import AVATARS, USERS, to_row, to_user
from services.user.v1.user_service_pb2 import User, WatchUsersResponse

_COMPARE: Mapping[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class Missing(Exception):
    """No user has this id or email."""

    def __init__(self, key: str) -> None:
        super().__init__(f"no user {key}")
        self.key = key


class Changed(Exception):
    """The user is no longer the one that was read."""


class Taken(Exception):
    """Another user has this value.

    Args:
        field: `id` or `email`.
        value: of that field.
    """

    def __init__(self, field: str, value: str) -> None:
        super().__init__(f"{field} {value} is taken")
        self.field = field
        self.value = value


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Which users a page has.

    Args:
        order: ends with a field that no two users share, so that pages neither overlap nor gap.
        after: values of the last user of the page before, one for each field of the order.
    """

    conditions: Sequence[Comparison] = ()
    order: Sequence[Order]
    after: Sequence[Value] = ()
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Avatar:
    """A picture."""

    content_type: str
    data: bytes


class Store(Protocol):
    """Keeps users. No two share an id, or an email whatever its capitals.

    Every method raises `Unavailable` if the database fails.
    """

    async def get(self, user_id: str) -> User:
        """Return the user of that id, or raise Missing."""

    async def find(self, email: str) -> User:
        """Return the user of that email, or raise Missing."""

    async def page(self, query: Query) -> Sequence[User]:
        """Return the users of a page, in order."""

    async def insert(self, user: User) -> None:
        """Add a user, or raise Taken."""

    async def replace(self, user: User, etag: str, avatar: Avatar | None = None) -> None:
        """Put `user`, and an avatar if given, in place of the user that has `etag`.

        Raises:
            Missing, Changed, Taken: nothing is changed then.
        """

    async def delete(self, user_id: str, etag: str = "") -> None:
        """Remove a user and the avatar; with an etag, raise Changed if the user has another."""

    async def avatar(self, user_id: str) -> Avatar:
        """Return the avatar of a user, or raise Missing."""


class SqlStore:
    """The `Store` in a SQL database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, user_id: str) -> User:  # noqa: D102  described by Store
        return await self._one(user_id, USERS.c.id == user_id)

    async def find(self, email: str) -> User:  # noqa: D102
        return await self._one(email, sa.func.lower(USERS.c.email) == email.lower())

    async def page(self, query: Query) -> Sequence[User]:  # noqa: D102
        statement = (
            sa.select(USERS)
            .where(*map(_condition, query.conditions), _beyond(query))
            .order_by(*map(_ordering, query.order))
            .limit(query.limit)
        )
        rows = await self._database.read(statement)
        return [to_user(row) for row in rows.mappings()]

    async def insert(self, user: User) -> None:  # noqa: D102
        async def change(connection: AsyncConnection) -> None:
            await connection.execute(USERS.insert().values(to_row(user)))
            await self._log(connection, WatchUsersResponse.CHANGE_CREATED, user)

        try:
            await self._database.write(change)
        except IntegrityError:
            if await self._exists(user.id):
                raise Taken("id", user.id) from None
            raise Taken("email", user.email) from None

    async def replace(  # noqa: D102
        self, user: User, etag: str, avatar: Avatar | None = None
    ) -> None:
        statement = USERS.update().where(USERS.c.id == user.id, USERS.c.etag == etag)

        async def change(connection: AsyncConnection) -> bool:
            done = await connection.execute(statement.values(to_row(user)))
            if not done.rowcount:
                return False
            await _put_avatar(connection, user.id, avatar)
            await self._log(connection, WatchUsersResponse.CHANGE_UPDATED, user)
            return True

        try:
            replaced = await self._database.write(change)
        except IntegrityError:
            raise Taken("email", user.email) from None
        if not replaced:
            raise await self._unfound(user.id)

    async def delete(self, user_id: str, etag: str = "") -> None:  # noqa: D102
        statement = USERS.delete().where(USERS.c.id == user_id).returning(*USERS.c)
        if etag:
            statement = statement.where(USERS.c.etag == etag)

        async def change(connection: AsyncConnection) -> bool:
            row = (await connection.execute(statement)).mappings().one_or_none()
            if row is None:
                return False
            await self._log(connection, WatchUsersResponse.CHANGE_DELETED, to_user(row))
            return True

        if not await self._database.write(change):
            raise await self._unfound(user_id)

    async def avatar(self, user_id: str) -> Avatar:  # noqa: D102
        statement = sa.select(AVATARS.c.content_type, AVATARS.c.data)
        found = await self._database.read(statement.where(AVATARS.c.user_id == user_id))
        row = found.one_or_none()
        if row is None:
            raise Missing(user_id)
        return Avatar(content_type=row.content_type, data=row.data)

    async def _one(self, key: str, condition: sa.ColumnElement[bool]) -> User:
        found = await self._database.read(sa.select(USERS).where(condition))
        row = found.mappings().one_or_none()
        if row is None:
            raise Missing(key)
        return to_user(row)

    async def _unfound(self, user_id: str) -> Exception:
        """Return why a change found no user of that id and etag."""
        return Changed() if await self._exists(user_id) else Missing(user_id)

    async def _exists(self, user_id: str) -> bool:
        statement = sa.select(USERS.c.id).where(USERS.c.id == user_id)
        return (await self._database.read(statement)).first() is not None

    async def _log(
        self, connection: AsyncConnection, change: WatchUsersResponse.Change, user: User
    ) -> None:
        await self._database.serialize(connection)
        await append_change(connection, change, user)


async def _put_avatar(connection: AsyncConnection, user_id: str, avatar: Avatar | None) -> None:
    if avatar is None:
        return
    await connection.execute(AVATARS.delete().where(AVATARS.c.user_id == user_id))
    row = {"user_id": user_id, "content_type": avatar.content_type, "data": avatar.data}
    await connection.execute(AVATARS.insert().values(row))


def _condition(comparison: Comparison) -> sa.ColumnElement[bool]:
    column: sa.Column[Any] = USERS.c[comparison.field]
    if comparison.operator == ":":
        return column.icontains(comparison.value, autoescape=True)
    condition: sa.ColumnElement[bool] = _COMPARE[comparison.operator](column, comparison.value)
    return condition


def _ordering(order: Order) -> sa.ColumnElement[Any]:
    column: sa.Column[Any] = USERS.c[order.field]
    return column.desc() if order.descending else column.asc()


def _beyond(query: Query) -> sa.ColumnElement[bool]:
    # (a, b) > (x, y) written out, as each field has a direction of its own.
    beyond: sa.ColumnElement[bool] = sa.false() if query.after else sa.true()
    for order, value in reversed(list(zip(query.order, query.after, strict=False))):
        column: sa.Column[Any] = USERS.c[order.field]
        further = column < value if order.descending else column > value
        # `inclusive` repeats what the rest implies: it is what an index can seek by.
        inclusive = column <= value if order.descending else column >= value
        beyond = sa.and_(inclusive, sa.or_(further, beyond))
    return beyond
