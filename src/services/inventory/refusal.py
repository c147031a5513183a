"""What the inventory refuses, and in which words."""

from __future__ import annotations

from services.refusal import precondition, refused
from transcoder import Code, StatusError

DOMAIN = "inventory.example.com"


def out_of_stock(item_id: str, stock: int) -> StatusError:
    """Return the refusal of a reservation of more units than there are.

    >>> print(out_of_stock("lamp", 2))
    of lamp there are 2 left
    """
    problem = f"of {item_id} there are {stock} left"
    return precondition(DOMAIN, "OUT_OF_STOCK", problem, itemId=item_id, stock=str(stock))


def item_missing(item_id: str) -> StatusError:
    """Return the refusal of a reservation of an item that is not there."""
    return precondition(DOMAIN, "ITEM_MISSING", f"there is no item {item_id}", itemId=item_id)


def released(reservation_id: str) -> StatusError:
    """Return the refusal of a reservation that was released."""
    problem = "the reservation was released: make another one"
    return precondition(DOMAIN, "RESERVATION_RELEASED", problem, reservationId=reservation_id)


def of_other_lines() -> StatusError:
    """Return the refusal of a reservation that was made of other lines."""
    problem = "the reservation was made of other lines: make another one"
    return refused(Code.ALREADY_EXISTS, problem)
