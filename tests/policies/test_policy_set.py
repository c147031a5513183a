from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from asked import Knowing, Passing
from transcoder.errors import ConfigError
from transcoder.path_template import PathTemplate
from transcoder.policies.policy import Stage
from transcoder.policies.policy_set import Overrides, PolicySet

METHOD = "shop.v1.Orders.GetOrder"
OTHER = "shop.v1.Orders.DropOrder"
METHODS: Mapping[str, Sequence[PathTemplate]] = {
    METHOD: [PathTemplate.parse("/v1/orders/{id}")],
    OTHER: [PathTemplate.parse("/v1/orders/{id}:drop")],
}


@dataclass
class Selecting(Passing):
    """Notes which methods there are."""

    methods: Mapping[str, Sequence[PathTemplate]] = field(default_factory=dict)

    def compile(self, methods: Mapping[str, Sequence[PathTemplate]]) -> None:
        """Note them."""
        self.methods = methods


def before(policies: PolicySet, method: str = METHOD) -> list[str]:
    """Return the names of what stands before a method."""
    policies.compile(METHODS)
    return [each.name for each in policies.before(method)]


def test_order() -> None:
    """Policies stand by stage, and within a stage in the order in which they are given."""
    given = [
        Passing("limit", Stage.RATE_BY_IDENTITY),
        Passing("size", Stage.SIZE),
        Passing("depth", Stage.SIZE),
        Passing("id", Stage.REQUEST_ID),
    ]
    assert before(PolicySet(given)) == ["id", "size", "depth", "limit"]


@pytest.mark.parametrize("public", [METHOD, "shop.v1.Orders.*", "/v1/orders/*"])
def test_public(public: str) -> None:
    """Nobody needs to be known, nor allowed, for what is public; the rest holds."""
    allowed, limit = Passing("allowed", Stage.AUTHORIZATION), Passing("limit")
    assert before(PolicySet([Knowing("jwt"), allowed, limit], public=[public])) == ["limit"]


def test_not_public() -> None:
    """What is public is what is named, and nothing beside it."""
    assert before(PolicySet([Knowing("jwt")], public=[METHOD]), OTHER) == ["jwt"]


def test_health() -> None:
    """The health service of gRPC is public."""
    assert before(PolicySet([Knowing("jwt")]), "grpc.health.v1.Health.Check") == []


def test_override() -> None:
    """An override puts another policy in the place of one, for the calls that it means."""
    policies = PolicySet([Passing("limit")], overrides={METHOD: {"limit": Passing("stricter")}})
    assert (before(policies), before(policies, OTHER)) == (["stricter"], ["limit"])


def test_last_override() -> None:
    """Of several overrides that mean a call, the last one counts."""
    overrides: Overrides = {"shop.*": {"limit": None}, METHOD: {"limit": Passing("own")}}
    policies = PolicySet([Passing("limit")], overrides=overrides)
    assert (before(policies), before(policies, OTHER)) == (["own"], [])


@pytest.mark.parametrize(("trusted", "expected"), [(False, ["limit", "size"]), (True, ["size"])])
def test_skipped(trusted: bool, expected: list[str]) -> None:  # noqa: FBT001  a column
    """Calls of trusted peers pass over what is named, and nothing else."""
    policies = PolicySet([Passing("limit"), Passing("size")], skip_for_trusted=["limit"])
    policies.compile(METHODS)
    assert [each.name for each in policies.before(METHOD, trusted=trusted)] == expected


def test_security() -> None:
    """What clients must show is known for each method, for the API's description."""
    policies = PolicySet(
        [Knowing("jwt"), Passing("limit"), Knowing("key")],
        public=["/v1/open"],
        overrides={
            "shop.v1.Shop.Keyed": {"jwt": None},
            "shop.v1.Shop.Other": {"key": Knowing("o")},
        },
    )
    names = ["Get", "Open", "Keyed", "Other"]
    methods = {
        f"shop.v1.Shop.{name}": [PathTemplate.parse(f"/v1/{name.lower()}")] for name in names
    }
    security = policies.security(methods)

    assert list(security.schemes) == ["jwt", "key", "o"]
    assert [[list(one) for one in security.of(name)] for name in methods] == [
        [["jwt"], ["key"]],
        [],
        [["key"]],
        [["jwt"], ["o"]],
    ]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"policies": [object()]}, "policies: object is no policy"),
        ({"policies": ["nothing"]}, "policies: there is no policy 'nothing'"),
        (
            {"policies": [Passing("a"), Passing("a")]},
            "policies: two of them are named 'a': give one of them another name",
        ),
        (
            {"policies": [Passing("a")], "overrides": {METHOD: {"b": None}}},
            "overrides: shop.v1.Orders.GetOrder: no policy is named 'b': there are a",
        ),
        ({"overrides": {METHOD: {"b": object()}}}, "policies: object is no policy"),
        ({"public": "all"}, "public 'all': a sequence is expected"),
    ],
)
def test_wrong_options(options: dict[str, Any], problem: str) -> None:
    """What is wrong with the options is said at start, in one line that names the option."""
    with pytest.raises(ConfigError) as caught:
        PolicySet(**options)
    assert str(caught.value).startswith(problem)


def test_selective() -> None:
    """Policies with selectors of their own learn of all methods, those of overrides included."""
    policy, other = Selecting("a"), Selecting("a")
    policies = PolicySet([policy], overrides={METHOD: {"a": other}})
    policies.compile(METHODS)

    assert policy.methods == METHODS
    assert other.methods == METHODS
