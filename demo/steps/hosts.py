"""Step 1: a host and a port lead to a service, through the edge and gateway B."""

from __future__ import annotations

import json

from demo.transcript import Step, Transcript, Words

_USER = "https://user.example.com:8443/v1/users/ada"
_CURL = (
    "curl -sS --cacert public-ca.pem --resolve user.example.com:8443:127.0.0.1"
    f' -H "authorization: Bearer $TOKEN" {_USER}'
)
_GRPCURL = (
    """grpcurl -cacert public-ca.pem -H "authorization: Bearer $TOKEN" -d '{"id": "ada"}'"""
    " localhost:50443 services.user.v1.UserService/GetUser"
)
_EXPLAIN = f"transcoder explain --gateway edge.yaml --gateway business-b.yaml GET {_USER}"
_WRONG = "https://pay.example.com:8443/v1/users/ada"
_REFUSED = (
    "curl -sS --cacert public-ca.pem --resolve pay.example.com:8443:127.0.0.1"
    f" -H \"authorization: Bearer $TOKEN\" -w '\\n%{{http_code}}' {_WRONG}"
)


def _run(told: Transcript) -> None:
    output = told.command(_CURL)
    told.check(
        "the user comes through the edge and gateway B",
        "经过边缘网关和网关 B 取得用户",
        _id(output) == "ada",
    )
    told.check(
        "by gRPC, too",
        "gRPC 同样经过这两层",
        _id(told.command(_GRPCURL)) == "ada",
    )
    output = told.command(_EXPLAIN)
    hops = [line.partition(":")[0] for line in output.splitlines() if not line.startswith(" ")]
    told.check(
        "each hop is told from the files alone",
        "仅凭配置文件即可说明每一跳",
        hops == ["edge.yaml", "business-b.yaml"],
    )
    output = told.command(_REFUSED)
    told.check("a host that is not served: 421", "未配置的域名：421", output.endswith("\n421"))
    output = told.command(f"transcoder explain --gateway edge.yaml GET {_WRONG}")
    told.check(
        "the files tell that, too",
        "配置文件同样能说明",
        "refused   421" in output,
    )


def _id(output: str) -> str:
    try:
        return str(json.loads(output)["id"])
    except (ValueError, KeyError):
        return ""


STEP = Step(
    1,
    Words("A domain, and the way to its service", "域名到服务的路径"),
    (
        "边缘网关 → 业务网关B → 用户服务",
        "检查请求是否匹配Gateway中定义的域名/端口。",
        "client->外部流量-边缘网关-内部流量-内部网关-服务",
    ),
    "user.example.com leads through the edge and business gateway B to the user service.",
    ("user", "business-b", "edge"),
    _run,
)
