from __future__ import annotations

from pathlib import Path

from filed import config
from transcoder.config import options
from transcoder.server import Server


def test_server() -> None:
    """The words of the server are its arguments."""
    server = {
        "workers": 2,
        "settle": 1.0,
        "grace": 2.0,
        "stream_grace": 3.0,
        "reload_grace": 4.0,
        "max_concurrent_streams": 5,
        "max_message": 6,
        "max_connection_age": 7.0,
        "keep_alive": 8,
        "backlog": 9,
        "connections": {"total": 10, "per_address": 11, "head": 12.0, "stall": 13.0},
    }
    told = options(config(server=server))
    limits = told["connections"]

    assert {**told, "connections": None, "workers": 2} == {
        **server,
        "connections": None,
        "tls": None,
    }
    assert (limits.total, limits.per_address, limits.head, limits.stall) == (10, 11, 12.0, 13.0)
    Server("a:b", **told)


def test_tls_of_workers(tmp_path: Path) -> None:
    """Files of TLS are of the folder of the file, and can be told to workers."""
    told = options(config(tls={"certificate": "a.pem", "key": "b.pem"}), tmp_path)

    assert told["tls"].certificate == str(tmp_path / "a.pem")
