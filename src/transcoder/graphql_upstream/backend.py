"""A backend that speaks GraphQL over HTTP, and the kept connections to it."""

from __future__ import annotations

import urllib.parse
from collections.abc import Collection, Mapping
from typing import Any, Final

from transcoder.errors import ConfigError, StatusError
from transcoder.graphql_upstream.answer import Reply
from transcoder.graphql_upstream.document import read_document, read_schema
from transcoder.graphql_upstream.operation import Operation
from transcoder.metadata import is_key
from transcoder.status import Code
from transcoder.upstream.failures import TOO_LARGE, UNAVAILABLE, UNREADABLE
from transcoder.upstream.tls import Tls

try:
    import httpx2
except ImportError as missing:
    raise ImportError(f"{missing.name} is missing: install transcoder[graphql]") from missing

_HEADERS: Final = [
    (b"accept", b"application/graphql-response+json, application/json;q=0.9"),
    # What is compressed could be larger than any limit once it is read.
    (b"accept-encoding", b"identity"),
    (b"content-type", b"application/json"),
]

_TIMEOUTS: Final = {"connect": 5.0, "read": None, "write": None, "pool": None}
"""Seconds; what has none is bounded by the call's deadline."""


class GraphQl:
    """A backend that speaks GraphQL.

    Args:
        url: where it takes requests, `http://HOST:PORT/PATH` or `https://…`.
        tls: whom to trust, and who we are; the default for `https` trusts what the system does.
        timeout: seconds in which it must answer; None for as long as the call has.
        identity: metadata that tells who the client is and that it sees, as `authorization`.
            The request's id and its trace go along in any case, and so does what policies say.
        sdl: its schema in GraphQL's schema definition language, by which documents are checked at
            start and values before they are sent; None where it is not known.
        answer_limit: bytes of a reply.
        connections: to it at once.

    Raises:
        ConfigError: an option is none.
    """

    def __init__(
        self,
        url: str,
        *,
        tls: Tls | None = None,
        timeout: float | None = None,
        identity: Collection[str] = (),
        sdl: str | None = None,
        answer_limit: int = 4 << 20,
        connections: int = 256,
    ) -> None:
        secure, self.name = _address(url)
        """Host and port, for logs and metrics."""
        if tls is not None and not secure:
            raise ConfigError(f"url {url!r}: tls is for https")
        if not all(number is None or number > 0 for number in (timeout, answer_limit, connections)):
            raise ConfigError(f"url {url!r}: numbers above 0 are expected")
        if isinstance(identity, str) or not all(map(is_key, identity)):
            raise ConfigError(f"identity {identity!r}: a list of keys in lower case is expected")
        self.timeout: Final = timeout
        self.identity: Final = frozenset(identity)
        self._url = httpx2.URL(url)
        self._schema = None if sdl is None else read_schema(sdl)
        self._limit = answer_limit
        self._extensions: dict[str, Any] = {"timeout": _TIMEOUTS}
        if tls is not None and tls.server_name:
            self._extensions["sni_hostname"] = tls.server_name
        limits = httpx2.Limits(max_connections=connections, keepalive_expiry=4.0)
        verify = (tls or Tls()).context() if secure else False
        # The transport without the client around it, which keeps cookies and follows redirects.
        self._transport = httpx2.AsyncHTTPTransport(verify, trust_env=False, limits=limits)

    def operation(
        self,
        document: str,
        *,
        variables: Mapping[str, str] | None = None,
        answer: str = "",
        name: str = "",
        partial: bool = False,
        file: str = "document",
    ) -> Operation:
        """Return what answers a route by an operation; give it to `Gateway.forward`.

        Args:
            document: of GraphQL.
            variables: where their values come from, by name: `path.NAME`, `query.NAME`, `body`,
                `body.NAME` or `metadata.KEY`.
            answer: the part of the reply's data that is the answer, as `user`; empty for all.
            name: of the operation, where the document has several.
            partial: whether data answer that come with errors.
            file: what messages call the document.

        Raises:
            ConfigError: the document is wrong, with line and column, or does not go with the rest.
        """
        found = read_document(document, file, operation=name, schema=self._schema)
        return Operation(self, found, variables or {}, answer, partial=partial)

    async def ask(self, body: bytes, headers: list[tuple[bytes, bytes]]) -> Reply:
        """Return the reply to a request.

        Args:
            body: JSON.
            headers: beside those of the content.

        Raises:
            StatusError: there is none, or it is too large.
        """
        request = httpx2.Request(
            "POST",
            self._url,
            headers=[(b"host", self._url.netloc), *_HEADERS, *headers],
            content=body,
            extensions=self._extensions,
        )
        try:
            answer = await self._transport.handle_async_request(request)
        except httpx2.TransportError as error:
            raise self._failure(Code.UNAVAILABLE, UNAVAILABLE, error) from None
        try:
            return await self._read(answer)
        except httpx2.TransportError as error:
            raise self._failure(Code.INTERNAL, UNREADABLE, error) from None
        finally:
            await answer.aclose()

    async def _read(self, answer: httpx2.Response) -> Reply:
        if answer.headers.get("content-encoding", "identity") != "identity":
            raise self._failure(Code.INTERNAL, UNREADABLE, "it is compressed")
        body = bytearray()
        async for part in answer.aiter_raw():
            body += part
            if len(body) > self._limit:
                raise self._failure(Code.INTERNAL, TOO_LARGE, f"over {self._limit} bytes")
        return Reply(answer.status_code, answer.headers.get("content-type", ""), bytes(body))

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.aclose()

    def _failure(self, code: Code, message: str, why: Exception | str) -> StatusError:
        error = StatusError(code, message, http=None if code is Code.UNAVAILABLE else 502)
        told = why if isinstance(why, str) else f"{type(why).__name__}: {why}"
        error.log = f"GraphQL at {self.name}: {told[:300]!a}"
        return error


def _address(url: str) -> tuple[bool, str]:
    """Return whether a URL is secure, and its host and port."""
    problem = f"url {url!r}: http://HOST:PORT/PATH or https://HOST:PORT/PATH is expected"
    try:
        parts = urllib.parse.urlsplit(url)
        port = parts.port
    except ValueError:
        raise ConfigError(problem) from None
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    printable = url.isascii() and url.isprintable() and " " not in url
    more = parts.fragment or "@" in parts.netloc
    if usual is None or not parts.hostname or more or not printable:
        raise ConfigError(problem)
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return parts.scheme == "https", f"{host}:{port or usual}"
