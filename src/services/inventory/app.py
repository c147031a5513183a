"""The inventory service as an application."""

from __future__ import annotations

from typing import Any

from services.database import Database
from services.inventory.schema import METADATA
from services.inventory.service import InventoryService
from services.inventory.store import Store
from services.inventory.v1.inventory_service_transcoder import register_inventory_service
from transcoder import Gateway
from transcoder.policies import Authorization, Grant, MutualTls, Policy, RequestId

DATABASE = "sqlite:///inventory.db"

_SERVICE = "services.inventory.v1.InventoryService"


def create_app(
    database: str = DATABASE, *, order: str = "order", keeper: str = "warehouse", **options: Any
) -> Gateway:
    """Return the application; its lifespan opens and closes the database.

    Args:
        database: a URL.
        order: the name in the certificate of the order service, which alone reserves and releases.
        keeper: the name in the certificate of who sets the stock. All others read.
        options: more of the gateway's, as `observers`.

    Raises:
        ValueError: the URL is not one of a database that the service can use.
    """
    opened = Database(database, METADATA)
    reserving = Grant(names=[order], schemes=["mtls"])
    allowed = {
        f"{_SERVICE}.ReserveStock": reserving,
        f"{_SERVICE}.ReleaseStock": reserving,
        f"{_SERVICE}.UpdateItem": Grant(names=[keeper], schemes=["mtls"]),
    }
    policies: list[Policy] = [
        RequestId(),
        MutualTls(["*"]),
        Authorization(allow=allowed, default="allow"),
    ]
    app = Gateway(lifespan=opened.lifespan, validate=True, policies=policies, **options)
    register_inventory_service(app, InventoryService(Store(opened)))
    return app
