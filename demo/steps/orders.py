"""Step 7: an order that cannot be paid is undone, and one that is sent twice is one."""

from __future__ import annotations

import json

from demo.steps.requests import DECLINED, ORDER, order
from demo.transcript import Step, Transcript, Words

_STOCK = "curl -K inside.curl https://localhost:8081/v1/items/lamp"
_KEY = "?request_id=7d4d6bbc-0c4b-4a51-a0a5-9f4f8f5a8f11"


def _run(told: Transcript) -> None:
    before = told.command(_STOCK)
    output = told.command(order(card=DECLINED))
    told.check(
        "the card is declined: 400, CARD_DECLINED",
        "卡被拒：400，CARD_DECLINED",
        output.endswith("\n400") and "CARD_DECLINED" in output,
    )
    told.check("the stock is as before", "库存不变", told.command(_STOCK) == before)
    first, second = told.command(order(query=_KEY)), told.command(order(query=_KEY))
    told.check(
        "the same request twice: one order, one charge",
        "同一请求发送两次：一个订单，一次扣款",
        first.endswith("\n200") and _charge(first) == _charge(second),
    )
    output = told.command(order(query=_KEY, quantity=2))
    told.check(
        "its id with other content: 400",
        "同一幂等键，内容不同：400",
        output.endswith("\n400"),
    )


def _charge(output: str) -> str:
    try:
        return str(json.loads(output.rpartition("\n")[0])["chargeId"])
    except (ValueError, KeyError):
        return output


STEP = Step(
    7,
    Words("A declined card, a repeated request", "卡被拒与重复请求"),
    ("是否需业务代码参与",),
    "What an order means is the services' own: no gateway undoes one, or knows it again.",
    ORDER,
    _run,
)
