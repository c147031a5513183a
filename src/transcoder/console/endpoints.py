"""The console's part of an admin port."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from transcoder.console import Console
from transcoder.console.look import Question, Source
from transcoder.console.page import EXPLAIN, PATH, policy
from transcoder.console.peers import PATH as TOPOLOGY
from transcoder.console.peers import Address, Peers


def routes(source: Source, peers: Sequence[str], token: str, name: str) -> list[Route]:
    """Return the routes of a console.

    Args:
        source: what it tells of.
        peers: where other admin ports are.
        token: that is shown to them; "" for none.
        name: of this process; empty for that of its first service.

    Raises:
        ConfigError: a peer is no address.
    """
    addresses = [Address.parse(each) for each in peers]
    asked = Peers(addresses, token, time.monotonic)
    pages = _Pages(Console(source, asked, name))
    return [
        Route(PATH, pages.console),
        Route(EXPLAIN, pages.explanation),
        Route(TOPOLOGY, pages.topology),
    ]


class _Pages:
    def __init__(self, console: Console) -> None:
        self._console = console
        self._headers = {
            "content-security-policy": policy(),
            "cache-control": "no-store",
            "referrer-policy": "no-referrer",
            "x-content-type-options": "nosniff",
        }

    async def console(self, request: Request) -> Response:
        try:
            page = await self._console.page(request.query_params.get("worker", ""))
        except KeyError:
            raise HTTPException(404) from None
        return HTMLResponse(page, headers=self._headers)

    async def explanation(self, request: Request) -> Response:
        asked = asdict(Question())
        asked |= {name: value for name, value in request.query_params.items() if name in asked}
        page = await self._console.explanation(Question(**asked))
        return HTMLResponse(page, headers=self._headers)

    async def topology(self, request: Request) -> Response:
        seen = await self._console.topology()
        return Response(orjson.dumps(seen.as_json()), media_type="application/json")
