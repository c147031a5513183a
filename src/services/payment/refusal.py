"""What the payment refuses, and in which words."""

from __future__ import annotations

from services.refusal import precondition
from transcoder import StatusError

DOMAIN = "payment.example.com"


def declined(charge_id: str) -> StatusError:
    """Return the refusal of a charge whose card was declined."""
    problem = "the card is declined: take another one"
    return precondition(DOMAIN, "CARD_DECLINED", problem, chargeId=charge_id)


def nothing_taken(charge_id: str) -> StatusError:
    """Return the refusal of a refund of a charge that took nothing."""
    problem = "the card was declined: there is nothing to give back"
    return precondition(DOMAIN, "NOTHING_TAKEN", problem, chargeId=charge_id)
