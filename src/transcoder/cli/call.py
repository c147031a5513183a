"""`transcoder call`: one call of a method, by its name and with JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from transcoder.cli.source import Unreadable, told

if TYPE_CHECKING:
    from google.protobuf.descriptor import MethodDescriptor

    from transcoder.descriptors import Descriptors

_INTERRUPTED = 130
"""What a shell tells of a process that SIGINT ended."""


@click.command()
@click.option("--tls", is_flag=True, help="Speak TLS to the server.")
@click.option("--ca", metavar="FILE", help="Authorities to trust in place of gRPC's own, PEM.")
@click.option("--cert", metavar="FILE", help="Our certificate, for a server that asks, PEM.")
@click.option("--key", metavar="FILE", help="The private key of --cert, PEM.")
@click.option(
    "--header",
    "-H",
    multiple=True,
    metavar="NAME:VALUE",
    help="Metadata, or a header, to send; may be given several times.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="How long the call may take; without it, as long as the server lets it.",
)
@click.option("--rest", metavar="URL", help="Call over HTTP there, by the method's rule.")
@click.argument("target")
@click.argument("method")
@click.argument("data", default="{}")
def call(target: str, method: str, data: str, *, tls: bool, **options: Any) -> None:
    """Call METHOD of the gRPC server at TARGET with the JSON message DATA.

    TARGET is HOST:PORT or unix:/path, of a server with reflection. METHOD is its full name, or the
    end of it if no other method's name ends so: GetUser. DATA is {} unless given, and - is stdin. A
    stream of requests is JSON values one after another, or one array of them; from stdin each is
    sent as it comes. Each reply is a line.

    A status other than OK goes to stderr with its details. Their types, as those inside of Any, are
    looked up by reflection.

    \b
    Exit codes:
      0    the status is OK
      1    the call was made, and its status is another one
      2    no such server, no such method, no such message: told before the call, or ending it
      130  interrupted

    \b
    Examples:
      transcoder call localhost:50051 services.user.v1.UserService/GetUser '{"id": "ada"}'
      transcoder call localhost:50051 WatchUsers --timeout 5
      jq -c '.[]' users.json | transcoder call localhost:50051 ImportUsers -
      transcoder call localhost:50051 GetUser '{"id": "ada"}' --rest http://localhost:8080
    """
    from transcoder.cli.call_requests import Requests
    from transcoder.cli.grpc_call import call_over_grpc
    from transcoder.cli.message_types import Types
    from transcoder.cli.rest_call import call_over_rest
    from transcoder.reflection_client import dial, reflect, reflect_files
    from transcoder.upstream.tls import Tls

    url: str = options["rest"] or ""
    files = {"ca": options["ca"], "certificate": options["cert"], "key": options["key"]}
    if any(files.values()) and not tls and not url.startswith("https:"):
        raise click.UsageError("--ca, --cert and --key go with --tls")
    said = {"metadata": [_pair(each) for each in options["header"]], "timeout": options["timeout"]}
    with told(Unreadable):
        trust = Tls(**files)
        over = trust if tls else None
        descriptors = reflect(target, tls=over)
        rpc = _method(descriptors, method)
        types = Types(descriptors, lambda name: reflect_files(target, name, tls=over))
        requests = Requests(rpc, data, types)
        try:
            if url:
                call_over_rest(url, rpc, requests, types, trust, **said)
            else:
                with dial(target, over) as channel:
                    call_over_grpc(channel, rpc, requests, types, **said)
        except KeyboardInterrupt:
            raise SystemExit(_INTERRUPTED) from None


def _pair(header: str) -> tuple[str, str]:
    name, colon, value = header.partition(":")
    if not colon:
        raise click.BadParameter(f"{header!r}: NAME:VALUE is expected", param_hint="--header")
    return name.strip().lower(), value.strip()


def _method(descriptors: Descriptors, name: str) -> MethodDescriptor:
    from transcoder.errors import ConfigError
    from transcoder.values import suggestion

    wanted = name.strip("/").replace("/", ".")
    known = {rpc.full_name: rpc for service in descriptors.services for rpc in service.methods}
    if wanted in known:
        return known[wanted]
    ending = [full for full in known if full.endswith(f".{wanted}")]
    if len(ending) == 1:
        return known[ending[0]]
    if ending:
        raise ConfigError(f"several methods are named {wanted}: {', '.join(sorted(ending))}")
    ends = {full.split(".", full.count(".") - wanted.count("."))[-1] for full in known}
    near = suggestion(wanted, ends)
    listed = ", ".join(sorted(known)[:20])
    raise ConfigError(f"the server has no method {wanted}{near or f'; it has {listed or None}'}")
