"""Step 5: which version of the orders answers, by headers and by weight."""

from __future__ import annotations

from demo.steps.requests import ORDER
from demo.transcript import Step, Transcript, Words, until

_LIST = "'https://order.example.com:8443/v1/orders?page_size=1'"
_OUTSIDE = "curl -K outside.curl -o /dev/null -w '%header{x-replica}'"
_KNOWN = '-H "authorization: Bearer $TOKEN"'
_CASES = (
    (
        "a gray release by User-Agent: v2",
        "按 User-Agent 灰度：v2",
        f"{_OUTSIDE} -A Phone/2.1 {_KNOWN} {_LIST}",
        "v2",
    ),
    (
        "a tenant is told by the verified claim: v2",
        "租户以已验证的声明为准：v2",
        f'{_OUTSIDE} -H "authorization: Bearer $ACME" {_LIST}',
        "v2",
    ),
    (
        "a forged X-Tenant-ID is ignored: v1",
        "伪造的 X-Tenant-ID 被忽略：v1",
        f"{_OUTSIDE} -H 'x-tenant-id: acme' {_KNOWN} {_LIST}",
        "v1",
    ),
    (
        "the group of an experiment: v2",
        "实验分组：v2",
        f"{_OUTSIDE} -H 'x-experiment-group: B' {_KNOWN} {_LIST}",
        "v2",
    ),
)


def _plain(calls: int, more: str = "") -> str:
    """Return a command that lists orders again and again, and counts what answered."""
    url = f"'https://order.example.com:8443/v1/orders?page_size=1#[1-{calls}]'"
    told = "-o /dev/null -w '%{http_code} %header{x-replica}\\n'"
    return f"curl -K outside.curl{more} {_KNOWN} {told} {url} | sort | uniq -c"


def _under_traffic(change: str) -> str:
    """Return a command that makes a hundred calls, then a change, and calls until it is read.

    A hundred more are behind it.
    """
    calls = _plain(100).removesuffix(" | sort | uniq -c")
    again = f"for n in $(seq 30); do {calls}; grep -q '{_READ}' business-a.out && break; done"
    return f"{{ {calls}; ({change}) & {again}; {calls}; }} | sort | uniq -c"


def _reload(change: str) -> str:
    return f"sed -i '{change}' business-a.yaml && kill -HUP $(cat business-a.pid)"


_PARALLEL = " --parallel --parallel-max 8 --no-progress-meter"
_HALVES = "s/weight: 95/weight: 50/; s/weight: 5}/weight: 50}/"
_WRONG = "s/weight: 50/weight: 60/"
_READ = "business-a.yaml: read anew"
_KEPT = "the configuration stays that of before"
_BACK = "s/v1, weight: 60/v1, weight: 95/; s/v2, weight: 60/v2, weight: 5/"


def _run(told: Transcript) -> None:
    for en, zh, command, expected in _CASES:
        told.check(en, zh, told.command(command) == expected)
    told.check(
        "1000 calls that no header decides: exactly 950 to v1 and 50 to v2",
        "1000 个不含路由请求头的调用：v1 正好 950 个，v2 正好 50 个",
        _counts(told.command(_plain(1000, _PARALLEL))) == {"200 v1": 950, "200 v2": 50},
    )
    counts = _counts(told.command(_under_traffic(_reload(_HALVES))))
    calls, canary = sum(counts.values()), counts.get("200 v2", 0)
    told.check(
        f"weights of 50 and 50 are read anew under traffic: {calls} calls, none fails",
        f"在流量中重新加载为 50 与 50：{calls} 个调用，无一失败",
        counts.keys() == {"200 v1", "200 v2"}
        and _read(told, _READ) == 1
        # Both weights had their part of them.
        and 0.05 * calls < canary < 0.5 * calls,
    )
    told.check(
        "from then on: exactly 50 of 100 to each",
        "此后每 100 个调用各得 50 个",
        _counts(told.command(_plain(100))) == {"200 v1": 50, "200 v2": 50},
    )
    told.command(_reload(_WRONG))
    until(lambda: _read(told, _KEPT))
    output = told.command("grep -o 'business-a.yaml:.* weights .*' business-a.out")
    told.check(
        "weights that are wrong change nothing, and the log says why",
        "权重写错时配置不变，日志说明原因",
        output.count("\n") == 1 and output.endswith(f"{_KEPT}\n"),
    )
    told.command(_reload(_BACK))
    until(lambda: _read(told, _READ) == 2)
    told.check("the canary is back", "恢复为金丝雀权重", _read(told, _READ) == 2)


def _read(told: Transcript, what: str) -> int:
    """Return how often gateway A has said something of its file."""
    return told.world.process("business-a").said.count(what)


def _counts(output: str) -> dict[str, int]:
    """Return how often a line was there, as `uniq -c` tells it."""
    pairs = (line.strip().partition(" ") for line in output.splitlines())
    return {text: int(count) for count, _, text in pairs if count.isdecimal()}


STEP = Step(
    5,
    Words("Routing by header and weight", "基于 Header 和权重的路由"),
    (
        "灰度发布（根据 User-Agent 导流到不同版本）",
        "多租户隔离（根据 X-Tenant-ID 路由到专属实例）",
        "A/B 测试（根据 X-Experiment-Group 分配流量）",
        "金丝雀发布（逐步将 5% 流量导到新版本）",
        "多版本并行测试（50% 用户用 A 方案，50% 用 B 方案）",
        "权重通过 加权轮询（WRR） 算法实现。",
    ),
    "Headers and the verified tenant choose a version; weights split the rest, exactly.",
    ORDER,
    _run,
)
