"""Where the stock is kept.

Units are taken by an UPDATE that asks for them in its own condition, and a reservation is one
transaction: neither calls nor processes at the same time can take a unit twice.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from services.database import Database
from services.inventory.refusal import item_missing, out_of_stock
from services.inventory.schema import (
    ITEMS,
    RESERVATIONS,
    to_item,
    to_reservation,
    to_row,
)
from services.inventory.v1.inventory_service_pb2 import Item, Line, Reservation


class Store:
    """Keeps items and reservations in a SQL database.

    Every method raises `services.database.Unavailable` if the database fails.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def item(self, item_id: str) -> Item | None:
        """Return the item of that id; None for none."""
        found = await self._database.read(sa.select(ITEMS).where(ITEMS.c.id == item_id))
        row = found.mappings().one_or_none()
        return None if row is None else to_item(row)

    async def items(self, after: str, limit: int) -> Sequence[Item]:
        """Return the items whose ids come after one, in the order of ids."""
        statement = sa.select(ITEMS).where(ITEMS.c.id > after).order_by(ITEMS.c.id).limit(limit)
        return [to_item(row) for row in (await self._database.read(statement)).mappings()]

    async def change(self, item_id: str, values: Mapping[str, Any]) -> Item | None:
        """Set columns of an item, and return it; None if there is none of that id."""
        statement = ITEMS.update().where(ITEMS.c.id == item_id).values(**values).returning(*ITEMS.c)

        async def change(connection: AsyncConnection) -> Item | None:
            row = (await connection.execute(statement)).mappings().one_or_none()
            return None if row is None else to_item(row)

        return await self._database.write(change)

    async def insert(self, item: Item) -> bool:
        """Add an item; False if there is one of its id."""
        values = {column.name: getattr(item, column.name) for column in ITEMS.c}
        return await self._inserted(ITEMS.insert().values(values))

    async def reservation(self, reservation_id: str) -> Reservation | None:
        """Return the reservation of that id; None for none."""
        statement = sa.select(RESERVATIONS).where(RESERVATIONS.c.id == reservation_id)
        row = (await self._database.read(statement)).mappings().one_or_none()
        return None if row is None else to_reservation(row)

    async def reserve(self, reservation: Reservation) -> bool:
        """Add a reservation, take its units and write their prices into it.

        Returns:
            False if there is one of its id: nothing is changed then.

        Raises:
            StatusError: FAILED_PRECONDITION, there are not enough units; nothing is changed then.
        """

        async def change(connection: AsyncConnection) -> None:
            # First: of two at once, the second one ends here, or waits.
            await connection.execute(RESERVATIONS.insert().values(to_row(reservation)))
            # In one order, that no two transactions wait for each other.
            for line in sorted(reservation.lines, key=lambda line: line.item_id):
                line.unit_price_cents = await _take(connection, line)
            row = RESERVATIONS.update().where(RESERVATIONS.c.id == reservation.id)
            await connection.execute(row.values(to_row(reservation)))

        try:
            await self._database.write(change)
        except IntegrityError:
            return False
        return True

    async def release(self, reservation: Reservation) -> None:
        """Put the units of a reservation back, once.

        Args:
            reservation: what to keep if there is none of its id.
        """
        while not await self._given_back(reservation.id):
            if await self._inserted(RESERVATIONS.insert().values(to_row(reservation))):
                return
            known = await self.reservation(reservation.id)
            # Else it was made between the two, and is released in the next round.
            if known is not None and known.state == Reservation.STATE_RELEASED:
                return

    async def _given_back(self, reservation_id: str) -> bool:
        statement = (
            RESERVATIONS.update()
            .where(
                RESERVATIONS.c.id == reservation_id,
                RESERVATIONS.c.state == Reservation.STATE_HELD,
            )
            .values(state=Reservation.STATE_RELEASED)
            .returning(*RESERVATIONS.c)
        )

        async def change(connection: AsyncConnection) -> bool:
            row = (await connection.execute(statement)).mappings().one_or_none()
            if row is None:
                return False
            for line in sorted(to_reservation(row).lines, key=lambda line: line.item_id):
                item = ITEMS.update().where(ITEMS.c.id == line.item_id)
                await connection.execute(item.values(stock=ITEMS.c.stock + line.quantity))
            return True

        return await self._database.write(change)

    async def _inserted(self, statement: sa.Insert) -> bool:
        async def change(connection: AsyncConnection) -> None:
            await connection.execute(statement)

        with contextlib.suppress(IntegrityError):
            await self._database.write(change)
            return True
        return False


async def _take(connection: AsyncConnection, line: Line) -> int:
    """Take units of an item out of its stock; return the price of one."""
    taken = await connection.execute(
        ITEMS.update()
        .where(ITEMS.c.id == line.item_id, ITEMS.c.stock >= line.quantity)
        .values(stock=ITEMS.c.stock - line.quantity)
        .returning(ITEMS.c.unit_price_cents)
    )
    price: int | None = taken.scalar_one_or_none()
    if price is not None:
        return price
    left = await connection.execute(sa.select(ITEMS.c.stock).where(ITEMS.c.id == line.item_id))
    stock: int | None = left.scalar_one_or_none()
    raise item_missing(line.item_id) if stock is None else out_of_stock(line.item_id, stock)
