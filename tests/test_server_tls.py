from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from transcoder import ConfigError, ServerTls

PAIR: Any = {"certificate": "a.pem", "key": "a.key"}


@pytest.mark.parametrize(
    ("options", "asks"),
    [
        ({}, "none"),
        ({"client_certificates": "none"}, "none"),
        ({"client_ca": "ca.pem"}, "required"),
        ({"client_ca": "ca.pem", "client_certificates": "optional"}, "optional"),
    ],
)
def test_clients_are_asked(options: Any, asks: str) -> None:
    """Where an authority of clients is given, they must show certificates, or may."""
    assert ServerTls(**PAIR, **options).asks == asks


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"certificate": ""}, "tls: certificate: the path of a file is expected, not ''"),
        ({"key": b"-----BEGIN"}, "tls: key: the path of a file is expected, not b'-----BEGIN'"),
        ({"client_ca": 7}, "tls: client_ca: the path of a file is expected, not 7"),
        (
            {"client_certificates": "require", "client_ca": "ca.pem"},
            "tls: client_certificates 'require': 'required' or 'optional' or 'none' is expected",
        ),
        (
            {"client_certificates": "required"},
            "tls: client_certificates is 'required', and no client_ca says of which authority",
        ),
        (
            {"client_certificates": "none", "client_ca": "ca.pem"},
            "tls: client_ca is given, and client_certificates is 'none'",
        ),
        ({"min_version": "1.1"}, "tls: min_version '1.1': '1.2' or '1.3' is expected"),
        ({"handshake_timeout": 0}, "tls: handshake_timeout: more than 0 seconds are expected"),
        (
            {"handshake_timeout": float("nan")},
            "tls: handshake_timeout: more than 0 seconds are expected",
        ),
    ],
)
def test_values_that_do_not_go_together(options: Any, words: str) -> None:
    """What cannot be meant is told in a line that names the option."""
    with pytest.raises(ConfigError) as caught:
        ServerTls(**{**PAIR, **options})

    assert str(caught.value) == words


def test_paths_are_told_to_workers() -> None:
    """Whatever a path was given as, it is text that a worker can be told."""
    tls = ServerTls(certificate=Path("a.pem"), key=Path("a.key"))

    assert ServerTls(**json.loads(json.dumps(dataclasses.asdict(tls)))) == ServerTls(**PAIR)
