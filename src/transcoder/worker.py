"""What runs in each process that a supervisor starts."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterable, Mapping
from typing import Any

from transcoder import process
from transcoder.connection_limits import ConnectionLimits
from transcoder.errors import ConfigError
from transcoder.http_port import HttpClaim, HttpPort
from transcoder.listeners import Address, Claim
from transcoder.reloading import GatewayFile
from transcoder.server import Server
from transcoder.server_tls import ServerTls
from transcoder.snapshots import Line

ORPHAN = 4.0
"""Seconds that a worker has to end once its parent is gone."""


def work(descriptor: int) -> None:
    """Serve as the process at the other end of this socket says, until it says drain or is gone.

    Raises:
        SystemExit: with the exit code.
    """
    control = socket.socket(fileno=descriptor)
    control.set_inheritable(False)

    talking = threading.Lock()

    def tell(line: bytes) -> None:
        with contextlib.suppress(OSError), talking:
            control.sendall(line)

    def say(**message: object) -> None:
        tell(json.dumps(message).encode() + b"\n")

    orders = control.makefile()
    told = json.loads(orders.readline())
    options = {name: _option(name, value) for name, value in told["options"].items()}
    file = told.get("file")
    app = told.get("app") or GatewayFile(file, lambda level, line: say(report=[level, line]))
    server = Server(app, **options, on_ready=lambda _: say(ready=True))
    line = Line(tell)
    threading.Thread(target=_obey, args=(orders, server, line), daemon=True).start()
    try:
        http = [HttpClaim(HttpPort.told(each["port"]), _inherited(each)) for each in told["http"]]
        code = server.run_claimed(
            http, _inherited(told["grpc"]), line if told["snapshots"] else None
        )
    except ConfigError as error:
        say(failed=str(error))
        code = 1
    raise SystemExit(code)


def _option(name: str, value: Any) -> Any:
    if name == "connections":
        return ConnectionLimits(**value)
    return ServerTls(**value) if value and name.endswith("tls") else value


def _inherited(passed: Mapping[str, Any]) -> Claim:
    return Claim.inherit(Address(**passed["address"]), passed["descriptors"])


def _obey(orders: Iterable[str], server: Server, line: Line) -> None:
    """Follow the parent's orders; in a thread, for a blocked loop must not outlive the parent."""
    with contextlib.suppress(OSError):
        for order in map(json.loads, orders):
            if "drain" in order:
                server.stop(order["drain"])
            elif "explain" in order:
                answer = {"explained": _explained(order["explain"], line)}
                line.tell(json.dumps({**answer, "number": order["number"]}).encode() + b"\n")
            else:
                server.reload()
    process.end_within(ORPHAN, 1)
    server.stop(settle=0)


def _explained(question: Mapping[str, str], line: Line) -> Mapping[str, Any]:
    if line.explain is None:
        return {"problem": "the worker starts"}
    try:
        return line.explain(question)
    except Exception as error:  # noqa: BLE001  whoever obeys must go on
        return {"problem": f"{type(error).__name__}: {error}"}
