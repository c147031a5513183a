"""nginx in front of a server, with the configuration of a page."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from programs import program

MAIN = """
daemon off;
pid {folder}/nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/site.conf;
}}
"""
PATIENCE = 20.0


def nginx() -> str:
    """Return the path of nginx."""
    return program("nginx", also=["/usr/sbin"])


@contextlib.contextmanager
def fronting(site: str, port: int, folder: Path) -> Iterator[None]:
    """Run nginx.

    Args:
        site: what stands within `http`.
        port: on which it listens.
        folder: an empty one.
    """
    (folder / "site.conf").write_text(site)
    (folder / "nginx.conf").write_text(MAIN.format(folder=folder))
    command = [nginx(), "-p", str(folder), "-c", "nginx.conf", "-e", "stderr"]
    log = (folder / "log").open("w")
    with log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            limit = time.monotonic() + PATIENCE
            while not _listens(port):
                told = (folder / "log").read_text()
                assert process.poll() is None, told
                assert time.monotonic() < limit, told
                time.sleep(0.02)
            yield
        finally:
            process.terminate()


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
