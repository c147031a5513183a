"""The inventory on real ports, with certificates."""

from __future__ import annotations

import asyncio
import collections
import itertools
from collections.abc import Iterator
from typing import Any

import grpc
import grpc.aio
import pytest

from over_tls import credentials
from services.inventory.v1.inventory_service_pb2 import (
    GetItemRequest,
    Item,
    Line,
    ListItemsRequest,
    ReleaseStockRequest,
    Reservation,
    ReserveStockRequest,
    UpdateItemRequest,
)
from services.inventory.v1.inventory_service_pb2_grpc import InventoryServiceStub
from shop import CERTIFICATES, PATIENCE, Service, Shop, code_of, open_shop, put, reason_of

_numbers = itertools.count()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop."""
    with open_shop(tmp_path_factory.mktemp("shop")) as opened:
        yield opened


@pytest.fixture(scope="module")
def inventory(shop: Shop) -> Service:
    """A running inventory."""
    return shop.serve("inventory")


@pytest.fixture(scope="module")
def stub(inventory: Service) -> Iterator[Any]:
    """The inventory, as the order service calls it."""
    with inventory.stub("order") as made:
        yield made


@pytest.fixture
def name() -> str:
    """A name that no other test has."""
    return f"lamp-{next(_numbers)}"


def reserving(name: str, quantity: int, item_id: str = "") -> ReserveStockRequest:
    """Return a request for units of an item, which the reservation is named after."""
    line = Line(item_id=item_id or name, quantity=quantity)
    return ReserveStockRequest(reservation_id=name, lines=[line])


def stock(stub: Any, item_id: str) -> int:
    """Return how many units of an item there are."""
    left: int = stub.GetItem(GetItemRequest(id=item_id), timeout=PATIENCE).stock
    return left


def test_reserved_units_are_gone(inventory: Service, stub: Any, name: str) -> None:
    """A reservation takes its units out of the stock, and tells their price."""
    put(inventory, name, stock=5, price=700)
    held = stub.ReserveStock(reserving(name, 2))

    assert held.state == Reservation.STATE_HELD
    assert [line.unit_price_cents for line in held.lines] == [700]
    assert stock(stub, name) == 3


def test_a_reservation_counts_once(inventory: Service, stub: Any, name: str) -> None:
    """The same reservation again is answered alike, and takes nothing more."""
    put(inventory, name, stock=5)
    first = stub.ReserveStock(reserving(name, 2))

    assert stub.ReserveStock(reserving(name, 2)) == first
    assert stock(stub, name) == 3


def test_a_reservation_keeps_its_lines(inventory: Service, stub: Any, name: str) -> None:
    """The same reservation of another quantity is refused, and changes nothing."""
    put(inventory, name, stock=5)
    stub.ReserveStock(reserving(name, 2))

    assert code_of(stub.ReserveStock, reserving(name, 3)) == "ALREADY_EXISTS"
    assert stock(stub, name) == 3


def test_a_release_counts_once(inventory: Service, stub: Any, name: str) -> None:
    """Units come back when they are released, and not a second time."""
    put(inventory, name, stock=5)
    stub.ReserveStock(reserving(name, 2))
    released = stub.ReleaseStock(ReleaseStockRequest(reservation_id=name))

    assert released.state == Reservation.STATE_RELEASED
    assert stub.ReleaseStock(ReleaseStockRequest(reservation_id=name)) == released
    assert stock(stub, name) == 5


def test_what_was_released_is_not_reserved_again(inventory: Service, stub: Any, name: str) -> None:
    """A reservation that comes again after its release is refused."""
    put(inventory, name, stock=5)
    stub.ReserveStock(reserving(name, 2))
    stub.ReleaseStock(ReleaseStockRequest(reservation_id=name))

    assert reason_of(stub.ReserveStock, reserving(name, 2)) == "RESERVATION_RELEASED"
    assert stock(stub, name) == 5


def test_a_release_may_come_first(inventory: Service, stub: Any, name: str) -> None:
    """A reservation whose release has overtaken it takes nothing."""
    put(inventory, name, stock=5)
    early = stub.ReleaseStock(ReleaseStockRequest(reservation_id=name))

    assert early.state == Reservation.STATE_RELEASED
    assert reason_of(stub.ReserveStock, reserving(name, 2)) == "RESERVATION_RELEASED"
    assert stock(stub, name) == 5


@pytest.mark.parametrize(("other", "reason"), [("-few", "OUT_OF_STOCK"), ("-none", "ITEM_MISSING")])
def test_all_or_nothing(inventory: Service, stub: Any, name: str, other: str, reason: str) -> None:
    """One line that cannot be had leaves the stock of the others as it was."""
    put(inventory, name, stock=5)
    put(inventory, f"{name}-few", stock=1)
    request = reserving(name, 2)
    request.lines.add(item_id=name + other, quantity=2)

    assert reason_of(stub.ReserveStock, request) == reason
    assert stock(stub, name) == 5


def test_a_refused_reservation_may_come_again(inventory: Service, stub: Any, name: str) -> None:
    """A reservation that found too little is not remembered: it may find enough later."""
    put(inventory, name, stock=1)
    assert reason_of(stub.ReserveStock, reserving(name, 2)) == "OUT_OF_STOCK"
    put(inventory, name, stock=2)

    assert code_of(stub.ReserveStock, reserving(name, 2)) == "OK"


def test_never_below_zero(shop: Shop, inventory: Service, stub: Any, name: str) -> None:
    """Of many who want a unit at once, through two servers, as many get one as there are."""
    put(inventory, name, stock=20)
    servers = [inventory, shop.serve("inventory")]

    async def ask() -> collections.Counter[str]:
        trusted = credentials(CERTIFICATES["order"])
        async with (
            grpc.aio.secure_channel(servers[0].grpc, trusted) as one,
            grpc.aio.secure_channel(servers[1].grpc, trusted) as other,
        ):
            stubs = [InventoryServiceStub(one), InventoryServiceStub(other)]

            async def reserve(number: int) -> str:
                request = reserving(f"{name}-{number // 2}", 1, name)
                called = stubs[number % 2].ReserveStock(request, timeout=PATIENCE)
                return (await called.code()).name

            # Each reservation is asked for twice, once of either server.
            return collections.Counter(await asyncio.gather(*map(reserve, range(100))))

    assert asyncio.run(ask()) == {"OK": 40, "FAILED_PRECONDITION": 60}
    assert stock(stub, name) == 0


def test_a_change_of_the_title_leaves_the_stock(inventory: Service, stub: Any, name: str) -> None:
    """A change touches what its mask names: units that are reserved meanwhile stay so."""
    put(inventory, name, stock=5)
    changed = inventory.rest("warehouse", "PATCH", f"/v1/items/{name}", json={"title": "Lamp"})

    assert changed.json() == {
        "id": name,
        "title": "Lamp",
        "unitPriceCents": "500",
        "stock": "5",
    }


PRICED = Item(stock=1, unit_price_cents=1)
CHANGES: list[tuple[UpdateItemRequest, list[str], str]] = [
    (UpdateItemRequest(item=Item(stock=1)), ["stock"], "NOT_FOUND"),
    # Without a price.
    (UpdateItemRequest(item=Item(stock=1), allow_missing=True), ["stock"], "INVALID_ARGUMENT"),
    (UpdateItemRequest(item=PRICED, allow_missing=True), ["colour"], "INVALID_ARGUMENT"),
    (UpdateItemRequest(item=Item(stock=-1), allow_missing=True), ["*"], "INVALID_ARGUMENT"),
    (UpdateItemRequest(item=PRICED, allow_missing=True), [], "OK"),
    (UpdateItemRequest(item=PRICED, allow_missing=True), ["*"], "OK"),
]


@pytest.mark.parametrize(("change", "mask", "code"), CHANGES)
def test_changes_of_what_is_not_there(
    inventory: Service, name: str, change: UpdateItemRequest, mask: list[str], code: str
) -> None:
    """An item is created where that is allowed, and has what an item needs."""
    change.item.id = name
    change.update_mask.paths[:] = mask
    with inventory.stub("warehouse") as stub:
        assert code_of(stub.UpdateItem, change) == code


def test_pages(shop: Shop) -> None:
    """Pages have all items, each once, in the order of ids."""
    other = shop.serve("inventory", database="sqlite://")
    for item_id in ("c", "a", "e", "b", "d"):
        put(other, item_id, stock=1)
    with other.stub("customer") as stub:
        request, seen = ListItemsRequest(page_size=2), []
        while True:
            page = stub.ListItems(request)
            seen.append([item.id for item in page.items])
            if not page.next_page_token:
                break
            request.page_token = page.next_page_token

        assert seen == [["a", "b"], ["c", "d"], ["e"]]
        assert code_of(stub.ListItems, ListItemsRequest(page_token="?")) == "INVALID_ARGUMENT"


PATHS = {
    "ReserveStock": ("POST", "/v1/reservations/x:reserve"),
    "ReleaseStock": ("POST", "/v1/reservations/x:release"),
    "UpdateItem": ("PATCH", "/v1/items/x"),
    "GetItem": ("GET", "/v1/items/x"),
    "ListItems": ("GET", "/v1/items"),
}
REQUESTS = {
    "ReserveStock": reserving("x", 1),
    "ReleaseStock": ReleaseStockRequest(reservation_id="x"),
    "UpdateItem": UpdateItemRequest(item=Item(id="x", unit_price_cents=1)),
    "GetItem": GetItemRequest(id="x"),
    "ListItems": ListItemsRequest(),
}
ALLOWED = {
    "ReserveStock": {"order"},
    "ReleaseStock": {"order"},
    "UpdateItem": {"warehouse"},
    "GetItem": {"order", "warehouse", "payment"},
    "ListItems": {"order", "warehouse", "payment"},
}


@pytest.mark.parametrize("method", ALLOWED)
def test_who_may_call(inventory: Service, method: str) -> None:
    """Each method is for those whose certificates have the names for it, on both ports."""
    verb, path = PATHS[method]
    body: dict[str, Any] = {} if verb == "GET" else {"json": {}}
    allowed = set()
    for who in ("order", "warehouse", "payment"):
        status = inventory.rest(who, verb, path, **body).status_code
        with inventory.stub(who) as stub:
            code = code_of(getattr(stub, method), REQUESTS[method])
        assert (status == 403) == (code == "PERMISSION_DENIED")
        allowed |= set() if status == 403 else {who}

    assert allowed == ALLOWED[method]
