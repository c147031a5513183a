"""HTTP backends of several endpoints, which come, fail and go."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import trustme
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from behind import OK, PATIENCE, Backend, Front, Request, before
from http_replica import replica
from listening import serving
from nameserver import name_server
from transcoder import ConfigError, HttpUpstream, OutlierDetection, Tls
from transcoder.discovery import Answer, Dns, Endpoint, Listed, Srv, Unknown
from transcoder.discovery.records import Refresh
from transcoder.measured import Reading

QUICK = Refresh(minimum=0.05, maximum=0.1)
POST = b"POST /back/a HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 2\r\n\r\nhi"


class Told:
    """A source that says what a test says."""

    name = "told"

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses

    async def look(self) -> Answer:
        if not self.addresses:
            raise Unknown("nothing was told")
        return Answer(tuple(map(Endpoint, self.addresses)), 0.01)


def status(line: str) -> bytes:
    """Return an empty answer."""
    return f"HTTP/1.1 {line}\r\ncontent-length: 0\r\n\r\n".encode()


@contextlib.asynccontextmanager
async def serving_all(*backends: Backend, **options: Any) -> AsyncIterator[list[str]]:
    """Serve each; the addresses are the value."""
    async with contextlib.AsyncExitStack() as stack:
        yield [await stack.enter_async_context(serving(each.serve, **options)) for each in backends]


def fronting(source: Any, *, at: str = "shop.internal", **options: Any) -> Any:
    """Run a gateway before a backend whose endpoints a source tells."""
    gateway = options.pop("gateway", {})
    return before(Backend(), at=at, options={"source": source, **options}, **gateway)


def run(fact: Callable[[], Awaitable[None]]) -> None:
    """Run a test in a loop, which must not hang."""

    async def running() -> None:
        async with asyncio.timeout(2 * PATIENCE):
            await fact()

    asyncio.run(running())


def unused() -> str:
    """Return an address that nobody listens at."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{reserved.getsockname()[1]}"


def measured(front: Front) -> dict[str, float]:
    """Return what is measured, by metric and endpoint."""
    return {
        " ".join((each.metric.name.removeprefix("transcoder_"), *list(each.labels.values())[1:])): (
            each.value
        )
        for each in front.upstream.readings()
        if isinstance(each, Reading)
    }


async def until(is_so: Callable[[], bool]) -> None:
    """Wait for something that nobody tells of."""
    while True:
        if is_so():
            return
        await asyncio.sleep(0.01)


async def statuses(front: Front, count: int) -> list[int]:
    """Return those of requests one after another."""
    return [(await front.get()).status for _ in range(count)]


@pytest.mark.parametrize(("balancing", "shares"), [("round_robin", [4, 4]), ("weighted", [6, 2])])
def test_shares(balancing: Any, shares: list[int]) -> None:
    """Each endpoint has its share of requests, under the path and the name of the URL."""

    async def fact() -> None:
        made = Backend(), Backend()
        async with serving_all(*made) as (one, other):
            source = Listed([Endpoint(one, 3), Endpoint(other, 1)])
            async with fronting(source, balancing=balancing, gateway={"base": "/base"}) as front:
                assert await statuses(front, 8) == [200] * 8
                assert [len(each.asked) for each in made] == shares
                for each in made:
                    assert each.asked[0].line == b"GET /base/back/a HTTP/1.1"
                    assert each.asked[0].all(b"host") == [b"shop.internal"]
                assert measured(front) == {
                    "endpoints": 2,
                    "endpoints_ejected": 0,
                    f"endpoint_calls {one}": shares[0],
                    f"endpoint_calls {other}": shares[1],
                }
                assert {each.labels["upstream"] for each in front.upstream.readings()} == {
                    "shop.internal"
                }

    run(fact)


def test_killed(tmp_path: Path) -> None:
    """A replica that is killed fails no GET; another that DNS tells of in its place gets some."""

    def records(*targets: str) -> list[str]:
        ports = [target.rpartition(":")[2] for target in targets]
        return ["host-record=one.test,127.0.0.1"] + [
            f"srv-host=_http._tcp.shop.test,one.test,{port},0,1" for port in ports
        ]

    async def fact() -> None:
        stays, late = Backend(), Backend()
        with replica() as (process, killed), name_server(tmp_path) as names:
            async with serving_all(stays, late) as (stay, new):
                await asyncio.to_thread(names.tell, *records(stay, killed))
                source = Srv("_http._tcp.shop.test", nameserver=names.address, refresh=QUICK)
                async with fronting(source) as front:
                    failed = 0

                    async def ask(until: asyncio.Event) -> None:
                        nonlocal failed
                        while not until.is_set():
                            failed += (await front.get()).status != 200

                    over = asyncio.Event()
                    asking = [asyncio.create_task(ask(over)) for _ in range(4)]
                    await stays.came.wait()
                    await until(lambda: f"endpoint_calls {killed}" in measured(front))
                    process.kill()
                    await asyncio.to_thread(process.wait)
                    seen = len(stays.asked)
                    await until(lambda: len(stays.asked) >= seen + 50)
                    await asyncio.to_thread(names.tell, *records(stay, new))
                    await late.came.wait()
                    over.set()
                    await asyncio.gather(*asking)
                    assert failed == 0
                    assert measured(front)["endpoints"] == 2

    run(fact)


def test_addresses_of_a_name(tmp_path: Path) -> None:
    """All addresses of a name get requests, whatever the name in the URL."""

    async def fact() -> None:
        made = Backend()
        async with serving(made.serve) as target:
            with name_server(tmp_path, "host-record=shop.test,127.0.0.1") as names:
                source = Dns(f"shop.test:{target.rpartition(':')[2]}", nameserver=names.address)
                async with fronting(source) as front:
                    assert await statuses(front, 1) == [200]
                    assert made.asked[0].all(b"host") == [b"shop.internal"]

    run(fact)


@pytest.mark.parametrize("retries", [True, False])
def test_down(retries: bool) -> None:  # noqa: FBT001  a table's
    """What never left goes to another endpoint, with a body too; the lost one gets no more."""

    async def fact() -> None:
        made = Backend()
        async with serving(made.serve) as target:
            nobody = unused()
            async with fronting(Listed([nobody, target]), retries=retries) as front:
                assert (await front.raw(POST)).startswith(b"HTTP/1.1 200 ")
                assert made.asked[0].body == b"hi"
                assert await statuses(front, 6) == [200] * 6
                assert await front.upstream.check() == ""

    run(fact)


def test_all_down() -> None:
    """Where none can be reached, a request is 503, and the backend is not ready."""

    async def fact() -> None:
        async with fronting(Listed([unused(), unused()])) as front:
            assert await statuses(front, 1) == [503]
            assert "none of the 2 endpoints can be reached" in await front.upstream.check()

    run(fact)


def test_none_is_known() -> None:
    """So it is where the source tells none."""

    async def fact() -> None:
        async with fronting(Told()) as front:
            assert await statuses(front, 1) == [503]
            assert await front.upstream.check() == "told: no endpoints: nothing was told"

    run(fact)


def test_found_again() -> None:
    """An endpoint that was lost gets requests when it is there again."""

    async def fact() -> None:
        stays, late = Backend(), Backend()
        async with serving(stays.serve) as target:
            back = unused()
            async with fronting(Listed([target, back])) as front:
                assert await statuses(front, 4) == [200] * 4
                async with serving(late.serve, port=int(back.rpartition(":")[2])):
                    while not late.asked:
                        assert await statuses(front, 1) == [200]

    run(fact)


@pytest.mark.parametrize(
    ("line", "detection", "asked"),
    [
        ("500 No", {}, 2),
        ("502 No", {}, 2),
        ("503 No", {}, 2),
        ("504 No", {"deadline": True}, 2),
        ("504 No", {}, 8),  # a deadline is no fault unless that is said
        ("501 No", {}, 8),  # the client asked for what there is not
        ("404 No", {}, 8),
        ("429 No", {}, 8),
    ],
)
def test_outliers(line: str, detection: dict[str, Any], asked: int) -> None:
    """An endpoint that answers by its own fault is ejected; for a client's it is not."""

    async def fact() -> None:
        good, bad = Backend(), Backend(status(line))
        async with serving_all(good, bad) as targets:
            outliers = OutlierDetection(consecutive=2, base=1000, **detection)
            async with fronting(Listed(targets), outliers=outliers) as front:
                await statuses(front, 16)
                assert len(bad.asked) == asked
                assert measured(front)["endpoints_ejected"] == (asked == 2)

    run(fact)


def test_connections_that_end_without_an_answer() -> None:
    """They count as faults, and a GET gets its answer from another endpoint."""

    async def end(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async def fact() -> None:
        good, bad = Backend(), Backend(end)
        async with serving_all(good, bad) as targets:
            outliers = OutlierDetection(consecutive=2, base=1000)
            async with fronting(Listed(targets), outliers=outliers) as front:
                assert await statuses(front, 16) == [200] * 16
                assert len(bad.asked) == 2

    run(fact)


@pytest.mark.parametrize(
    ("shown", "server_name", "answer"),
    [
        ("shop.internal", None, 200),
        ("other.internal", None, 503),
        ("other.internal", "other.internal", 200),
        ("127.0.0.1", None, 503),  # the endpoint's address is not who it must be
    ],
)
def test_tls(shown: str, server_name: str | None, answer: int) -> None:
    """The certificate must be for the host of the URL, which is asked for by SNI."""
    ca = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(shown).configure_cert(context)
    asked: list[str | None] = []
    context.sni_callback = lambda _socket, name, _context: asked.append(name)

    async def fact() -> None:
        tls = Tls(ca=ca.cert_pem.bytes(), server_name=server_name)
        async with (
            serving(Backend().serve, context) as target,
            fronting(Listed([target]), tls=tls, gateway={"secured": context}) as front,
        ):
            assert await statuses(front, 1) == [answer]
            assert (await front.upstream.check() == "") == (answer == 200)
            assert set(asked) == {server_name or "shop.internal"}

    run(fact)


def test_kept_connections_of_one_that_leaves() -> None:
    """They are closed when the requests on them have ended, and not before."""

    async def fact() -> None:
        begun, may_end, closed = asyncio.Event(), asyncio.Event(), asyncio.Event()

        async def slow(request: Request, writer: asyncio.StreamWriter) -> None:
            begun.set()
            await may_end.wait()
            writer.write(OK)
            assert await request.reader.read() == b""
            closed.set()

        leaves, stays = Backend(slow), Backend()
        async with serving_all(leaves, stays) as (one, other):
            source = Told(one)
            async with fronting(source) as front:
                under_way = [asyncio.create_task(front.get())]
                await begun.wait()
                source.addresses = (other,)
                while not stays.asked:
                    under_way.append(asyncio.create_task(front.get()))
                    await asyncio.wait(under_way[-1:], timeout=0.1)
                may_end.set()
                assert {each.status for each in await asyncio.gather(*under_way)} == {200}
                await closed.wait()

    run(fact)


async def echo(sent: ServerConnection) -> None:
    """Send back what comes."""
    async for message in sent:
        await sent.send(message)


def test_websockets() -> None:
    """A WebSocket goes to an endpoint that can be reached, and ends when that has left."""

    async def fact() -> None:
        async with serve(echo, "127.0.0.1", 0) as server:
            host, port = next(iter(server.sockets)).getsockname()
            here = f"{host}:{port}"
            source = Told(unused(), here)
            async with fronting(source, grace=0.01) as front:
                for _ in range(2):
                    async with connect(f"ws://{front.target}/back/a", proxy=None) as client:
                        await client.send("a")
                        assert await client.recv() == "a"
                async with connect(f"ws://{front.target}/back/a", proxy=None) as client:
                    source.addresses = (unused(),)
                    with pytest.raises(ConnectionClosed) as closed:
                        await client.recv()
                    assert closed.value.rcvd is not None
                    assert closed.value.rcvd.code == 1012

    run(fact)


def test_unix(tmp_path: Path) -> None:
    """An endpoint may be a Unix socket."""

    async def fact() -> None:
        made, path = Backend(), tmp_path / "http"

        async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.closing(writer):
                await made.serve(reader, writer)

        server = await asyncio.start_unix_server(one, path)
        async with server, fronting(Listed([f"unix:{path}"])) as front:
            assert await statuses(front, 2) == [200] * 2
            assert await front.upstream.check() == ""
            await front.upstream.close()
            await made.gone.wait()

    run(fact)


def test_wrong() -> None:
    """A balancing that there is not is told."""
    with pytest.raises(ConfigError, match="balancing: 'random': one of round_robin, weighted, "):
        HttpUpstream("http://a", source=Listed(["a:1"]), balancing="random")  # type: ignore[arg-type]
