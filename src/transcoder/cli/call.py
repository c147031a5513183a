"""`transcoder call`: one call of a method, by its name and with JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from transcoder.cli.source import Unreadable, told

if TYPE_CHECKING:
    import grpc
    from google.protobuf.descriptor import MethodDescriptor
    from google.protobuf.message import Message

    from transcoder.descriptors import Descriptors


@click.command()
@click.option("--tls", is_flag=True, help="Speak TLS to the server.")
@click.option("--ca", metavar="FILE", help="Authorities to trust in place of gRPC's own, PEM.")
@click.option("--cert", metavar="FILE", help="Our certificate, for a server that asks, PEM.")
@click.option("--key", metavar="FILE", help="The private key of --cert, PEM.")
@click.option("--header", "-H", multiple=True, metavar="NAME:VALUE", help="Metadata to send.")
@click.option("--timeout", type=click.FloatRange(min=0), help="Seconds that the call may take.")
@click.option("--rest", metavar="URL", help="Call over HTTP there, by the method's rule.")
@click.argument("target")
@click.argument("method")
@click.argument("data", default="{}")
def call(target: str, method: str, data: str, *, tls: bool, **options: Any) -> None:
    """Call METHOD of the gRPC server at TARGET with the JSON message DATA.

    The server needs reflection. DATA of - is stdin; a stream of requests is JSON values one after
    another. Each reply is a line. A status other than OK goes to stderr, and the exit code is 1.

    \b
    Examples:
      transcoder call localhost:50051 services.user.v1.UserService/GetUser '{"id": "ada"}'
      transcoder call localhost:50051 services.user.v1.UserService.WatchUsers --timeout 5
      transcoder call localhost:50051 --rest http://localhost:8080 a.v1.Books/List '{"size": 2}'
    """
    from transcoder.reflection_client import dial, reflect
    from transcoder.upstream.tls import Tls

    files = {"ca": options["ca"], "certificate": options["cert"], "key": options["key"]}
    if any(files.values()) and not tls:
        raise click.UsageError("--ca, --cert and --key go with --tls")
    metadata = [_pair(each) for each in options["header"]]
    with told(Unreadable):
        trust = Tls(**files) if tls else None
        rpc = _method(reflect(target, tls=trust), method)
        requests = list(_requests(rpc, sys.stdin.read() if data == "-" else data))
        if options["rest"]:
            _call_rest(options["rest"], rpc, requests, metadata, options["timeout"])
            return
        channel = dial(target, trust)
    with channel:
        _call(channel, rpc, requests, metadata=metadata, timeout=options["timeout"])


def _pair(header: str) -> tuple[str, str]:
    name, colon, value = header.partition(":")
    if not colon:
        raise click.BadParameter(f"{header!r}: NAME:VALUE is expected", param_hint="--header")
    return name.strip().lower(), value.strip()


def _method(descriptors: Descriptors, name: str) -> MethodDescriptor:
    from transcoder.errors import ConfigError

    wanted = name.strip("/").replace("/", ".")
    known = {rpc.full_name: rpc for service in descriptors.services for rpc in service.methods}
    if wanted in known:
        return known[wanted]
    listed = ", ".join(sorted(known)[:20])
    raise ConfigError(f"the server has no method {wanted}; it has {listed or 'none'}")


def _requests(rpc: MethodDescriptor, text: str) -> Iterator[Message]:
    from google.protobuf.message_factory import GetMessageClass

    from transcoder.errors import ConfigError, InvalidRequest
    from transcoder.protojson import from_json

    values = list(_values(text))
    if len(values) != 1 and not rpc.client_streaming:
        raise ConfigError(f"{rpc.full_name} takes one message, and there are {len(values)}")
    for value in values:
        try:
            yield from_json(value.encode(), GetMessageClass(rpc.input_type))
        except InvalidRequest as error:
            raise ConfigError(f"the request: {error.status.message}") from None


def _values(text: str) -> Iterator[str]:
    from transcoder.errors import ConfigError

    decoder = json.JSONDecoder()
    rest = text.strip()
    while rest:
        try:
            _, end = decoder.raw_decode(rest)
        except ValueError as error:
            raise ConfigError(f"the request is no JSON: {error}") from None
        yield rest[:end]
        rest = rest[end:].lstrip()


def _call(
    channel: grpc.Channel, rpc: MethodDescriptor, requests: list[Message], **options: Any
) -> None:
    import grpc
    from google.protobuf.message_factory import GetMessageClass

    from transcoder.protojson import to_json

    takes = "stream" if rpc.client_streaming else "unary"
    returns = "stream" if rpc.server_streaming else "unary"
    call_method = getattr(channel, f"{takes}_{returns}")(
        f"/{rpc.containing_service.full_name}/{rpc.name}",
        GetMessageClass(rpc.input_type).SerializeToString,
        GetMessageClass(rpc.output_type).FromString,
    )
    try:
        given = iter(requests) if rpc.client_streaming else requests[0]
        answer = call_method(given, **options)
        for reply in answer if rpc.server_streaming else [answer]:
            click.echo(to_json(reply))
    except grpc.RpcError as error:
        click.echo(f"{error.code().name}: {error.details() or ''}", err=True)
        raise SystemExit(1) from None


def _call_rest(
    url: str,
    rpc: MethodDescriptor,
    requests: list[Message],
    metadata: list[tuple[str, str]],
    timeout: float | None,
) -> None:
    import urllib.error
    import urllib.request

    from transcoder.cli.rest_call import request_of
    from transcoder.errors import ConfigError
    from transcoder.http_rule import bindings

    if not url.startswith(("http://", "https://")) or rpc.client_streaming:
        raise ConfigError("--rest takes an http:// URL, and a method of one request")
    found = bindings(rpc)
    if not found:
        raise ConfigError(f"{rpc.full_name} has no HTTP rule")
    made = request_of(found[0], requests[0])
    click.echo(f"{made.method} {made.target}", err=True)
    headers = {"Accept": "application/x-ndjson" if rpc.server_streaming else "application/json"}
    if made.body is not None:
        headers["Content-Type"] = "application/json"
    headers.update(metadata)
    request = urllib.request.Request(  # noqa: S310  its scheme is looked at above
        url.rstrip("/") + made.target, made.body, headers, method=made.method
    )
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:  # noqa: S310  as above
            for line in answer:
                click.echo(line.rstrip(b"\n"))
    except urllib.error.HTTPError as error:
        with error:
            click.echo(f"{error.code} {error.read().decode(errors='replace')}", err=True)
        raise SystemExit(1) from None
    except urllib.error.URLError as error:
        raise ConfigError(f"{url} does not answer: {error.reason}") from None
