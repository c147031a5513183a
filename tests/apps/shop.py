"""The services of a shop on real ports and with certificates, here or as processes of their own."""

from __future__ import annotations

import contextlib
import importlib
import re
import select
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import grpc
import httpx2
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_status import rpc_status

from entrances import open_doors
from over_tls import CA, ROGUE, credentials, trust, write, write_ca
from services.inventory.v1.inventory_service_pb2 import Item, UpdateItemRequest
from services.inventory.v1.inventory_service_pb2_grpc import InventoryServiceStub
from services.order.v1.order_service_pb2_grpc import OrderServiceStub
from services.payment.v1.payment_service_pb2_grpc import PaymentServiceStub
from transcoder import ServerTls, Tls

PATIENCE = 60
"""Seconds, for machines that are busy."""

CARD = "4111111111111111"
DECLINED = "4000000000000002"

CERTIFICATES = {
    **{
        name: CA.issue_cert(name, "localhost", "127.0.0.1")
        for name in ("order", "inventory", "payment")
    },
    **{name: CA.issue_cert(name) for name in ("warehouse", "customer")},
    "rogue": ROGUE,
}

STUBS: dict[str, Any] = {
    "inventory": InventoryServiceStub,
    "order": OrderServiceStub,
    "payment": PaymentServiceStub,
}


@dataclass(frozen=True, slots=True)
class Service:
    """A running service.

    Args:
        name: of the service.
        http: where, as HOST:PORT.
        grpc: where.
        process: which serves; None for the test's own.
    """

    name: str
    http: str
    grpc: str
    process: subprocess.Popen[str] | None = None

    @contextlib.contextmanager
    def stub(self, who: str) -> Iterator[Any]:
        """Call it over gRPC, with the certificate of somebody."""
        with grpc.secure_channel(self.grpc, credentials(CERTIFICATES[who])) as channel:
            yield STUBS[self.name](channel)

    def rest(self, who: str, verb: str, path: str, **options: Any) -> httpx2.Response:
        """Ask it over REST, with the certificate of somebody."""
        context = trust(CERTIFICATES[who])
        with httpx2.Client(verify=context, timeout=PATIENCE) as client:
            return client.request(verb, f"https://{self.http}{path}", **options)

    def kill(self) -> None:
        """End its process at once."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()


class Shop:
    """Services that keep their files in one folder, and end with the shop.

    Args:
        folder: of their databases, certificates and logs.
        portal: to the event loop of those that run here.
        stack: what ends with the shop.
    """

    def __init__(self, folder: Path, portal: BlockingPortal, stack: contextlib.ExitStack) -> None:
        self.folder = folder
        self._portal = portal
        self._stack = stack
        self.ca = write_ca(folder)

    def tls(self, name: str) -> dict[str, Any]:
        """Write the certificate of a service; return its files."""
        return write(self.folder, CERTIFICATES[name], name)

    def serve(self, name: str, **options: Any) -> Service:
        """Serve here; the options are those of the service's `create_app`."""
        create = importlib.import_module(f"services.{name}.app").create_app
        own = self.tls(name)
        if name == "order":
            options["tls"] = Tls(ca=self.ca, **own)
        options.setdefault("database", f"sqlite:///{self.folder}/{name}.db")
        app = create(**options)
        opened = open_doors(app, tls=ServerTls(client_ca=self.ca, **own))
        listening = self._stack.enter_context(self._portal.wrap_async_context_manager(opened))
        return Service(name, listening.http.target, listening.grpc.target)

    def start(self, name: str, *options: str, grpc: str = "127.0.0.1:0") -> Service:
        """Start a process that serves; the options are its command's."""
        own = self.tls(name)
        command = [sys.executable, "-m", f"services.{name}", "--http", "127.0.0.1:0"]
        command += ["--grpc", grpc, "--tls-certificate", own["certificate"]]
        command += ["--tls-key", own["key"], "--tls-ca", self.ca, *options]
        process = subprocess.Popen(command, cwd=self.folder, stdout=subprocess.PIPE, text=True)
        self._stack.enter_context(process)
        self._stack.callback(process.kill)
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], [], [], PATIENCE)
        line = process.stdout.readline() if ready else ""
        found = re.fullmatch(r"REST on (\S+), gRPC on (\S+)\n", line)
        assert found is not None, line
        return Service(name, found[1], found[2], process)


@contextlib.contextmanager
def open_shop(folder: Path) -> Iterator[Shop]:
    """Return a shop in which nothing runs yet."""
    with start_blocking_portal() as portal, contextlib.ExitStack() as stack:
        yield Shop(folder, portal, stack)


def put(inventory: Service, item_id: str, stock: int, price: int = 500) -> Item:
    """Set the stock and the price of an item, as the warehouse."""
    item = Item(id=item_id, stock=stock, unit_price_cents=price)
    request = UpdateItemRequest(item=item, allow_missing=True)
    request.update_mask.paths[:] = ["stock", "unit_price_cents"]
    with inventory.stub("warehouse") as stub:
        set_now: Item = stub.UpdateItem(request, timeout=PATIENCE)
    return set_now


def code_of(method: Any, request: Any, **options: Any) -> str:
    """Return the code that a call ends with."""
    try:
        method(request, timeout=PATIENCE, **options)
    except grpc.RpcError as error:
        called: Any = error
        name: str = called.code().name
        return name
    return "OK"


def reason_of(method: Any, request: Any) -> str:
    """Return the reason, as `ErrorInfo` has it, of a call that is refused."""
    with pytest.raises(grpc.RpcError) as caught:
        method(request, timeout=PATIENCE)
    status: Any = rpc_status.from_call(cast("grpc.Call", caught.value))
    info = ErrorInfo()
    assert status.details[0].Unpack(info)
    return info.reason
