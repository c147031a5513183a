"""What is fuzzed: bytes of a client or of a proto's author, and what may come out of them.

Each target takes bytes and fails, by any exception, when something comes out that the module does
not promise. They need no fuzzer: the tests replay the corpus through the same functions.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import cache
from ipaddress import ip_address
from typing import Any, Final

from google.api.http_pb2 import HttpRule
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass

import token_targets
from compiled import pool
from json_cases import (
    TYPES,
    canonical,
    json_format_prints,
    json_format_reads,
    message_class,
    protos,
    same,
)
from stricter import is_listed
from transcoder.errors import InvalidRequest, StatusError, TemplateError, UnsupportedMedia
from transcoder.forwarded import Source, TrustedProxies, is_host
from transcoder.framing import Framings
from transcoder.http_rule import bindings
from transcoder.inbound import Inbound
from transcoder.json_stream import JsonCutter
from transcoder.marshaler import JSON, PROTOBUF, Offers, is_delimited, is_json, is_protobuf
from transcoder.message_stream import Cutter, DelimitedCutter, RawCutter
from transcoder.metadata import checked, is_header
from transcoder.outbound import Outbound
from transcoder.path_template import PathTemplate
from transcoder.profile import PROFILES, Profile
from transcoder.protojson import from_json, to_json
from transcoder.request import RequestDecoder
from transcoder.route import Match, Miss, Route
from transcoder.routing import Router
from transcoder.timeouts import Timeouts
from transcoder.wire import is_heavy, parse

Target = Callable[[bytes], None]

LIMIT: Final = 0.1
"""CPU seconds that one input may take."""

RULES: Final = (
    "GET /v1/{name}",
    "GET /v1/items",
    "DELETE /v1/{name}",
    "POST /v1/{name}:cancel",
    "POST /v1/{name=shelves/*}:cancel:now",
    "GET /v1/{name=shelves/*/books/*}",
    "PATCH /v1/{name=shelves/*/**}",
    "GET /v1/{parent=shelves/**}/{id}",
    "POST /v1/{parent=shelves/**}/{id}/pages:read",
    "GET /v1/shelves/**/end",
    "PUT /{a}/{b}/{c}/x",
    "PUT /{a}/{b}/x/{c}",
    "* /any/{name=**}",
    "GET /%C3%A4/{name}",
)


FORBIDDEN: Final = frozenset(
    {"connection", "content-length", "host", "te", "transfer-encoding", "x-internal"}
)
"""Metadata that no client sends, and headers that no servicer does."""

SOURCES: Final[tuple[Source, ...]] = ("x-forwarded", "forwarded")


def template(data: bytes) -> None:
    """Parse a template: it is one, and says itself, or the error has a column in it."""
    text = data.decode("utf-8", "replace")
    try:
        parsed = PathTemplate.parse(text)
    except TemplateError as error:
        check(1 <= error.column <= len(text) + 1, f"column {error.column} of {text!r}")
        return
    check(str(parsed) == text, f"{text!r} became {parsed}")
    check(PathTemplate.parse(str(parsed)) == parsed, f"{text!r} is read in two ways")
    for variable in parsed.variables:
        check(0 <= variable.start < variable.end <= len(parsed.segments), f"{variable} of {text!r}")


def path(data: bytes) -> None:
    """Match a path under each profile's router; the method stands on a line of its own before it.

    A match has a value for each variable of its route, and no NUL in any.
    """
    method, _, raw = data.partition(b"\n")
    for router in _routers():
        try:
            found = router.match(method.decode("latin-1"), raw.decode("latin-1"))
        except InvalidRequest as error:
            check(len(error.status.message.encode()) <= 512, "a long refusal")
            continue
        check(isinstance(found, Match | Miss), repr(found))
        if isinstance(found, Match):
            wanted = len(found.route.template.variables)
            check(len(found.values) == wanted, f"{len(found.values)} values for {found.route}")
            check(not any("\0" in value for value in found.values), "a NUL in a value")


def query(data: bytes) -> None:
    """Bind a query: alone, beside a path and beside a body."""
    for decode, values in _query_decoders():
        try:
            decode(values, data, b"", "").SerializeToString()
        except InvalidRequest as error:
            _check_refusal(error)


def body(data: bytes) -> None:
    """Decode a body; a line before it has the rule's body, and the Content-Type if it is not JSON.

    Without such a line, the body is the whole message.
    """
    line, newline, rest = data.partition(b"\n")
    field, _, content_type = line.decode("latin-1").partition(" ")
    decoders = _body_decoders()
    if not newline or field not in decoders:
        field, content_type, rest = "*", "", data
    try:
        decoders[field]((), b"", rest, content_type or "application/json").SerializeToString()
    except InvalidRequest as error:
        _check_refusal(error)
    except UnsupportedMedia as error:
        check(error.http == 415, f"status {error.http}")


def read(data: bytes) -> None:
    """Read JSON as json_format does, or refuse it.

    A letter before it chooses the type; a capital ignores unknown fields.
    """
    name, rest = _type_and_rest(data)
    ignore_unknown = data[:1].isupper()
    wanted = message_class(name)
    expected = json_format_reads(rest, name, ignore_unknown=ignore_unknown)
    try:
        message = from_json(rest, wanted, ignore_unknown=ignore_unknown, pool=protos())
    except InvalidRequest as error:
        _check_refusal(error)
        listed = expected is None or is_listed(error, rest, ignore_unknown=ignore_unknown)
        check(listed, f"refused: {error.problem}")
        return
    check(expected is not None, "json_format refuses it")
    check(expected is not None and same(expected, message), "json_format reads something else")


def write(data: bytes) -> None:
    """Print what json_format prints of a message on the wire; a letter before it has the type."""
    name, rest = _type_and_rest(data)
    message = message_class(name)()
    try:
        message.ParseFromString(rest)
    except DecodeError:
        return
    expected = json_format_prints(message)
    try:
        printed = to_json(message, pool=protos())
    except ValueError:
        check(expected is None, "not printed")
        return
    check(expected == canonical(json.loads(printed)), "json_format prints something else")


def stream(data: bytes) -> None:
    """Cut a body into messages: the same ones, wherever its parts were cut.

    A letter before it chooses the cutter. What is a JSON array gives its elements.
    """
    name, rest = chr(data[0]) if data else "j", data[1:]
    cutter = _CUTTERS.get(name, JsonCutter)
    found, refusal = _cut(cutter(256), [rest])
    for size in (1, 3, 64):
        parts = [rest[start : start + size] for start in range(0, len(rest), size)]
        again = _cut(cutter(256), parts)
        same_pieces = b"".join(again[0]) == b"".join(found) if name == "r" else again[0] == found
        # A message may be too long and too deep: which is told depends on how it comes.
        told = again[1].partition(":")[0], refusal.partition(":")[0]
        check(same_pieces and told[0] == told[1], f"parts of {size} bytes give something else")
    check(all(len(message) <= 256 for message in found), "a message over the limit")
    if name not in {"d", "r"} and not refusal:
        _check_elements(rest, found)


def wire(data: bytes) -> None:
    """Read a message in pieces as protobuf does in one, or refuse it.

    A letter before it chooses the type, and a byte after that the size of the pieces.
    """
    name, rest = _type_and_rest(data)
    wanted, size, serialized = message_class(name), 1 + rest[0] if rest else 1, rest[1:]
    expected, found = (
        _printed(read, serialized)
        for read in (wanted.FromString, lambda data: parse(data, wanted, size))
    )
    check(found == expected, f"in pieces of {size} bytes it is something else")
    is_heavy(serialized, wanted)


def accept(data: bytes) -> None:
    """Choose by an Accept: one of what there is, or nothing, and the same again."""
    text = data.decode("latin-1")
    for offered in _offers():
        chosen = offered.choose(text)
        check(chosen is None or chosen in offered.types, f"{chosen!r} was not offered")
        check(offered.choose(text) == chosen, "the second time it is another")
    check(not (is_json(text) and is_protobuf(text)), "two types at once")
    check(not (is_protobuf(text) and is_delimited(text)), "one message and many")


def headers(data: bytes) -> None:
    """Make metadata of headers, one a line, and headers of them: none that may not pass.

    What they say of a timeout and of proxies is within what it may be.
    """
    lines = [line.partition(b":") for line in data.split(b"\n")]
    given = [(name.lower(), value.strip()) for name, _, value in lines]
    for inbound, outbound in _directions():
        try:
            inbound.check(given)
            metadata = inbound(given)
        except StatusError as error:
            check(error.http in {400, 431}, f"status {error.http}")
            continue
        keys = {key.replace("_", "-") for key, _ in checked(metadata)}
        check(not keys & FORBIDDEN, f"{keys & FORBIDDEN} passed")
        check(not any(key.startswith("grpc-") for key in keys), f"{keys}")
        for name, value in outbound.headers(metadata, metadata):
            check(is_header(name, value) and name.decode() not in FORBIDDEN, f"{name!r} is sent")
    try:
        seconds = Timeouts().of("a.B.C", given)
        check(seconds is not None and 0 < seconds <= 300, f"{seconds} seconds")
    except StatusError as error:
        check(error.http in {400, 504}, f"status {error.http}")
    for source in SOURCES:
        proxies = TrustedProxies(["10.0.0.0/8", "192.0.2.1"], source=source)
        for peer in (("10.0.0.1", 1), ("198.51.100.1", 1)):
            origin = proxies(given, peer, "http")
            for address in origin.chain:
                ip_address(address)
            check(origin.chain[-1] == peer[0], f"{origin} of {peer}")
            check(origin.host == "" or is_host(origin.host), f"host {origin.host!r}")


_CUTTERS: Final[dict[str, Callable[[int], Cutter]]] = {"d": DelimitedCutter, "r": RawCutter}


def _cut(cutter: Cutter, parts: list[bytes]) -> tuple[list[bytes], str]:
    found: list[bytes] = []
    try:
        for part in parts:
            found.extend(cutter.feed(part))
        found.extend(cutter.end())
    except StatusError as error:
        check(error.http in {400, 413}, f"status {error.http}")
        return found, error.status.message
    return found, ""


def _check_elements(body: bytes, found: list[bytes]) -> None:
    try:
        elements = json.loads(body)
    except (ValueError, RecursionError):
        return
    if isinstance(elements, list):
        cut = [json.loads(value) for value in found]
        check(json.dumps(cut) == json.dumps(elements), "other elements than json reads")


def _printed(read: Callable[[bytes], Any], data: bytes) -> bytes | None:
    try:
        message = read(data)
    except DecodeError:
        return None
    printed: bytes = message.SerializePartialToString(deterministic=True)
    return printed


def _type_and_rest(data: bytes) -> tuple[str, bytes]:
    letter = data[0] if data else 0
    return TYPES[(letter & 31) % len(TYPES)], data[1:]


TARGETS: Final[dict[str, Target]] = {
    "template": template,
    "path": path,
    "query": query,
    "body": body,
    "read": read,
    "write": write,
    "stream": stream,
    "wire": wire,
    "accept": accept,
    "headers": headers,
    "token": token_targets.token,
    "claims": token_targets.claims,
    "keys": token_targets.keys,
}


def timed(target: Target, data: bytes) -> None:
    """Run a target on an input, which may take no longer than the limit."""
    started = time.thread_time()
    target(data)
    took = time.thread_time() - started
    check(took < LIMIT, f"{took:.3f} s")


def check(holds: bool, problem: str) -> None:  # noqa: FBT001  as assert has it
    """Fail when something does not hold, also under -O."""
    if not holds:
        raise AssertionError(problem)


def _check_refusal(error: InvalidRequest) -> None:
    check(error.http == 400, f"status {error.http}")
    check(len(error.status.to_json()) <= 2048, "a long answer")
    check(len(error.status.message.encode()) <= 512, "a long message")


@cache
def _directions() -> list[tuple[Inbound, Outbound]]:
    return [(Inbound(profile), Outbound(profile)) for profile in PROFILES.values()]


@cache
def _routers() -> tuple[Router[str], ...]:
    routes = []
    for rule in RULES:
        method, text = rule.split(" ")
        routes.append(Route(method, PathTemplate.parse(text), rule, rule))
    return tuple(
        Router(
            routes,
            order=profile.order,
            unescape=profile.unescape,
            trailing_slash=profile.trailing_slash,
        )
        for profile in PROFILES.values()
    )


@cache
def _offers() -> tuple[Offers, ...]:
    stream = Framings("array", protobuf=True).offers
    return Offers((JSON, *PROTOBUF)), stream, Offers(stream.types, refuse=False)


@cache
def _query_decoders() -> tuple[tuple[RequestDecoder, tuple[str, ...]], ...]:
    rpc = _rpc("Everyone")
    google, grpc_gateway, envoy = (PROFILES[name] for name in ("google", "grpc-gateway", "envoy"))
    bound = HttpRule(get="/v1/{string_value}/{child.int32_value}")
    return (
        (_decoder(rpc, HttpRule(get="/v1"), google), ()),
        (_decoder(rpc, bound, google), ("x", "1")),
        (_decoder(rpc, HttpRule(post="/v1", body="child"), google), ()),
        (_decoder(rpc, HttpRule(get="/v1"), grpc_gateway), ()),
        (_decoder(rpc, HttpRule(post="/v1", body="*"), envoy), ()),
    )


@cache
def _body_decoders() -> dict[str, RequestDecoder]:
    everyone, update = _rpc("Everyone"), _rpc("Update")
    fields = ["child", "string_value", "int32_list", "value", "string_map", "child.time", "any"]
    google, grpc_gateway = PROFILES["google"], PROFILES["grpc-gateway"]
    return {
        "*": _decoder(everyone, HttpRule(post="/v1", body="*"), google),
        "lenient": _decoder(everyone, HttpRule(post="/v1", body="*"), grpc_gateway),
        "item": _decoder(update, HttpRule(patch="/v1", body="item"), google),
        **{field: _decoder(everyone, HttpRule(post="/v1", body=field), google) for field in fields},
    }


def _decoder(rpc: MethodDescriptor, rule: HttpRule, profile: Profile) -> RequestDecoder:
    (binding,) = bindings(rpc, rule)
    return RequestDecoder(binding, GetMessageClass(rpc.input_type), profile)


def _rpc(name: str) -> MethodDescriptor:
    return _pool().FindServiceByName("everything.v1.Bindings").methods_by_name[name]


_pool = cache(pool)
