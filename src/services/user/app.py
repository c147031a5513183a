"""The user service as an application."""

from __future__ import annotations

import os
from typing import Any

from services.database import Database
from services.user.feed import SqlFeed
from services.user.schema import METADATA
from services.user.service import UserService
from services.user.store import SqlStore
from services.user.v1.user_service_transcoder import register_user_service
from transcoder import EventStream, Gateway

DATABASE = "sqlite:///users.db"
DATABASE_VARIABLE = "USER_DATABASE"

EVENTS = {
    "services.user.v1.UserService.WatchUsers": EventStream(id="sequence", resume="after_sequence")
}
"""A browser whose connection breaks goes on after the last change that it saw."""


def create_app(database: str = "", **options: Any) -> Gateway:
    """Return the application; its lifespan opens and closes the database.

    Args:
        database: a URL; the default is the environment's USER_DATABASE, or a file in the working
            directory. Workers call this without arguments.
        options: more of the gateway's, as `policies`; the service does not know of them.

    Raises:
        ValueError: the URL is not one of a database that the service can use.
    """
    opened = Database(database or os.environ.get(DATABASE_VARIABLE) or DATABASE, METADATA)
    app = Gateway(lifespan=opened.lifespan, events=EVENTS, validate=True, **options)
    register_user_service(app, UserService(SqlStore(opened), SqlFeed(opened)))
    return app
