"""A request's way: its parts to variables, to the backend, and the reply to an answer."""

from __future__ import annotations

import asyncio
import base64
import functools
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

import orjson
from starlette.types import Receive, Scope, Send

from transcoder.asgi import header
from transcoder.errors import ConfigError, StatusError
from transcoder.forwarding import TERMS, Terms
from transcoder.graphql_upstream.answer import Answer, Reply
from transcoder.graphql_upstream.document import Document
from transcoder.graphql_upstream.variables import Parts, Variables, json_body
from transcoder.metadata import Metadatum
from transcoder.path_template import PathTemplate
from transcoder.protojson.cost import LONG, ON_LOOP, json_values
from transcoder.response import Payload
from transcoder.route import Match
from transcoder.status import Code
from transcoder.upstream import Call
from transcoder.upstream.backend_calls import CALLS, Attempt
from transcoder.upstream.onward import TRACE
from transcoder.upstream.passing import PASSED
from transcoder.watch import Watch, check_time, disconnected

if TYPE_CHECKING:
    from transcoder.graphql_upstream.backend import GraphQl

_WRITING: Final = ("POST", "PUT", "PATCH", "DELETE")
_WITHOUT_BODY: Final = frozenset({"GET", "HEAD", "*"})


class Operation:
    """Answers a route by an operation of a document; made by `GraphQl.operation`.

    Args:
        backend: is asked.
        document: what it is asked for.
        variables: where their values come from.
        answer: the part of the data that is the answer.
        partial: whether data answer that come with errors.

    Raises:
        ConfigError: they do not go together.
    """

    def __init__(
        self,
        backend: GraphQl,
        document: Document,
        variables: Mapping[str, str],
        answer: str,
        *,
        partial: bool,
    ) -> None:
        document.check_answer(answer)
        self._backend = backend
        self._kind = document.kind
        self._variables = Variables(document.variables, variables)
        self._answer = Answer(
            path=answer,
            partial=partial,
            credentials="authorization" in backend.identity,
            backend=backend.name,
        )
        self._request: dict[str, Any] = {"query": document.text}
        if document.operation:
            self._request["operationName"] = document.operation
        self._name = f"/graphql/{document.operation or document.kind}"
        self._passed = TRACE | backend.identity

    def check_route(self, template: PathTemplate, method: str) -> None:
        """Check that the operation can answer a route; see `Particular`."""
        if self._kind == "mutation" and method not in _WRITING:
            expected = ", ".join(_WRITING)
            raise ConfigError(f"a mutation is not for {method}: one of {expected} is expected")
        if self._variables.reads_body and method in _WITHOUT_BODY:
            raise ConfigError(f"variables: a request of {method} has no body to take them from")
        self._variables.check_path([variable.name for variable in template.variables])

    async def forward(
        self, match: Match[Any], scope: Scope, receive: Receive, send: Send
    ) -> Payload:
        """Answer one request; see `Forwarder`."""
        terms: Terms = scope[TERMS]
        # A copy: the server may append trailers to the list while the body is read.
        headers = list(scope["headers"])
        call = terms.calls(scope, headers, self._name)
        path = {
            variable.name: value
            for variable, value in zip(match.route.template.variables, match.values, strict=True)
        }
        parts = {"path": path, "query": scope["query_string"], "metadata": call.metadata}
        if self._variables.reads_body:
            content_type = header(headers, b"content-type")
            async with terms.read.body(scope, headers, receive) as body:
                fill = functools.partial(self._filled, body, content_type, parts)
                if len(body) > LONG or json_values(body) > ON_LOOP:
                    asked = await terms.offload.run(fill)
                else:
                    asked = fill()
            check_time(call)
        else:
            asked = self._filled(None, "", parts)
        reply = await self._reply(asked, call, receive)
        return self._answer(reply)

    async def close(self) -> None:
        """Close the connections to the backend, which other operations have too."""
        await self._backend.close()

    def _filled(self, body: bytes | None, content_type: str, parts: dict[str, Any]) -> bytes:
        """Return what the backend is asked."""
        if body is not None:
            parts = {**parts, "body": json_body(body, content_type)}
        return orjson.dumps({**self._request, "variables": self._variables(Parts(**parts))})

    async def _reply(self, asked: bytes, call: Call, receive: Receive) -> Reply:
        headers = [_header(each) for each in self._told(call)]
        left = call.time_remaining()
        if left is not None:
            headers.append((b"x-request-timeout", b"%.3f" % left))
        attempt = Attempt(CALLS.to(self._name, self._backend.name), call.time_remaining)
        try:
            with Watch(call, functools.partial(disconnected, receive)), attempt:
                async with asyncio.timeout(self._backend.timeout):
                    return await self._backend.ask(asked, headers)
        except TimeoutError:
            raise StatusError(Code.DEADLINE_EXCEEDED, PASSED) from None
        finally:
            if call.details is not None:
                call.details.answered()

    def _told(self, call: Call) -> Iterable[Metadatum]:
        """Return what the backend learns of a call: what it is part of, and what policies say."""
        policies = () if call.details is None else call.details.metadata
        said = {key for key, _ in policies}
        passed = self._passed - said
        return (*(each for each in call.metadata if each.key in passed), *policies)


def _header(metadatum: Metadatum) -> tuple[bytes, bytes]:
    """Return the header that a metadatum is over HTTP; bytes are base64."""
    key, value = metadatum
    return key.encode(), base64.b64encode(value) if isinstance(value, bytes) else value.encode()
