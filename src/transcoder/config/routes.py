"""The routes that a file describes, beside those of services."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from transcoder.config.file import read_text
from transcoder.config.folder import Folder
from transcoder.config.models.routes import Operation, Route
from transcoder.config.parts import Parts
from transcoder.config.versions import matches_of, sticky_of
from transcoder.forward_split import ForwardSplit, ForwardVersion
from transcoder.forwarding import Forwarder
from transcoder.gateway import Gateway


def add_route(
    gateway: Gateway,
    given: Route,
    upstreams: Mapping[str, Mapping[str, Any]],
    parts: Parts,
    index: int,
) -> None:
    """Add a route to a gateway.

    Args:
        gateway: that answers there.
        given: what the file says of it.
        upstreams: by kind and name.
        parts: of the gateway.
        index: of the route in the file.

    Raises:
        ConfigError: a document is wrong, or not for such a route; or its versions are.
    """
    told: dict[str, Any] = {"hosts": given.hosts}
    if given.graphql is None:
        forwarder, methods = _passing(given, upstreams["url"], parts, index), ["*"]
        told["strip_prefix"] = given.strip_prefix
    else:
        operation = functools.partial(_operation, upstreams["graphql"])
        place, backend = ("routes", index), id(upstreams["graphql"][given.graphql.upstream])
        forwarder = parts.made(place, operation, given.graphql, backend, owns=False)
        methods = ["GET"]
    for method in given.methods or methods:
        gateway.forward(given.path, forwarder, method=method, **told)


def _passing(given: Route, upstreams: Mapping[str, Any], parts: Parts, index: int) -> Forwarder:
    if given.upstream is not None:
        forwarder: Forwarder = upstreams[given.upstream]
        return forwarder

    def split(given: Route, _at: Folder) -> ForwardSplit:
        versions = [
            ForwardVersion(each.name, upstreams[each.upstream], each.weight)
            for each in given.versions
        ]
        return ForwardSplit(
            versions, matches=matches_of(given), sticky=sticky_of(given) or "", name=given.path
        )

    those = [id(upstreams[each.upstream]) for each in given.versions]
    return parts.made(("routes", index), split, given, those, owns=False)


def _operation(upstreams: Mapping[str, Any], given: Operation, at: Folder) -> Forwarder:
    told = given.told("upstream", "document", "operation")
    if "{" in given.document:
        text, file = given.document, "document"
    else:
        path = at(given.document)
        text, file = read_text(path), str(path)
    name = given.operation
    made: Forwarder = upstreams[given.upstream].operation(text, name=name, file=file, **told)
    return made
