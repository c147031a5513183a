"""Step 2: who orders shows a token."""

from __future__ import annotations

from demo.steps.requests import ORDER, order
from demo.transcript import Step, Transcript, Words

_CASES = (
    ("without a token", "没有令牌", "", "401"),
    ("with a token that has expired", "令牌已过期", "$EXPIRED", "401"),
    ("with a token for another audience", "令牌的受众不对", "$ELSEWHERE", "401"),
    ("with a good token", "令牌有效", "$TOKEN", "200"),
)


def _run(told: Transcript) -> None:
    for en, zh, token, expected in _CASES:
        output = told.command(order(bearer=token))
        status = output.rpartition("\n")[2]
        paid = '"state":"STATE_PAID"' in output
        told.check(
            f"{en}: {expected}{', the order is paid' if expected == '200' else ''}",
            f"{zh}：{expected}{'，订单已支付' if expected == '200' else ''}",
            status == expected and paid == (expected == "200"),
        )


STEP = Step(
    2,
    Words("An order, and who places it", "下单，以及由谁下单"),
    ("基础认证 JWT校验、OAuth2.0鉴权", "场景：用户下单请求"),
    "A customer places an order: the edge checks the JWT, and no service has code for it.",
    ORDER,
    _run,
)
