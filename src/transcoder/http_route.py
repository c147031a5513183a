"""A route as text, for the tables of generated modules and those who read them."""

from __future__ import annotations

from typing import NamedTuple


class HttpRoute(NamedTuple):
    """A row of a generated table: what `google.api.http` says of one binding of a method.

    Args:
        method: as HTTP spells it, or `*` for any.
        template: the path, such as `/v1/users/{id}`.
        rpc: the method's full name.
        body: the field that the body fills, by its proto name; `*` for the whole request but what
            the path has; nothing if there is no body.
        response_body: the field of the reply that is the whole answer; nothing for all of it.
    """

    method: str
    template: str
    rpc: str
    body: str = ""
    response_body: str = ""
