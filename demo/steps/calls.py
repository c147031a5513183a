"""Step 6: services call each other directly, over gRPC and mTLS."""

from __future__ import annotations

import json
from typing import Any

from demo.steps.requests import ORDER, order
from demo.transcript import Step, Transcript, Words, until
from demo.world import World

_ID = "direct"
_HOPS = {
    "inventory": "services.inventory.v1.InventoryService.ReserveStock",
    "payment": "services.payment.v1.PaymentService.CreateCharge",
}


def _run(told: Transcript) -> None:
    told.command(order(more=f"-H 'x-request-id: {_ID}'"))
    until(lambda: all(_record(told.world, name) for name in _HOPS))
    told.command(f"transcoder logs --table --request-id {_ID} inventory.log payment.log")
    for name, method in _HOPS.items():
        record = _record(told.world, name)
        code, took = record.get("code"), record.get("duration_ms")
        told.check(
            f"order → {name}: {code} in {took} ms, the peer's SAN is {record.get('subject')}",
            f"order → {name}：{code}，{took} 毫秒，对端证书的 SAN 是 {record.get('subject')}",
            (record.get("method"), code, record.get("subject")) == (method, "OK", "order"),
        )
    output = told.command("curl -sS http://localhost:8082/v1/charges/1")
    told.check("plain text is refused", "拒绝明文连接", "this port speaks TLS" in output)
    output = told.command(
        "curl -sS --cacert ca.pem --cert inventory.pem --key inventory.key"
        " -w '\\n%{http_code}' https://localhost:8082/v1/charges/1"
    )
    told.check(
        "the inventory may not ask for charges: 403",
        "库存服务无权查询扣款：403",
        output.endswith("\n403"),
    )


def _record(world: World, name: str) -> dict[str, Any]:
    """Return what the log of a service tells of the order's call there."""
    for line in world.lines(f"{name}.log"):
        record: dict[str, Any] = json.loads(line)
        if record["request_id"] == _ID:
            return record
    return {}


STEP = Step(
    6,
    Words("East-west calls", "东西流量"),
    (
        "内部服务间通信频繁，要求低延迟、高吞吐。",
        "简化架构：内部直接通过服务名（如K8s Service、Dubbo接口）调用",
        "Order Service → Payment Service",
    ),
    "Services call each other directly; each knows its caller by the name in its certificate.",
    ORDER,
    _run,
)
