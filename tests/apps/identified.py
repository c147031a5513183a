"""A gateway whose methods tell who calls them, as the client's certificate says it."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Any

from streams import POOL, Streams, Told, register
from transcoder import Gateway
from transcoder.policies.mutual_tls import MutualTls

TOLD = ("transport_security_type", "x509_common_name", "x509_subject_alternative_name")


def told(context: Any) -> Any:
    """Return a message with what is known of the client."""
    known = context.auth_context()
    texts = {key: [value.decode("latin-1") for value in known.get(key, ())] for key in TOLD}
    return Told(text=json.dumps(texts))


class Identified(Streams):
    async def Single(self, request: Any, context: Any) -> Any:
        return told(context)

    async def Tell(self, request: Any, context: Any) -> AsyncGenerator[Any, None]:
        yield told(context)

    async def Echo(self, requests: AsyncIterator[Any], context: Any) -> AsyncGenerator[Any, None]:
        async for _ in requests:
            yield told(context)


def guarded() -> Gateway:
    """Return the gateway, which only two callers may call."""
    names = ["edge.internal", "spiffe://example.com/edge"]
    return create(policies=[MutualTls(names)])


def create(**options: Any) -> Gateway:
    """Return the gateway; what is logged goes beside the test's ledger."""
    log = Path(os.environ["LEDGER"]).with_name("log")
    logging.basicConfig(filename=log, format="%(name)s: %(message)s", level=logging.INFO)
    gateway = Gateway(pool=POOL, **options)
    register(Identified(lambda _: None), gateway)
    return gateway
