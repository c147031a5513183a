"""Step 8: a service dies, and comes back."""

from __future__ import annotations

from demo.steps.requests import ORDER, order
from demo.transcript import Step, Transcript, Words
from demo.world import COMMANDS

_CODES = "-o /dev/null -w '%{http_code} after %{time_total} s\\n'"
_STATE = (
    "curl -sS http://127.0.0.1:9902/metrics | grep 'breaker_state.*CreateOrder.*version=\"v1\"} 1'"
)


def _run(told: Transcript) -> None:
    told.world.process("payment").end()
    told.told("kill -KILL $(cat payment.pid)", "")
    attempt = order().replace("-w '\\n%{http_code}'", _CODES)
    output = told.command(f"for n in 1 2 3 4 5 6 7 8; do {attempt}; done")
    codes = [line.partition(" ")[0] for line in output.splitlines()]
    told.check("orders fail: 503", "下单失败：503", codes == ["503"] * 8)
    told.check(
        "gateway A has opened the breaker of CreateOrder",
        "网关 A 的 CreateOrder 熔断器已打开",
        _is(told.command(_STATE), "open"),
    )
    listed = told.command(
        'curl -K outside.curl -H "authorization: Bearer $TOKEN" -o /dev/null'
        " -w '%{http_code}' 'https://order.example.com:8443/v1/orders?page_size=1'"
    )
    told.check("orders are still listed: 200", "仍可列出订单：200", listed == "200")
    told.world.start(["payment"])
    told.told(f"{COMMANDS['payment']} &", told.world.process("payment").said)
    # Of two orders v1 gets one at least, which closes its breaker.
    again = order(more="--retry 30 --retry-delay 1 -o answer").replace(
        "\\n%{http_code}", "%{http_code}\\n"
    )
    output = told.command(f"for n in 1 2; do {again}; done")
    if output != "200\n200\n":
        told.command("cat answer")
    told.check("the next orders are paid: 200", "恢复后下单成功：200", output == "200\n200\n")
    told.check("the breaker is closed", "熔断器已关闭", _is(told.command(_STATE), "closed"))


def _is(metrics: str, state: str) -> bool:
    """Say whether the breaker that metrics tell of is in a state."""
    return f'state="{state}"' in metrics


STEP = Step(
    8,
    Words("A service is down", "服务宕机"),
    ("限流熔断", "内部Istio：治理东西流量的可靠性与可观测性。"),
    "The payment dies: a breaker answers in place of orders that cannot be paid, until it is back.",
    ORDER,
    _run,
)
