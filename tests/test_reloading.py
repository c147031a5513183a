"""Reloads of a gateway's file, with real backends, ports and clients."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_health.v1 import health_pb2, health_pb2_grpc

from publishing import publishing
from reloaded import Reloaded, reloaded, until
from streams import POOL, SERVICE, Ask
from tokens import rsa
from transcoder.config import parts
from transcoder.reflection import handlers

Fact = Callable[[Reloaded], Awaitable[Any]]
STAYS = "; the configuration stays that of before"


def run(folder: Path, fact: Fact, said: dict[str, Any] | None = None, **options: Any) -> Any:
    """Serve a file while a test looks at it."""

    async def all_of_it() -> Any:
        async with reloaded(folder, said, **options) as running:
            return await fact(running)

    return asyncio.run(all_of_it())


def test_under_load(tmp_path: Path) -> None:
    """Calls of both ports meet no reload: none fails, and none is half of one configuration."""

    async def fact(running: Reloaded) -> None:
        seen: Counter[str] = Counter()
        over = asyncio.Event()

        async def rest() -> None:
            while not over.is_set():
                status, limit, body = await running.get()
                seen[f"{status} {limit}" if json.loads(body)["text"] == limit else "mixed"] += 1

        async def over_grpc() -> None:
            while not over.is_set():
                backend, limit = await running.call()
                seen[f"grpc {limit}" if backend == limit else "mixed"] += 1

        calling = asyncio.gather(*(rest() for _ in range(4)), *(over_grpc() for _ in range(4)))
        for name in ("green", "blue", "green", "blue", "green", "blue"):
            assert await running.reload(running.said(name)) == [f"{running.path}: read anew"]
            before = seen.copy()
            await until(lambda: seen[f"200 {name}"] > before[f"200 {name}"])  # noqa: B023  called at once
            await until(lambda: seen[f"grpc {name}"] > before[f"grpc {name}"])  # noqa: B023  as above
        over.set()
        await calling
        assert set(seen) == {"200 blue", "200 green", "grpc blue", "grpc green"}, seen

    run(tmp_path, fact)


def test_streams_go_on(tmp_path: Path) -> None:
    """Streams and calls that run end under the configuration with which they began."""

    async def fact(running: Reloaded) -> None:
        stream = running.method("Tell", "unary_stream")(Ask(topic="held", count=3))
        first = await stream.read()
        events, writer = await running.ask("/v1/held/told?count=3")
        await events.readuntil(b'"blue"}')
        call = asyncio.create_task(running.call("held"))
        await until(lambda: running.backends["blue"].calls == 3)

        await running.reload(running.said("green"))
        assert running.readings("transcoder_config_leaving") == {"": 1}
        assert await running.call() == ("green", "green")
        running.backends["blue"].go_on.set()

        assert await call == ("blue", "blue")
        assert [first.text] + [(await stream.read()).text for _ in range(2)] == ["blue"] * 3
        assert (await events.read()).count(b"blue") == 2
        writer.close()
        await until(lambda: running.readings("transcoder_config_leaving") == {"": 0})

    run(tmp_path, fact)


def test_grace(tmp_path: Path) -> None:
    """Streams that outlast the grace end with UNAVAILABLE, and the configuration is closed."""

    async def fact(running: Reloaded) -> None:
        stream = running.method("Tell", "unary_stream")(Ask(topic="held", count=3))
        await stream.read()
        events, writer = await running.ask("/v1/held/told?count=3")
        await events.readuntil(b'"blue"}')
        await running.reload(running.said("green"))

        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await stream.read()
        assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
        assert b'"code":14' in await events.read()
        writer.close()
        await until(lambda: running.readings("transcoder_config_leaving") == {"": 0})

    run(tmp_path, fact, reload_grace=0.5)


def test_seen(tmp_path: Path) -> None:
    """A file that has changed is read without a signal, and so is one that it names."""

    async def fact(running: Reloaded) -> None:
        running.write(running.said("green"))
        await until(lambda: running.count() == 1)
        (tmp_path / "streams.binpb").touch()
        await until(lambda: running.count() == 2)
        assert await running.call() == ("green", "green")

    run(tmp_path, fact)


def _service(**more: Any) -> dict[str, Any]:
    return {"services": [{"descriptor_set": "streams.binpb", "upstream": "blue", **more}]}


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("a: b: c", "1:5: no YAML: mapping values are not allowed "),
        ({"polices": {}}, ": polices: no such key; did you mean policies?"),
        (_service(upstream="red"), ": services[0].upstream: no upstream is named 'red'"),
        (_service(descriptor_set="none.binpb"), "none.binpb: No such file or directory"),
        (_service(names=["a.B"]), ": services[0]: names[0]: no service is named a.B"),
        *(
            (
                {
                    "services": [
                        {
                            "descriptor_set": "streams.binpb",
                            "versions": [{"name": "v1", "upstream": "blue", "weight": weight}],
                        }
                    ]
                },
                problem,
            )
            for weight, problem in [
                (
                    0,
                    ": services[0].versions[0].weight: a whole number from 1 to 100 is expected: ",
                ),
                (-1, ": services[0].versions[0].weight: a whole number from 1 to 100 is expected"),
                (None, ": services[0].versions: the weights make up 0: 100 is expected"),
                ("100", "weight: a whole number is expected"),
            ]
        ),
        ({"services": _service()["services"] * 2}, "is registered twice"),
        ({"policies": {"rate_limits": [{"rate": "often"}]}}, ": policies.rate_limits[0]: "),
        ({"public": ["no.such.Method"]}, ": public[0]: no method here fits no.such.Method"),
        ({"policies": {"jwt": {"issuers": []}}}, ": policies.jwt: issuers: at least one"),
    ],
)
def test_wrong(tmp_path: Path, more: dict[str, Any] | str, told: str) -> None:
    """A file that is wrong is told in one line with its place, and nothing changes."""

    async def fact(running: Reloaded) -> None:
        wrong = more if isinstance(more, str) else running.said("green", **more)
        (line,) = await running.reload(wrong)
        assert line.startswith(f"{running.path}:1:")
        assert told in line
        assert line.endswith(STAYS)
        assert await running.call() == ("blue", "blue")
        assert (await running.get())[:2] == (200, "blue")
        assert (await running.get("/readyz"))[0] == 200
        assert running.readings("transcoder_config_failing") == {"": 1}
        assert running.readings("transcoder_config_generation") == {"": 1}

    run(tmp_path, fact)


def test_right_again(tmp_path: Path) -> None:
    """What is missing may come later: the file is read when it does, and counts are told."""

    async def fact(running: Reloaded) -> None:
        said = running.said("green", **_service(descriptor_set="later.binpb", upstream="green"))
        await running.reload(said)
        (tmp_path / "streams.binpb").rename(tmp_path / "later.binpb")
        await until(lambda: running.count() == 2)

        assert await running.call() == ("green", "green")
        assert running.readings("transcoder_config_reloads") == {"applied": 1, "refused": 1}
        assert running.readings("transcoder_config_failing") == {"": 0}
        assert running.readings("transcoder_config_generation") == {"": 2}

    run(tmp_path, fact)


def test_without_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A policy that does not get ready keeps the new configuration out; one that does is ready."""
    monkeypatch.setattr(parts, "PATIENCE", 0.5)

    async def fact(running: Reloaded) -> None:
        def said(url: str) -> dict[str, Any]:
            published = {"url": url, "loopback": True}
            issuer = {"name": publisher.issuer, "audiences": ["api"], "published": published}
            limits = running.said("green")["policies"]["rate_limits"]
            return running.said(
                "green", policies={"rate_limits": limits, "jwt": {"issuers": [issuer]}}
            )

        async with publishing(rsa()) as publisher:
            (line,) = await running.reload(said(f"{publisher.issuer}/none"))
            assert line.startswith(f"{running.path}:1:")
            assert f"policies.jwt: no keys of {publisher.issuer}{STAYS}" in line
            assert await running.call() == ("blue", "blue")
            await running.reload(said(publisher.url))
            assert (await running.get())[0] == 401

    run(tmp_path, fact)


def test_limits_count_on(tmp_path: Path) -> None:
    """A limit that is described as before counts on, whatever else has changed."""
    limit = {"rate_limits": [{"rate": "2/hour", "burst": 2, "by": "all"}]}

    async def fact(running: Reloaded) -> None:
        seen = []
        for name in ("blue", "green", "blue"):
            await running.reload(running.said(name, policies=limit))
            seen.append((await running.get())[0])
        assert seen == [200, 200, 429]
        await running.reload(running.said(policies={"rate_limits": [{"rate": "3/hour"}]}))
        assert (await running.get())[0] == 200

    run(tmp_path, fact, {"policies": limit})


def test_breakers_stay(tmp_path: Path) -> None:
    """A breaker that is open stays so, and connections stay open."""

    async def fact(running: Reloaded) -> None:
        blue = running.backends["blue"]
        blue.failing = True
        while b"the backend is unavailable" not in (await running.get())[2]:
            pass
        calls = blue.calls
        await running.reload(running.said(public=["/healthz"]))
        assert (await running.get())[0] == 503
        assert blue.calls == calls

    run(tmp_path, fact)


def test_restart(tmp_path: Path) -> None:
    """What takes a restart is named in a line, and the rest is applied."""

    async def fact(running: Reloaded) -> None:
        further = [{"http": ":2"}]
        more = {"listen": {"http": ":1"}, "listeners": further, "server": {"workers": 3}}
        lines = await running.reload(running.said("green", **more))
        told = "listen, listeners, server: to change it take a restart; the rest is applied"
        assert lines == [f"{running.path}: read anew", f"{running.path}: {told}"]
        assert await running.call() == ("green", "green")

    run(tmp_path, fact)


def test_health(tmp_path: Path) -> None:
    """Who watches the server's health is told of services that are gone, and not cut off."""

    async def fact(running: Reloaded) -> None:
        stub: Any = health_pb2_grpc.HealthStub(running.channel)
        request = health_pb2.HealthCheckRequest(service=SERVICE.full_name)
        watching = stub.Watch(request)
        assert (await watching.read()).status == health_pb2.HealthCheckResponse.SERVING
        other = {"module": "services.user.v1.user_service_pb2", "upstream": "blue"}
        await running.reload(running.said(services=[other]))

        told = await watching.read()
        assert told.status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await stub.Check(request)
        assert raised.value.code() is grpc.StatusCode.NOT_FOUND
        assert (await running.get())[0] == 404
        watching.cancel()

    run(tmp_path, fact, reload_grace=0.1)


def test_descriptors(tmp_path: Path) -> None:
    """Descriptors that have changed are served, and each change is told in a line."""

    async def fact(running: Reloaded) -> None:
        said = running.said(**_service())
        path = tmp_path / "streams.binpb"
        files = FileDescriptorSet.FromString(path.read_bytes())
        (file,) = [each for each in files.file if each.package == "streams.v1"]
        (service,) = file.service
        del service.method[[each.name for each in service.method].index("Single")]
        path.write_bytes(files.SerializeToString())

        assert await running.reload(said) == [
            f"{running.path}: read anew",
            f"{running.path}: method streams.v1.Streams.Single is gone (incompatible)",
        ]
        assert (await running.get())[0] == 404
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await running.call()
        assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED

    run(tmp_path, fact, _service())


def test_refresh(tmp_path: Path) -> None:
    """A server that is to be asked now and then is, and what it has anew is served."""

    async def fact(running: Reloaded) -> None:
        server, described = grpc.aio.server(), grpc.aio.server()
        port = server.add_insecure_port("127.0.0.1:0")
        listed = [SERVICE.full_name]
        server.add_generic_rpc_handlers(tuple(handlers(listed, POOL).values()))
        await server.start()
        upstreams = {
            **running.said()["upstreams"],
            "described": {"target": f"127.0.0.1:{port}"},
        }
        service = {"reflection": "described", "refresh": 1.0, "upstream": "blue"}
        lines = await running.reload(running.said(upstreams=upstreams, services=[service]))
        assert lines[0] == f"{running.path}: read anew"
        await server.stop(0)

        listed.append("heavy.v1.Heavy")
        described.add_generic_rpc_handlers(tuple(handlers(listed, POOL).values()))
        described.add_insecure_port(f"127.0.0.1:{port}")
        await described.start()
        await until(lambda: running.count() == 2)
        assert running.lines[-1] == f"{running.path}: service heavy.v1.Heavy is new"
        assert await running.call() == ("blue", "blue")
        await described.stop(0)

    run(tmp_path, fact)
