from __future__ import annotations

from typing import Any

import pytest
from google.longrunning import operations_pb2_grpc
from starlette.testclient import TestClient

from backend import SERVICE as USERS
from toggles import Toggle
from transcoder import Channel, CircuitBreaker, Gateway, Health
from transcoder.errors import ConfigError
from transcoder.policies import IpFilter, RateLimit, SharedLimiter
from transcoder.policies.shared_limit import WhenDown
from transcoder.upstream.proxy import Remote

SERVICE = "google.longrunning.Operations"


def asked(path: str, gateway: Gateway) -> tuple[int, Any]:
    """Return what a gateway answers at a path."""
    add: Any = operations_pb2_grpc.add_OperationsServicer_to_server
    add(operations_pb2_grpc.OperationsServicer(), gateway)
    with TestClient(gateway) as web:
        answer = web.get(path)
        return answer.status_code, answer.json()


@pytest.mark.parametrize("path", ["/healthz", "/livez", f"/healthz?service={SERVICE}"])
def test_one_word(path: str) -> None:
    """A gateway without problems says so in one word."""
    assert asked(path, Gateway()) == (200, {"status": "SERVING"})


def test_ready() -> None:
    """`/readyz` has each check with its name and time, and 503 where one fails."""
    checks = [Toggle("database", "10.0.0.7 is gone"), Toggle("queue")]
    status, told = asked("/readyz", Gateway(health=Health(checks=checks)))

    assert status == 503
    assert told["status"] == "NOT_SERVING"
    assert [(each["name"], each["status"]) for each in told["checks"]] == [
        ("database", "NOT_SERVING"),
        ("queue", "SERVING"),
    ]
    assert all(each.keys() == {"name", "status", "seconds"} for each in told["checks"])


def test_degraded() -> None:
    """What calls can live with is told, and calls may come."""
    gateway = Gateway(health=Health(checks=[Toggle("queue", "gone", vital=False)]))
    status, told = asked("/readyz", gateway)

    assert (status, told["status"]) == (200, "DEGRADED")


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/livez"])
def test_problem(path: str) -> None:
    """All but `/livez` fail with a problem: nobody should restart the process for that."""
    status, _ = asked(path, Gateway(health=Health(checks=[Toggle(problem="gone")])))

    assert status == (200 if path == "/livez" else 503)


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/livez"])
def test_drain(path: str) -> None:
    """So it is in a drain."""
    gateway = Gateway()
    gateway.draining = True

    assert asked(path, gateway)[0] == (200 if path == "/livez" else 503)


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_no_such_service(path: str) -> None:
    """Who asks about a service that there is not is told so."""
    status, told = asked(f"{path}?service=no.Such", Gateway())

    assert (status, told["code"]) == (404, 5)


NOWHERE = "127.0.0.1:1"


@pytest.mark.parametrize("upstream", [Channel(NOWHERE), CircuitBreaker(Channel(NOWHERE))])
def test_backend(upstream: Remote) -> None:
    """A backend that cannot be reached is a problem of its service, and told by that name."""
    gateway = Gateway()
    gateway.route(USERS, upstream)
    _, told = asked("/readyz", gateway)

    assert [(each["name"], each["status"]) for each in told["checks"]] == [
        ("upstream:services.user.v1.UserService", "NOT_SERVING")
    ]


@pytest.mark.parametrize(("service", "status"), [(USERS.full_name, 503), (SERVICE, 200)])
def test_other_services(service: str, status: int) -> None:
    """Other services are ready all the same."""
    gateway = Gateway()
    gateway.route(USERS, Channel(NOWHERE))

    assert asked(f"/readyz?service={service}", gateway)[0] == status


@pytest.mark.parametrize(
    ("when_down", "status"), [("local", "DEGRADED"), ("closed", "NOT_SERVING")]
)
def test_store(when_down: WhenDown, status: str) -> None:
    """The store of a limiter is a problem if calls are refused without it."""
    limiter = SharedLimiter(f"redis://{NOWHERE}", "1/second", when_down=when_down)
    policies = [RateLimit("1/second", limiter=limiter), RateLimit("9/second", name="own")]
    unlimited = {"/readyz": {"rate-limit": None}}
    _, told = asked(
        "/readyz", Gateway(policies=policies, overrides=unlimited, health=Health(timeout=0.1))
    )

    assert [(each["name"], each["status"]) for each in told["checks"]] == [
        ("rate-limit-store", status)
    ]


class Guard(IpFilter):
    """A policy that depends on something."""

    async def check(self) -> str:
        """Return what is amiss."""
        return "no addresses"


@pytest.mark.parametrize(
    "options",
    [
        {"policies": [Guard(name="guard")]},
        {"overrides": {f"{SERVICE}.*": {"guard": Guard(name="guard")}}},
    ],
)
def test_policies(options: dict[str, Any]) -> None:
    """A policy that is a check is asked, and so is one that stands before some calls only."""
    given = {"policies": [IpFilter(name="guard")], **options}
    status, told = asked("/readyz", Gateway(**given))

    assert (status, told["checks"][0]["name"]) == (503, "guard")


def test_elsewhere() -> None:
    """The paths are options, and one path stands for the first of them."""
    moved = Gateway(health=Health(path="/up", liveness="/alive", readiness="/able"))

    assert [asked(path, moved)[0] for path in ("/up",)] == [200]
    with TestClient(moved) as web:
        assert [web.get(path).status_code for path in ("/alive", "/able")] == [200, 200]
        assert [web.get(path).status_code for path in ("/healthz", "/readyz")] == [404, 404]
    assert Health.of("/up") == Health(path="/up")
    assert Health.of(None).paths == ()


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"timeout": 0}, "health: timeout 0: seconds above 0 are expected"),
        ({"tolerates": "database"}, "health: tolerates 'database': a sequence is expected"),
        ({"checks": [42]}, "health: int is no check: name and check() are expected"),
    ],
)
def test_wrong_options(options: dict[str, Any], problem: str) -> None:
    """What is no option is refused, with its name."""
    with pytest.raises(ConfigError) as caught:
        Health(**options)

    assert str(caught.value) == problem


@pytest.mark.parametrize("name", ["health", "liveness", "readiness"])
def test_reserved(name: str) -> None:
    """A rule with a path of health is refused at start, naming both."""
    where: dict[str, Any] = {"path" if name == "health" else name: "/v1/operations"}
    gateway = Gateway(health=Health(**where))
    add: Any = operations_pb2_grpc.add_OperationsServicer_to_server
    add(operations_pb2_grpc.OperationsServicer(), gateway)

    with pytest.raises(ConfigError, match=rf"the gateway's {name} \(GET /v1/operations\)"):
        gateway.compile()
