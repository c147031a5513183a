"""Step 4: what the edge says of a call is believed, and what others say of it is not."""

from __future__ import annotations

import json
from typing import Any

from demo.steps.requests import ORDER
from demo.transcript import Step, Transcript, Words, until
from demo.world import World

_FORGED = (
    "curl -K outside.curl -H 'x-request-id: forged' -H 'x-internal: forged' -H 'x-user-id: root'"
    " -H 'x-tenant-id: acme' -H \"authorization: Bearer $TOKEN\" -o /dev/null"
    " -w '%{http_code}' 'https://order.example.com:8443/v1/orders?page_size=1'"
)
_AT_A = "-H 'x-internal: true' -H 'x-user-id: root' 'https://localhost:8444/v1/orders?page_size=1'"
_CALLERS = (
    ("without a certificate", "没有证书", "--cacert ca.pem"),
    (
        "with a certificate of an unknown authority",
        "证书来自未知的 CA",
        "--cacert ca.pem --cert rogue.pem --key rogue.key",
    ),
)
_UNLISTED = "--cacert ca.pem --cert reporting.pem --key reporting.key"
_RESERVE = (
    'curl -K outside.curl -H "authorization: Bearer $TOKEN"'
    " -w '\\n%{http_code}' --json '{}' https://order.example.com:8443/v1/reservations/1:reserve"
)
_BY_GRPC = 'grpcurl -cacert public-ca.pem -H "authorization: Bearer $TOKEN"'
_STOCK = "services.inventory.v1.InventoryService"


_DENIED = (
    "curl -K outside.curl --interface 127.0.0.66 -w '\\n%{http_code}'"
    ' -H "authorization: Bearer $TOKEN" https://order.example.com:8443/orders'
)


def _run(told: Transcript) -> None:
    output = told.command(_DENIED)
    told.check("an address that is denied: 403", "黑名单中的地址：403", output.endswith("\n403"))
    status = told.command(_FORGED)
    until(lambda: _seen(told.world))
    told.command("grep forged business-a.log | grep -o '\"headers\".*'")
    seen = _seen(told.world)
    told.check(
        "the edge passes the call on with its own X-Internal and the verified identity",
        "边缘网关转发时写入自己的 X-Internal 和已验证的身份",
        status == "200"
        and seen == {"x-internal": "true", "x-user-id": "ann", "x-tenant-id": "basic"},
    )
    for en, zh, options in _CALLERS:
        output = told.command(f"curl -sS {options} -w '%{{http_code}}' {_AT_A}")
        told.check(
            f"gateway A, called {en}: no connection",
            f"直接调用网关 A，{zh}：无法建立连接",
            "000" in output and "alert" in output,
        )
    output = told.command(f"curl -sS {_UNLISTED} -w '\\n%{{http_code}}' {_AT_A}")
    told.check(
        "gateway A, called with a certificate that is not listed: 403",
        "直接调用网关 A，证书不在名单中：403",
        output.endswith("\n403"),
    )
    by_rest = told.command(_RESERVE)
    by_grpc = told.command(f"{_BY_GRPC} -d '{{}}' localhost:50443 {_STOCK}/ReserveStock")
    listed = told.command(f"{_BY_GRPC} localhost:50443 list {_STOCK}")
    told.check(
        "methods for services alone are not there at the edge: not by REST, gRPC or reflection",
        "仅供内部服务使用的方法在边缘网关不存在：REST、gRPC、反射都找不到",
        by_rest.endswith("\n404")
        and "does not include a method named" in by_grpc
        and listed.split() == [f"{_STOCK}.GetItem", f"{_STOCK}.ListItems"],
    )


def _seen(world: World) -> dict[str, Any]:
    """Return the headers of the forged call as gateway A got them."""
    for line in world.lines("business-a.log"):
        record = json.loads(line)
        if record["request_id"] == "forged":
            headers: dict[str, Any] = record.get("headers", {})
            return headers
    return {}


STEP = Step(
    4,
    Words("Trusted traffic", "可信流量"),
    (
        "安全控制 TLS终止、IP黑白名单、DDoS防护",
        "请求头注入 X-Internal: true，标识为内部可信流量。",
        "认证方式 JWT/OAuth2 mTLS + RBAC",
    ),
    "The edge marks a call as internal; gateway A believes that of the edge's certificate alone.",
    ORDER,
    _run,
)
