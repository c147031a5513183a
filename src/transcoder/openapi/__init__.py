"""OpenAPI 3.1 of the running routes: `document`, and its text as JSON and YAML.

Everything is computed from the routes, descriptors and options that answer the requests, so that
nothing is described that is not done. Comments come from elsewhere: see `transcoder.comments`.
"""

from __future__ import annotations

from transcoder.openapi.bodies import Serving
from transcoder.openapi.document import Document, document, to_json, to_yaml

__all__ = ["Document", "Serving", "document", "to_json", "to_yaml"]
