"""Where charges are kept."""

from __future__ import annotations

from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from services.database import Database
from services.payment.schema import CHARGES, to_charge, to_row
from services.payment.v1.payment_service_pb2 import Charge


class Kept(NamedTuple):
    """A charge, and the digest of what its request asked for."""

    charge: Charge
    digest: bytes


class Store:
    """Keeps charges in a SQL database.

    Every method raises `services.database.Unavailable` if the database fails.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, charge_id: str) -> Kept | None:
        """Return the charge of that id; None for none."""
        found = await self._database.read(sa.select(CHARGES).where(CHARGES.c.id == charge_id))
        row = found.mappings().one_or_none()
        return None if row is None else Kept(to_charge(row), row["digest"])

    async def insert(self, kept: Kept) -> bool:
        """Add a charge; False if there is one of its id."""

        async def change(connection: AsyncConnection) -> None:
            await connection.execute(CHARGES.insert().values(to_row(*kept)))

        try:
            await self._database.write(change)
        except IntegrityError:
            return False
        return True

    async def refund(self, charge_id: str) -> None:
        """Give the money of a charge back, if it was taken and is not given back yet."""
        taken = CHARGES.c.id == charge_id, CHARGES.c.state == Charge.STATE_SUCCEEDED
        statement = CHARGES.update().where(*taken).values(state=Charge.STATE_REFUNDED)

        async def change(connection: AsyncConnection) -> None:
            await connection.execute(statement)

        await self._database.write(change)
