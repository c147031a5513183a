from __future__ import annotations

from typing import Any

import pytest
from tests.conftest import Served, Start

from over_tls import HERE, issue, raw_names, write, write_ca
from shown import DOORS
from transcoder import Code
from transcoder.call_details import CallDetails
from transcoder.errors import ConfigError
from transcoder.policies.mutual_tls import MutualTls
from transcoder.policies.policy import Denied, Now

NOW = Now(0.0, 0.0)


def call(*names: bytes) -> CallDetails:
    """Return a call of a client whose certificate has these names."""
    identity = {"x509_subject_alternative_name": list(names)} if names else {}
    return CallDetails("grpc", identity=identity)


def test_known() -> None:
    """A caller is known by the first of its names that is allowed."""
    known = call(b"a.example", b"orders.example", b"billing.example")
    MutualTls(["billing.example", "orders.example"], forward="x-peer").decide(known, NOW)
    assert known.principal is not None
    assert (known.principal.subject, known.principal.scheme) == ("orders.example", "mtls")
    assert known.metadata == (("x-peer", "orders.example"),)


@pytest.mark.parametrize(
    "name",
    [
        b"billing.example",
        b"orders.example.evil",
        b"x.orders.example",
        b"ORDERS.example",
        b"orders.example\0.evil",
        b"orders.example ",
        b"",
        b"\xff",
    ],
)
def test_unlisted(name: bytes) -> None:
    """A certificate whose names are not allowed is refused, however near they come."""
    unknown = call(name)
    with pytest.raises(Denied) as caught:
        MutualTls(["orders.example"]).decide(unknown, NOW)
    assert caught.value.status.code is Code.PERMISSION_DENIED
    assert unknown.principal is None


def test_none() -> None:
    """A client without a certificate passes, for another policy to know it."""
    nobody = call()
    MutualTls(["orders.example"]).decide(nobody, NOW)
    assert nobody.principal is None


def test_any() -> None:
    """A star allows every certificate that the listener took."""
    anybody = call(b"whoever.example")
    MutualTls(["*"]).decide(anybody, NOW)
    assert anybody.principal is not None
    assert anybody.principal.subject == "whoever.example"


def test_name_that_cannot_be_told() -> None:
    """A name that metadata cannot carry is refused where it is to be told."""
    with pytest.raises(Denied) as caught:
        MutualTls(["*"], forward="x-peer").decide(call(b"a\r\nx-internal: true"), NOW)
    assert caught.value.reason == "certificate-name"


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"allow": []}, "mutual-tls: allow: at least one name is expected"),
        ({"allow": [""]}, "mutual-tls: allow: at least one name is expected, and none empty"),
        ({"allow": "a"}, "mutual-tls: allow 'a': a sequence is expected"),
        ({"allow": ["a"], "forward": "A"}, "mutual-tls: forward 'A' is no key"),
    ],
)
def test_wrong_options(options: dict[str, Any], problem: str) -> None:
    """What is wrong with an option is told at start."""
    with pytest.raises(ConfigError) as caught:
        MutualTls(**options)
    assert str(caught.value).startswith(problem)


@pytest.fixture(scope="module")
def served(start_shared: Start, tmp_path_factory: pytest.TempPathFactory) -> Served:
    """A server that some certificates of its authority may call."""
    folder = tmp_path_factory.mktemp("files")
    return start_shared(
        "identified:guarded", tls={**write(folder, HERE), "client_ca": write_ca(folder)}
    )


DNS, URI = 0x82, 0x86


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    ("names", "code"),
    [
        ([(DNS, b"edge.internal")], Code.OK),
        ([(DNS, b"other"), (URI, b"spiffe://example.com/edge")], Code.OK),
        ([(DNS, b"other.internal")], Code.PERMISSION_DENIED),
        ([(DNS, b"edge.internal\0.evil")], Code.PERMISSION_DENIED),
        ([(URI, b"spiffe://example.com/edge\0")], Code.PERMISSION_DENIED),
        ([(DNS, b"EDGE.internal")], Code.PERMISSION_DENIED),
    ],
    ids=["DNS", "URI", "another", "NUL", "NUL at the end", "capitals"],
)
def test_doors(served: Served, door: str, names: Any, code: Code) -> None:
    """Through every door, a certificate of the authority may call that has a listed name whole."""
    assert DOORS[door](served, issue(raw_names(*names))).code == code
