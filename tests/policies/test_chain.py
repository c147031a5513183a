from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass

import pytest

from asked import Knowing, Passing
from transcoder import Code, StatusError
from transcoder.call_details import CallDetails
from transcoder.path_template import PathTemplate
from transcoder.policies.chain import Chain
from transcoder.policies.policy import Denied, Now, Stage
from transcoder.policies.policy_set import PolicySet

METHOD = "shop.v1.Orders.GetOrder"
METHODS: Mapping[str, Sequence[PathTemplate]] = {METHOD: [PathTemplate.parse("/v1/orders/{id}")]}


@dataclass
class Refusing(Passing):
    """Refuses."""

    def decide(self, call: CallDetails, now: Now) -> Awaitable[None] | None:
        """Refuse the call."""
        super().decide(call, now)
        raise Denied(Code.PERMISSION_DENIED, "no", reason="no")


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
    admit(Chain(PolicySet(given)))
    assert asked == ["id", "size", "depth", "limit"]


def test_first_refusal() -> None:
    """The first refusal is the answer, and nobody is asked after it."""
    last = Passing("last", Stage.RATE_BY_IDENTITY)
    with pytest.raises(Denied):
        admit(Chain(PolicySet([Refusing("refusing"), last])))
    assert last.asked == []


def test_refusal_noted() -> None:
    """A refused call says by whom it was refused, and why."""
    chain = Chain(PolicySet([Refusing("refusing")]))
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
    chain = Chain(PolicySet([Knowing("jwt", later=later), Knowing("key", later=later)]))
    principal = admit(chain, **headers).principal
    assert principal is not None
    assert principal.scheme == scheme


@pytest.mark.parametrize("later", [False, True])
def test_nobody(later: bool) -> None:  # noqa: FBT001  as above
    """Who brings nothing is told all that would do."""
    chain = Chain(PolicySet([Knowing("jwt", later=later), Knowing("key", later=later)]))
    with pytest.raises(Denied) as caught:
        admit(chain)
    assert caught.value.status.code is Code.UNAUTHENTICATED
    assert caught.value.headers == (("www-authenticate", "jwt"), ("www-authenticate", "key"))


def test_wrong() -> None:
    """Who brings something wrong is refused, whatever else would do."""
    with pytest.raises(Denied, match="wrong"):
        admit(Chain(PolicySet([Knowing("jwt"), Knowing("key")])), jwt="wrong", key="bob")


@pytest.mark.parametrize(
    ("path", "public"),
    [("/healthz", True), ("/docs", True), ("/docs/x", False), ("/other", False)],
)
def test_public_paths(path: str, public: bool) -> None:  # noqa: FBT001  a column of the table
    """Paths of no method are public when they are named; health is always."""
    chain = Chain(PolicySet([Knowing("jwt")], public=["/docs"], own=["/healthz"]))
    if public:
        admit(chain, "", path=path)
    else:
        with pytest.raises(Denied):
            admit(chain, "", path=path)


def test_overridden_by_nothing() -> None:
    """None in an override switches a policy off."""
    chain = Chain(PolicySet([Refusing("limit")], overrides={"shop.*": {"limit": None}}))
    admit(chain)
    with pytest.raises(Denied):
        admit(chain, "", path="/elsewhere")


def test_later_method() -> None:
    """A method that nobody told of at start meets the policies too."""
    with pytest.raises(Denied):
        admit(Chain(PolicySet([Refusing("refusing")])), "other.v1.Service.Method")


def test_defect() -> None:
    """A defect of a policy refuses the call, and says nothing of itself."""

    class Broken(Passing):
        def decide(self, call: CallDetails, now: Now) -> Awaitable[None] | None:
            raise KeyError("a secret")

    with pytest.raises(StatusError, match="internal error") as caught:
        admit(Chain(PolicySet([Broken("broken")])))
    assert isinstance(caught.value.__cause__, KeyError)


def test_audit() -> None:
    """Who audits may refuse a call whose decision cannot be noted."""

    class Full:
        def decided(self, call: CallDetails, policy: str, refusal: StatusError | None) -> None:
            raise StatusError(Code.UNAVAILABLE, "the audit log is full")

    with pytest.raises(StatusError, match="the audit log is full"):
        admit(Chain(PolicySet([Passing("passing")]), [Full()]))


def test_ended() -> None:
    """What waits for the end of a call is called then."""
    chain, ended = Chain(PolicySet([Passing("passing")])), []
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

    chain = Chain(PolicySet([Holding("a"), Holding("b")], overrides={METHOD: {"a": Holding("c")}}))

    async def whole() -> None:
        await chain.start()
        await chain.close()

    asyncio.run(whole())
    names = ["a", "b", "c"]
    assert log == [f"start {each}" for each in names] + [f"close {each}" for each in names[::-1]]
