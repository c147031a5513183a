"""The table of orders."""

from __future__ import annotations

from typing import Any

from google.rpc.status_pb2 import Status
from sqlalchemy import Column, Integer, LargeBinary, MetaData, Table, Text
from sqlalchemy.engine import RowMapping

from services.order.placed import Placed
from services.order.v1.order_service_pb2 import Order

METADATA = MetaData()

ORDERS = Table(
    "orders",
    METADATA,
    Column("sequence", Integer, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("request_id", Text, unique=True),
    Column("digest", LargeBinary, nullable=False, comment="of what the request asked for"),
    Column("state", Integer, nullable=False, comment="Order.State"),
    Column("attempt", Integer, nullable=False),
    Column("document", LargeBinary, nullable=False, comment="Order without its state"),
    Column("failure", LargeBinary, comment="google.rpc.Status"),
    sqlite_autoincrement=True,
)


def to_row(placed: Placed) -> dict[str, Any]:
    """Return the values of an order's row, without those that never change."""
    document = Order()
    document.CopyFrom(placed.order)
    document.ClearField("state")
    failure = placed.failure
    return {
        "id": placed.order.id,
        "state": placed.order.state,
        "attempt": placed.attempt,
        "document": document.SerializeToString(),
        "failure": None if failure is None else failure.SerializeToString(),
    }


def to_placed(row: RowMapping) -> Placed:
    """Return the order of a row."""
    failure = row["failure"]
    return Placed(
        order=to_order(row),
        attempt=row["attempt"],
        failure=None if failure is None else Status.FromString(failure),
    )


def to_order(row: RowMapping) -> Order:
    """Return what clients see of the order of a row."""
    order = Order.FromString(row["document"])
    order.state = row["state"]
    return order
