"""The payment service: each method of `services.payment.v1.PaymentService` over a store."""

from __future__ import annotations

from typing import Any

import grpc.aio

from services.payment.refusal import declined, nothing_taken
from services.payment.store import Kept, Store
from services.payment.v1.payment_service_pb2 import (
    Charge,
    CreateChargeRequest,
    GetChargeRequest,
    RefundChargeRequest,
)
from services.payment.v1.payment_service_pb2_grpc import PaymentServiceServicer
from services.refusal import missing, reused
from services.request_digest import digest

Context = grpc.aio.ServicerContext[Any, Any]

DECLINED = "0002"
"""The last digits of the cards that are declined."""


class PaymentService(PaymentServiceServicer):
    """Answers by a store of charges."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def CreateCharge(self, request: CreateChargeRequest, context: Context) -> Charge:
        """Charge a card, once for each request id."""
        asked = await digest(_content(request.charge), request.request_id)
        charge = _charged(request)
        if not await self._store.insert(Kept(charge, asked)):
            charge, former = await self._kept(request.request_id)
            if former != asked:
                raise reused()
        if charge.state == Charge.STATE_DECLINED:
            raise declined(charge.id)
        return charge

    async def GetCharge(self, request: GetChargeRequest, context: Context) -> Charge:
        """Return one charge."""
        return (await self._kept(request.id)).charge

    async def RefundCharge(self, request: RefundChargeRequest, context: Context) -> Charge:
        """Give the money of a charge back."""
        await self._store.refund(request.id)
        charge = (await self._kept(request.id)).charge
        if charge.state == Charge.STATE_DECLINED:
            raise nothing_taken(charge.id)
        return charge

    async def _kept(self, charge_id: str) -> Kept:
        found = await self._store.get(charge_id)
        if found is None:
            raise missing(Charge.DESCRIPTOR.full_name, charge_id)
        return found


def _content(charge: Charge) -> Charge:
    """Return what of a charge its client decides."""
    return Charge(amount_cents=charge.amount_cents, card_number=charge.card_number)


def _charged(request: CreateChargeRequest) -> Charge:
    """Return the charge that a request makes."""
    card = request.charge.card_number
    state = Charge.STATE_DECLINED if card.endswith(DECLINED) else Charge.STATE_SUCCEEDED
    charge = Charge(
        id=request.request_id,
        amount_cents=request.charge.amount_cents,
        card_last_digits=card[-4:],
        state=state,
    )
    charge.create_time.GetCurrentTime()
    return charge
