"""The payment on real ports, with certificates."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from services.payment.v1.payment_service_pb2 import (
    Charge,
    CreateChargeRequest,
    GetChargeRequest,
    RefundChargeRequest,
)
from shop import CARD, DECLINED, Service, Shop, code_of, open_shop, reason_of


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop."""
    with open_shop(tmp_path_factory.mktemp("shop")) as opened:
        yield opened


@pytest.fixture(scope="module")
def payment(shop: Shop) -> Service:
    """A running payment."""
    return shop.serve("payment")


@pytest.fixture(scope="module")
def stub(payment: Service) -> Iterator[Any]:
    """The payment, as the order service calls it."""
    with payment.stub("order") as made:
        yield made


def charging(amount: int = 500, card: str = CARD, request_id: str = "") -> CreateChargeRequest:
    """Return a request for a charge, of an id of its own unless one is given."""
    charge = Charge(amount_cents=amount, card_number=card)
    return CreateChargeRequest(charge=charge, request_id=request_id or str(uuid.uuid4()))


def test_a_charge(stub: Any) -> None:
    """A charge has the request's id, and of the card the last four digits."""
    request = charging(1250)
    charge = stub.CreateCharge(request)

    assert charge.id == request.request_id
    assert (charge.amount_cents, charge.card_last_digits) == (1250, "1111")
    assert (charge.state, charge.card_number) == (Charge.STATE_SUCCEEDED, "")
    assert stub.GetCharge(GetChargeRequest(id=charge.id)) == charge


def test_over_rest(payment: Service) -> None:
    """The body is the charge, and the request's id stands in the query."""
    named = str(uuid.uuid4())
    body = {"amountCents": "99", "cardNumber": CARD}
    charged = payment.rest("order", "POST", f"/v1/charges?request_id={named}", json=body)
    refunded = payment.rest("order", "POST", f"/v1/charges/{named}:refund", json={})

    assert charged.json()["state"] == "STATE_SUCCEEDED"
    assert refunded.json() == {**charged.json(), "state": "STATE_REFUNDED"}
    assert payment.rest("order", "GET", f"/v1/charges/{named}").json() == refunded.json()


def test_the_same_request_charges_once(stub: Any) -> None:
    """A request that comes again is answered with the charge that it made."""
    request = charging()

    assert stub.CreateCharge(request) == stub.CreateCharge(request)


@pytest.mark.parametrize(
    ("amount", "card"), [(501, CARD), (500, "4222222222221111"), (500, DECLINED)]
)
def test_another_request_of_the_same_id(stub: Any, amount: int, card: str) -> None:
    """A request with the id of another one is refused, though its card end in the same digits."""
    named = str(uuid.uuid4())
    first = stub.CreateCharge(charging(500, CARD, named))

    assert code_of(stub.CreateCharge, charging(amount, card, named)) == "INVALID_ARGUMENT"
    assert stub.GetCharge(GetChargeRequest(id=named)) == first


def test_a_declined_card(stub: Any) -> None:
    """A card that ends in 0002 is declined each time that it is asked for, with the reason."""
    request = charging(card=DECLINED)

    assert code_of(stub.CreateCharge, request) == "FAILED_PRECONDITION"
    assert reason_of(stub.CreateCharge, request) == "CARD_DECLINED"
    kept = stub.GetCharge(GetChargeRequest(id=request.request_id))
    assert kept.state == Charge.STATE_DECLINED


def test_a_refund(stub: Any) -> None:
    """Money is given back once, and the request that took it takes it no second time."""
    request = charging()
    stub.CreateCharge(request)
    refunded = stub.RefundCharge(RefundChargeRequest(id=request.request_id))

    assert refunded.state == Charge.STATE_REFUNDED
    assert stub.RefundCharge(RefundChargeRequest(id=request.request_id)) == refunded
    assert stub.CreateCharge(request) == refunded


def test_nothing_to_refund(stub: Any) -> None:
    """What was never taken cannot be given back."""
    request = charging(card=DECLINED)
    code_of(stub.CreateCharge, request)

    declined = RefundChargeRequest(id=request.request_id)
    assert reason_of(stub.RefundCharge, declined) == "NOTHING_TAKEN"
    assert code_of(stub.RefundCharge, RefundChargeRequest(id="nobody's")) == "NOT_FOUND"


@pytest.mark.parametrize(
    "request_",
    [
        charging(0),
        charging(card="4111 1111 1111 1111"),
        charging(card=""),
        charging(request_id="1"),
        CreateChargeRequest(charge=Charge(amount_cents=1, card_number=CARD)),
    ],
    ids=["no amount", "spaces", "no card", "no UUID", "no id"],
)
def test_a_wrong_request(stub: Any, request_: CreateChargeRequest) -> None:
    """Nobody is charged by a request that breaks a rule."""
    assert code_of(stub.CreateCharge, request_) == "INVALID_ARGUMENT"


def test_no_card_is_kept(shop: Shop, stub: Any) -> None:
    """The number of a card is nowhere in the database."""
    stub.CreateCharge(charging())
    with sqlite3.connect(shop.folder / "payment.db") as database:
        kept = "\n".join(database.iterdump())
    database.close()

    assert "1111" in kept
    assert CARD not in kept
    assert CARD.encode().hex().upper() not in kept.upper()


@pytest.mark.parametrize("who", ["inventory", "customer"])
def test_only_the_order_may_charge(payment: Service, who: str) -> None:
    """Another certificate of the same authority may neither charge nor look, on both ports."""
    body = {"amountCents": "99", "cardNumber": CARD}
    refused = payment.rest(who, "POST", f"/v1/charges?request_id={uuid.uuid4()}", json=body)
    with payment.stub(who) as stub:
        codes = {
            code_of(stub.CreateCharge, charging()),
            code_of(stub.GetCharge, GetChargeRequest(id="x")),
            code_of(stub.RefundCharge, RefundChargeRequest(id="x")),
        }

    assert refused.status_code == 403
    assert codes == {"PERMISSION_DENIED"}
