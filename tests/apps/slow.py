"""The gateway of the catalogue, with an answer that is large."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from catalogue import noting, serving
from transcoder import Gateway


async def large(_: Request) -> Response:
    """Answer 16 MiB at once."""
    return Response(b"a" * (16 << 20))


def create() -> Gateway:
    """Return the gateway."""
    gateway = serving(noting())
    gateway.router.routes.insert(0, Route("/large", large))
    return gateway
