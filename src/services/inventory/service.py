"""The inventory service: each method of `services.inventory.v1.InventoryService` over a store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import grpc.aio

from services import page, update_mask
from services.inventory.refusal import of_other_lines, released
from services.inventory.store import Store
from services.inventory.v1.inventory_service_pb2 import (
    GetItemRequest,
    Item,
    Line,
    ListItemsRequest,
    ListItemsResponse,
    ReleaseStockRequest,
    Reservation,
    ReserveStockRequest,
    UpdateItemRequest,
)
from services.inventory.v1.inventory_service_pb2_grpc import InventoryServiceServicer
from services.refusal import invalid, missing

Context = grpc.aio.ServicerContext[Any, Any]

_ITEM = Item.DESCRIPTOR.full_name


class InventoryService(InventoryServiceServicer):
    """Answers by a store of items and reservations."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def GetItem(self, request: GetItemRequest, context: Context) -> Item:
        """Return one item."""
        found = await self._store.item(request.id)
        if found is None:
            raise missing(_ITEM, request.id)
        return found

    async def ListItems(self, request: ListItemsRequest, context: Context) -> ListItemsResponse:
        """Return one page of items."""
        size = page.size(request.page_size)
        items = await self._store.items(page.after(request.page_token), size + 1)
        more = page.token(items[size - 1].id) if len(items) > size else ""
        return ListItemsResponse(items=items[:size], next_page_token=more)

    async def UpdateItem(self, request: UpdateItemRequest, context: Context) -> Item:
        """Change the fields of an item that the mask names, and no others."""
        item_id, values = request.item.id, _changes(request)
        while True:
            store = self._store
            changed = await (store.change(item_id, values) if values else store.item(item_id))
            if changed is not None:
                return changed
            if not request.allow_missing:
                raise missing(_ITEM, item_id)
            if not values.get("unit_price_cents"):
                raise invalid("item.unit_price_cents", "is required of a new item")
            created = Item(id=item_id, **values)
            if await store.insert(created):
                return created

    async def ReserveStock(self, request: ReserveStockRequest, context: Context) -> Reservation:
        """Take units out of the stock."""
        wanted = [Line(item_id=line.item_id, quantity=line.quantity) for line in request.lines]
        made = Reservation(id=request.reservation_id, lines=wanted, state=Reservation.STATE_HELD)
        made.create_time.GetCurrentTime()
        if await self._store.reserve(made):
            return made
        known = await self._known(request.reservation_id)
        if known.state == Reservation.STATE_RELEASED:
            raise released(known.id)
        if [(line.item_id, line.quantity) for line in known.lines] != [
            (line.item_id, line.quantity) for line in wanted
        ]:
            raise of_other_lines()
        return known

    async def ReleaseStock(self, request: ReleaseStockRequest, context: Context) -> Reservation:
        """Put the units of a reservation back."""
        early = Reservation(id=request.reservation_id, state=Reservation.STATE_RELEASED)
        early.create_time.GetCurrentTime()
        await self._store.release(early)
        return await self._known(request.reservation_id)

    async def _known(self, reservation_id: str) -> Reservation:
        found = await self._store.reservation(reservation_id)
        if found is None:
            raise missing(Reservation.DESCRIPTOR.full_name, reservation_id)
        return found


def _changes(request: UpdateItemRequest) -> Mapping[str, Any]:
    """Return the values that a change sets; what it does not name may change at the same time."""
    paths = list(request.update_mask.paths)
    for path in paths:
        problem = "" if path == "*" else update_mask.problem(path, Item)
        if problem:
            raise invalid("update_mask", problem)
    allowed = update_mask.settable(request.item)
    if "*" in paths:
        paths = list(allowed)
    elif not paths:
        paths = [field.name for field, _ in request.item.ListFields()]
    return {path: getattr(request.item, path) for path in paths if path in allowed}
