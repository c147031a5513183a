"""Serve the inventory over REST and gRPC: `python -m services.inventory`."""

from __future__ import annotations

from typing import Any

import click

from services import command
from services.inventory.app import DATABASE, create_app


@click.command(context_settings={"auto_envvar_prefix": "INVENTORY"})
@command.options(http=":8081", grpc=":50052", database=DATABASE)
@command.option("--order", default="order", help="Whose certificate may reserve and release.")
@command.option("--keeper", default="warehouse", help="Whose certificate may set the stock.")
def main(database: str, order: str, keeper: str, **options: Any) -> None:
    """Serve items, stock and reservations over REST and gRPC, to clients with certificates."""
    command.run(lambda **more: create_app(database, order=order, keeper=keeper, **more), **options)


if __name__ == "__main__":
    main()
