"""Step 9: what a gateway costs."""

from __future__ import annotations

import re
from dataclasses import dataclass

from demo.transcript import Step, Transcript, Words

_CALLS = 300
_SUM = (
    "sort -n | awk '{t[NR] = $1 * 1000} END"
    ' {printf "p50 %.2f ms, p99 %.2f ms\\n", t[int(NR * 0.5)], t[int(NR * 0.99)]}\''
)


@dataclass(frozen=True, slots=True)
class _Way:
    """A way to the users: what curl is told, and the processes that it passes."""

    name: str
    curl: str
    processes: tuple[str, ...]

    @property
    def command(self) -> str:
        times = "-o /dev/null -w '%{time_total}\\n'"
        return f"curl {self.curl}/v1/users/ada#[1-{_CALLS}]' {times} | {_SUM}"


_WAYS = (
    _Way("direct", "-K inside.curl 'https://localhost:8080", ("user",)),
    _Way("one gateway", "-K inside.curl 'https://localhost:8445", ("user", "business-b")),
    _Way(
        "two gateways",
        '-K outside.curl -H "authorization: Bearer $TOKEN" \'https://user.example.com:8443',
        ("user", "business-b", "edge"),
    ),
)


def _run(told: Transcript) -> None:
    rows = []
    for way in _WAYS:
        before = {name: told.world.process(name).cpu for name in way.processes}
        output = told.command(way.command)
        used = {name: told.world.process(name).cpu - begun for name, begun in before.items()}
        found = re.fullmatch(r"p50 ([\d.]+) ms, p99 ([\d.]+) ms\n", output)
        spent = {name: round(seconds / _CALLS * 1e6) for name, seconds in used.items()}
        rows.append((way, found, spent))
        each = " + ".join(f"{name} {spent[name]} µs" for name in reversed(way.processes))
        told.check(
            f"{way.name}: CPU of a request {sum(spent.values())} µs ({each})",
            f"{_ZH[way.name]}：每个请求的 CPU 时间 {sum(spent.values())} 微秒（{each}）",
            found is not None,
        )
    costs = [sum(spent.values()) for _, _, spent in rows]
    told.check(
        "each gateway adds to it: between services that know each other, none",
        "每经过一层网关都要多付一份：彼此已知的服务之间不经过网关",
        costs == sorted(costs),
    )


_ZH = {"direct": "直连", "one gateway": "经过一层网关", "two gateways": "经过两层网关"}

STEP = Step(
    9,
    Words("What a gateway costs", "网关的代价"),
    (
        "性能更高：减少网关跳转的延迟和单点压力",
        "性能损耗：多一跳网络延迟，网关可能成为瓶颈。",
    ),
    "The same call directly, through one gateway and through two.",
    ("user", "business-b", "edge"),
    _run,
)
