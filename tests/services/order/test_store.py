"""Orders in a database, which several servers move on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from google.rpc.status_pb2 import Status

from services.database import Database
from services.order.placed import Placed
from services.order.schema import METADATA
from services.order.store import Store
from services.order.v1.order_service_pb2 import Order
from transcoder import Code

NEW = Placed(order=Order(id="7", state=Order.STATE_PENDING))
FAILED = NEW.failed(Status(code=Code.UNAVAILABLE))
NEXT = FAILED.released()


def run(scenario: Callable[[Store], Awaitable[None]], url: str) -> None:
    """Run something on a store in which one order was placed."""

    async def running() -> None:
        database = Database(url, METADATA)
        await database.open()
        try:
            store = Store(database)
            assert await store.place(NEW, "", b"") == NEW
            await scenario(store)
        finally:
            await database.close()

    asyncio.run(running())


@pytest.mark.parametrize(
    ("moves", "late"),
    [
        ([NEW.paid("c")], FAILED),
        ([FAILED], NEW.paid("c")),
        # By then it is PENDING again, and the late one is of the attempt before.
        ([FAILED, NEXT], NEW.paid("c")),
    ],
)
def test_who_comes_late_moves_nothing(sqlite_url: str, moves: list[Placed], late: Placed) -> None:
    """Of two who move an order on from one state, the second is told so, and changes nothing."""

    async def scenario(store: Store) -> None:
        for before, after in zip([NEW, *moves], moves, strict=False):
            assert await store.move(before, after)
        assert not await store.move(NEW, late)
        assert await store.get("7") == moves[-1]

    run(scenario, sqlite_url)


def test_what_is_being_released(sqlite_url: str) -> None:
    """Orders are found whose stock is to be released, with why."""

    async def scenario(store: Store) -> None:
        assert await store.releasing() == []
        await store.move(NEW, FAILED)
        assert await store.releasing() == [FAILED]

    run(scenario, sqlite_url)
