import json
from typing import Any

import pytest

from transcoder.errors import ConfigError
from transcoder.status import Code
from transcoder.upstream.method_config import Hedging, MethodConfig, ServiceConfig

RETRY = {
    "maxAttempts": 3,
    "initialBackoff": "0.1s",
    "maxBackoff": "1s",
    "backoffMultiplier": 2,
    "retryableStatusCodes": ["UNAVAILABLE", 8],
}


def config(*entries: Any, **rest: Any) -> ServiceConfig:
    """Return a service config."""
    return ServiceConfig({"methodConfig": list(entries), **rest}, "round_robin")


def test_most_specific_entry() -> None:
    """A method's own entry stands before its service's, and that before the one for all."""
    read = config(
        {"name": [{}], "timeout": "1s"},
        {"name": [{"service": "a.B"}], "timeout": "2s"},
        {"name": [{"service": "a.B", "method": "C"}, {"service": "x.Y"}], "timeout": "3.5s"},
    )

    assert [read.of(path).timeout for path in ("/a.B/C", "/a.B/D", "/x.Y/Z", "/o.P/Q")] == [
        3.5,
        2.0,
        3.5,
        1.0,
    ]


def test_nothing() -> None:
    """Without a config nothing holds, but for the policy of load balancing."""
    read = ServiceConfig(None, "round_robin")

    assert read.of("/a.B/C") == MethodConfig()
    assert json.loads(read.json) == {
        "loadBalancingConfig": [{"round_robin": {}}],
        "methodConfig": [],
    }


@pytest.mark.parametrize(
    "told", [{"loadBalancingConfig": [{"pick_first": {}}]}, {"loadBalancingPolicy": "pick_first"}]
)
def test_own_load_balancing(told: dict[str, Any]) -> None:
    """What the config says of load balancing stands."""
    assert json.loads(ServiceConfig(told, "round_robin").json) == {**told, "methodConfig": []}


@pytest.mark.parametrize(
    ("told", "asked", "watches"),
    [({}, None, False), ({}, "", True), ({"healthCheckConfig": {"serviceName": ""}}, None, True)],
)
def test_watches(told: dict[str, Any], asked: str | None, watches: bool) -> None:  # noqa: FBT001  a table's
    """Health is watched where the config says so, or who makes it."""
    assert ServiceConfig(told, "round_robin", asked).watches == watches


def test_what_grpc_is_handed() -> None:
    """GRPC is handed retries; timeouts and hedging are kept from it."""
    hedging = {"maxAttempts": 3, "hedgingDelay": "0.5s", "nonFatalStatusCodes": ["UNAVAILABLE"]}
    names = [{"service": "a.B"}], [{"service": "c.D"}]
    read = config(
        {"name": names[0], "timeout": "1s", "retryPolicy": RETRY},
        {"name": names[1], "hedgingPolicy": hedging},
    )

    assert json.loads(read.json)["methodConfig"] == [
        {"name": names[0], "retryPolicy": RETRY},
        {"name": names[1]},
    ]
    assert read.of("/c.D/E").hedging == Hedging(3, 0.5, frozenset({Code.UNAVAILABLE}))


def test_many_attempts() -> None:
    """No call is sent more than five times."""
    hedging = config({"name": [{}], "hedgingPolicy": {"maxAttempts": 100}}).of("/a.B/C").hedging

    assert hedging == Hedging(5, 0, frozenset())


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ([], "methodConfig\\[0\\]: an object"),
        ({}, "name: a list"),
        ({"name": [3]}, "name: an object"),
        ({"name": [{"method": "C"}]}, "a method needs its service"),
        ({"name": [{}, {}]}, "named twice"),
        ({"name": [{}], "timeout": 5}, r'timeout: a duration as "1.5s"'),
        ({"name": [{}], "timeout": "5"}, "timeout: a duration"),
        ({"name": [{}], "timeout": "-1s"}, "timeout: a duration"),
        ({"name": [{}], "retryPolicy": {}}, "retryPolicy.maxAttempts: 2 or more"),
        ({"name": [{}], "retryPolicy": {**RETRY, "maxAttempts": 1}}, "maxAttempts: 2 or more"),
        ({"name": [{}], "retryPolicy": {**RETRY, "maxBackoff": None}}, "maxBackoff: a duration"),
        ({"name": [{}], "retryPolicy": {**RETRY, "backoffMultiplier": 0}}, "a number over 0"),
        ({"name": [{}], "retryPolicy": {**RETRY, "retryableStatusCodes": []}}, "none is given"),
        ({"name": [{}], "retryPolicy": {**RETRY, "retryableStatusCodes": ["NO"]}}, "'NO' is no"),
        ({"name": [{}], "retryPolicy": {**RETRY, "retryableStatusCodes": [99]}}, "99 is"),
        ({"name": [{}], "retryPolicy": RETRY, "hedgingPolicy": {}}, "either retries or hedging"),
        ({"name": [{}], "hedgingPolicy": {}}, "hedgingPolicy.maxAttempts"),
        ({"name": [{}], "waitForReady": object()}, "no JSON form"),
    ],
)
def test_wrong(entry: Any, message: str) -> None:
    """What is wrong with a config is told at once, with its place."""
    with pytest.raises(ConfigError, match=message):
        config(entry)
