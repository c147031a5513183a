"""The tables of the inventory."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)
from sqlalchemy.engine import RowMapping

from services.inventory.v1.inventory_service_pb2 import Item, Reservation

METADATA = MetaData()

ITEMS = Table(
    "items",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("title", Text, nullable=False),
    Column("unit_price_cents", BigInteger, nullable=False),
    Column("stock", BigInteger, CheckConstraint("stock >= 0"), nullable=False),
)

RESERVATIONS = Table(
    "reservations",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("state", Integer, nullable=False, comment="Reservation.State"),
    Column("document", LargeBinary, nullable=False, comment="Reservation without its state"),
)


def to_item(row: RowMapping) -> Item:
    """Return the item of a row."""
    return Item(**row)


def to_row(reservation: Reservation) -> dict[str, Any]:
    """Return the values of a reservation's row."""
    document = Reservation()
    document.CopyFrom(reservation)
    document.ClearField("state")
    return {
        "id": reservation.id,
        "state": reservation.state,
        "document": document.SerializeToString(),
    }


def to_reservation(row: RowMapping) -> Reservation:
    """Return the reservation of a row."""
    reservation = Reservation.FromString(row["document"])
    reservation.state = row["state"]
    return reservation
