"""Step 10: one request in the logs of all processes."""

from __future__ import annotations

from demo.steps.requests import ORDER, order
from demo.transcript import Step, Transcript, Words, until

_ID = "joined"
_LOGS = ("edge", "business-a", "order-v1", "order-v2", "inventory", "payment")
_PATH = ("edge.log", "business-a.log", "order-v", "inventory.log", "payment.log")


def _run(told: Transcript) -> None:
    output = told.command(order(more=f"-H 'x-request-id: {_ID}'"))
    told.check("an order is paid: 200", "下单成功：200", output.endswith("\n200"))
    files = [f"{name}.log" for name in _LOGS]
    until(lambda: sum(f'"{_ID}"' in line for name in files for line in told.world.lines(name)) == 5)
    output = told.command(f"transcoder logs --table --request-id {_ID} *.log")
    lines = output.splitlines()[1:]
    told.check(
        "edge, gateway A, order, inventory, payment: each behind what caused it",
        "边缘网关、网关 A、订单、库存、支付：按因果顺序排列",
        len(lines) == len(_PATH)
        and all(f" {log}" in line for log, line in zip(_PATH, lines, strict=True)),
    )


STEP = Step(
    10,
    Words("One request, all logs", "一个请求，全部日志"),
    ("日志关联：在网关和Istio中统一注入 X-Request-ID。",),
    "X-Request-ID joins the logs of all processes, each call behind the one that caused it.",
    ORDER,
    _run,
)
