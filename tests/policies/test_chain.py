from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from transcoder import Code, StatusError
from transcoder.call_details import CallDetails, Principal
from transcoder.errors import ConfigError
from transcoder.path_template import PathTemplate
from transcoder.policies.chain import Chain, Overrides
from transcoder.policies.policy import Denied, Now, Stage

METHOD = "shop.v1.Orders.GetOrder"
OTHER = "shop.v1.Orders.DropOrder"
METHODS: Mapping[str, Sequence[PathTemplate]] = {
    METHOD: [PathTemplate.parse("/v1/orders/{id}")],
    OTHER: [PathTemplate.parse("/v1/orders/{id}:drop")],
}


@dataclass
class Passing:
    """Notes that it was asked."""

    name: str
    stage: Stage = Stage.SIZE
    asked: list[str] = field(default_factory=list)

    def decide(self, call: CallDetails, now: Now) -> Awaitable[None] | None:
        """Let the call pass."""
        self.asked.append(self.name)
        return None


@dataclass
class Selecting(Passing):
    """Notes which methods there are."""

    methods: Mapping[str, Sequence[PathTemplate]] = field(default_factory=dict)

    def compile(self, methods: Mapping[str, Sequence[PathTemplate]]) -> None:
        """Note them."""
        self.methods = methods


@dataclass
class Refusing(Passing):
    """Refuses."""

    def decide(self, call: CallDetails, now: Now) -> Awaitable[None] | None:
        """Refuse the call."""
        super().decide(call, now)
        raise Denied(Code.PERMISSION_DENIED, "no", reason="no")


@dataclass
class Knowing(Passing):
    """Knows the caller by a header of its own name."""

    stage: Stage = Stage.AUTHENTICATION
    later: bool = False

    @property
    def challenge(self) -> str:
        """What it asks for."""
        return self.name

    @property
    def security(self) -> Mapping[str, Mapping[str, Any]]:
        """Its scheme."""
        return {self.name: {"type": "http", "scheme": self.name}}

    def decide(self, call: CallDetails, now: Now) -> Awaitable[None] | None:
        """Find out who calls, at once or later."""
        self.asked.append(self.name)
        if self.later:
            return self._found(call)
        self._find(call)
        return None

    async def _found(self, call: CallDetails) -> None:
        await asyncio.sleep(0)
        self._find(call)

    def _find(self, call: CallDetails) -> None:
        value = call.one(self.name.encode())
        if value == b"wrong":
            raise Denied(Code.UNAUTHENTICATED, "wrong", reason="wrong")
        if value is not None:
            call.principal = Principal(subject=value.decode(), scheme=self.name)


def admit(chain: Chain, method: str = METHOD, *, path: str = "", **headers: str) -> CallDetails:
    """Send a call through a chain."""
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    call = CallDetails("http", method=method, path=path, headers=pairs)
    chain.compile(METHODS)
    asyncio.run(admitted(chain, call))
    return call


async def admitted(chain: Chain, call: CallDetails) -> None:
    """Wait for what a chain has to wait for."""
    waiting = chain.admit(call)
    if waiting is not None:
        await waiting


def test_order() -> None:
    """Policies are asked by stage, and within a stage in the order in which they are given."""
    asked: list[str] = []
    given = [
        Passing("limit", Stage.RATE_BY_IDENTITY, asked),
        Passing("size", Stage.SIZE, asked),
        Passing("depth", Stage.SIZE, asked),
        Passing("id", Stage.REQUEST_ID, asked),
    ]
    admit(Chain(given))
    assert asked == ["id", "size", "depth", "limit"]


def test_first_refusal() -> None:
    """The first refusal is the answer, and nobody is asked after it."""
    last = Passing("last", Stage.RATE_BY_IDENTITY)
    with pytest.raises(Denied):
        admit(Chain([Refusing("refusing"), last]))
    assert last.asked == []


def test_refusal_noted() -> None:
    """A refused call says by whom it was refused, and why."""
    chain = Chain([Refusing("refusing")])
    call = CallDetails("http", method=METHOD)
    with pytest.raises(Denied):
        asyncio.run(admitted(chain, call))
    assert (call.denied_by, call.reason) == ("refusing", "no")


@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize(
    ("headers", "scheme"),
    [({"jwt": "ann"}, "jwt"), ({"key": "bob"}, "key"), ({"jwt": "ann", "key": "bob"}, "jwt")],
)
def test_one_is_enough(
    headers: dict[str, str],
    scheme: str,
    later: bool,  # noqa: FBT001  a parameter of the test
) -> None:
    """Of several policies that know callers, the first that knows this one is enough."""
    chain = Chain([Knowing("jwt", later=later), Knowing("key", later=later)])
    principal = admit(chain, **headers).principal
    assert principal is not None
    assert principal.scheme == scheme


@pytest.mark.parametrize("later", [False, True])
def test_nobody(later: bool) -> None:  # noqa: FBT001  as above
    """Who brings nothing is told all that would do."""
    chain = Chain([Knowing("jwt", later=later), Knowing("key", later=later)])
    with pytest.raises(Denied) as caught:
        admit(chain)
    assert caught.value.status.code is Code.UNAUTHENTICATED
    assert caught.value.headers == (("www-authenticate", "jwt"), ("www-authenticate", "key"))


def test_wrong() -> None:
    """Who brings something wrong is refused, whatever else would do."""
    with pytest.raises(Denied, match="wrong"):
        admit(Chain([Knowing("jwt"), Knowing("key")]), jwt="wrong", key="bob")


@pytest.mark.parametrize("public", [METHOD, "shop.v1.Orders.*", "/v1/orders/*"])
def test_public(public: str) -> None:
    """Nobody needs to be known, nor allowed, for what is public; the rest holds."""
    known, allowed = Knowing("jwt"), Refusing("allowed", Stage.AUTHORIZATION)
    limit = Passing("limit", Stage.RATE_BY_IDENTITY)
    admit(Chain([known, allowed, limit], public=[public]))
    assert (known.asked, allowed.asked, limit.asked) == ([], [], ["limit"])


def test_not_public() -> None:
    """What is public is what is named, and nothing beside it."""
    with pytest.raises(Denied):
        admit(Chain([Knowing("jwt")], public=[METHOD]), OTHER)


@pytest.mark.parametrize(
    ("path", "public"),
    [("/healthz", True), ("/docs", True), ("/docs/x", False), ("/other", False)],
)
def test_public_paths(path: str, public: bool) -> None:  # noqa: FBT001  a column of the table
    """Paths of no method are public when they are named; health is always."""
    chain = Chain([Knowing("jwt")], public=["/docs"], own=["/healthz"])
    if public:
        admit(chain, "", path=path)
    else:
        with pytest.raises(Denied):
            admit(chain, "", path=path)


def test_health() -> None:
    """The health service of gRPC is public."""
    admit(Chain([Knowing("jwt")]), "grpc.health.v1.Health.Check")


def test_override() -> None:
    """An override puts another policy in the place of one, for the calls that it means."""
    usual, stricter = Passing("limit"), Refusing("stricter")
    chain = Chain([usual], overrides={METHOD: {"limit": stricter}})
    with pytest.raises(Denied):
        admit(chain)
    admit(chain, OTHER)
    assert (usual.asked, stricter.asked) == (["limit"], ["stricter"])


def test_overridden_by_nothing() -> None:
    """None in an override switches a policy off."""
    chain = Chain([Refusing("limit")], overrides={"shop.*": {"limit": None}})
    admit(chain)
    with pytest.raises(Denied):
        admit(chain, "", path="/elsewhere")


def test_last_override() -> None:
    """Of several overrides that mean a call, the last one counts."""
    overrides: Overrides = {"shop.*": {"limit": None}, METHOD: {"limit": Refusing("own")}}
    chain = Chain([Passing("limit")], overrides=overrides)
    admit(chain, OTHER)
    with pytest.raises(Denied):
        admit(chain)


def test_later_method() -> None:
    """A method that nobody told of at start meets the policies too."""
    with pytest.raises(Denied):
        admit(Chain([Refusing("refusing")]), "other.v1.Service.Method")


def test_defect() -> None:
    """A defect of a policy refuses the call, and says nothing of itself."""

    class Broken(Passing):
        def decide(self, call: CallDetails, now: Now) -> Awaitable[None] | None:
            raise KeyError("a secret")

    with pytest.raises(StatusError, match="internal error") as caught:
        admit(Chain([Broken("broken")]))
    assert isinstance(caught.value.__cause__, KeyError)


def test_audit() -> None:
    """Who audits may refuse a call whose decision cannot be noted."""

    class Full:
        def decided(self, call: CallDetails, policy: str, refusal: StatusError | None) -> None:
            raise StatusError(Code.UNAVAILABLE, "the audit log is full")

    with pytest.raises(StatusError, match="the audit log is full"):
        admit(Chain([Passing("passing")], observers=[Full()]))


def test_ended() -> None:
    """What waits for the end of a call is called then."""
    chain, ended = Chain([Passing("passing")]), []
    call = CallDetails("http", method=METHOD)
    call.at_end(lambda: ended.append(call.ended))
    chain.end(call)
    assert ended == [call.ended]
    assert call.ended >= call.started


def test_resources() -> None:
    """What policies hold is opened in their order and closed in the other, overrides included."""
    log: list[str] = []

    class Holding(Passing):
        async def start(self) -> None:
            log.append(f"start {self.name}")

        async def close(self) -> None:
            log.append(f"close {self.name}")

    chain = Chain([Holding("a"), Holding("b")], overrides={METHOD: {"a": Holding("c")}})

    async def whole() -> None:
        await chain.start()
        await chain.close()

    asyncio.run(whole())
    names = ["a", "b", "c"]
    assert log == [f"start {each}" for each in names] + [f"close {each}" for each in names[::-1]]


def test_security() -> None:
    """What clients must show is known for each method, for the API's description."""
    chain = Chain(
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
    security = chain.security(methods)

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
        Chain(**options)
    assert str(caught.value).startswith(problem)


def test_selective() -> None:
    """Policies with selectors of their own learn of all methods, those of overrides included."""
    policy, other = Selecting("a"), Selecting("a")
    chain = Chain([policy], overrides={METHOD: {"a": other}})
    chain.compile(METHODS)

    assert policy.methods == METHODS
    assert other.methods == METHODS
