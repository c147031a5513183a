"""Methods for other services alone, asked for at every door of edge and internal gateways."""

from __future__ import annotations

import asyncio
import http.client
import json
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import grpc.aio
import pytest
from google.api import annotations_pb2, visibility_pb2
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2

from entrances import open_doors, over_sse, over_websocket, serving
from streams import POOL
from transcoder import Channel, Gateway, Listening
from transcoder.errors import ConfigError
from transcoder.explain import explain
from transcoder.status import Code

T = TypeVar("T")
NAMED = "stock.v1.Stock.Audit"
"""The method that only the option of the gateway says to be internal."""


@cache
def pool() -> DescriptorPool:
    """Return a pool of two services, of which one is internal, and one has internal methods."""
    file = descriptor_pb2.FileDescriptorProto(
        name="stock.proto", package="stock.v1", syntax="proto3"
    )
    item = file.message_type.add(name="Item")
    item.field.add(name="id", number=1, type=9, label=1)
    item.field.add(name="tag", number=2, type=9, label=1)
    stock, ledger = file.service.add(name="Stock"), file.service.add(name="Ledger")
    http_rule: Any = annotations_pb2.http
    of_method: Any = visibility_pb2.method_visibility
    of_service: Any = visibility_pb2.api_visibility
    for service, name in ((stock, "Get"), (stock, "Reserve"), (stock, "Audit"), (ledger, "Post")):
        method = service.method.add(
            name=name, input_type=".stock.v1.Item", output_type=".stock.v1.Item"
        )
        method.options.Extensions[http_rule].get = f"/v1/{name.lower()}/{{id}}"
    stock.method[1].options.Extensions[of_method].restriction = "PARTNER, INTERNAL"
    ledger.options.Extensions[of_service].restriction = "INTERNAL"
    found = DescriptorPool()
    found.Add(file)
    return found


def item() -> Any:
    return GetMessageClass(pool().FindMessageTypeByName("stock.v1.Item"))


async def answer(request: Any, context: Any) -> Any:
    return request


def gateway(role: Any, **options: Any) -> Gateway:
    """Return a gateway of both services."""
    made = Gateway(pool=pool(), role=role, internal=[NAMED], **options)
    kind = item()
    method = grpc.unary_unary_rpc_method_handler(answer, kind.FromString, kind.SerializeToString)
    for name in ("Stock", "Ledger"):
        service = pool().FindServiceByName(f"stock.v1.{name}")
        handlers = {rpc.name: method for rpc in service.methods}
        generic = grpc.method_handlers_generic_handler(service.full_name, handlers)
        made.add_generic_rpc_handlers([generic])
    return made


def passing_on(role: Any) -> Gateway:
    """Return a gateway that passes the calls of both on, to nobody."""
    made = Gateway(pool=pool(), role=role, internal=[NAMED])
    channel = Channel("127.0.0.1:1")
    for name in ("Stock", "Ledger"):
        made.route(pool().FindServiceByName(f"stock.v1.{name}"), channel)
    return made


def run(made: Gateway, fact: Callable[[Listening], Coroutine[Any, Any, T]]) -> T:
    async def running() -> T:
        async with asyncio.timeout(60), open_doors(made) as listening:
            return await fact(listening)

    return asyncio.run(running())


async def get(listening: Listening, path: str) -> tuple[int, bytes]:
    def ask() -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(listening.http.target, timeout=30)
        connection.request("GET", path)
        answered = connection.getresponse()
        found = answered.status, answered.read()
        connection.close()
        return found

    return await asyncio.to_thread(ask)


async def call(listening: Listening, path: str) -> tuple[Code, str]:
    async with grpc.aio.insecure_channel(listening.grpc.target) as channel:
        method = channel.unary_unary(
            path, request_serializer=item().SerializeToString, response_deserializer=bytes
        )
        asked = method(item()(id="7"), timeout=30)
        code = Code((await asked.code()).value[0])
        return code, await asked.details() or ""


async def reflect(listening: Listening, **question: Any) -> Any:
    async with grpc.aio.insecure_channel(listening.grpc.target) as channel:
        method = channel.stream_stream(
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
            response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
        )

        async def questions() -> AsyncIterator[Any]:
            yield reflection_pb2.ServerReflectionRequest(**question)

        async for found in method(questions(), timeout=30):
            return found
    raise AssertionError("no answer")


def test_rest() -> None:
    """At an edge their paths are not found, as any other that is none; behind it they answer."""

    async def fact(listening: Listening) -> list[int]:
        paths = ("get/7", "reserve/7", "audit/7", "post/7", "none/7")
        return [(await get(listening, f"/v1/{path}"))[0] for path in paths]

    assert run(gateway("edge"), fact) == [200, 404, 404, 404, 404]
    assert run(gateway("internal"), fact) == [200, 200, 200, 200, 404]
    assert run(gateway(None), fact) == [200, 200, 200, 200, 404]


@pytest.mark.parametrize("role", ["edge", "internal"])
def test_streams(role: Any) -> None:
    """A stream that is internal is not found at an edge by WebSocket or SSE, as any other path."""
    made = Gateway(pool=POOL, role=role, internal=["streams.v1.Streams.Tell"])

    async def ask() -> list[tuple[Code, str, bool]]:
        async with asyncio.timeout(60), serving(made) as running:
            outcomes = [
                await over_websocket(running, {}),
                await over_websocket(running, {}, "/v1/a/none"),
                await over_sse(running, {}),
            ]
            return [(each.code, each.message, bool(each.seen)) for each in outcomes]

    *asked, none, by_sse = asyncio.run(ask())
    hidden, found = none, (Code.OK, "", True)
    assert none[::2] == (Code.NOT_FOUND, False)
    assert [*asked, by_sse] == 2 * [hidden if role == "edge" else found]


@pytest.mark.parametrize("policies", [(), ("with",)], ids=["no policies", "policies"])
def test_grpc(policies: tuple[str, ...]) -> None:
    """Over gRPC they are methods that there are not, in the same words."""
    paths = ["Stock/Get", "Stock/Reserve", "Stock/Audit", "Ledger/Post", "Stock/None"]

    async def fact(listening: Listening) -> list[tuple[Code, str]]:
        return [await call(listening, f"/stock.v1.{path}") for path in paths]

    from transcoder.policies import RequestId  # noqa: PLC0415  only where there is one

    given = [RequestId() for _ in policies]
    edge = run(gateway("edge", policies=given), fact)
    inner = run(gateway("internal", policies=given), fact)
    assert [code for code, _ in inner] == [*4 * [Code.OK], Code.UNIMPLEMENTED]
    assert edge[0] == (Code.OK, "")
    assert set(edge[1:]) == {edge[4]}
    assert edge[4][0] is Code.UNIMPLEMENTED


def test_passed_on() -> None:
    """So are those of backends, which are not asked."""
    paths = ["Stock/Get", "Stock/Reserve", "Stock/Audit", "Ledger/Post"]

    async def fact(listening: Listening) -> list[Code]:
        return [(await call(listening, f"/stock.v1.{path}"))[0] for path in paths]

    assert run(passing_on("edge"), fact) == [Code.UNAVAILABLE, *3 * [Code.UNIMPLEMENTED]]
    assert run(passing_on("internal"), fact) == 4 * [Code.UNAVAILABLE]


def test_reflection() -> None:
    """Reflection does not list them, does not find them, and describes their services without."""

    async def fact(listening: Listening) -> dict[str, Any]:
        listed = (await reflect(listening, list_services="")).list_services_response.service
        found: dict[str, Any] = {
            "listed": [each.name for each in listed if each.name.startswith("stock")]
        }
        symbols = ["Stock", "Stock.Get", "Stock.Reserve", "Stock.Audit", "Ledger", "Ledger.Post"]
        for symbol in symbols:
            answered = await reflect(listening, file_containing_symbol=f"stock.v1.{symbol}")
            found[symbol] = answered.error_response.error_code
        for question in (
            {"file_by_filename": "stock.proto"},
            {"file_containing_symbol": "stock.v1.Item"},
        ):
            answered = await reflect(listening, **question)
            (data,) = answered.file_descriptor_response.file_descriptor_proto
            file = descriptor_pb2.FileDescriptorProto.FromString(data)
            found[next(iter(question))] = {
                service.name: [method.name for method in service.method] for service in file.service
            }
        missing = await reflect(listening, file_containing_symbol="stock.v1.None")
        hidden = await reflect(listening, file_containing_symbol="stock.v1.Ledger")
        found["same"] = missing.error_response == hidden.error_response
        return found

    described = {"Stock": ["Get"]}
    assert run(gateway("edge"), fact) == {
        "listed": ["stock.v1.Stock"],
        "Stock": 0,
        "Stock.Get": 0,
        "Stock.Reserve": 5,
        "Stock.Audit": 5,
        "Ledger": 5,
        "Ledger.Post": 5,
        "file_by_filename": described,
        "file_containing_symbol": described,
        "same": True,
    }
    whole = {"Stock": ["Get", "Reserve", "Audit"], "Ledger": ["Post"]}
    inner = run(gateway("internal"), fact)
    assert inner["listed"] == ["stock.v1.Ledger", "stock.v1.Stock"]
    assert (inner["Stock.Reserve"], inner["Ledger"]) == (0, 0)
    assert inner["file_by_filename"] == whole


@cache
def wide() -> DescriptorPool:
    """Return a pool of files whose messages public methods use, internal ones, and both."""
    found = DescriptorPool()
    for file in _wide():
        found.Add(file)
    return found


def _wide() -> list[descriptor_pb2.FileDescriptorProto]:
    """Return a file of services, one of messages that only internal methods use, and one of both.

    Names say who uses what: Told the method Get, Kept the internal Audit, Both both.
    """

    def message(scope: Any, name: str, *types: str) -> Any:
        made = (scope.message_type if hasattr(scope, "message_type") else scope.nested_type).add(
            name=name
        )
        for number, kind in enumerate(types, 1):
            made.field.add(
                name=f"f{number}", number=number, type=11, label=1, type_name=f".wide.v1.{kind}"
            )
        return made

    shared = descriptor_pb2.FileDescriptorProto(
        name="shared.proto", package="wide.v1", syntax="proto3"
    )
    kept = descriptor_pb2.FileDescriptorProto(
        name="kept.proto", package="wide.v1", syntax="proto3", dependency=["shared.proto"]
    )
    service = descriptor_pb2.FileDescriptorProto(
        name="wide.proto",
        package="wide.v1",
        syntax="proto3",
        dependency=["kept.proto", "shared.proto"],
    )
    message(shared, "Both")
    message(shared, "Loose", "Both")  # of no method, as what an Any may hold
    shared.enum_type.add(name="KeptKind").value.add(name="KEPT_KIND_A", number=0)
    secret = message(kept, "KeptSecret", "Both", "KeptSecret")
    secret.field.add(name="kind", number=3, type=14, label=1, type_name=".wide.v1.KeptKind")
    message(service, "Told", "Both", "KeptShell.Told")
    shell = message(service, "KeptShell", "KeptSecret")
    message(shell, "Told")
    message(shell, "Kept")
    message(service, "KeptAnswer", "KeptShell", "Told")
    message(service, "KeptLog", "KeptAnswer")  # of no method, and nothing without the others
    wide_service = service.service.add(name="Wide")
    wide_service.method.add(name="Get", input_type=".wide.v1.Told", output_type=".wide.v1.Both")
    wide_service.method.add(
        name="Audit", input_type=".wide.v1.KeptSecret", output_type=".wide.v1.KeptAnswer"
    )
    return [shared, kept, service]


def of_wide(role: Any) -> Gateway:
    made = Gateway(pool=wide(), role=role, internal=["wide.v1.Wide.Audit"], unbound=True)
    made.route(wide().FindServiceByName("wide.v1.Wide"), Channel("127.0.0.1:1"))
    return made


def test_reflection_of_messages() -> None:
    """Messages that only internal methods use are told of by no question at an edge."""
    symbols = {
        "Told": True,
        "Told.f1": True,
        "Both": True,
        "Loose": True,
        "KeptShell": True,  # for the message within it, and without anything else
        "KeptShell.Told": True,
        "KeptShell.Kept": False,
        "KeptShell.f1": False,
        "KeptSecret": False,
        "KeptSecret.f1": False,
        "KeptAnswer": False,
        "KeptLog": False,
        "KeptKind": False,
        "KEPT_KIND_A": False,
        "Wide.Get": True,
        "Wide.Audit": False,
    }

    async def fact(listening: Listening) -> tuple[dict[str, bool], list[list[str]], Any]:
        found, whole = {}, []
        for symbol in symbols:
            answered = await reflect(listening, file_containing_symbol=f"wide.v1.{symbol}")
            found[symbol] = not answered.error_response.error_code
        for name in ("wide.proto", "kept.proto", "shared.proto"):
            answered = await reflect(listening, file_by_filename=name)
            listed = answered.file_descriptor_response.file_descriptor_proto
            files = [descriptor_pb2.FileDescriptorProto.FromString(data) for data in listed]
            whole.append([file.name for file in files])
            # What is told hangs together.
            told = DescriptorPool()
            for file in reversed(files):
                told.Add(file)
                told.FindFileByName(file.name)
        extended = await reflect(listening, all_extension_numbers_of_type="wide.v1.KeptSecret")
        return found, whole, extended.error_response.error_code

    found, whole, extended = run(of_wide("edge"), fact)
    assert found == symbols
    assert whole == [["wide.proto", "shared.proto"], [], ["shared.proto"]]
    assert extended == Code.NOT_FOUND

    found, whole, extended = run(of_wide("internal"), fact)
    assert set(found.values()) == {True}
    assert [sorted(names) for names in whole][:2] == [
        ["kept.proto", "shared.proto", "wide.proto"],
        ["kept.proto", "shared.proto"],
    ]


def diamond(layers: int) -> DescriptorPool:
    """Return a pool of layers of two files, of which each imports both of the layer below."""
    found = DescriptorPool()
    below: list[str] = []
    for layer in range(layers):
        names = [f"{layer}{side}" for side in "ab"]
        for name in names:
            file = descriptor_pb2.FileDescriptorProto(
                name=f"m{name}.proto",
                package="dia.v1",
                syntax="proto3",
                dependency=[f"m{each}.proto" for each in below],
            )
            made = file.message_type.add(name=f"M{name}")
            for number, each in enumerate(below, 1):
                made.field.add(
                    name=f"f{number}", number=number, type=11, label=1, type_name=f".dia.v1.M{each}"
                )
            found.Add(file)
        below = names
    file = descriptor_pb2.FileDescriptorProto(
        name="dia.proto",
        package="dia.v1",
        syntax="proto3",
        dependency=[f"m{each}.proto" for each in below],
    )
    file.message_type.add(name="Kept")
    service = file.service.add(name="Dia")
    told = f".dia.v1.M{below[0]}"
    service.method.add(name="Get", input_type=told, output_type=told)
    service.method.add(name="Audit", input_type=told, output_type=".dia.v1.Kept")
    found.Add(file)
    return found


def test_reflection_of_many_ways() -> None:
    """A file that is imported in 2 ** 40 ways is told of once."""
    found = diamond(40)
    made = Gateway(pool=found, role="edge", internal=["dia.v1.Dia.Audit"], unbound=True)
    made.route(found.FindServiceByName("dia.v1.Dia"), Channel("127.0.0.1:1"))

    async def fact(listening: Listening) -> list[str]:
        answered = await reflect(listening, file_containing_symbol="dia.v1.Dia")
        listed = answered.file_descriptor_response.file_descriptor_proto
        return [descriptor_pb2.FileDescriptorProto.FromString(data).name for data in listed]

    names = run(made, fact)
    assert names[0] == "dia.proto"
    assert sorted(names[1:]) == sorted(
        f"m{layer}{side}.proto" for layer in range(40) for side in "ab"
    )


def indirect() -> DescriptorPool:
    """Return a pool where a file imports in public one of a hidden message, and one of a told one.

    The hidden one is what an option of fields holds, too; another option holds a number.
    """
    found = DescriptorPool()
    descriptor_pb2.DESCRIPTOR.CopyToProto(options := descriptor_pb2.FileDescriptorProto())
    told = descriptor_pb2.FileDescriptorProto(name="told.proto", package="way.v1", syntax="proto3")
    told.message_type.add(name="Told").field.add(name="id", number=1, type=9, label=1)
    kept = descriptor_pb2.FileDescriptorProto(
        name="kept.proto", package="way.v1", dependency=[options.name]
    )
    kept.message_type.add(name="Kept").field.add(name="id", number=1, type=9, label=1)
    kept.extension.add(
        name="kept",
        number=50001,
        type=11,
        label=1,
        type_name=".way.v1.Kept",
        extendee=".google.protobuf.FieldOptions",
    )
    open_option = descriptor_pb2.FileDescriptorProto(
        name="option.proto", package="way.v1", dependency=[options.name]
    )
    open_option.extension.add(
        name="told", number=50002, type=5, label=1, extendee=".google.protobuf.FieldOptions"
    )
    both = descriptor_pb2.FileDescriptorProto(
        name="both.proto",
        package="way.v1",
        syntax="proto3",
        dependency=["kept.proto", "told.proto"],
        public_dependency=[0, 1],
    )
    file = descriptor_pb2.FileDescriptorProto(
        name="way.proto", package="way.v1", syntax="proto3", dependency=["both.proto"]
    )
    service = file.service.add(name="Way")
    service.method.add(name="Get", input_type=".way.v1.Told", output_type=".way.v1.Told")
    service.method.add(name="Audit", input_type=".way.v1.Kept", output_type=".way.v1.Told")
    for each in (options, told, kept, open_option, both, file):
        found.Add(each)
    return found


def of_indirect() -> Gateway:
    found = indirect()
    made = Gateway(pool=found, role="edge", internal=["way.v1.Way.Audit"], unbound=True)
    made.route(found.FindServiceByName("way.v1.Way"), Channel("127.0.0.1:1"))
    return made


def test_reflection_of_public_imports() -> None:
    """A file stays for what it imports in public, without what is hidden of that."""

    async def fact(listening: Listening) -> list[Any]:
        answered = await reflect(listening, file_containing_symbol="way.v1.Way")
        listed = answered.file_descriptor_response.file_descriptor_proto
        return [descriptor_pb2.FileDescriptorProto.FromString(data) for data in listed]

    way, both, told = run(of_indirect(), fact)

    assert (way.name, list(way.dependency)) == ("way.proto", ["both.proto"])
    assert (both.name, list(both.dependency)) == ("both.proto", ["told.proto"])
    assert list(both.public_dependency) == [0]
    assert told.name == "told.proto"


def test_reflection_of_extensions() -> None:
    """An extension that holds a hidden message is told of neither by number nor by file."""
    options = "google.protobuf.FieldOptions"

    async def fact(listening: Listening) -> list[Any]:
        numbers = await reflect(listening, all_extension_numbers_of_type=options)
        found: list[Any] = [list(numbers.all_extension_numbers_response.extension_number)]
        for number in (50001, 50002):
            asked = reflection_pb2.ExtensionRequest(
                containing_type=options, extension_number=number
            )
            answered = await reflect(listening, file_containing_extension=asked)
            listed = answered.file_descriptor_response.file_descriptor_proto
            files = [descriptor_pb2.FileDescriptorProto.FromString(data) for data in listed]
            found.append(answered.error_response.error_code or files[0].name)
        return found

    assert run(of_indirect(), fact) == [[50002], Code.NOT_FOUND, "option.proto"]


def test_grpcurl() -> None:
    """What is public at an edge is found, described and called by grpcurl, and nothing else is."""

    async def ask(listening: Listening, *words: str) -> str:
        process = await asyncio.create_subprocess_exec(
            Path(sys.executable).with_name("grpcurl"),
            *(
                "-plaintext",
                "-max-time",
                "30",
                *words[:-1],
                listening.grpc.target,
                *words[-1].split(),
            ),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        return (await process.communicate())[0].decode()

    async def calls(listening: Listening) -> list[str]:
        asked = '{"id": "7"}'
        return [
            await ask(listening, "-d", asked, f"stock.v1.Stock/{name}") for name in ("Get", "Audit")
        ]

    async def describes(listening: Listening) -> list[str]:
        names = ("Wide", "Told", "KeptAnswer", "KeptShell")
        return [await ask(listening, f"describe wide.v1.{name}") for name in names]

    async def describes_way(listening: Listening) -> str:
        return await ask(listening, "describe way.v1.Way")

    assert "rpc Get ( .way.v1.Told ) returns ( .way.v1.Told );" in run(of_indirect(), describes_way)
    answered, refused = run(gateway("edge"), calls)
    assert json.loads(answered) == {"id": "7"}
    assert 'service "stock.v1.Stock" does not include a method named "Audit"' in refused
    service, told, hidden, shell = run(of_wide("edge"), describes)
    assert [line for line in service.splitlines() if "rpc" in line] == [
        "  rpc Get ( .wide.v1.Told ) returns ( .wide.v1.Both );"
    ]
    assert ".wide.v1.KeptShell.Told f2 = 2;" in told
    assert "not found" in hidden
    assert " = " not in shell


def test_health() -> None:
    """A service of such methods alone has no health there."""

    async def fact(listening: Listening) -> list[Any]:
        async with grpc.aio.insecure_channel(listening.grpc.target) as channel:
            stub: Any = health_pb2_grpc.HealthStub(channel)
            found: list[Any] = []
            for name in ("stock.v1.Stock", "stock.v1.Ledger"):
                asked = stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=30)
                found.append(Code((await asked.code()).value[0]))
        found += [
            (await get(listening, f"/healthz?service=stock.v1.{name}"))[0]
            for name in ("Stock", "Ledger")
        ]
        return found

    assert run(gateway("edge"), fact) == [Code.OK, Code.NOT_FOUND, 200, 404]
    assert run(gateway("internal"), fact) == [Code.OK, Code.OK, 200, 200]


def test_documents() -> None:
    """The API's description does not name them."""

    async def fact(listening: Listening) -> list[str]:
        _, data = await get(listening, "/openapi.json")
        return sorted(json.loads(data)["paths"])

    assert run(gateway("edge"), fact) == ["/v1/get/{id}"]


def test_schemas() -> None:
    """Nor does it describe messages that only they use."""

    async def fact(listening: Listening) -> list[str]:
        _, data = await get(listening, "/openapi.json")
        assert b"KeptSecret" not in data
        return [name for name in json.loads(data)["components"]["schemas"] if "Kept" in name]

    assert run(of_wide("edge"), fact) == ["wide.v1.KeptShell.Told"]


def test_explained() -> None:
    """The operator is told why their paths are not found."""
    for path, name in (("reserve", "Stock.Reserve"), ("post", "Ledger.Post")):
        found = explain(gateway("edge").transcoder, "GET", f"/v1/{path}/7")
        assert found.error is not None
        assert found.error.http == 404
        first = found.candidates[0]
        assert first.route.name == f"stock.v1.{name}"
        assert first.stopped == (
            "the path fits, but the method is internal: an edge gateway does not serve it"
        )


def routed(names: Any) -> Gateway:
    """Return a gateway of one of the services, with these internal methods."""
    made = Gateway(pool=pool(), internal=names)
    made.route(pool().FindServiceByName("stock.v1.Stock"), Channel("127.0.0.1:1"))
    return made


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (["stock.v1.Stock.Gone"], "internal: no method here fits stock.v1.Stock.Gone"),
        (["/v1/get/{id}"], "internal: '/v1/get/{id}': a method or a service is expected"),
        ("stock.v1.Stock.Get", "internal 'stock.v1.Stock.Get': a sequence is expected"),
    ],
)
def test_wrong(names: Any, problem: str) -> None:
    """A name that means nothing is refused in one line, at whichever gateway."""
    with pytest.raises(ConfigError) as raised:
        routed(names).compile()

    assert str(raised.value) == problem
