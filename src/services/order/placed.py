"""An order on its way from one state to the next.

    PENDING ──── reserved and charged ───▶ PAID
      │  ▲
      │  └── released, to be tried again ──┐
      └─────────── it failed ───────▶ RELEASING ──── released for good ───▶ FAILED

Each attempt reserves under an id of its own, for what was released cannot be reserved again. All
of them charge under one, so that a charge whose answer was lost is found by the next attempt.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Self

from google.rpc.status_pb2 import Status

from services.inventory.v1.inventory_service_pb2 import Line
from services.order.v1.order_service_pb2 import Order
from transcoder import Code

FOR_GOOD = frozenset({Code.INVALID_ARGUMENT, Code.FAILED_PRECONDITION})
"""What another attempt would only be told again, and the customer can do something about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """An order, and what its customer does not see.

    Args:
        order: as it is now.
        attempt: counted from 1.
        failure: why it is being released, or has failed; None otherwise.
    """

    order: Order
    attempt: int = 1
    failure: Status | None = None

    @property
    def reservation_id(self) -> str:
        """The id under which this attempt reserves."""
        return f"{self.order.id}-{self.attempt}"

    @property
    def failed_for_good(self) -> bool:
        """Whether no further attempt is to be made."""
        return self.failure is not None and self.failure.code in FOR_GOOD

    def priced(self, reserved: Iterable[Line]) -> Self:
        """Return it with the prices of a reservation, unless an earlier attempt had told others."""
        if self.order.total_cents:
            return self
        prices = {line.item_id: line.unit_price_cents for line in reserved}
        order = _copy(self.order)
        for line in order.lines:
            line.unit_price_cents = prices[line.item_id]
        order.total_cents = sum(line.unit_price_cents * line.quantity for line in order.lines)
        return replace(self, order=order)

    def paid(self, charge_id: str) -> Self:
        """Return it after a charge."""
        return replace(self, order=_copy(self.order, Order.STATE_PAID, charge_id))

    def failed(self, failure: Status) -> Self:
        """Return it after an attempt that failed."""
        return replace(self, order=_copy(self.order, Order.STATE_RELEASING), failure=failure)

    def released(self) -> Self:
        """Return it after the release of what the attempt had reserved."""
        if self.failed_for_good:
            return replace(self, order=_copy(self.order, Order.STATE_FAILED))
        order = _copy(self.order, Order.STATE_PENDING)
        return replace(self, order=order, attempt=self.attempt + 1, failure=None)


def _copy(order: Order, state: Order.State = Order.STATE_PENDING, charge_id: str = "") -> Order:
    copied = Order()
    copied.CopyFrom(order)
    copied.state, copied.charge_id = state, charge_id
    return copied
