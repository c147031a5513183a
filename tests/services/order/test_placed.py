"""How an order moves on, without any other service."""

from __future__ import annotations

import pytest
from google.rpc.status_pb2 import Status

from services.inventory.v1.inventory_service_pb2 import Line
from services.order.placed import Placed
from services.order.v1.order_service_pb2 import Order, OrderLine
from transcoder import Code

LINES = [OrderLine(item_id="lamp", quantity=2), OrderLine(item_id="desk", quantity=1)]
NEW = Placed(order=Order(id="7", lines=LINES, state=Order.STATE_PENDING))


def reserved(lamp: int, desk: int) -> list[Line]:
    """Return the lines of a reservation, of which order the order does not know."""
    return [
        Line(item_id="desk", quantity=1, unit_price_cents=desk),
        Line(item_id="lamp", quantity=2, unit_price_cents=lamp),
    ]


def test_an_order_costs_what_its_lines_do() -> None:
    """The total is that of prices by quantities, whatever order the lines are in."""
    priced = NEW.priced(reserved(lamp=300, desk=9000))

    assert [line.unit_price_cents for line in priced.order.lines] == [300, 9000]
    assert priced.order.total_cents == 9600
    assert NEW.order.total_cents == 0


def test_a_price_holds() -> None:
    """What a first attempt has asked for, the next one asks for, so that it is charged once."""
    priced = NEW.priced(reserved(lamp=300, desk=9000))
    later = priced.failed(Status(code=Code.UNAVAILABLE)).released()

    assert later.priced(reserved(lamp=400, desk=9000)).order.total_cents == 9600


@pytest.mark.parametrize(
    "code", [Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED, Code.INTERNAL, Code.UNKNOWN]
)
def test_another_attempt(code: Code) -> None:
    """After what may pass, the order waits for a next attempt, with a reservation of its own."""
    later = NEW.failed(Status(code=code)).released()

    assert (later.order.state, later.attempt, later.failure) == (Order.STATE_PENDING, 2, None)
    assert {NEW.reservation_id, later.reservation_id} == {"7-1", "7-2"}


@pytest.mark.parametrize("code", [Code.FAILED_PRECONDITION, Code.INVALID_ARGUMENT])
def test_the_end(code: Code) -> None:
    """After what another attempt would only be told again, the order has failed."""
    over = NEW.failed(Status(code=code)).released()

    assert (over.order.state, over.attempt) == (Order.STATE_FAILED, 1)
    assert over.failure == Status(code=code)
