"""The user service as an application."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator

from services.user.database import Database
from services.user.feed import SqlFeed
from services.user.service import UserService
from services.user.store import SqlStore
from services.user.v1.user_service_pb2_grpc import add_UserServiceServicer_to_server
from transcoder import Gateway

DATABASE = "sqlite:///users.db"
DATABASE_VARIABLE = "USER_DATABASE"


def create_app(database: str = "") -> Gateway:
    """Return the application; its lifespan opens and closes the database.

    Args:
        database: a URL; the default is the environment's USER_DATABASE, or a file in the working
            directory. Workers call this without arguments.

    Raises:
        ValueError: the URL is not one of a database that the service can use.
    """
    opened = Database(database or os.environ.get(DATABASE_VARIABLE) or DATABASE)

    @contextlib.asynccontextmanager
    async def lifespan(_: object) -> AsyncIterator[None]:
        await opened.open()
        try:
            yield
        finally:
            await opened.close()

    app = Gateway(lifespan=lifespan)
    servicer = UserService(SqlStore(opened), SqlFeed(opened))
    # A Gateway has what the generated function calls, and is none of the types that it names.
    add_UserServiceServicer_to_server(servicer, app)  # type: ignore[arg-type]
    return app
