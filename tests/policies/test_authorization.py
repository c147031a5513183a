from __future__ import annotations

from typing import Any

import pytest

from entrances import ENTRANCES, call_each, known
from transcoder import Code
from transcoder.call_details import CallDetails
from transcoder.errors import ConfigError
from transcoder.path_template import PathTemplate
from transcoder.policies.authorization import Authorization, Grant
from transcoder.policies.policy import Denied, Now, Stage

NOW = Now(0.0, 0.0)
METHOD = "shop.v1.Orders.GetOrder"
METHODS = {
    METHOD: [PathTemplate.parse("/v1/orders/{id}")],
    "shop.v1.Payments.Charge": [PathTemplate.parse("/v1/payments")],
}
ANN = known("ann", roles=frozenset({"clerk"}), scopes=frozenset({"a", "b"}), claims={"t": "x"})


def reason(
    policy: Authorization, principal: Any = ANN, *names: bytes, method: str = METHOD, path: str = ""
) -> str:
    """Return why a call is refused; empty where it is not."""
    identity = {"x509_subject_alternative_name": list(names)}
    call = CallDetails("http", method=method, path=path, identity=identity)
    call.principal = principal
    policy.compile(METHODS)
    try:
        policy.decide(call, NOW)
    except Denied as denied:
        return denied.reason
    return ""


@pytest.mark.parametrize(
    ("grant", "holds"),
    [
        (Grant(), True),
        (Grant(subjects=["ann"]), True),
        (Grant(subjects=["bob"]), False),
        (Grant(roles=["admin", "clerk"]), True),
        (Grant(roles=["admin"]), False),
        (Grant(scopes=["a", "b"]), True),
        (Grant(scopes=["a", "c"]), False),
        (Grant(claims={"t": ["x", "y"]}), True),
        (Grant(claims={"t": "y"}), False),
        (Grant(schemes=["test"]), True),
        (Grant(schemes=["jwt"]), False),
        (Grant(names=["order.example"]), True),
        (Grant(names=["other.example"]), False),
        # All of it must hold.
        (Grant(subjects=["ann"], roles=["admin"]), False),
        (Grant(subjects=["ann"], names=["other.example"]), False),
    ],
)
def test_grants(grant: Grant, holds: bool) -> None:  # noqa: FBT001  a column of the table
    """A grant is for callers of whom all that it says holds."""
    refused = reason(Authorization(allow={METHOD: grant}), ANN, b"a.example", b"order.example")
    assert refused == ("" if holds else "not-allowed")


def test_one_is_enough() -> None:
    """Of several grants one is enough, whichever selector they stand under."""
    clerk, admin = Grant(roles=["clerk"]), Grant(roles=["admin"])
    assert reason(Authorization(allow={METHOD: [admin, clerk]})) == ""
    assert reason(Authorization(allow={"shop.*": admin, "/v1/orders/*": clerk})) == ""
    assert reason(Authorization(allow={"shop.*": admin, METHOD: admin})) == "not-allowed"


def test_deny() -> None:
    """What is denied is so whatever allows it."""
    deny = {"shop.*": Grant(subjects=["ann"])}
    assert reason(Authorization(allow={METHOD: Grant()}, deny=deny)) == "denied"
    assert reason(Authorization(deny=deny, default="allow"), known("bob")) == ""


@pytest.mark.parametrize(("default", "wanted"), [("allow", ""), ("deny", "default")])
def test_default(default: Any, wanted: str) -> None:
    """What no selector means is as the default says, paths of no method included."""
    policy = Authorization(allow={"shop.v1.Payments.*": Grant()}, default=default)
    assert reason(policy) == wanted
    assert reason(policy, method="", path="/docs") == wanted


def test_nobody() -> None:
    """Who is not known is told that it takes credentials, where these could do."""
    assert reason(Authorization(allow={METHOD: Grant(roles=["a"])}), None) == "missing"
    assert reason(Authorization(allow={METHOD: Grant(names=["a"])}), None) == "not-allowed"


def test_certificate_alone() -> None:
    """A name in a certificate allows a call, without a policy that makes it the caller."""
    policy = Authorization(allow={METHOD: Grant(names=["order.example"])})
    assert reason(policy, None, b"order.example") == ""


class Knowing:
    """Knows everybody, by the header x-user."""

    name = "knowing"
    stage = Stage.AUTHENTICATION

    def decide(self, call: CallDetails, now: Now) -> None:
        """Believe the header."""
        user = call.one(b"x-user")
        if user is not None:
            call.principal = known(user.decode())


@pytest.mark.parametrize("entrance", list(ENTRANCES))
def test_refused(entrance: str) -> None:
    """Who may not call is refused through every entrance, and nothing runs."""
    policies = [Knowing(), Authorization(allow={"streams.*": Grant(subjects=["ann"])})]
    outcomes = call_each({"x-user": "ann"}, {"x-user": "bob"}, policies=policies)[entrance]
    assert [each.code for each in outcomes] == [Code.OK, Code.PERMISSION_DENIED]
    assert outcomes[1].message == "the caller may not call this"
    assert outcomes[1].seen == {}


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: Authorization(default="no"), "authorization: default 'no'"),  # type: ignore[arg-type]
        (lambda: Authorization(allow={"a b": Grant()}), "authorization: allow: 'a b' names no"),
        (lambda: Grant(roles="admin"), "roles 'admin': a sequence is expected"),
        (lambda: Grant(scopes=["a b"]), "scopes: 'a b' is no scope"),
        (
            lambda: Authorization(deny={"shop.v2.*": Grant()}).compile(METHODS),
            "authorization: deny: no method here fits shop.v2.*",
        ),
    ],
)
def test_wrong_options(make: Any, problem: str) -> None:
    """What is wrong with an option is told at start."""
    with pytest.raises(ConfigError) as caught:
        make()
    assert str(caught.value).startswith(problem)
