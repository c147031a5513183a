from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from google.protobuf import text_format

from services.database import Database
from services.user import feed as feed_module
from services.user.feed import SqlFeed
from services.user.filter import Order, Value, parse_filter, parse_order
from services.user.schema import METADATA
from services.user.store import Avatar, Changed, Missing, Query, SqlStore, Taken
from services.user.v1.user_service_pb2 import ChatResponse, User, WatchUsersResponse

BY_ID = (Order(field="id"),)


@contextlib.asynccontextmanager
async def opened(url: str) -> AsyncIterator[tuple[SqlStore, SqlFeed]]:
    database = Database(url, METADATA)
    await database.open()
    try:
        yield SqlStore(database), SqlFeed(database)
    finally:
        await database.close()


def make(user_id: str, more: str = "", *, micros: int = 1) -> User:
    user = User(id=user_id, name="Ann", email=f"{user_id}@example.com", etag="1")
    user.create_time.FromMicroseconds(micros)
    user.update_time.FromMicroseconds(micros)
    text_format.Merge(more, user)
    return user


FULL = """
    role: ROLE_ADMIN state: STATE_ACTIVE quota_bytes: 9007199254740993 avatar_bytes: 3
    tags: "a" tags: "ä" labels { key: "k" value: "v" } address { city: "Zürich" }
    messenger { service: "matrix" handle: "@ann" } newsletter: false
"""


def test_keeps_every_field(database_url: str) -> None:
    """A user comes back as it was put in, unset and empty fields told apart."""

    async def scenario() -> User:
        async with opened(database_url) as (store, _):
            await store.insert(make("ann", FULL))
        async with opened(database_url) as (store, _):
            return await store.get("ann")

    assert make("ann", FULL) == asyncio.run(scenario())


def test_finds_by_email_whatever_the_capitals(database_url: str) -> None:
    """An email is found in any spelling."""

    async def scenario() -> User:
        async with opened(database_url) as (store, _):
            await store.insert(make("ann"))
            return await store.find("ANN@Example.com")

    assert asyncio.run(scenario()).id == "ann"


@pytest.mark.parametrize(
    ("user_id", "email", "field"),
    [
        ("ann", "other@example.com", "id"),
        ("bob", "ann@example.com", "email"),
        ("bob", "Ann@EXAMPLE.com", "email"),
        ("ann", "ann@example.com", "id"),
    ],
)
def test_refuses_what_is_taken(database_url: str, user_id: str, email: str, field: str) -> None:
    """A second user of an id or an email is refused by the name of the field."""

    async def scenario() -> None:
        async with opened(database_url) as (store, _):
            await store.insert(make("ann"))
            user = make(user_id)
            user.email = email
            await store.insert(user)

    with pytest.raises(Taken) as caught:
        asyncio.run(scenario())

    assert field == caught.value.field


def test_replace_refuses_a_taken_email(database_url: str) -> None:
    """A user cannot take over the email of another."""

    async def scenario() -> None:
        async with opened(database_url) as (store, _):
            await store.insert(make("ann"))
            await store.insert(make("bob"))
            user = make("bob")
            user.email = "ann@example.com"
            await store.replace(user, "1")

    with pytest.raises(Taken, match="email"):
        asyncio.run(scenario())


def test_one_of_many_replacements_wins(database_url: str) -> None:
    """Of ten who replace the same user at once, one succeeds and nine learn of it."""

    async def scenario() -> list[object]:
        async with opened(database_url) as (store, _):
            await store.insert(make("ann"))
            replacements = [make("ann", f"quota_bytes: {number}") for number in range(10)]
            for number, user in enumerate(replacements):
                user.etag = f"new {number}"
            results = await asyncio.gather(
                *(store.replace(user, "1") for user in replacements), return_exceptions=True
            )
            kept = await store.get("ann")
            winner = results.index(None)
            assert replacements[winner] == kept
            return [type(result) for result in results if result is not None]

    assert asyncio.run(scenario()) == [Changed] * 9


@pytest.mark.parametrize(
    ("user_id", "etag", "error"), [("ann", "0", Changed), ("bob", "1", Missing)]
)
def test_tells_changed_from_missing(
    database_url: str, user_id: str, etag: str, error: type[Exception]
) -> None:
    """Another etag is one error and another id is another, for replacement and deletion."""

    async def scenario() -> list[object]:
        async with opened(database_url) as (store, _):
            await store.insert(make("ann"))
            calls = store.replace(make(user_id), etag), store.delete(user_id, etag)
            results = await asyncio.gather(*calls, return_exceptions=True)
            return [type(result) for result in results]

    assert [error, error] == asyncio.run(scenario())


def test_deletion_takes_the_avatar_along(database_url: str) -> None:
    """An avatar does not come back with a new user of the same id."""
    picture = Avatar(content_type="image/png", data=bytes(range(256)))

    async def scenario() -> Avatar:
        async with opened(database_url) as (store, _):
            await store.insert(make("ann"))
            await store.replace(make("ann"), "1", picture)
            kept = await store.avatar("ann")
            await store.delete("ann")
            await store.insert(make("ann"))
            with pytest.raises(Missing):
                await store.avatar("ann")
            return kept

    assert picture == asyncio.run(scenario())


PEOPLE = (
    make("a", 'name: "Ann Lee" role: ROLE_ADMIN quota_bytes: 5', micros=10),
    make("b", 'name: "bob" role: ROLE_VIEWER quota_bytes: -1', micros=20),
    make("c", 'name: "anna" role: ROLE_ADMIN', micros=30),
    make("d", 'name: "50% _Zoë\\\\" role: ROLE_MEMBER', micros=30),
    make("e", 'name: "bob" state: STATE_INACTIVE', micros=5_000_000),
)


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("", "abcde"),
        ('name : "ann"', "ac"),
        ('name : "%"', "d"),  # a wildcard of LIKE, as itself
        ('name : "_"', "d"),
        (r'name : "\\"', "d"),
        ("name = bob", "be"),
        ("name != bob", "acd"),
        ("name < a", "ad"),  # bytes are compared: capitals come first
        ("role = ROLE_ADMIN AND name : ann AND quota_bytes > 0", "a"),
        ("state = STATE_INACTIVE", "e"),
        ("quota_bytes <= -1", "b"),
        ('create_time >= "1970-01-01T00:00:05Z"', "e"),
        ('create_time < "0001-01-01T00:00:00Z"', ""),  # before what a nanosecond count holds
        ("id = x", ""),
    ],
)
def test_filters(database_url: str, text: str, ids: str) -> None:
    """A filter finds the same users in every database."""

    async def scenario() -> str:
        async with opened(database_url) as (store, _):
            for user in PEOPLE:
                await store.insert(user)
            query = Query(conditions=parse_filter(text), order=BY_ID, limit=10)
            return "".join(user.id for user in await store.page(query))

    assert ids == asyncio.run(scenario())


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("id", "abcde"),
        ("id desc", "edcba"),
        ("name, id", "dacbe"),
        ("name desc, id", "becad"),
        ("name desc, id desc", "ebcad"),
        ("create_time desc, id", "ecdba"),
        ("role, create_time desc, id", "ebdca"),
        ("quota_bytes, id desc", "bedca"),
    ],
)
@pytest.mark.parametrize("limit", [1, 2, 5])
def test_pages_join_to_the_whole_list(database_url: str, text: str, ids: str, limit: int) -> None:
    """Pages of any size follow each other without gap or overlap, whatever the directions."""
    order = parse_order(text)

    def position(user: User) -> tuple[Value, ...]:
        values = (getattr(user, part.field) for part in order)
        return tuple(v.ToMicroseconds() if hasattr(v, "seconds") else v for v in values)

    async def scenario() -> str:
        async with opened(database_url) as (store, _):
            for user in PEOPLE:
                await store.insert(user)
            found: list[User] = []
            while page := await store.page(
                Query(order=order, after=position(found[-1]) if found else (), limit=limit)
            ):
                found += page
            return "".join(user.id for user in found)

    assert ids == asyncio.run(scenario())


def test_changes_are_told_in_order(database_url: str) -> None:
    """Each change that was made is in the log once, with the user as it was then."""

    async def scenario() -> list[tuple[int, int]]:
        async with opened(database_url) as (store, feed):
            await store.insert(make("ann"))
            with contextlib.suppress(Taken):
                await store.insert(make("ann"))
            await store.replace(make("ann", "quota_bytes: 7"), "1")
            await store.delete("ann")
            changes = await feed.changes(0, "")
            assert changes[-1].sequence == await feed.newest_change()
            return [(change.change, change.user.quota_bytes) for change in changes]

    expected = [
        (WatchUsersResponse.CHANGE_CREATED, 0),
        (WatchUsersResponse.CHANGE_UPDATED, 7),
        (WatchUsersResponse.CHANGE_DELETED, 7),
    ]
    assert expected == asyncio.run(scenario())


def test_a_reader_misses_no_change(database_url: str) -> None:
    """Whoever reads on from the last number it saw meets all changes, while many are made."""
    ids = [f"u{number:02}" for number in range(40)]

    async def scenario() -> list[str]:
        async with opened(database_url) as (store, feed), asyncio.TaskGroup() as tasks:
            for user_id in ids:
                tasks.create_task(store.insert(make(user_id)))
            seen: list[WatchUsersResponse] = []
            while len(seen) < len(ids):
                seen += await feed.changes(seen[-1].sequence if seen else 0, "")
            numbers = [change.sequence for change in seen]
            assert numbers == sorted(set(numbers))
            return sorted(change.user.id for change in seen)

    assert ids == asyncio.run(asyncio.wait_for(scenario(), 20))


def test_logs_forget(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log keeps its newest lines only, and never gives a number twice."""
    monkeypatch.setattr(feed_module, "LOG_LIMIT", 3)

    async def scenario() -> list[str]:
        async with opened(database_url) as (_, feed):
            for number in range(5):
                await feed.say("lobby", ChatResponse(text=str(number)))
            await feed.say("attic", ChatResponse(text="alone"))
            return [message.text for _, message in await feed.messages(0, "lobby")]

    assert asyncio.run(scenario()) == ["3", "4"]


def test_a_cancelled_call_leaves_the_store_usable(database_url: str) -> None:
    """Calls that are cancelled at any await neither block nor break those that follow."""

    async def scenario() -> int:
        async with opened(database_url) as (store, _):
            for turn in range(60):
                task = asyncio.create_task(store.insert(make(f"u{turn}")))
                for _step in range(turn % 20):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            await store.insert(make("last"))
            users = await store.page(Query(order=BY_ID, limit=100))
            return [user.id for user in users].count("last")

    assert asyncio.run(scenario()) == 1


def test_closing_leaves_one_sqlite_file(sqlite_url: str, tmp_path: Path) -> None:
    """The write-ahead log is gone once the database is closed."""

    async def scenario() -> None:
        async with opened(sqlite_url) as (store, _):
            await store.insert(make("ann"))

    asyncio.run(scenario())

    assert [path.name for path in tmp_path.iterdir()] == ["users.db"]


def test_memory_serves_many_at_once() -> None:
    """A database in memory is one database for all callers."""

    async def scenario() -> int:
        async with opened("sqlite://") as (store, _):
            await asyncio.gather(*(store.insert(make(f"u{number}")) for number in range(20)))
            return len(await store.page(Query(order=BY_ID, limit=100)))

    assert asyncio.run(scenario()) == 20


def test_a_lost_connection_is_unavailable_or_replaced(postgres_url: str) -> None:
    """After the server has closed all connections, the next call works on a new one."""

    async def scenario() -> str:
        async with opened(postgres_url) as (store, _):
            await store.insert(make("ann"))
            await _end_connections(postgres_url)
            return (await store.get("ann")).id

    assert asyncio.run(scenario()) == "ann"


async def _end_connections(url: str) -> None:
    database = Database(url, METADATA)
    others = "FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
    await database.read(sa.text(f"SELECT pg_terminate_backend(pid) {others}"))
    await database.close()
