from __future__ import annotations

from typing import Any

import pytest

from transcoder.discovery.source import Endpoint, split_address
from transcoder.errors import ConfigError


@pytest.mark.parametrize(
    ("address", "parts"),
    [
        ("users:50051", ("users", 50051)),
        ("10.0.0.1:1", ("10.0.0.1", 1)),
        ("[2001:db8::1]:65535", ("2001:db8::1", 65535)),
        ("unix:/run/users.sock", ("unix:/run/users.sock", 0)),
    ],
)
def test_address(address: str, parts: tuple[str, int]) -> None:
    """An address is a host and a port, or a path."""
    assert split_address(address) == parts


@pytest.mark.parametrize(
    "address",
    ["", "users", ":50051", "users:0", "users:65536", "::1:50051", "users:x", "a b:1", "a:1\n", 7],
)
def test_no_address(address: Any) -> None:
    """What is none is told."""
    with pytest.raises(ConfigError, match="is no address: HOST:PORT is expected"):
        Endpoint(address)


@pytest.mark.parametrize("weight", [0, -1, 65_536, 1.5, True, "5", float("nan"), None])
def test_weight(weight: Any) -> None:
    """So is a weight that is none."""
    with pytest.raises(ConfigError, match=r"a:1: weight .*: a whole number from 1 to 65535"):
        Endpoint("a:1", weight)
