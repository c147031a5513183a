"""Where orders are kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from services.database import Database
from services.order.placed import Placed
from services.order.schema import ORDERS, to_order, to_placed, to_row
from services.order.v1.order_service_pb2 import Order
from services.refusal import reused


class Listed(NamedTuple):
    """An order, and its place among all."""

    sequence: int
    order: Order


class Store:
    """Keeps orders in a SQL database.

    Every method raises `services.database.Unavailable` if the database fails.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, order_id: str) -> Placed | None:
        """Return the order of that id; None for none."""
        found = await self._database.read(sa.select(ORDERS).where(ORDERS.c.id == order_id))
        row = found.mappings().one_or_none()
        return None if row is None else to_placed(row)

    async def page(self, after: int, limit: int) -> Sequence[Listed]:
        """Return the orders behind a place, the oldest first."""
        statement = sa.select(ORDERS).where(ORDERS.c.sequence > after)
        statement = statement.order_by(ORDERS.c.sequence).limit(limit)
        rows = await self._database.read(statement)
        return [Listed(row["sequence"], to_order(row)) for row in rows.mappings()]

    async def releasing(self) -> Sequence[Placed]:
        """Return the orders whose stock is being released, or should be."""
        statement = sa.select(ORDERS).where(ORDERS.c.state == Order.STATE_RELEASING)
        return [to_placed(row) for row in (await self._database.read(statement)).mappings()]

    async def place(self, placed: Placed, request_id: str, digest: bytes) -> Placed:
        """Add an order, or return the one that the same request has placed before.

        Args:
            placed: the order.
            request_id: of its request; empty for none.
            digest: of what the request asks for.

        Raises:
            StatusError: INVALID_ARGUMENT, that request asked for something else.
        """
        row = to_row(placed) | {"request_id": request_id or None, "digest": digest}

        async def change(connection: AsyncConnection) -> None:
            await connection.execute(ORDERS.insert().values(row))

        try:
            await self._database.write(change)
        except IntegrityError:
            former = sa.select(ORDERS).where(ORDERS.c.request_id == request_id)
            found = (await self._database.read(former)).mappings().one()
            if found["digest"] != digest:
                raise reused() from None
            return to_placed(found)
        return placed

    async def move(self, before: Placed, after: Placed) -> bool:
        """Put an order into its next state; False if somebody else has moved it."""
        statement = (
            ORDERS.update()
            .where(
                ORDERS.c.id == before.order.id,
                ORDERS.c.state == before.order.state,
                ORDERS.c.attempt == before.attempt,
            )
            .values(to_row(after))
        )

        async def change(connection: AsyncConnection) -> bool:
            return bool((await connection.execute(statement)).rowcount)

        return await self._database.write(change)
