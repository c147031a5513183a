"""The table of charges."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, MetaData, Table, Text
from sqlalchemy.engine import RowMapping

from services.payment.v1.payment_service_pb2 import Charge

METADATA = MetaData()

CHARGES = Table(
    "charges",
    METADATA,
    Column("id", Text, primary_key=True, comment="the request_id, too"),
    Column("digest", LargeBinary, nullable=False, comment="of what the request asked for"),
    Column("amount_cents", BigInteger, nullable=False),
    Column("card_last_digits", Text, nullable=False),
    Column("state", Integer, nullable=False, comment="Charge.State"),
    Column("create_time", BigInteger, nullable=False, comment="microseconds since 1970"),
)


def to_row(charge: Charge, digest: bytes) -> dict[str, Any]:
    """Return the values of a charge's row."""
    return {
        "id": charge.id,
        "digest": digest,
        "amount_cents": charge.amount_cents,
        "card_last_digits": charge.card_last_digits,
        "state": charge.state,
        "create_time": charge.create_time.ToMicroseconds(),
    }


def to_charge(row: RowMapping) -> Charge:
    """Return the charge of a row."""
    charge = Charge(
        id=row["id"],
        amount_cents=row["amount_cents"],
        card_last_digits=row["card_last_digits"],
        state=row["state"],
    )
    charge.create_time.FromMicroseconds(row["create_time"])
    return charge
