"""Requests that several steps send."""

from __future__ import annotations

ORDER = ("inventory", "payment", "order-v1", "order-v2", "business-a", "edge")
"""The processes that an order passes."""

CARD = "4111111111111111"
DECLINED = "4000000000000002"


def order(
    *, bearer: str = "$TOKEN", card: str = CARD, quantity: int = 1, query: str = "", more: str = ""
) -> str:
    """Return a command that places an order at the edge; its last line is the HTTP status.

    Args:
        bearer: the variable that holds the token; empty to send none.
        card: which pays.
        quantity: of lamps.
        query: of the URL, with its question mark.
        more: options of curl.
    """
    shown = f' -H "authorization: Bearer {bearer}"' if bearer else ""
    body = f'{{"lines": [{{"itemId": "lamp", "quantity": {quantity}}}], "cardNumber": "{card}"}}'
    options = f" {more}" if more else ""
    url = f"'https://order.example.com:8443/orders{query}'"
    return f"curl -K outside.curl{options}{shown} -w '\\n%{{http_code}}' --json '{body}' {url}"
