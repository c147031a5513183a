"""The order service as an application."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

from services.database import Database
from services.inventory.v1.inventory_service_pb2_grpc import InventoryServiceStub
from services.order.fulfilment import Fulfilment
from services.order.replica import Replica
from services.order.schema import METADATA
from services.order.service import OrderService
from services.order.store import Store
from services.order.v1.order_service_transcoder import register_order_service
from services.payment.v1.payment_service_pb2_grpc import PaymentServiceStub
from transcoder import Channel, Gateway, Tls
from transcoder.policies import Authorization, Grant, MutualTls, Policy, RequestId

DATABASE = "sqlite:///order.db"
INVENTORY = "localhost:50052"
PAYMENT = "localhost:50053"

# A release that is not heard of would keep units from other customers; it may come twice.
_CALLS = {
    "methodConfig": [
        {"name": [{}], "timeout": "10s"},
        {
            "name": [
                {"service": "services.inventory.v1.InventoryService", "method": "ReleaseStock"}
            ],
            "retryPolicy": {
                "maxAttempts": 4,
                "initialBackoff": "0.1s",
                "maxBackoff": "1s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        },
    ]
}


def create_app(
    database: str = DATABASE,
    *,
    inventory: str = INVENTORY,
    payment: str = PAYMENT,
    tls: Tls | None = None,
    callers: Sequence[str] = (),
    replica: str = "v1",
    **options: Any,
) -> Gateway:
    """Return the application; its lifespan opens and closes the database, and what it calls.

    Args:
        database: a URL.
        inventory: where the inventory is, in gRPC's naming.
        payment: where the payment is.
        tls: whom to trust there, and the certificate to show.
        callers: the names in the certificates of those who may order; without any, every
            certificate of the listener's authority is one.
        replica: how clients are told which replica answered.
        options: more of the gateway's, as `observers`.

    Raises:
        ConfigError: a file of `tls` cannot be read.
        ValueError: the URL is not one of a database that the service can use.
    """
    opened = Database(database, METADATA)
    to_inventory = Channel(inventory, tls=tls, service_config=_CALLS)
    to_payment = Channel(payment, tls=tls, service_config=_CALLS)
    store = Store(opened)
    fulfilment = Fulfilment(
        store, InventoryServiceStub(to_inventory), PaymentServiceStub(to_payment)
    )

    @contextlib.asynccontextmanager
    async def lifespan(app: object) -> AsyncIterator[None]:
        async with opened.lifespan(app), to_inventory, to_payment:
            tidying = asyncio.create_task(fulfilment.tidy())
            try:
                yield
            finally:
                tidying.cancel()
                await fulfilment.close()

    ordering = {"services.order.v1.OrderService.*": Grant(names=callers, schemes=["mtls"])}
    policies: list[Policy] = [
        RequestId(),
        Replica(replica),
        MutualTls(["*"]),
        Authorization(allow=ordering, default="allow"),
    ]
    app = Gateway(lifespan=lifespan, validate=True, policies=policies, **options)
    register_order_service(app, OrderService(store, fulfilment))
    return app
