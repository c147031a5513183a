"""The user service as an application."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import AsyncIterator
from typing import Any

from services.user.database import Database, Unavailable
from services.user.feed import SqlFeed
from services.user.service import UserService
from services.user.store import SqlStore
from services.user.v1.user_service_transcoder import register_user_service
from transcoder import ConfigError, EventStream, Gateway

DATABASE = "sqlite:///users.db"
DATABASE_VARIABLE = "USER_DATABASE"

EVENTS = {
    "services.user.v1.UserService.WatchUsers": EventStream(id="sequence", resume="after_sequence")
}
"""A browser whose connection breaks goes on after the last change that it saw."""

_log = logging.getLogger(__name__)


def create_app(database: str = "", **options: Any) -> Gateway:
    """Return the application; its lifespan opens and closes the database.

    Args:
        database: a URL; the default is the environment's USER_DATABASE, or a file in the working
            directory. Workers call this without arguments.
        options: more of the gateway's, as `policies`; the service does not know of them.

    Raises:
        ValueError: the URL is not one of a database that the service can use.
    """
    opened = Database(database or os.environ.get(DATABASE_VARIABLE) or DATABASE)

    @contextlib.asynccontextmanager
    async def lifespan(_: object) -> AsyncIterator[None]:
        try:
            await opened.open()
        except Unavailable as error:
            _log.debug("the database cannot be opened", exc_info=error)
            # The one kind that the server tells as it stands.
            raise ConfigError(str(error)) from None
        try:
            yield
        finally:
            await opened.close()

    app = Gateway(lifespan=lifespan, events=EVENTS, validate=True, **options)
    register_user_service(app, UserService(SqlStore(opened), SqlFeed(opened)))
    return app
