from __future__ import annotations

import asyncio
from pathlib import Path

import grpc.aio
import pytest

from compiled import pool
from filed import GOOD, USERS, built, upstream
from reloaded import write_descriptors
from streams import POOL, SERVICE
from transcoder.config.build import describe
from transcoder.errors import ConfigError
from transcoder.reflection import handlers
from transcoder.upstream.channel import Channel
from transcoder.upstream.split import Split


def test_services() -> None:
    """Services of a module are routed to their upstream."""
    made = built()

    assert made.gateway.services == (USERS,)
    assert isinstance(upstream(made), Channel)
    assert upstream(made).target == "localhost:1"


def test_reflection_of_nobody(tmp_path: Path) -> None:
    """Where no endpoint is known, none can describe its services."""
    upstreams = {"a": {"discovery": {"file": "e.yaml"}}}
    service = {"reflection": "a", "upstream": "a"}
    with pytest.raises(ConfigError) as raised:
        built(tmp_path, upstreams=upstreams, services=[service])

    assert str(raised.value) == f"services[0]: {tmp_path}/e.yaml: No such file or directory"


def test_reflection_of_a_server_that_is_gone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """That it does not answer is told once, however often it is asked, and that it is back."""

    async def serving(address: str) -> tuple[grpc.aio.Server, str]:
        server = grpc.aio.server()
        server.add_generic_rpc_handlers(tuple(handlers([SERVICE.full_name], POOL).values()))
        port = server.add_insecure_port(address)
        await server.start()
        return server, f"127.0.0.1:{port}"

    async def running() -> list[int]:
        server, address = await serving("127.0.0.1:0")
        service = {"reflection": "a", "upstream": "a"}
        upstreams = {"a": {"target": address}}
        made = await asyncio.to_thread(built, tmp_path, upstreams=upstreams, services=[service])
        await server.stop(0)
        counts: list[int] = []
        for back in (False, False, True, True):
            if back and len(counts) == 2:
                server, _ = await serving(address)
            [found] = await asyncio.to_thread(describe, made, tmp_path)
            assert found is made.descriptors[0]
            counts.append(len(caplog.messages))
        await server.stop(0)
        return counts

    assert asyncio.run(running()) == [1, 1, 2, 2]
    assert caplog.messages[0].startswith("services[0]: ")
    assert caplog.messages[0].endswith("; it stays as it was")
    assert caplog.messages[1] == "services[0]: it is there again"


def test_versions() -> None:
    """A service of several versions is split."""
    versions = [
        {"name": "v1", "upstream": "a", "weight": 95},
        {"name": "v2", "upstream": "b", "weight": 5},
    ]
    service = {
        "module": "services.user.v1.user_service_pb2",
        "versions": versions,
        "matches": [{"header": "x-a", "exact": "b", "to": "v2"}],
        "sticky": "x-user-id",
    }
    found = upstream(built(services=[service]))

    assert isinstance(found, Split)
    assert found.counts == {"v1": 0, "v2": 0}


def test_several_sources(tmp_path: Path) -> None:
    """Services of several sources are in one pool, so that reflection and Any know all of them."""
    write_descriptors(tmp_path / "heavy.binpb", pool().FindServiceByName("heavy.v1.Heavy"))
    services = [
        *GOOD["services"],
        {"descriptor_set": "heavy.binpb", "names": ["heavy.v1.Heavy"], "upstream": "b"},
    ]
    made = built(tmp_path, services=services)

    assert made.gateway.services == (USERS, "heavy.v1.Heavy")
    assert made.gateway.pool.FindServiceByName(USERS).file.pool is made.gateway.pool
    made.gateway.compile()
