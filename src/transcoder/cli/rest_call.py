"""A call over REST, by a method's rule."""

from __future__ import annotations

import copy
import http.client
import itertools
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import click

from transcoder.cli.failure import details_in, tell
from transcoder.cli.rest_request import Request, body_of, request_of
from transcoder.errors import ConfigError
from transcoder.http_rule import Binding, bindings
from transcoder.status import Code

if TYPE_CHECKING:
    from google.protobuf.descriptor import MethodDescriptor

    from transcoder.cli.call_requests import Requests
    from transcoder.cli.message_types import Types
    from transcoder.upstream.tls import Tls

_LONGEST = 10**8 - 1
"""What a `Grpc-Timeout` may say has eight digits."""


def call_over_rest(
    url: str,
    rpc: MethodDescriptor,
    requests: Requests,
    types: Types,
    trust: Tls,
    *,
    metadata: Iterable[tuple[str, str]],
    timeout: float | None,
) -> None:
    """Make a call and print its replies, each as it comes; tell on stderr what is requested.

    A stream of requests is sent to its end before the first reply is read.

    Raises:
        ConfigError: there is no such call, or nobody answers.
        SystemExit: with 1 if the status is not OK, and is told.
    """
    if not url.startswith(("http://", "https://")):
        raise ConfigError("--rest takes an http:// or https:// URL")
    made, bodies = _made(rpc, requests, types)
    click.echo(f"{made.method} {made.target}", err=True)
    headers = {"Accept": _accepted(rpc)}
    if made.body is not None:
        headers["Content-Type"] = made.content_type
    if timeout is not None:
        headers["Grpc-Timeout"] = f"{min(max(1, round(timeout * 1000)), _LONGEST)}m"
    headers.update(metadata)
    body: Any = bodies if rpc.client_streaming and made.body is not None else made.body
    request = urllib.request.Request(  # noqa: S310  its scheme is looked at above
        url.rstrip("/") + made.target, body, headers, method=made.method
    )
    context = _context(trust) if url.startswith("https:") else None
    _exchange(request, rpc, url, timeout=timeout, context=context)


def _exchange(
    request: urllib.request.Request, rpc: MethodDescriptor, url: str, **options: Any
) -> None:
    try:
        with urllib.request.urlopen(request, **options) as answer:  # noqa: S310  it is HTTP's
            _print(answer, rpc)
    except urllib.error.HTTPError as error:
        with error:
            _refuse(error.code, error.read())
    except urllib.error.URLError as error:
        raise ConfigError(f"{url} does not answer: {error.reason}") from None
    except TimeoutError:
        tell("DEADLINE_EXCEEDED", f"{url} has not answered in time")
        raise SystemExit(1) from None
    except (http.client.HTTPException, OSError) as error:
        tell("UNAVAILABLE", f"the answer of {url} breaks off: {error}")
        raise SystemExit(1) from None


def _made(
    rpc: MethodDescriptor, requests: Requests, types: Types
) -> tuple[Request, Iterator[bytes]]:
    """Return the HTTP request of the first message, and the bodies of it and what follows."""
    messages = iter(requests) if rpc.client_streaming else iter([requests.one()])
    rest = (json.loads(types.to_json(each, proto_names=True)) for each in messages)
    first: dict[str, Any] | None = next(rest, None)
    binding, made = _fitting(rpc, first or {})
    more = (body_of(binding, each) for each in rest)
    begun = [] if first is None else [made.body or b""]
    end = b"\n" if made.content_type == "application/json" else b""
    return made, (body + end for body in itertools.chain(begun, more))


def _fitting(rpc: MethodDescriptor, fields: dict[str, Any]) -> tuple[Binding, Request]:
    """Return the first binding that a message fits into, with the request."""
    problems = []
    for binding in bindings(rpc):
        try:
            return binding, request_of(binding, copy.deepcopy(fields))
        except ConfigError as error:
            problems.append(error)
    raise problems[0] if problems else ConfigError(f"{rpc.full_name} has no HTTP rule")


def _accepted(rpc: MethodDescriptor) -> str:
    if _is_raw(rpc):
        return "*/*"
    return "application/x-ndjson" if rpc.server_streaming else "application/json"


def _is_raw(rpc: MethodDescriptor) -> bool:
    return bool(rpc.output_type.full_name == "google.api.HttpBody")


def _context(trust: Tls) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=trust.ca)
        if trust.certificate is not None:
            context.load_cert_chain(trust.certificate, trust.key)
    except OSError as error:
        raise ConfigError(f"tls: --ca, --cert or --key cannot be read: {error}") from None
    return context


def _print(answer: http.client.HTTPResponse, rpc: MethodDescriptor) -> None:
    if _is_raw(rpc):
        while data := answer.read1(1 << 16):
            click.echo(data, nl=False)
        return
    may_fail = rpc.server_streaming and "error" not in rpc.output_type.fields_by_camelcase_name
    for line in answer:
        failed = _error_in(line) if may_fail else None
        if failed is not None:
            _tell_status("the stream", failed)
            raise SystemExit(1)
        click.echo(line.rstrip(b"\n"))


def _error_in(line: bytes) -> dict[str, Any] | None:
    """Return the status that a line of a stream tells in place of a message."""
    if not line.startswith(b'{"error":'):
        return None
    try:
        status = json.loads(line)["error"]
    except ValueError:
        return None
    return status if isinstance(status, dict) else None


def _refuse(http_status: int, body: bytes) -> None:
    try:
        status = json.loads(body)
    except ValueError:
        status = None
    if isinstance(status, dict) and isinstance(status.get("code"), int):
        _tell_status(str(http_status), status)
    else:
        tell(str(http_status), body.decode(errors="replace"))
    raise SystemExit(1)


def _tell_status(where: str, status: dict[str, Any]) -> None:
    known = {code.value: code.name for code in Code}
    code = known.get(status.get("code"), "UNKNOWN")  # type: ignore[arg-type]
    tell(f"{where} {code}", str(status.get("message", "")), details_in(status))
