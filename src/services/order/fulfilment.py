"""How an order comes by its stock and its money, or by neither.

Each step may be done twice, and each change of state happens once: whoever moves the order on does
what belongs to it. So a request that comes again, to this process or to another one, goes on where
the one before was cut off.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import grpc
import grpc.aio

from services.database import Unavailable
from services.inventory.v1.inventory_service_pb2 import (
    Line,
    ReleaseStockRequest,
    ReserveStockRequest,
)
from services.order.placed import Placed
from services.order.refusal import failure
from services.order.store import Store
from services.order.v1.order_service_pb2 import Order
from services.payment.v1.payment_service_pb2 import (
    Charge,
    CreateChargeRequest,
    RefundChargeRequest,
)

if TYPE_CHECKING:
    # Known to type checkers only.
    from services.inventory.v1.inventory_service_pb2_grpc import InventoryServiceAsyncStub
    from services.payment.v1.payment_service_pb2_grpc import PaymentServiceAsyncStub

Trace: TypeAlias = Sequence[tuple[str, str | bytes]]

_PATIENCE = 5
"""Seconds that a release may take, whose customer may be gone."""

_MINUTE = 60

_NEVER_TAKEN = {grpc.StatusCode.NOT_FOUND, grpc.StatusCode.FAILED_PRECONDITION}


class Fulfilment:
    """Brings orders on.

    Args:
        store: where they are.
        inventory: reserves their stock.
        payment: charges their cards.
    """

    def __init__(
        self, store: Store, inventory: InventoryServiceAsyncStub, payment: PaymentServiceAsyncStub
    ) -> None:
        self._store = store
        self._inventory = inventory
        self._payment = payment
        self._running: set[asyncio.Task[Placed]] = set()

    async def run(self, placed: Placed, card_number: str, trace: Trace) -> Placed:
        """Bring an order on until it is paid, or cannot be; return what became of it.

        It goes on if the caller is cancelled: a customer who hangs up leaves nothing half done.

        Args:
            placed: the order as it was found.
            card_number: which card pays.
            trace: metadata by which releases are found together with the rest of the call.
        """
        task = asyncio.create_task(self._run(placed, card_number, trace))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(task)

    async def tidy(self) -> None:
        """Release what nobody came to release: look for it now, and every minute."""
        while True:
            with contextlib.suppress(Unavailable):
                for placed in await self._store.releasing():
                    await self._release(placed, ())
            await asyncio.sleep(_MINUTE)

    async def close(self) -> None:
        """Wait for what runs."""
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _run(self, placed: Placed, card_number: str, trace: Trace) -> Placed:
        while True:
            match placed.order.state:
                case Order.STATE_PENDING:
                    after = await self._attempted(placed, card_number)
                    if await self._store.move(placed, after):
                        if after.failure is not None:
                            await self._release(after, trace)
                        return after
                case Order.STATE_RELEASING:
                    # Its customer was told why, by one who did not come to the end of it.
                    if not await self._release(placed, trace):
                        return placed
                case _:
                    return placed
            placed = await self._store.get(placed.order.id) or placed

    async def _attempted(self, placed: Placed, card_number: str) -> Placed:
        """Reserve and charge; return the order that is paid, or has failed."""
        lines = [Line(item_id=line.item_id, quantity=line.quantity) for line in placed.order.lines]
        reserving = ReserveStockRequest(reservation_id=placed.reservation_id, lines=lines)
        try:
            reserved = await self._inventory.ReserveStock(reserving)
        except grpc.aio.AioRpcError as error:
            return placed.failed(failure(error, "inventory"))
        priced = placed.priced(reserved.lines)
        charge = Charge(amount_cents=priced.order.total_cents, card_number=card_number)
        charging = CreateChargeRequest(charge=charge, request_id=priced.order.id)
        try:
            charged = await self._payment.CreateCharge(charging)
        except grpc.aio.AioRpcError as error:
            return priced.failed(failure(error, "payment"))
        return priced.paid(charged.id)

    async def _release(self, placed: Placed, trace: Trace) -> bool:
        """Give back what an attempt may have taken; False if that is left for the next request."""
        releasing = ReleaseStockRequest(reservation_id=placed.reservation_id)
        try:
            await _apart(self._inventory.ReleaseStock, releasing, trace)
            if placed.failed_for_good and placed.attempt > 1:
                await self._refund(placed, trace)
        except grpc.aio.AioRpcError as error:
            failure(error, "release")
            return False
        await self._store.move(placed, placed.released())
        return True

    async def _refund(self, placed: Placed, trace: Trace) -> None:
        """Give the money back that an earlier attempt may have taken without hearing of it."""
        try:
            await _apart(self._payment.RefundCharge, RefundChargeRequest(id=placed.order.id), trace)
        except grpc.aio.AioRpcError as error:
            if error.code() not in _NEVER_TAKEN:
                raise


async def _apart(method: Any, request: Any, trace: Trace) -> None:
    """Call a method, but not as a part of the customer's call, whose deadline may be over."""

    async def call() -> None:
        await method(request, timeout=_PATIENCE, metadata=tuple(trace))

    await asyncio.create_task(call(), context=contextvars.Context())
