from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from entrances import ENTRANCES, Outcome, call_each
from transcoder import Code
from transcoder.call_details import CallDetails
from transcoder.errors import ConfigError
from transcoder.policies.api_keys import ApiKeys
from transcoder.policies.key_file import KeyFile, create_key, revoke_key
from transcoder.policies.policy import Denied, Now
from transcoder.policies.rate_limit import RateLimit

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
MOMENT = Now(0.0, NOW.timestamp())


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The path of a file of keys."""
    return tmp_path_factory.mktemp("keys") / "keys.json"


@pytest.fixture(scope="module")
def key(path: Path) -> str:
    """A key that holds."""
    return create_key(path, "billing", ["orders.read", "orders.write"], NOW)


@pytest.fixture(scope="module")
def outcomes(path: Path, key: str) -> Mapping[str, list[Outcome]]:
    """What each entrance says to no key, one that holds, and one that is wrong."""
    name = key.partition(".")[0]
    asked: tuple[dict[str, str], ...] = (
        {},
        {"x-api-key": key, "x-client": "forged"},
        {"x-api-key": f"{name}.wrong"},
    )
    return call_each(*asked, policies=[ApiKeys(path, forward={"subject": "x-client"})])


@pytest.mark.parametrize("entrance", list(ENTRANCES))
def test_none(outcomes: Mapping[str, list[Outcome]], entrance: str) -> None:
    """A call without a key is told what it needs."""
    outcome = outcomes[entrance][0]
    assert (outcome.code, outcome.message) == (Code.UNAUTHENTICATED, "this needs credentials")
    assert outcome.headers["www-authenticate"] == 'ApiKey header="x-api-key"'
    assert outcome.seen == {}


@pytest.mark.parametrize("entrance", list(ENTRANCES))
def test_known(outcomes: Mapping[str, list[Outcome]], entrance: str) -> None:
    """A caller whose key holds is let in; the servicer learns who it is, and not the key."""
    outcome = outcomes[entrance][1]
    assert outcome.code is Code.OK
    assert outcome.seen["x-client"] == ["billing"]
    assert "x-api-key" not in outcome.seen


@pytest.mark.parametrize("entrance", list(ENTRANCES))
def test_wrong(outcomes: Mapping[str, list[Outcome]], entrance: str) -> None:
    """A wrong key is refused."""
    outcome = outcomes[entrance][2]
    assert (outcome.code, outcome.message) == (Code.UNAUTHENTICATED, "the API key is not valid")
    assert outcome.seen == {}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda key: [key[:-1]], "unknown"),
        (lambda key: [key + "a"], "unknown"),
        (lambda key: [key.partition(".")[0]], "unknown"),
        (lambda key: ["." + key.partition(".")[2]], "unknown"),
        (lambda _: [""], "unknown"),
        (lambda _: ["."], "unknown"),
        (lambda _: ["\xff\x00." + "a" * 43], "unknown"),
        (lambda key: [key + "\x00"], "unknown"),
        (lambda key: [key.upper()], "unknown"),
        (lambda _: ["a" * 257], "too-long"),
        (lambda key: [key, key], "several"),
    ],
)
def test_bad_keys(path: Path, key: str, change: Any, reason: str) -> None:
    """What is no key of the file is refused, whatever it looks like."""
    headers = [(b"x-api-key", text.encode("latin-1")) for text in change(key)]
    call = CallDetails("http", headers=headers)
    with pytest.raises(Denied) as caught:
        ApiKeys(path).decide(call, MOMENT)
    assert caught.value.reason == reason
    assert call.principal is None


def test_principal(path: Path, key: str) -> None:
    """The caller is the key's subject, with the scopes that it grants."""
    call = CallDetails("http", headers=[(b"x-api-key", key.encode())])
    ApiKeys(path).decide(call, MOMENT)
    assert call.principal is not None
    assert call.principal.subject == "billing"
    assert call.principal.scopes == {"orders.read", "orders.write"}


def test_forward(path: Path, key: str) -> None:
    """What servicers are told of a caller is an option."""
    call = CallDetails("grpc", headers=[(b"x-api-key", key.encode())])
    ApiKeys(path, forward={"id": "x-key-id", "scopes": "x-scopes"}).decide(call, MOMENT)
    assert dict(call.metadata) == {
        "x-key-id": key.partition(".")[0],
        "x-scopes": "orders.read orders.write",
    }


@pytest.mark.parametrize("reason", ["revoked", "expired"])
def test_no_longer(tmp_path: Path, reason: str) -> None:
    """A key that was revoked, or has expired, is refused."""
    path = tmp_path / "keys.json"
    key = create_key(path, "billing", [], NOW, timedelta(hours=1))
    moment = MOMENT
    if reason == "revoked":
        revoke_key(path, key.partition(".")[0], NOW)
    else:
        moment = Now(0.0, (NOW + timedelta(hours=1)).timestamp())
    call = CallDetails("http", headers=[(b"x-api-key", key.encode())])
    with pytest.raises(Denied) as caught:
        ApiKeys(path).decide(call, moment)
    assert caught.value.reason == reason


def test_guesses(path: Path, key: str) -> None:
    """Guesses are limited before any key is looked at, by address and over both doors."""

    class Counting(KeyFile):
        found = 0

        def find(self, name: str, now: float) -> Any:
            self.found += 1
            return super().find(name, now)

    keys = Counting(path)
    guesses = [{"x-api-key": f"guess.{index}"} for index in range(4)]
    policies = [ApiKeys(keys), RateLimit("5/hour", burst=5)]
    outcomes = call_each(*guesses, policies=policies)
    codes = [each.code for calls in outcomes.values() for each in calls]
    assert codes == [Code.UNAUTHENTICATED] * 5 + [Code.RESOURCE_EXHAUSTED] * 15
    assert keys.found == 5


def test_never_logged(path: Path, key: str, caplog: pytest.LogCaptureFixture) -> None:
    """No key is logged, neither one that holds nor one that does not."""
    caplog.set_level(logging.DEBUG)
    wrong = "wrong." + "s3cret" * 7
    call_each({"x-api-key": key}, {"x-api-key": wrong}, policies=[ApiKeys(path)])
    # The clients are of this process too, and one of them tells all.
    ours = [each for each in caplog.records if not each.name.startswith("websockets.client")]
    text = "\n".join(each.getMessage() for each in ours)
    assert key.partition(".")[2] not in text
    assert "s3cret" not in text


def test_security(path: Path, key: str) -> None:
    """The API's description says where the key goes."""
    assert ApiKeys(path, header="X-Key").security == {
        "api-keys": {"type": "apiKey", "in": "header", "name": "x-key"}
    }


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"header": "a b"}, "api-keys: header 'a b' is no name of a header"),
        ({"forward": {"secret": "x-a"}}, "api-keys: forward: 'secret' as 'x-a'"),
        ({"forward": {"subject": "A"}}, "api-keys: forward: 'subject' as 'A'"),
    ],
)
def test_wrong_options(path: Path, key: str, options: dict[str, Any], problem: str) -> None:
    """What is wrong with an option is told at start."""
    with pytest.raises(ConfigError) as caught:
        ApiKeys(path, **options)
    assert str(caught.value).startswith(problem)
