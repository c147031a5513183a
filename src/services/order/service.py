"""The order service: each method of `services.order.v1.OrderService`."""

from __future__ import annotations

import uuid
from typing import Any

import grpc.aio

from services import page
from services.order.fulfilment import Fulfilment, Trace
from services.order.placed import Placed
from services.order.refusal import refused
from services.order.store import Store
from services.order.v1.order_service_pb2 import (
    CreateOrderRequest,
    GetOrderRequest,
    ListOrdersRequest,
    ListOrdersResponse,
    Order,
    OrderLine,
)
from services.order.v1.order_service_pb2_grpc import OrderServiceServicer
from services.refusal import invalid, missing
from services.request_digest import digest

Context = grpc.aio.ServicerContext[Any, Any]

_TRACE = frozenset({"x-request-id", "traceparent", "tracestate", "baggage"})


class OrderService(OrderServiceServicer):
    """Answers by a store of orders, and by what brings them on."""

    def __init__(self, store: Store, fulfilment: Fulfilment) -> None:
        self._store = store
        self._fulfilment = fulfilment

    async def CreateOrder(self, request: CreateOrderRequest, context: Context) -> Order:
        """Place an order, once for each request id, and bring it on."""
        card = request.order.card_number
        order = _ordered(request.order)
        content = Order(lines=order.lines, card_number=card)
        asked = await digest(content, request.request_id or order.id)
        placed = await self._store.place(Placed(order=order), request.request_id, asked)
        done = await self._fulfilment.run(placed, card, _trace(context))
        if done.failure is not None:
            raise refused(done.failure)
        return done.order

    async def GetOrder(self, request: GetOrderRequest, context: Context) -> Order:
        """Return one order."""
        found = await self._store.get(request.id)
        if found is None:
            raise missing(Order.DESCRIPTOR.full_name, request.id)
        return found.order

    async def ListOrders(self, request: ListOrdersRequest, context: Context) -> ListOrdersResponse:
        """Return one page of orders."""
        size = page.size(request.page_size)
        found = await self._store.page(_place(request.page_token), size + 1)
        more = page.token(str(found[size - 1].sequence)) if len(found) > size else ""
        orders = [each.order for each in found[:size]]
        return ListOrdersResponse(orders=orders, next_page_token=more)


def _ordered(asked: Order) -> Order:
    """Return a new order of what a customer asks for, without the card."""
    lines = [OrderLine(item_id=line.item_id, quantity=line.quantity) for line in asked.lines]
    order = Order(id=str(uuid.uuid4()), lines=lines, state=Order.STATE_PENDING)
    order.create_time.GetCurrentTime()
    return order


def _place(page_token: str) -> int:
    last = page.after(page_token)
    if last and not (last.isascii() and last.isdigit() and len(last) < 19):
        raise invalid("page_token", "is no next_page_token of this list")
    return int(last or 0)


def _trace(context: Context) -> Trace:
    return [(key, value) for key, value in context.invocation_metadata() or () if key in _TRACE]
