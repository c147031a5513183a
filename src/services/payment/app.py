"""The payment service as an application."""

from __future__ import annotations

from typing import Any

from services.database import Database
from services.payment.schema import METADATA
from services.payment.service import PaymentService
from services.payment.store import Store
from services.payment.v1.payment_service_transcoder import register_payment_service
from transcoder import Gateway
from transcoder.policies import Authorization, Grant, MutualTls, Policy, RequestId

DATABASE = "sqlite:///payment.db"


def create_app(database: str = DATABASE, *, order: str = "order", **options: Any) -> Gateway:
    """Return the application; its lifespan opens and closes the database.

    Args:
        database: a URL.
        order: the name in the certificate of the order service, which alone calls here.
        options: more of the gateway's, as `observers`.

    Raises:
        ValueError: the URL is not one of a database that the service can use.
    """
    opened = Database(database, METADATA)
    allowed = {
        "services.payment.v1.PaymentService.*": Grant(names=[order], schemes=["mtls"]),
    }
    policies: list[Policy] = [
        RequestId(),
        MutualTls(["*"]),
        Authorization(allow=allowed, default="allow"),
    ]
    app = Gateway(lifespan=opened.lifespan, validate=True, policies=policies, **options)
    register_payment_service(app, PaymentService(Store(opened)))
    return app
