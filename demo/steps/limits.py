"""Step 3: more calls than the edge admits."""

from __future__ import annotations

import time

from demo.steps.requests import ORDER
from demo.transcript import Step, Transcript, Words

_CALLS, _RATE, _BURST = 300, 20, 2
_COMMAND = (
    'curl -K outside.curl -H "authorization: Bearer $TOKEN" --parallel --no-progress-meter'
    " -o /dev/null -w '%{http_code} %header{retry-after}\\n'"
    f" 'https://order.example.com:8443/v1/items?page_size=1#[1-{_CALLS}]' | sort | uniq -c"
)


def _run(told: Transcript) -> None:
    begun = time.monotonic()
    output = told.command(_COMMAND)
    took = time.monotonic() - begun
    counts = {tuple(line.split()[1:]): int(line.split()[0]) for line in output.splitlines()}
    admitted, refused = counts.get(("200",), 0), counts.get(("429", "1"), 0)
    told.check(
        f"{refused} of {_CALLS} calls are refused: 429, Retry-After is 1 s",
        f"{_CALLS} 个调用中 {refused} 个被拒绝：429，Retry-After 为 1 秒",
        refused > 0 and admitted + refused == _CALLS,
    )
    told.check(
        f"{admitted} are admitted in {took:.1f} s: no more than {_RATE} a second, {_BURST} at once",
        f"{took:.1f} 秒内放行 {admitted} 个：不超过每秒 {_RATE} 个，同时 {_BURST} 个",
        0 < admitted <= _BURST + _RATE * took,
    )


STEP = Step(
    3,
    Words("A burst", "突发流量"),
    (
        "限流熔断 全局请求速率限制（如 1000 QPS）",
        "验证JWT，限流1000 QPS，路由到 /orders。",
    ),
    "The edge admits 1000 calls a second, and of the items 20, so that a burst here exceeds it.",
    ORDER,
    _run,
)
