"""The tables of the user service, the same for SQLite and PostgreSQL.

What a list is filtered or ordered by is a column; the rest of a user is one serialized message.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    func,
)
from sqlalchemy.engine import RowMapping

from services.user.v1.user_service_pb2 import User

# One order of text everywhere: SQLite's own, and PostgreSQL's under any locale.
_TEXT = Text().with_variant(Text(collation="C"), "postgresql")
# SQLite numbers rows by itself in a column of exactly the type INTEGER.
_SEQUENCE = BigInteger().with_variant(Integer(), "sqlite")

METADATA = MetaData()

USERS = Table(
    "users",
    METADATA,
    Column("id", _TEXT, primary_key=True),
    Column("name", _TEXT, nullable=False),
    Column("email", _TEXT, nullable=False),
    Column("role", Integer, nullable=False),
    Column("state", Integer, nullable=False),
    Column("quota_bytes", BigInteger, nullable=False),
    Column("avatar_bytes", BigInteger, nullable=False),
    Column("create_time", BigInteger, nullable=False, comment="microseconds since 1970"),
    Column("update_time", BigInteger, nullable=False, comment="microseconds since 1970"),
    Column("etag", _TEXT, nullable=False),
    Column("rest", LargeBinary, nullable=False, comment="User without the columns' fields"),
)
Index("users_email", func.lower(USERS.c.email), unique=True)
Index("users_name", USERS.c.name, USERS.c.id)
Index("users_create_time", USERS.c.create_time, USERS.c.id)
Index("users_update_time", USERS.c.update_time, USERS.c.id)

AVATARS = Table(
    "avatars",
    METADATA,
    Column("user_id", _TEXT, ForeignKey(USERS.c.id, ondelete="CASCADE"), primary_key=True),
    Column("content_type", _TEXT, nullable=False),
    Column("data", LargeBinary, nullable=False),
)

CHANGES = Table(
    "changes",
    METADATA,
    Column("sequence", _SEQUENCE, primary_key=True),
    Column("change", Integer, nullable=False, comment="WatchUsersResponse.Change"),
    Column("user_id", _TEXT, nullable=False),
    Column("document", LargeBinary, nullable=False, comment="User"),
    sqlite_autoincrement=True,
)

MESSAGES = Table(
    "messages",
    METADATA,
    Column("sequence", _SEQUENCE, primary_key=True),
    Column("room", _TEXT, nullable=False),
    Column("document", LargeBinary, nullable=False, comment="ChatResponse"),
    sqlite_autoincrement=True,
)
Index("messages_room", MESSAGES.c.room, MESSAGES.c.sequence)

_TIMES = ("create_time", "update_time")
_SCALARS = tuple(column.name for column in USERS.c if column.name not in {*_TIMES, "rest"})


def to_row(user: User) -> dict[str, Any]:
    """Return the values of a user's row."""
    row = {name: getattr(user, name) for name in _SCALARS}
    row |= {name: getattr(user, name).ToMicroseconds() for name in _TIMES}
    rest = User()
    rest.CopyFrom(user)
    for name in row:
        rest.ClearField(name)
    return row | {"rest": rest.SerializeToString()}


def to_user(row: RowMapping) -> User:
    """Return the user of a row."""
    user = User.FromString(row["rest"])
    for name in _SCALARS:
        setattr(user, name, row[name])
    for name in _TIMES:
        getattr(user, name).FromMicroseconds(row[name])
    return user
