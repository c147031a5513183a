"""The routes that a file describes, beside those of services."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from transcoder.config.file import read_text
from transcoder.config.folder import Folder
from transcoder.config.models.routes import Operation, Route
from transcoder.gateway import Gateway


def add_route(gateway: Gateway, given: Route, upstreams: Mapping[str, Any], at: Folder) -> None:
    """Add a route to a gateway.

    Args:
        gateway: that answers there.
        given: what the file says of it.
        upstreams: those that its kind may name.
        at: for the paths in it.

    Raises:
        ConfigError: a document is wrong, or not for such a route.
    """
    if given.graphql is not None:
        forwarder = _operation(given.graphql, upstreams, at)
        for method in given.methods or ["GET"]:
            gateway.forward(given.path, forwarder, method=method, hosts=given.hosts)


def _operation(given: Operation, upstreams: Mapping[str, Any], at: Folder) -> Any:
    told = given.told("upstream", "document", "operation")
    if "{" in given.document:
        text, file = given.document, "document"
    else:
        path = at(given.document)
        text, file = read_text(path), str(path)
    name = given.operation
    return upstreams[given.upstream].operation(text, name=name, file=file, **told)
