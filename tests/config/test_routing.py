"""What a file says of routing, and what is built of it."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from filed import GOOD, SERVICE, built
from transcoder.call_details import CallDetails
from transcoder.config import read_models
from transcoder.config.models import services
from transcoder.config.models.model import Model
from transcoder.errors import NotFound
from transcoder.upstream import Call
from transcoder.upstream.choice import Condition, Sticky


def test_hosts() -> None:
    """Services are at the hosts that they name, and the listener serves those that it names."""
    made = built(
        listen={"hosts": ["*.example.com"]},
        services=[{**GOOD["services"][0], "hosts": ["Users.example.com", "u.example.com:8443"]}],
    )
    transcoder = made.gateway.transcoder

    assert transcoder.match("GET", "/v1/users/7", "users.example.com").values == ("7",)
    for host in ("", "other.example.com"):
        with pytest.raises(NotFound):
            transcoder.match("GET", "/v1/users/7", host)
    assert not transcoder.compile().serves(transcoder.compile().of("elsewhere"))


def test_hosts_of_routes() -> None:
    """A route of a path is at the hosts that it names."""
    made = built(
        upstreams={**GOOD["upstreams"], "g": {"graphql": "http://localhost:3/graphql"}},
        routes=[
            {
                "path": "/v1/people",
                "hosts": ["people.example.com"],
                "graphql": {"upstream": "g", "document": "{ people { name } }"},
            }
        ],
    )
    transcoder = made.gateway.transcoder

    assert transcoder.match("GET", "/v1/people", "people.example.com").route.hosts
    with pytest.raises(NotFound):
        transcoder.match("GET", "/v1/people", "other.example.com")


VERSIONS = [
    {"name": "v1", "upstream": "a", "weight": 95},
    {"name": "v2", "upstream": "b", "weight": 5},
]


def split(**told: Any) -> Any:
    """Return what answers a service of two versions."""
    service = {"module": SERVICE["module"], "versions": VERSIONS, **told}
    gateway = built(services=[service]).gateway
    return gateway._registry.upstream_of("/services.user.v1.UserService/GetUser")


def test_matches() -> None:
    """A match is one condition, or all of several; calls stick by a header, a claim or a cookie."""
    asked = CallDetails("http", http_method="POST", path="/v1/users/7")
    match = {"all": [{"path": "/v1/users/*"}, {"method": "POST"}], "to": "v2"}
    found = split(matches=[match, {"claim": "tenant", "exact": "a", "to": "v2"}])

    assert found.needs_details
    call = Call("/a.B/C", details=asked)
    assert [found._choice(call) for _ in range(3)] == 3 * ["v2"]
    for sticky in ("x-user-id", {"claim": "sub"}, {"cookie": "id"}, {"header": "a", "claim": "b"}):
        assert split(sticky=sticky).counts == {"v1": 0, "v2": 0}


LEFT_OUT = "leave the version out, or its weight where matches alone choose it"
GET = {"to": "v2", "method": "GET"}


@pytest.mark.parametrize(
    ("told", "problem"),
    [
        ({"matches": [{"to": "v2"}]}, "matches[0]: one condition is expected, or all with several"),
        (
            {"matches": [{"to": "v2", "header": "a", "exact": "b", "all": [{"method": "GET"}]}]},
            "matches[0]: one condition is expected, or all with several",
        ),
        (
            {"matches": [{"to": "v3", "method": "GET"}]},
            "matches[0].to: method GET: no version is named 'v3': there are v1, v2",
        ),
        (
            {"matches": [GET, {"to": "v2", "header": "x-a"}]},
            "matches[1]: x-a: one of exact and prefix is expected",
        ),
        (
            {"matches": [{"to": "v2", "all": [{"method": "GET"}, {"path": "a"}]}]},
            "matches[0].all[1]: method GET and path a: 'a', column 1: expected '/' at the start",
        ),
        (
            {"matches": [GET, GET]},
            "matches[1]: method GET: two matches fit the same calls: remove one of them",
        ),
        (
            {"matches": [{"to": "v2", "header": "x a", "exact": "b"}]},
            "matches[0]: x a: header 'x a': a-z, 0-9, _, - and . are expected",
        ),
        (
            {"sticky": "x:a"},
            "sticky: header 'x:a': a-z, 0-9, _, - and . are expected",
        ),
        (
            {"sticky": {"cookie": "a", "header": "b"}},
            "sticky: one of header, claim and cookie is expected",
        ),
        (
            {"versions": [VERSIONS[0], {**VERSIONS[1], "weight": 6}]},
            "versions: the weights make up 101: 100 is expected",
        ),
        ({"versions": 2 * [VERSIONS[0]]}, "versions[1].name: 'v1' is there twice"),
        (
            {"versions": [*VERSIONS, {"name": "v3", "upstream": "a", "weight": 0}]},
            f"versions[2].weight: a whole number from 1 to 100 is expected: {LEFT_OUT}",
        ),
        *(
            (
                {"versions": [VERSIONS[0], {**VERSIONS[1], "weight": weight}]},
                f"versions[1].weight: {told} is expected",
            )
            for weight, told in [
                (-5, "a whole number from 1 to 100"),
                (101, "a whole number from 1 to 100"),
                (4.5, "a whole number"),
                ("5", "a whole number"),
                (True, "a whole number"),
                (float("nan"), "a whole number"),
            ]
        ),
        ({"sticky": {"coookie": "id"}}, "sticky.coookie: no such key; did you mean cookie?"),
        ({"sticky": 3}, "sticky: a mapping is expected"),
    ],
)
def test_wrong(told: dict[str, Any], problem: str) -> None:
    """What is wrong with a choice is told with its place."""
    service = {"module": SERVICE["module"], "versions": VERSIONS, **told}
    config, found = read_models(json.dumps({**GOOD, "services": [service]}), "g.yaml")

    assert config is None
    assert [each.message for each in found] == [f"services[0].{problem}"]


@pytest.mark.parametrize(
    ("of_file", "of_library"), [(services.Condition, Condition), (services.Sticky, Sticky)]
)
def test_words(of_file: type[Model], of_library: type[Any]) -> None:
    """A file says what a call is looked at by in the words of the library, and in all of them."""
    assert list(of_file.model_fields) == [field.name for field in dataclasses.fields(of_library)]
