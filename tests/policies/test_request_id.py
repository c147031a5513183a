from __future__ import annotations

import logging
import re
from collections.abc import Mapping

import pytest

from entrances import ENTRANCES, Outcome, call_each
from transcoder.policies import Stage
from transcoder.policies.ip_filter import IpFilter
from transcoder.policies.request_id import RequestId

MADE = re.compile(r"[0-9a-f]{32}")


@pytest.fixture(scope="module")
def outcomes() -> Mapping[str, list[Outcome]]:
    """What each entrance says to a client without a name, with one, and with a malformed one."""
    asked: tuple[dict[str, str], ...] = (
        {},
        {"x-request-id": "a.B_9-"},
        {"x-request-id": "a b"},
        {"x-request-id": "a" * 129},
    )
    return call_each(*asked, policies=[RequestId()])


@pytest.mark.parametrize("entrance", list(ENTRANCES))
def test_made(outcomes: Mapping[str, list[Outcome]], entrance: str) -> None:
    """A call without a name gets one, which servicer and client both see."""
    outcome = outcomes[entrance][0]
    name = outcome.headers["x-request-id"]
    assert MADE.fullmatch(name)
    assert outcome.seen["x-request-id"] == [name]


@pytest.mark.parametrize("entrance", list(ENTRANCES))
def test_kept(outcomes: Mapping[str, list[Outcome]], entrance: str) -> None:
    """A well-formed name is kept."""
    outcome = outcomes[entrance][1]
    assert outcome.headers["x-request-id"] == "a.B_9-"
    assert outcome.seen["x-request-id"] == ["a.B_9-"]


@pytest.mark.parametrize("entrance", list(ENTRANCES))
@pytest.mark.parametrize("index", [2, 3])
def test_malformed(outcomes: Mapping[str, list[Outcome]], entrance: str, index: int) -> None:
    """A malformed one is not: neither the servicer nor the client sees it."""
    outcome = outcomes[entrance][index]
    name = outcome.headers["x-request-id"]
    assert MADE.fullmatch(name)
    assert outcome.seen["x-request-id"] == [name]


def test_refusals(caplog: pytest.LogCaptureFixture) -> None:
    """A refusal tells the name too, the one that stands in the log."""
    caplog.set_level(logging.INFO)
    named = {"x-request-id": "mine"}
    outcomes = call_each(named, policies=[RequestId(), IpFilter(deny=["127.0.0.1"])])
    assert {calls[0].headers["x-request-id"] for calls in outcomes.values()} == {"mine"}
    refused = [line for line in caplog.messages if "this address may not" in line]
    assert refused
    assert all("request id mine" in line for line in refused)


def test_first() -> None:
    """Nothing stands before it, so that all that happens to a call has its name."""
    assert RequestId().stage is min(Stage)
