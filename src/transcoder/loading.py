"""Applications by the names of where they are."""

from __future__ import annotations

import importlib
import logging
import operator

from transcoder.errors import ConfigError
from transcoder.gateway import Gateway

_log = logging.getLogger(__name__)


def load(app: Gateway | str) -> Gateway:
    """Return the gateway that `app` is, or names as "module:attribute".

    Raises:
        ConfigError: there is no such module or attribute, it fails, or it is no gateway.
    """
    if isinstance(app, Gateway):
        return app
    module, colon, attribute = app.partition(":")
    if not (module and colon and attribute):
        raise ConfigError(f"{app!r} is no import string: write 'package.module:app'")
    try:
        found = operator.attrgetter(attribute.removesuffix("()"))(importlib.import_module(module))
        loaded = found() if callable(found) and not isinstance(found, Gateway) else found
    except ConfigError:
        raise
    except Exception as error:
        _log.debug("%s cannot be loaded", app, exc_info=error)
        raise ConfigError(f"{app} cannot be loaded: {type(error).__name__}: {error}") from error
    if not isinstance(loaded, Gateway):
        raise ConfigError(f"{app} is of type {type(loaded).__name__}, not a Gateway")
    return loaded
