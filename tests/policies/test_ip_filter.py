from __future__ import annotations

from typing import Any

import pytest

from entrances import ENTRANCES, call_each
from transcoder import Code
from transcoder.errors import ConfigError
from transcoder.policies.ip_filter import IpFilter


@pytest.mark.parametrize("entrance", list(ENTRANCES))
def test_refused(entrance: str) -> None:
    """A denied address is refused through every entrance, and nothing runs."""
    outcome = call_each(policies=[IpFilter(deny=["127.0.0.0/8"])])[entrance][0]
    assert (outcome.code, outcome.seen) == (Code.PERMISSION_DENIED, {})
    assert outcome.message == "this address may not call here"


def test_let_in() -> None:
    """An allowed one is let in."""
    outcomes = call_each(policies=[IpFilter(allow=["127.0.0.1"])])
    assert {each.code for calls in outcomes.values() for each in calls} == {Code.OK}


def test_behind_a_proxy() -> None:
    """The address is the client's, if a trusted proxy says so; whoever else says it, says nothing.

    And it is the same on both doors.
    """
    told = {"x-forwarded-for": "192.0.2.7"}
    policy = IpFilter(deny=["192.0.2.0/24"])
    trusted = call_each(told, policies=[policy], trusted_proxies=["127.0.0.1"])
    untrusted = call_each(told, policies=[policy])
    assert {calls[0].code for calls in trusted.values()} == {Code.PERMISSION_DENIED}
    assert {calls[0].code for calls in untrusted.values()} == {Code.OK}


@pytest.mark.parametrize(
    ("options", "peer", "admitted"),
    [
        ({}, "192.0.2.1", True),
        ({}, "", True),
        ({"allow": ["10.0.0.0/8"]}, "10.1.2.3", True),
        ({"allow": ["10.0.0.0/8"]}, "11.1.2.3", False),
        ({"allow": ["10.0.0.0/8"]}, "2001:db8::1", False),
        ({"deny": ["10.0.0.0/8"]}, "10.1.2.3", False),
        ({"deny": ["10.0.0.0/8"]}, "11.1.2.3", True),
        # What is both is denied.
        ({"allow": ["10.0.0.0/8"], "deny": ["10.9.0.0/16"]}, "10.9.2.3", False),
        ({"allow": ["10.9.0.0/16"], "deny": ["10.0.0.0/8"]}, "10.9.2.3", False),
        # IPv4 within IPv6 is IPv4, on either side.
        ({"deny": ["10.0.0.0/8"]}, "::ffff:10.1.1.1", False),
        ({"deny": ["::ffff:10.0.0.0/104"]}, "10.1.1.1", False),
        ({"deny": ["127.0.0.1"]}, "::1", True),
        ({"deny": ["::1"]}, "::1", False),
        ({"deny": ["0.0.0.0/0"]}, "192.0.2.1", False),
        ({"deny": ["0.0.0.0/0"]}, "2001:db8::1", True),
        ({"deny": ["::/0"]}, "2001:db8::1", False),
        # The client of a Unix socket has no address.
        ({"deny": ["0.0.0.0/0", "::/0"]}, "", True),
        ({"deny": ["unix"]}, "", False),
        ({"allow": ["10.0.0.0/8"]}, "", False),
        ({"allow": ["10.0.0.0/8", "unix"]}, "", True),
        ({"allow": ["unix"]}, "10.0.0.1", False),
        ({"allow": ["unix"], "deny": ["unix"]}, "", False),
        ({"deny": ["10.0.0.0/8"]}, "testclient", False),
        ({}, "testclient", True),
    ],
)
def test_addresses(options: dict[str, Any], peer: str, admitted: bool) -> None:  # noqa: FBT001  a column of the table
    """What is denied is refused; where something is allowed, so is all else."""
    assert IpFilter(**options).admits(peer) is admitted


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"deny": ["10.0.0.0/33"]}, "ip-filter: deny: '10.0.0.0/33'"),
        ({"allow": ["10.0.0.1/8"]}, "ip-filter: allow: 10.0.0.1/8 has host bits set"),
        ({"allow": ["010.0.0.1"]}, "ip-filter: allow: '010.0.0.1'"),
        ({"allow": [""]}, "ip-filter: allow: ''"),
        ({"allow": "10.0.0.0/8"}, "ip-filter: allow '10.0.0.0/8': a sequence is expected"),
    ],
)
def test_wrong_options(options: dict[str, Any], problem: str) -> None:
    """A network that is none is told at start, by its option."""
    with pytest.raises(ConfigError) as caught:
        IpFilter(**options)
    assert str(caught.value).startswith(problem)
