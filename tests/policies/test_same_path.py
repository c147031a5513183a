"""Policies and router see one path: what is denied is reached by no other spelling of it."""

from __future__ import annotations

import asyncio
import json
import os
import random
from typing import Any

from streams import POOL, Streams, register
from transcoder import Gateway
from transcoder.call_details import CallDetails
from transcoder.policies.authorization import Authorization, Grant
from transcoder.policies.policy import Now, Policy, Stage

PIECES = [
    "/", "//", ".", "..", "%2e", "%2E%2e", "%2f", "%5c", "\\", ";", ":", "*", "v1", "V1", "%761",
    "a", "b", "told", "tol%64", "single", "file", "asks", "%00", "%ff", "%zz", "%", "admin", "=",
]  # fmt: skip
DENIED = "streams.v1.Streams.Tell"
CASES = int(os.environ.get("PATH_CASES", "10000"))


class Noting:
    """Notes which method and path the policies saw last."""

    name = "noting"
    stage = Stage.REQUEST_ID
    seen: tuple[str, str] = ("", "")

    def decide(self, call: CallDetails, now: Now) -> None:
        """Note it."""
        self.seen = call.method, call.path


def test_paths() -> None:
    """Of paths of every make, none reaches the servicer of a method that is denied.

    And the policies saw each as the router did.
    """
    reached: list[str] = []

    class Reached(Streams):
        async def Tell(self, request: Any, context: Any) -> Any:
            reached.append("Tell")
            yield

    noting = Noting()
    policies: list[Policy] = [noting, Authorization(deny={DENIED: Grant()}, default="allow")]
    gateway = Gateway(pool=POOL, policies=policies)
    register(Reached(lambda _: None), gateway)
    gateway.compile()
    counts = asyncio.run(_ask(gateway, noting))
    assert reached == []
    assert counts["Tell"] > CASES / 1000
    assert counts["Single"] > CASES / 1000


async def _ask(gateway: Gateway, noting: Noting) -> dict[str, int]:
    source = random.Random(7)
    counts = {"Tell": 0, "Single": 0}
    for _ in range(CASES):
        path = _path(source)
        status, message = await _get(gateway, path)
        method, seen = noting.seen
        assert seen == path
        routed = gateway.transcoder.compile().default
        try:
            found: Any = routed.match("GET", path)
        except Exception:  # noqa: BLE001  whatever is wrong with the path
            assert (method, status) == ("", 400)
            continue
        route = getattr(found, "route", None)
        assert method == (route.name if route and "." in route.name else "")
        name = method.rpartition(".")[2]
        if name in counts:
            counts[name] += 1
        if name == "Tell":
            assert (status, message) == (403, "the caller may not call this")
    return counts


def _path(source: random.Random) -> str:
    if source.random() < 0.02:
        return source.choice(["/v1/a/told", "/v1/%61/tol%64", "/v1/a/single", "/v1/..a/told"])
    return "/" + "".join(source.choices(PIECES, k=source.randrange(1, 8)))


async def _get(gateway: Gateway, path: str) -> tuple[int, str]:
    sent: list[Any] = []

    async def receive() -> Any:
        await asyncio.Event().wait()

    async def send(event: Any) -> None:
        sent.append(event)

    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "raw_path": path.encode("latin-1"),
        "query_string": b"",
        "headers": [(b"host", b"a")],
        "client": ("192.0.2.1", 1),
    }
    await gateway(scope, receive, send)
    body = b"".join(event.get("body", b"") for event in sent[1:])
    told = json.loads(body) if body else {}
    return sent[0]["status"], told.get("message", "")
