"""What a file says of requests, and of some calls only."""

from __future__ import annotations

from pathlib import Path

import pytest

from filed import USERS, config
from transcoder.config import open_file
from transcoder.config.build import Built
from transcoder.errors import ConfigError
from transcoder.inbound import STRIPPED
from transcoder.multipart import FormLimits
from transcoder.own_pages import OpenApi
from transcoder.pace import Pace
from transcoder.route import DOCS, HEALTH, LIVENESS, OPENAPI, READINESS
from transcoder.stream_limits import StreamLimits

HEAD = """\
upstreams: {a: {target: "localhost:1"}}
services: [{module: services.user.v1.user_service_pb2, names: [services.user.v1.UserService],
  upstream: a}]
"""


def opened(folder: Path, text: str) -> Built:
    """Open a file with some more text."""
    path = folder / "g.yaml"
    path.write_text(HEAD + text)
    return open_file(path)


def wrong(folder: Path, text: str) -> str:
    """Return what is wrong with a file, without its path."""
    with pytest.raises(ConfigError) as raised:
        opened(folder, text)
    return str(raised.value).removeprefix(f"{folder / 'g.yaml'}:")


def test_defaults() -> None:
    """What a file does not say of requests is as the library has it."""
    found = config()

    assert FormLimits(**config(forms={}).forms.model_dump()) == FormLimits()  # type: ignore[union-attr]
    assert StreamLimits(**found.streams.model_dump()) == StreamLimits()
    assert Pace(**found.pace.model_dump()) == Pace()
    assert found.health is not None
    assert found.openapi is not None
    health, openapi = found.health, found.openapi
    assert (health.path, health.liveness, health.readiness) == (HEALTH, LIVENESS, READINESS)
    assert (openapi.path, openapi.docs, OpenApi().path) == (OPENAPI, DOCS, OPENAPI)
    assert found.strip is None
    assert STRIPPED == ("x-internal",)


def test_requests(tmp_path: Path) -> None:
    """What bounds requests, and where the gateway tells of itself, are the gateway's arguments."""
    made = opened(
        tmp_path,
        """\
body_limit: 10
bodies_limit: 20
pace: {grace: 1.0}
forms: {size: 30}
streams: {count: 5, idle: null}
origins: ["https://app.example"]
websocket_token: {cookie: session}
health: {path: /up, readiness: null}
openapi: {path: /api, title: Users}
strip: [x-internal, x-more]
conflicts: warn
""",
    )
    templates = {route.template.text for route in made.gateway.transcoder.routes}

    assert made.gateway.streams == StreamLimits(count=5, idle=None)
    assert made.gateway.limits["body"].startswith("10 B")
    assert {"/up", "/livez", "/api.json"} <= templates
    assert not {"/healthz", "/readyz", "/openapi.json"} & templates


def test_nowhere(tmp_path: Path) -> None:
    """Null is nowhere."""
    made = opened(tmp_path, "health: null\nopenapi: null\n")
    templates = {route.template.text for route in made.gateway.transcoder.routes}

    assert not {"/healthz", "/livez", "/readyz", "/openapi.json", "/docs"} & templates


def names_before(made: Built, method: str) -> set[str]:
    """Return what stands before a method."""
    return {each.name for each in made.gateway.chain.policies.before(f"{USERS}.{method}")}


def test_overrides(tmp_path: Path) -> None:
    """For some calls something else stands in a policy's place, or nothing."""
    made = opened(
        tmp_path,
        f"""\
policies:
  ip_filter: {{deny: [10.0.0.0/8]}}
  concurrency: {{}}
  rate_limits: [{{rate: 10/second, name: all}}]
overrides:
  {USERS}.GetUser:
    ip_filter: null
    rate_limits: {{all: {{rate: 20/second}}, more: {{rate: 1/second}}}}
  {USERS}.ListUsers:
    concurrency: {{limit: 3}}
    rate_limits: {{all: null}}
""",
    )
    limits = made.gateway.limits

    assert names_before(made, "GetUser") == {"concurrency", "all", "more"}
    assert names_before(made, "ListUsers") == {"ip-filter", "concurrency"}
    assert names_before(made, "DeleteUser") == {"ip-filter", "concurrency", "all"}
    assert limits[f"all of {USERS}.GetUser"].startswith("20 calls in 1 s")
    assert limits[f"concurrency of {USERS}.ListUsers"].startswith("3 ")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("server: {workers: 0}", "4:10: server.workers: "),
        ("server: {worker: 2}", "4:10: server.worker: no such key; did you mean workers?"),
        ("server: {settle: -1.0}", "4:10: server.settle: "),
        ("server: {grace: soon}", "4:10: server.grace: a number is expected"),
        ("server:\n  connections: {hed: 1.0}", "5:17: server.connections.hed: no such key"),
        ("body_limit: -1", "4:1: body_limit: "),
        ("forms: {sise: 1}", "4:9: forms.sise: no such key; did you mean size?"),
        ("health: {timeout: 0.0}", "4:1: health: timeout 0.0: seconds above 0 are expected"),
        ("timeouts: {default: -1}", "4:1: timeouts: timeout -1.0: seconds above 0 are expected"),
        (
            "timeouts:\n  methods:\n    a.B.C: {default: 0}",
            "6:5: timeouts.methods.a.B.C: timeout 0.0: seconds above 0 are expected",
        ),
        ("health: {tolerates: [gone]}", "4:1: health: tolerates 'gone': there is no such check"),
        ("websocket_token: {cookie: 'a b'}", "4:1: websocket_token: 'a b' is no name"),
        ("conflicts: ignore", "4:1: conflicts: 'refuse' or 'warn' is expected"),
        ("public: [/healthz, a.B.C]", "4:20: public[1]: no method here fits a.B.C"),
        ("events: {a.B.C: {}}", "4:10: events.a.B.C: no service here has a method a.B.C"),
        (
            f"timeouts:\n  methods:\n    {USERS}.GetUsers: {{default: 1.0}}",
            f"{USERS}.GetUsers: no service here has a method {USERS}.GetUsers; did you mean",
        ),
        ("overrides:\n  a.B.*: {}", "5:3: overrides.a.B.*: no method here fits a.B.*"),
        ("overrides:\n  a b: {jwt: null}", "5:3: overrides: 'a b' names no method"),
        (
            f"overrides:\n  {USERS}.GetUser: {{ip_filter: null}}",
            "5:3: overrides: services.user.v1.UserService.GetUser: no policy is named 'ip-filter'",
        ),
        (
            f"overrides:\n  {USERS}.GetUser:\n    ip_filter: {{deny: [10.0.0.0/33]}}",
            f"6:17: overrides.{USERS}.GetUser.ip_filter: deny: ",
        ),
        (
            f"overrides:\n  {USERS}.GetUser: {{ipfilter: null}}",
            f"overrides.{USERS}.GetUser.ipfilter: no such key; did you mean ip_filter?",
        ),
        (
            "policies:\n  authorization:\n    allow:\n      a.B.C: {roles: [x]}",
            "7:7: policies.authorization.allow.a.B.C: no method here fits a.B.C",
        ),
    ],
)
def test_mistakes(tmp_path: Path, text: str, told: str) -> None:
    """What is wrong is told with its line and column."""
    assert told in wrong(tmp_path, text)


SHOP = """\
upstreams: {a: {url: "http://localhost:1"}, b: {target: "localhost:2"}}
services: [{module: services.user.v1.user_service_pb2, upstream: b}]
routes:
  - {path: "/shop/**", upstream: a}
"""


@pytest.mark.parametrize(
    "route",
    [
        '{path: "/shop/**", upstream: a}',
        '{path: "/shop/**", upstream: a, hosts: [a.example]}',
        "{path: /readyz, methods: [GET], upstream: a}",
        '{path: "/v1/users/{id}", methods: [GET], upstream: a}',
    ],
)
def test_conflicts(tmp_path: Path, route: str) -> None:
    """Of two routes in conflict the place is told of the later one that the file says."""
    path = tmp_path / "g.yaml"
    path.write_text(f"{SHOP}  - {route}\n")

    with pytest.raises(ConfigError) as raised:
        open_file(path)

    assert str(raised.value).startswith(f"{path}:5:5: routes[1]: ")
    assert str(raised.value).endswith(
        "answer the same requests: remove one of them; `conflicts: warn` makes this a warning"
    )
