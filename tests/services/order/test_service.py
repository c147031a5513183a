"""Orders on real ports, with certificates: what becomes of them at the other services."""

from __future__ import annotations

import contextlib
import itertools
import json
import signal
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import grpc
import httpx2
import pytest

from over_tls import credentials, trust
from services.inventory.v1.inventory_service_pb2 import GetItemRequest
from services.order.v1.order_service_pb2 import (
    CreateOrderRequest,
    GetOrderRequest,
    ListOrdersRequest,
    Order,
    OrderLine,
)
from services.payment.v1.payment_service_pb2 import (
    Charge,
    CreateChargeRequest,
    GetChargeRequest,
)
from shop import (
    CARD,
    CERTIFICATES,
    DECLINED,
    PATIENCE,
    Service,
    Shop,
    code_of,
    open_shop,
    put,
    reason_of,
)
from transcoder.observers import AccessLog

NOWHERE = "127.0.0.1:1"
"""Where nobody listens."""

_numbers = itertools.count()


@dataclass(frozen=True, slots=True)
class Trade:
    """The three services, and a way to order.

    Args:
        shop: they are of.
        inventory, payment, order: as they run.
    """

    shop: Shop
    inventory: Service
    payment: Service
    order: Service

    def stock(self, item_id: str) -> int:
        """Return how many units of an item there are."""
        return stock_at(self.inventory, item_id)

    def charge(self, charge_id: str) -> str:
        """Return the state of a charge, or the code of the refusal to tell."""
        with self.payment.stub("order") as stub:
            request = GetChargeRequest(id=charge_id)
            code = code_of(stub.GetCharge, request)
            if code != "OK":
                return code
            return Charge.State.Name(stub.GetCharge(request, timeout=PATIENCE).state)

    def another(self, **options: Any) -> Service:
        """Serve the same orders a second time; the options are those of `create_app`."""
        targets = {"inventory": self.inventory.grpc, "payment": self.payment.grpc}
        return self.shop.serve("order", **{**targets, **options})


@pytest.fixture(scope="module")
def trade(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trade]:
    """The three services, each with an access log."""
    folder = tmp_path_factory.mktemp("shop")
    with open_shop(folder) as shop:
        inventory, payment = (
            shop.serve(name, observers=[AccessLog(folder / f"{name}.log")])
            for name in ("inventory", "payment")
        )
        order = shop.serve("order", inventory=inventory.grpc, payment=payment.grpc)
        yield Trade(shop, inventory, payment, order)


@pytest.fixture
def lamp(trade: Trade) -> str:
    """An item of which there are five, at 500 cents."""
    name = f"lamp-{next(_numbers)}"
    put(trade.inventory, name, stock=5)
    return name


def ordering(
    item_id: str, quantity: int = 2, card: str = CARD, request_id: str = ""
) -> CreateOrderRequest:
    """Return a request for an order, of an id of its own unless one is given."""
    order = Order(lines=[OrderLine(item_id=item_id, quantity=quantity)], card_number=card)
    return CreateOrderRequest(order=order, request_id=request_id or str(uuid.uuid4()))


def body_of(item_id: str, quantity: int = 2, card: str = CARD) -> dict[str, Any]:
    """Return the same as JSON."""
    return {"lines": [{"itemId": item_id, "quantity": quantity}], "cardNumber": card}


def stock_at(inventory: Service, item_id: str) -> int:
    """Return how many units of an item an inventory has."""
    with inventory.stub("order") as stub:
        left: int = stub.GetItem(GetItemRequest(id=item_id), timeout=PATIENCE).stock
        return left


def create(service: Service, request: CreateOrderRequest) -> str:
    """Order, and return the code of the answer."""
    with service.stub("customer") as stub:
        return code_of(stub.CreateOrder, request)


def newest(service: Service) -> Order:
    """Return the order that was placed last."""
    with service.stub("customer") as stub:
        orders = stub.ListOrders(ListOrdersRequest(page_size=250), timeout=PATIENCE).orders
        last: Order = orders[-1]
        return last


def eventually(fact: Callable[[], bool], within: float = PATIENCE) -> bool:
    """Wait some seconds until something is so; return whether it is."""
    until = time.monotonic() + within
    while not fact():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


@pytest.mark.parametrize("path", ["/v1/orders", "/orders"])
def test_paid_over_rest(trade: Trade, lamp: str, path: str) -> None:
    """An order by either path is paid, its units are gone, and the card is charged."""
    answer = trade.order.rest("customer", "POST", path, json=body_of(lamp))
    order = answer.json()

    assert answer.status_code == 200
    assert order["state"] == "STATE_PAID"
    assert (order["totalCents"], order["lines"][0]["unitPriceCents"]) == ("1000", "500")
    assert "cardNumber" not in order
    assert trade.stock(lamp) == 3
    assert trade.charge(order["chargeId"]) == "STATE_SUCCEEDED"


def test_paid_over_grpc(trade: Trade, lamp: str) -> None:
    """The same over gRPC; and the order can be read afterwards, on both ports."""
    with trade.order.stub("customer") as stub:
        order = stub.CreateOrder(ordering(lamp), timeout=PATIENCE)
        assert stub.GetOrder(GetOrderRequest(id=order.id)) == order

    assert order.state == Order.STATE_PAID
    read = trade.order.rest("customer", "GET", f"/v1/orders/{order.id}").json()
    assert (read["id"], read["state"]) == (order.id, "STATE_PAID")


def test_a_declined_card_undoes_the_order(trade: Trade, lamp: str) -> None:
    """Who pays with a declined card is told so each time, and nothing stays reserved."""
    request = ordering(lamp, card=DECLINED)
    with trade.order.stub("customer") as stub:
        assert reason_of(stub.CreateOrder, request) == "CARD_DECLINED"
        assert reason_of(stub.CreateOrder, request) == "CARD_DECLINED"
    order = newest(trade.order)

    assert order.state == Order.STATE_FAILED
    assert trade.stock(lamp) == 5
    assert trade.charge(order.id) == "STATE_DECLINED"


def test_a_declined_card_over_rest(trade: Trade, lamp: str) -> None:
    """The answer is a 400 that names the reason and whose it is."""
    answer = trade.order.rest("customer", "POST", "/v1/orders", json=body_of(lamp, 1, DECLINED))

    assert answer.status_code == 400
    [info] = answer.json()["details"]
    assert (info["reason"], info["domain"]) == ("CARD_DECLINED", "payment.example.com")


@pytest.mark.parametrize(
    ("suffix", "reason"), [("", "OUT_OF_STOCK"), ("-of-nobody", "ITEM_MISSING")]
)
def test_what_there_is_not(trade: Trade, lamp: str, suffix: str, reason: str) -> None:
    """An order of more than there is fails before any card is charged."""
    with trade.order.stub("customer") as stub:
        assert reason_of(stub.CreateOrder, ordering(lamp + suffix, 6)) == reason
    order = newest(trade.order)

    assert order.state == Order.STATE_FAILED
    assert trade.charge(order.id) == "NOT_FOUND"
    assert trade.stock(lamp) == 5


def test_the_same_request_orders_once(trade: Trade, lamp: str) -> None:
    """A request that comes many times, at once and later, is one order."""
    request = ordering(lamp)
    with trade.order.stub("customer") as stub, ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: stub.CreateOrder(request, timeout=PATIENCE), range(8)))
        made.append(stub.CreateOrder(request, timeout=PATIENCE))

    assert all(order == made[0] for order in made)
    assert made[0].state == Order.STATE_PAID
    assert trade.stock(lamp) == 3


def test_one_replica_fails_what_another_pays(trade: Trade, lamp: str) -> None:
    """Where attempts at one order fail and succeed at once, it is paid and takes its units once."""
    cut_off = trade.another(payment=NOWHERE)
    requests = [ordering(lamp, 1) for _ in range(4)]
    with (
        cut_off.stub("customer") as failing,
        trade.order.stub("customer") as paying,
        ThreadPoolExecutor(12) as pool,
    ):
        asked = [(stub, each) for each in requests for stub in (failing, paying, failing) * 2]
        codes = list(pool.map(lambda ask: code_of(ask[0].CreateOrder, ask[1]), asked))
        orders = [paying.CreateOrder(each, timeout=PATIENCE) for each in requests]

    assert set(codes) <= {"OK", "UNAVAILABLE"}
    assert {order.state for order in orders} == {Order.STATE_PAID}
    assert trade.stock(lamp) == 1


def test_another_request_of_the_same_id(trade: Trade, lamp: str) -> None:
    """A request with the id of another one is refused, and orders nothing."""
    named = f"request_id={uuid.uuid4()}"
    first = trade.order.rest("customer", "POST", f"/v1/orders?{named}", json=body_of(lamp))
    other = trade.order.rest("customer", "POST", f"/v1/orders?{named}", json=body_of(lamp, 1))

    assert (first.status_code, other.status_code) == (200, 400)
    [bad] = other.json()["details"]
    assert bad["fieldViolations"][0]["field"] == "request_id"
    assert trade.stock(lamp) == 3


def test_a_payment_that_cannot_be_reached(trade: Trade, lamp: str) -> None:
    """Nothing stays reserved; the same request, when it comes again, is paid."""
    named = f"request_id={uuid.uuid4()}"
    cut_off = trade.another(payment=NOWHERE)
    path = f"/v1/orders?{named}"
    refused = cut_off.rest("customer", "POST", path, json=body_of(lamp))

    assert (refused.status_code, refused.json()["code"]) == (503, 14)
    assert refused.headers["retry-after"] == "1"
    assert "127.0.0.1" not in refused.text
    assert newest(trade.order).state == Order.STATE_PENDING
    assert trade.stock(lamp) == 5
    paid = trade.order.rest("customer", "POST", path, json=body_of(lamp))
    assert paid.json()["state"] == "STATE_PAID"
    assert trade.stock(lamp) == 3


def test_an_inventory_that_cannot_be_reached(trade: Trade, lamp: str) -> None:
    """What could not be released is left for the request that comes again."""
    request = ordering(lamp)
    cut_off = trade.another(inventory=NOWHERE)

    assert create(cut_off, request) == "UNAVAILABLE"
    assert create(trade.order, request) == "OK"
    assert newest(trade.order).state == Order.STATE_PAID
    assert trade.stock(lamp) == 3


def test_what_was_not_released_is_released_later(trade: Trade, lamp: str) -> None:
    """A server that starts finds the orders that an earlier one could not release."""
    cut_off = trade.another(inventory=NOWHERE, database=f"sqlite:///{trade.shop.folder}/left.db")
    assert create(cut_off, ordering(lamp)) == "UNAVAILABLE"
    assert newest(cut_off).state == Order.STATE_RELEASING
    later = trade.another(database=f"sqlite:///{trade.shop.folder}/left.db")

    assert eventually(lambda: newest(later).state == Order.STATE_PENDING)


def test_a_charge_whose_answer_was_lost_is_found(trade: Trade, lamp: str) -> None:
    """An order that was charged without hearing of it is not charged twice."""
    request = ordering(lamp)
    assert create(trade.another(payment=NOWHERE), request) == "UNAVAILABLE"
    order_id = newest(trade.order).id
    charge_of(trade, order_id)

    assert create(trade.order, request) == "OK"
    assert newest(trade.order).charge_id == order_id


def test_a_charge_whose_answer_was_lost_is_given_back(trade: Trade, lamp: str) -> None:
    """An order that was charged without hearing of it, and fails later, costs nothing."""
    request = ordering(lamp)
    assert create(trade.another(payment=NOWHERE), request) == "UNAVAILABLE"
    order_id = newest(trade.order).id
    charge_of(trade, order_id)
    put(trade.inventory, lamp, stock=1)

    with trade.order.stub("customer") as stub:
        assert reason_of(stub.CreateOrder, request) == "OUT_OF_STOCK"
    assert newest(trade.order).state == Order.STATE_FAILED
    assert trade.charge(order_id) == "STATE_REFUNDED"


def charge_of(trade: Trade, order_id: str) -> None:
    """Charge what an order of two lamps costs, as one does that ends before it hears of it."""
    charge = Charge(amount_cents=1000, card_number=CARD)
    with trade.payment.stub("order") as stub:
        stub.CreateCharge(CreateChargeRequest(charge=charge, request_id=order_id))


def test_a_payment_that_is_killed(trade: Trade, lamp: str) -> None:
    """While the process is dead orders are UNAVAILABLE, and paid when it is there again."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        target = f"127.0.0.1:{probe.getsockname()[1]}"
    payment = trade.shop.start("payment", "--database", "sqlite:///other.db", grpc=target)
    order = trade.another(payment=target)
    assert create(order, ordering(lamp, 1)) == "OK"
    payment.kill()
    request = ordering(lamp)

    assert create(order, request) == "UNAVAILABLE"
    assert trade.stock(lamp) == 4
    trade.shop.start("payment", "--database", "sqlite:///other.db", grpc=target)
    assert eventually(lambda: create(order, request) == "OK")
    assert trade.stock(lamp) == 2


def test_a_payment_that_is_silent(trade: Trade, lamp: str) -> None:
    """A customer whose deadline passes leaves no stock reserved."""
    payment = trade.shop.start("payment", "--database", "sqlite://")
    order = trade.another(payment=payment.grpc)
    with order.stub("customer") as stub, silent(payment):
        waiting = stub.CreateOrder.future(ordering(lamp), timeout=2)

        assert waiting.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        assert eventually(lambda: trade.stock(lamp) == 5, within=30)
        # And it is known to be: in a minute from its start the server would look again.
        assert eventually(lambda: newest(order).state == Order.STATE_PENDING, within=20)


def test_a_customer_who_hangs_up(trade: Trade) -> None:
    """What was begun comes to its end, though nobody waits for it, through each port."""
    inventory = trade.shop.start("inventory", "--database", "sqlite://")
    order = trade.another(inventory=inventory.grpc, database="sqlite://")
    put(inventory, "lamp", stock=5)

    def placed() -> list[Order.State]:
        with order.stub("customer") as stub:
            return [each.state for each in stub.ListOrders(ListOrdersRequest()).orders]

    with order.stub("customer") as stub, silent(inventory):
        called = stub.CreateOrder.future(ordering("lamp", 1), timeout=PATIENCE)
        assert eventually(lambda: len(placed()) == 1)
        called.cancel()
        context = trust(CERTIFICATES["customer"])
        with httpx2.Client(verify=context) as client, pytest.raises(httpx2.ReadTimeout):
            client.post(f"https://{order.http}/orders", json=body_of("lamp", 2), timeout=2)
        assert eventually(lambda: len(placed()) == 2)

    assert eventually(lambda: placed() == [Order.STATE_PAID] * 2)
    assert stock_at(inventory, "lamp") == 2


@contextlib.contextmanager
def silent(service: Service) -> Iterator[None]:
    """Stop a process, which goes on when this is over."""
    assert service.process is not None
    service.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        service.process.send_signal(signal.SIGCONT)


def test_not_allowed_to_charge(trade: Trade, lamp: str) -> None:
    """A payment that refuses the order service is none of the customer's business."""
    strict = trade.shop.serve("payment", database="sqlite://", order="another")
    order = trade.another(payment=strict.grpc)
    answer = order.rest("customer", "POST", "/v1/orders", json=body_of(lamp))

    assert answer.status_code == 500
    assert answer.json()["message"] == "the order cannot be carried out"
    assert trade.stock(lamp) == 5


@pytest.mark.parametrize("headers", [{"x-request-id": "mine"}, {}])
def test_the_request_id_goes_along(trade: Trade, lamp: str, headers: dict[str, str]) -> None:
    """Each call that an order takes is logged under the request's id, by all of the services."""
    body = body_of(lamp, card=DECLINED)
    answer = trade.order.rest("customer", "POST", "/v1/orders", json=body, headers=headers)
    named = answer.headers["x-request-id"]

    def logged() -> set[tuple[str, str]]:
        lines = [
            json.loads(line)
            for name in ("inventory", "payment")
            for line in (trade.shop.folder / f"{name}.log").read_text().splitlines()
        ]
        mine = [line for line in lines if line["request_id"] == named]
        return {(line["method"].rpartition(".")[2], line["subject"]) for line in mine}

    called = {(name, "order") for name in ("ReserveStock", "CreateCharge", "ReleaseStock")}
    assert named == headers.get("x-request-id", named)
    assert eventually(lambda: logged() == called)


def test_pages(trade: Trade, lamp: str) -> None:
    """Pages have all orders, the oldest first."""
    for _ in range(3):
        create(trade.order, ordering(lamp, 1))
    with trade.order.stub("customer") as stub:
        whole = stub.ListOrders(ListOrdersRequest(page_size=250)).orders
        request, found = ListOrdersRequest(page_size=2), []
        while True:
            page = stub.ListOrders(request)
            found += page.orders
            if not page.next_page_token:
                break
            request.page_token = page.next_page_token
        wrong = ListOrdersRequest(page_token="bGFtcA")

        assert found == list(whole)
        assert code_of(stub.ListOrders, wrong) == "INVALID_ARGUMENT"


@pytest.mark.parametrize("replica", ["v1", "v2"])
def test_which_replica_answered(trade: Trade, replica: str) -> None:
    """Answers and refusals tell the replica, over REST and over gRPC."""
    order = trade.another(replica=replica)
    answers = [order.rest("customer", "GET", f"/v1/orders{path}") for path in ("", "/x")]
    with order.stub("customer") as stub:
        _, call = stub.ListOrders.with_call(ListOrdersRequest(), timeout=PATIENCE)

    assert [answer.status_code for answer in answers] == [200, 404]
    assert {answer.headers["x-replica"] for answer in answers} == {replica}
    assert ("x-replica", replica) in call.trailing_metadata()


def test_who_may_order(trade: Trade, lamp: str) -> None:
    """Where callers are named, a certificate of another name may not order, on both ports."""
    order = trade.another(callers=["warehouse"])
    refused = order.rest("customer", "POST", "/v1/orders", json=body_of(lamp))

    assert refused.status_code == 403
    assert create(order, ordering(lamp)) == "PERMISSION_DENIED"
    assert order.rest("warehouse", "GET", "/v1/orders").status_code == 200


@pytest.mark.parametrize("name", ["inventory", "payment", "order"])
def test_no_plain_text(trade: Trade, name: str) -> None:
    """Who speaks no TLS, shows no certificate or a stranger's gets nothing, on both ports."""
    service: Service = getattr(trade, name)
    plain = httpx2.get(f"http://{service.http}/healthz", timeout=PATIENCE)
    with grpc.insecure_channel(service.grpc) as channel:
        method: Any = channel.unary_unary("/grpc.health.v1.Health/Check")
        in_the_clear = code_of(method, b"")
    with grpc.secure_channel(service.grpc, credentials()) as channel:
        without = code_of(channel.unary_unary("/grpc.health.v1.Health/Check"), b"")

    assert (plain.status_code, plain.text) == (400, "this port speaks TLS: use https://\n")
    assert (in_the_clear, without) == ("UNAVAILABLE", "UNAVAILABLE")
    with pytest.raises(httpx2.TransportError):
        service.rest("rogue", "GET", "/healthz")
