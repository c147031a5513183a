"""Step 5: which version of the orders answers, by headers and by weight."""

from __future__ import annotations

from demo.steps.requests import ORDER
from demo.transcript import Step, Transcript, Words

_LIST = "'https://order.example.com:8443/v1/orders?page_size=1'"
_REPLICA = "-o /dev/null -w '%header{x-replica}'"
_OUTSIDE = f"curl -K outside.curl {_REPLICA}"
_PLAIN = (
    "curl -K inside.curl -o /dev/null -w '%header{x-replica}\\n'"
    " 'https://localhost:8444/v1/orders?page_size=1#[1-1000]' | sort | uniq -c"
)
_CASES = (
    (
        "a tenant is told by the verified claim: v2",
        "租户以已验证的声明为准：v2",
        f'{_OUTSIDE} -H "authorization: Bearer $ACME" {_LIST}',
        "v2",
    ),
    (
        "a forged X-Tenant-ID is ignored: v1",
        "伪造的 X-Tenant-ID 被忽略：v1",
        f"{_OUTSIDE} -H 'x-tenant-id: acme' -H \"authorization: Bearer $TOKEN\" {_LIST}",
        "v1",
    ),
    (
        "the group of an experiment: v2",
        "实验分组：v2",
        f"{_OUTSIDE} -H 'x-experiment-group: B' -H \"authorization: Bearer $TOKEN\" {_LIST}",
        "v2",
    ),
    (
        "a gray release by User-Agent: v2",
        "按 User-Agent 灰度：v2",
        f"curl -K inside.curl {_REPLICA} -A Phone/2.1 'https://localhost:8444/v1/orders?page_size=1'",
        "v2",
    ),
)


def _run(told: Transcript) -> None:
    for en, zh, command, expected in _CASES:
        told.check(en, zh, told.command(command) == expected)
    counts = told.command(_PLAIN).split()
    told.check(
        "1000 calls that no header decides: exactly 950 to v1 and 50 to v2",
        "1000 个不含路由请求头的调用：v1 正好 950 个，v2 正好 50 个",
        counts == ["950", "v1", "50", "v2"],
    )


STEP = Step(
    5,
    Words("Routing by header and weight", "基于 Header 和权重的路由"),
    (
        "灰度发布（根据 User-Agent 导流到不同版本）",
        "多租户隔离（根据 X-Tenant-ID 路由到专属实例）",
        "A/B 测试（根据 X-Experiment-Group 分配流量）",
        "金丝雀发布（逐步将 5% 流量导到新版本）",
        "权重通过 加权轮询（WRR） 算法实现。",
    ),
    "Headers and the verified tenant choose a version; weights split the rest, exactly.",
    ORDER,
    _run,
)
