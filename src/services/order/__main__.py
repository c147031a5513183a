"""Serve orders over REST and gRPC: `python -m services.order`."""

from __future__ import annotations

from typing import Any

import click

from services import command
from services.order.app import DATABASE, INVENTORY, PAYMENT, create_app
from transcoder import Tls


@click.command(context_settings={"auto_envvar_prefix": "ORDER"})
@command.options(http=":8083", grpc=":50054", database=DATABASE)
@command.option("--inventory", default=INVENTORY, help="Where the inventory is: HOST:PORT.")
@command.option("--payment", default=PAYMENT, help="Where the payment is: HOST:PORT.")
@command.option(
    "--caller",
    "callers",
    multiple=True,
    show_default="every one of the authority",
    help="Whose certificate may order; may be given several times.",
)
@command.option("--replica", default="v1", help="What clients are told under x-replica.")
def main(
    database: str,
    inventory: str,
    payment: str,
    callers: tuple[str, ...],
    replica: str,
    **options: Any,
) -> None:
    """Serve orders over REST and gRPC, to clients with certificates.

    The inventory and the payment are called with the certificate that clients are shown.
    """
    tls = Tls(ca=options["tls_ca"], certificate=options["tls_certificate"], key=options["tls_key"])
    command.run(
        lambda **more: create_app(
            database,
            inventory=inventory,
            payment=payment,
            tls=tls,
            callers=callers,
            replica=replica,
            **more,
        ),
        **options,
    )


if __name__ == "__main__":
    main()
