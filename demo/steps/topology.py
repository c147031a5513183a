"""Step 11: who calls whom."""

from __future__ import annotations

from demo.steps.requests import order
from demo.transcript import Step, Transcript, Words
from demo.world import EVERYTHING

_COMMAND = "transcoder topology " + " ".join(f"127.0.0.1:{port}" for port in range(9901, 9909))
_USER = (
    'curl -K outside.curl -H "authorization: Bearer $TOKEN" -o /dev/null'
    " https://user.example.com:8443/v1/users/ada"
)
_WANTED = {
    ("clients", "edge"),
    ("edge", "business-a"),
    ("edge", "business-b"),
    ("business-a", "order"),
    ("business-b", "user"),
    ("order", "inventory"),
    ("order", "payment"),
}


def _run(told: Transcript) -> None:
    told.command(_USER)
    told.command(order())
    output = told.command(_COMMAND)
    edges = {tuple(line.split()[:3:2]) for line in output.splitlines()}
    told.check(
        "clients → edge → gateways A and B → order and user, order → inventory and payment",
        "客户端 → 边缘网关 → 网关 A、B → 订单、用户；订单 → 库存、支付",
        edges >= _WANTED,
    )


STEP = Step(
    11,
    Words("The topology", "服务拓扑"),
    ("拓扑可视化：使用Kiali观察服务间调用关系。",),
    "Each process tells whom it calls and who calls it; together that is the topology.",
    EVERYTHING,
    _run,
)
