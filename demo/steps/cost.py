"""Step 9: what a gateway costs."""

from __future__ import annotations

import re
from dataclasses import dataclass

from demo.transcript import Step, Transcript, Words

_CALLS = 300
_TOLD = re.compile(r"p50 ([\d.]+) ms, p99 ([\d.]+) ms\n")
_SUM = (
    "sort -n | awk '{t[NR] = $1 * 1000} END"
    ' {printf "p50 %.2f ms, p99 %.2f ms\\n", t[int(NR * 0.5)], t[int(NR * 0.99)]}\''
)
_INSIDE = "--ca ca.pem --cert edge.pem --key edge.key"


@dataclass(frozen=True, slots=True)
class _Way:
    """A way to the users: its name, where it begins, and the processes that it passes."""

    name: Words
    grpc: str
    curl: str
    processes: tuple[str, ...]

    def commands(self) -> dict[str, str]:
        """Return the command of each protocol."""
        times = "-o /dev/null -w '%{time_total}\\n'"
        return {
            "gRPC": f"python -m demo.calls --calls {_CALLS} {self.grpc}",
            "REST": f"curl {self.curl}/v1/users/ada#[1-{_CALLS}]' {times} | {_SUM}",
        }


_WAYS = (
    _Way(
        Words("directly", "直连"),
        f"localhost:50051 {_INSIDE}",
        "-K inside.curl 'https://localhost:8080",
        ("user",),
    ),
    _Way(
        Words("through one gateway", "经过一层网关"),
        f"localhost:50445 {_INSIDE}",
        "-K inside.curl 'https://localhost:8445",
        ("business-b", "user"),
    ),
    _Way(
        Words("through two gateways", "经过两层网关"),
        'localhost:50443 --ca public-ca.pem --token "$TOKEN"',
        '-K outside.curl -H "authorization: Bearer $TOKEN" \'https://user.example.com:8443',
        ("edge", "business-b", "user"),
    ),
)


def _run(told: Transcript) -> None:
    for protocol in ("gRPC", "REST"):
        costs = []
        for way in _WAYS:
            spent = _spent(told, way, way.commands()[protocol])
            costs.append(sum(spent.values()))
            each = " + ".join(f"{name} {cost}" for name, cost in spent.items())
            told.check(
                f"{protocol} {way.name.en}: {costs[-1]} µs of CPU a request ({each})",
                f"{protocol} {way.name.zh}：每个请求 {costs[-1]} 微秒 CPU（{each}）",
                bool(costs[-1]),
            )
        told.check(
            f"{protocol}: each gateway on the way adds its part",
            f"{protocol}：每多一层网关，就多一份开销",
            costs == sorted(costs),
        )


def _spent(told: Transcript, way: _Way, command: str) -> dict[str, int]:
    """Return the microseconds of CPU that each process spends on a request; 0 if it fails."""
    processes = {name: told.world.process(name) for name in way.processes}
    before = {name: process.cpu for name, process in processes.items()}
    output = told.command(command)
    if _TOLD.fullmatch(output) is None:
        return dict.fromkeys(processes, 0)
    used = {name: process.cpu - before[name] for name, process in processes.items()}
    return {name: round(seconds / _CALLS * 1e6) for name, seconds in used.items()}


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
