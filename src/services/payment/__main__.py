"""Serve the payment over REST and gRPC: `python -m services.payment`."""

from __future__ import annotations

from typing import Any

import click

from services import command
from services.payment.app import DATABASE, create_app


@click.command(context_settings={"auto_envvar_prefix": "PAYMENT"})
@command.options(http=":8082", grpc=":50053", database=DATABASE)
@command.option("--order", default="order", help="Whose certificate may charge and refund.")
def main(database: str, order: str, **options: Any) -> None:
    """Serve charges of cards over REST and gRPC, to clients with certificates."""
    command.run(lambda **more: create_app(database, order=order, **more), **options)


if __name__ == "__main__":
    main()
