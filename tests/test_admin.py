from __future__ import annotations

import asyncio
import http.client
import json
import signal
import sys
from typing import TYPE_CHECKING, Any

import pytest

from entrances import Running, over_grpc, over_http, serving
from scraping import LOCAL, asked, scraped
from streams import POOL
from toggles import Toggle
from transcoder import Gateway, Health, Server
from transcoder.errors import ConfigError
from transcoder.observers import Metrics

if TYPE_CHECKING:
    from tests.conftest import Served, Start


@pytest.fixture(scope="module")
def served(start_shared: Start) -> Served:
    """A server with an admin port."""
    return start_shared(admin=LOCAL)


def test_metrics(served: Served) -> None:
    """A gateway that counts nothing of its own accord counts where there is an admin port."""
    served.get("/v1/operations/0/a")
    status, headers, text = asked(served.admin_target, "/metrics")
    found = scraped(text)

    assert (status, headers["content-type"].partition(";")[0]) == (200, "text/plain")
    key = "http", "google.longrunning.Operations.GetOperation"
    calls = [value for (name, *labels), value in found.items() if (*labels[:2],) == key]
    assert calls
    assert found["transcoder_draining",] == 0


def test_ready(served: Served) -> None:
    """It tells of each check."""
    status, _, text = asked(served.admin_target, "/readyz")
    told = json.loads(text)

    assert (status, told["status"]) == (200, "SERVING")
    assert [each["name"] for each in told["checks"]] == ["http", "grpc"]


def test_live(served: Served) -> None:
    """And that the process lives."""
    assert asked(served.admin_target, "/livez")[::2] == (200, b'{"status":"SERVING"}')


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/v1/operations/0/a", 404), ("POST", "/metrics", 405)]
)
def test_nothing_else(served: Served, method: str, path: str, status: int) -> None:
    """What clients call is not there, and errors have their usual form."""
    client = http.client.HTTPConnection(served.admin_target, timeout=20)
    client.request(method, path)
    answer = client.getresponse()

    assert (answer.status, json.loads(answer.read())["code"]) == (status, {404: 5, 405: 12}[status])
    client.close()


def test_not_for_clients(served: Served) -> None:
    """Metrics are on the admin port alone."""
    assert served.get("/metrics")[0] == 404


@pytest.mark.parametrize(
    ("name", "value"), [("Host", "evil.example"), ("Origin", "http://evil.example")]
)
def test_rebinding(served: Served, name: str, value: str) -> None:
    """Neither a name that is not this machine's nor a page of another origin gets an answer."""
    status, _, text = asked(served.admin_target, "/metrics", **{name: value})

    assert status == 403
    assert b"transcoder_" not in text


def test_drain(start: Start) -> None:
    """The port answers until the drain is over, and goes with the process."""
    served = start(admin=LOCAL, settle=0.5)
    client = http.client.HTTPConnection(served.admin_target, timeout=20)
    served.signal(signal.SIGTERM)
    status, told = 200, {}
    while status == 200:
        client.request("GET", "/readyz")
        answer = client.getresponse()
        status, told = answer.status, json.loads(answer.read())
    client.close()

    assert status == 503
    assert told["checks"][0] == {
        "name": "drain",
        "status": "NOT_SERVING",
        "seconds": 0.0,
        "problem": "the server is shutting down",
    }
    assert served.ended() == 0


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (
            {"admin": "0.0.0.0:0"},
            (
                "is reached from outside: give a token (admin_token), or an address of this "
                "machine, as 127.0.0.1:9901"
            ),
        ),
        ({"admin": "localhost"}, "'localhost' is no address: write HOST:PORT, [IPv6]:PORT, "),
    ],
)
def test_refused(start: Start, options: dict[str, Any], problem: str) -> None:
    """A port that cannot be is one line, and the exit code 1."""
    served = start(**options)

    assert served.ended() == 1
    (line,) = served.errors().splitlines()
    assert problem in line


def test_in_use(start: Start, served: Served) -> None:
    """So is one that somebody else has."""
    second = start(admin=served.admin_target)

    assert second.ended() == 1
    assert second.errors() == f"Error: admin: {served.admin_target} is in use\n"


def test_token(start: Start) -> None:
    """On other interfaces the token lets in, and nothing else does."""
    served = start(admin="0.0.0.0:0", admin_token="s3cret")
    target = served.admin_target.replace("0.0.0.0", "127.0.0.1")  # noqa: S104  all interfaces

    assert asked(target, "/metrics")[0] == 401
    assert asked(target, "/metrics", Authorization="Bearer s3cret")[0] == 200
    assert asked(target, "/livez", Authorization="Bearer secret")[0] == 401


def run(gateway: Gateway, fact: Any) -> Any:
    """Serve a gateway with an admin port while a test looks at it."""

    async def all_of_it() -> Any:
        async with asyncio.timeout(50), serving(gateway, admin=LOCAL) as running:
            assert running.listening.admin is not None
            return await fact(running, running.listening.admin.target)

    return asyncio.run(all_of_it())


def test_own_metrics() -> None:
    """Metrics that the gateway has are those that are told, and calls count once, on both ports."""
    metrics = Metrics()

    async def fact(running: Running, target: str) -> Any:
        await over_http(running, {})
        await over_grpc(running, {})
        return scraped((await asyncio.to_thread(asked, target, "/metrics"))[2])

    gateway = Gateway(pool=POOL, observers=[metrics])
    found = run(gateway, fact)
    assert [each for each in gateway.chain.observers if isinstance(each, Metrics)] == [metrics]
    assert sum(value for key, value in found.items() if key[0] == "transcoder_calls_total") == 2


def test_added_metrics() -> None:
    """Those that the port adds count the calls of both ports too."""

    async def fact(running: Running, target: str) -> Any:
        await over_http(running, {})
        await over_grpc(running, {})
        return scraped((await asyncio.to_thread(asked, target, "/metrics"))[2])

    found = run(Gateway(pool=POOL), fact)
    called = [set(key) for key in found if key[0] == "transcoder_calls_total"]
    assert [len(each & {"http", "grpc"}) for each in called] == [1, 1]


def test_problems() -> None:
    """Operators are told what is amiss."""
    gateway = Gateway(pool=POOL, health=Health(checks=[Toggle(problem="10.0.0.7 is gone")]))

    async def fact(running: Running, target: str) -> Any:
        return await asyncio.to_thread(asked, target, "/readyz")

    status, _, text = run(gateway, fact)
    assert status == 503
    assert json.loads(text)["checks"][0]["problem"] == "10.0.0.7 is gone"


def test_openmetrics() -> None:
    """Who prefers OpenMetrics gets that."""

    async def fact(running: Running, target: str) -> Any:
        accept = {"Accept": "application/openmetrics-text"}
        return await asyncio.to_thread(lambda: asked(target, "/metrics", **accept))

    _, headers, text = run(Gateway(pool=POOL), fact)
    assert headers["content-type"].startswith("application/openmetrics-text")
    assert text.endswith(b"# EOF\n")


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without what counts there is no admin port, and the line says what to install."""
    monkeypatch.delitem(sys.modules, "transcoder.observers.metrics")
    monkeypatch.setitem(sys.modules, "prometheus_client", None)

    with pytest.raises(ConfigError, match=r"install transcoder\[metrics\]"):
        asyncio.run(Server(Gateway(), admin=LOCAL).serve(LOCAL, LOCAL))
