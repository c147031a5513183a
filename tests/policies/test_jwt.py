from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

import tokens
from tokens import BOTH, FORWARD, ISSUER, bad_tokens, bringing, claims, issuers, mint, rsa
from transcoder import Code
from transcoder.call_details import CallDetails, Principal
from transcoder.errors import ConfigError
from transcoder.policies import Denied, Issuer, Jwt, Now, Requirement

NOW = Now(1000.0, 1_800_000_000.5)
BAD = bad_tokens(NOW.wall)


@pytest.fixture(scope="module")
def policy() -> Jwt:
    """The policy that the bad tokens meet."""
    return Jwt(*issuers(), forward=FORWARD)


def reason(policy: Jwt, call: CallDetails, now: Now = NOW) -> str:
    """Return why a call is refused; empty if it is not."""
    try:
        assert policy.decide(call, now) is None
    except Denied as denied:
        assert call.principal is None
        assert call.metadata == ()
        return denied.reason
    return ""


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.name)
def test_bad(policy: Jwt, bad: tokens.Bad) -> None:
    """No bad token is taken, and the reason for logs says what is wrong."""
    assert reason(policy, bringing(bad.text)) == bad.reason


def test_how_many() -> None:
    """There are more than sixty bad tokens, no two alike."""
    assert len({bad.text for bad in BAD}) == len(BAD) > 60


@pytest.mark.parametrize(
    ("seconds", "why"),
    # It expires 300 seconds after NOW's whole second.
    [(299, ""), (329, ""), (331, "expired"), (-29, ""), (-31, "not-yet")],
)
def test_leeway(policy: Jwt, seconds: float, why: str) -> None:
    """Clocks may differ by thirty seconds, both ways, and by no more."""
    call = bringing(mint(claims(NOW.wall)))
    assert reason(policy, call, Now(NOW.monotonic, int(NOW.wall) + seconds)) == why


def test_no_leeway() -> None:
    """Without leeway a token is over when it says so."""
    policy = Jwt(*issuers(), leeway=0)
    text = mint(claims(NOW.wall, exp=int(NOW.wall) + 5))
    assert reason(policy, bringing(text), Now(0.0, int(NOW.wall) + 4.9)) == ""
    assert reason(policy, bringing(text), Now(0.0, int(NOW.wall) + 5.0)) == "expired"


GOOD: dict[str, str] = {
    "RS256": mint(claims(NOW.wall)),
    "PS256": mint(claims(NOW.wall), algorithm="PS256"),
    "RS512": mint(claims(NOW.wall), algorithm="RS512"),
    "ES256": mint(claims(NOW.wall), tokens.ec(), "ES256"),
    "EdDSA": mint(claims(NOW.wall), tokens.okp(), "EdDSA"),
    "Ed25519, its new name": mint(claims(NOW.wall), tokens.okp(), "Ed25519"),
    "HS256 where it is allowed": mint(claims(NOW.wall, iss=BOTH), tokens.secret(), "HS256"),
    "RS256 beside HS256": mint(claims(NOW.wall, iss=BOTH)),
    "no kid, of one key that fits": mint(claims(NOW.wall), kid=None),
    "one of several audiences": mint(claims(NOW.wall, aud=["x", "other"])),
    "a typ that counts": mint(claims(NOW.wall, iss=tokens.TYPED), typ="application/AT+JWT"),
    "a date with a fraction": mint(claims(NOW.wall, exp=NOW.wall + 0.25)),
    "a header of others": mint(claims(NOW.wall), jku="http://127.0.0.1:1/", x5u="file:///", jwk={}),
    "JSON with spaces": tokens.token(
        tokens.RS256,
        b'{ "sub":"ann", ' + b'"iss": "https://login.example", "aud": "api","exp": 1800000100 }',
        tokens.signer(rsa(), "RS256"),
    ),
}


@pytest.mark.parametrize("name", list(GOOD))
def test_good(policy: Jwt, name: str) -> None:
    """A good token says who calls."""
    call = bringing(GOOD[name])
    assert reason(policy, call) == ""
    assert call.principal is not None
    assert call.principal.subject == "ann"
    assert call.principal.scheme == "jwt"


def test_limit(policy: Jwt) -> None:
    """A token of 8 KiB is read, and a longer one refused unread."""
    sizes = {}
    for size in range(5900, 6100):
        text = mint(claims(NOW.wall, x="x" * (size - 300)))
        sizes[len(text)] = text
        if len(text) > 8192:
            break
    fits = max(size for size in sizes if size <= 8192)

    assert fits >= 8190
    assert reason(policy, bringing(sizes[fits])) == ""
    assert reason(policy, bringing(sizes[max(sizes)])) == "too-large"
    assert reason(policy, bringing("x" * 10_000_000)) == "too-large"


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ([], None),
        ([b"Basic YTpi"], None),
        ([b"Basic YTpi", b"Basic YTpi"], None),
        ([b"Bearerx abc"], None),
        ([b"Bearer"], "malformed"),
        ([b"Bearer "], "malformed"),
        ([b"bearer abc"], "malformed"),
        ([b"Bearer \xc3\xa9.a.b"], "malformed"),
        # A header's value has no space at its end: servers take it off.
        ([b"Bearer " + GOOD["RS256"].encode() + b" "], "malformed"),
        ([b"Bearer " + GOOD["RS256"].encode()] * 2, "several"),
        ([b"Basic YTpi", b"Bearer " + GOOD["RS256"].encode()], "several"),
    ],
)
def test_headers(policy: Jwt, values: list[bytes], why: str | None) -> None:
    """Without a bearer token a call passes unknown; what could be meant two ways is refused."""
    call = CallDetails("http", headers=[(b"authorization", value) for value in values])
    assert (reason(policy, call) or None) == why
    assert call.principal is None


def test_scheme(policy: Jwt) -> None:
    """The scheme is written as one likes, and spaces stand before the token (RFC 9110, 11.1)."""
    for scheme in (b"bearer ", b"BEARER ", b"Bearer   "):
        call = CallDetails("http", headers=[(b"authorization", scheme + GOOD["RS256"].encode())])
        assert reason(policy, call) == ""


def principal(policy: Jwt, **told: Any) -> Principal:
    """Return whom a policy makes of a good token."""
    call = bringing(mint(claims(NOW.wall, **told)))
    policy.decide(call, NOW)
    assert call.principal is not None
    return call.principal


@pytest.mark.parametrize(
    ("told", "scopes"),
    [
        ({}, set()),
        ({"scope": "read write"}, {"read", "write"}),
        ({"scope": ["read", "write", 7]}, {"read", "write"}),
        ({"scp": "read"}, {"read"}),
        ({"scp": ["read"]}, {"read"}),
        # Where both are told, the registered one counts.
        ({"scope": "read", "scp": ["write"]}, {"read"}),
        ({"scope": {"read": 1}}, set()),
        ({"scope": 7}, set()),
    ],
)
def test_scopes(policy: Jwt, told: dict[str, Any], scopes: set[str]) -> None:
    """Scopes are the words of `scope`, or of `scp`."""
    assert principal(policy, **told).scopes == scopes


def test_principal() -> None:
    """Subject and roles may be other claims, inside others too; all claims are told."""
    policy = Jwt(*issuers(), subject="client_id", roles=("realm", "roles"))
    found = principal(policy, client_id="robot", realm={"roles": ["a", "b"]})

    assert (found.subject, found.issuer) == ("robot", ISSUER)
    assert found.roles == {"a", "b"}
    assert found.claims["sub"] == "ann"
    # They are shared by the calls of a token.
    assert not hasattr(found.claims, "__setitem__")


def test_told(policy: Jwt) -> None:
    """Servicers are told the claims that are chosen."""
    call = bringing(mint(claims(NOW.wall, groups=["a", "b"])))
    policy.decide(call, NOW)
    assert call.metadata == (("x-user-id", "ann"), ("x-groups", "a,b"))


def test_writes() -> None:
    """What is told is the policy's to say, and so is the token, unless servicers get it."""
    told = {"x-user-id", "x-groups"}
    assert Jwt(*issuers(), forward=FORWARD).writes == {*told, "authorization"}
    assert Jwt(*issuers(), forward=FORWARD, forward_token=True).writes == told


METHOD = "shop.v1.Orders.DropOrder"


def test_required() -> None:
    """What a method's tokens must hold is asked of cached ones too, and of no other method's."""
    policy = Jwt(*issuers(), require={METHOD: Requirement(scopes=["write"])})
    policy.compile({METHOD: [], "shop.v1.Orders.GetOrder": []})
    poor, rich = mint(claims(NOW.wall)), mint(claims(NOW.wall, scope="read write"))
    for _ in range(2):
        assert reason(policy, bringing(poor, method=METHOD)) == "scope"
        assert reason(policy, bringing(poor, method="shop.v1.Orders.GetOrder")) == ""
        assert reason(policy, bringing(rich, method=METHOD)) == ""


def test_insufficient() -> None:
    """Who lacks a scope is told which, with a 403."""
    policy = Jwt(*issuers(), require={"*": Requirement(scopes=["write"])})
    with pytest.raises(Denied) as denied:
        policy.decide(bringing(GOOD["RS256"]), NOW)

    challenge = 'Bearer error="insufficient_scope", scope="write"'
    assert denied.value.headers == (("www-authenticate", challenge),)
    assert denied.value.status.code is Code.PERMISSION_DENIED


def test_opaque() -> None:
    """A token that is no JWT by its form is another policy's, if that is said."""
    policy = Jwt(*issuers(), opaque=True)
    assert reason(policy, bringing("2YotnFZFEjr1zCsicMWpAA")) == ""
    assert reason(policy, bringing("a.b.c")) == "malformed"


def test_remembered(policy: Jwt) -> None:
    """A verified token costs no second signature, and is forgotten after a minute or at its exp."""
    policy = Jwt(*issuers())
    text = mint(claims(NOW.wall))
    first, second, late = bringing(text), bringing(text), bringing(text)
    policy.decide(first, NOW)
    policy.decide(second, Now(NOW.monotonic + 59.9, NOW.wall + 59.9))
    policy.decide(late, Now(NOW.monotonic + 60.1, NOW.wall + 60.1))

    assert first.principal is second.principal
    assert first.principal is not late.principal


def test_clock_back(policy: Jwt) -> None:
    """Where the clock goes back before a token was issued, it is refused, remembered or not."""
    text = mint(claims(NOW.wall))
    assert reason(policy, bringing(text)) == ""
    assert reason(policy, bringing(text), Now(NOW.monotonic + 1, NOW.wall - 3600)) == "not-yet"
    assert reason(policy, bringing(text)) == ""


def test_clock_forward(policy: Jwt) -> None:
    """Where the clock goes forward beyond its exp, it is refused, remembered or not."""
    text = mint(claims(NOW.wall, jti="forward"))
    assert reason(policy, bringing(text)) == ""
    assert reason(policy, bringing(text), Now(NOW.monotonic + 1, NOW.wall + 3600)) == "expired"


def test_security() -> None:
    """The OpenAPI scheme is what a client needs: bearer tokens, or where the issuer tells more."""
    bearer = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
    assert Jwt(*issuers()).security == {"jwt": bearer}
    assert Jwt(Issuer(ISSUER, audiences=["api"]), name="login").security == {
        "login": {
            "type": "openIdConnect",
            "openIdConnectUrl": f"{ISSUER}/.well-known/openid-configuration",
        }
    }


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"issuers": []}, "issuers: at least one is expected"),
        ({"issuers": issuers()[:1] * 2}, "no two of a name"),
        ({"leeway": -1}, "leeway -1: seconds from 0 to 600"),
        ({"leeway": 601}, "leeway 601: seconds from 0 to 600"),
        ({"leeway": float("nan")}, "leeway nan"),
        ({"kept": -1}, "kept -1: 0 or more"),
        ({"require": {"no method!": Requirement(scopes=["a"])}}, "require: 'no method!' names no"),
        ({"forward": {"sub": "X-User"}}, "forward: 'X-User' is no metadata key"),
        ({"forward": {"sub": "grpc-timeout"}}, "forward: 'grpc-timeout' is no metadata key"),
        ({"forward": {"sub": "authorization"}}, "forward: 'authorization' is no metadata key"),
        ({"forward": {"sub": "x-a", "tenant": "x-a"}}, "forward: a metadata key stands for two"),
    ],
)
def test_options(options: dict[str, Any], problem: str) -> None:
    """An option that is none is an error at start, which names it."""
    given = {"issuers": issuers()[:1], **options}
    with pytest.raises(ConfigError, match=problem):
        Jwt(*given.pop("issuers"), **given)


def test_required_of_nothing() -> None:
    """A requirement for no method is an error at start."""
    policy = Jwt(*issuers(), require={METHOD: Requirement(scopes=["write"])})
    with pytest.raises(ConfigError, match=f"require: no method here fits {METHOD}"):
        policy.compile({})


def test_missing_extra() -> None:
    """Without joserfc, the import names the extra to install, and other policies are imported."""
    program = (
        "import sys; sys.modules['joserfc'] = sys.modules['joserfc.errors'] = None;"
        "from transcoder.policies import RateLimit, Requirement;"
        "from transcoder.policies import Jwt"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, check=False, capture_output=True, text=True)

    assert done.stderr.endswith("is missing: install transcoder[jwt]\n")
    assert "ImportError" in done.stderr.splitlines()[-1]
