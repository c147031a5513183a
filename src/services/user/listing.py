"""From the request of ListUsers to a query, and from its result to a page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from services.user import page_token
from services.user.filter import (
    FIELDS,
    Comparison,
    Kind,
    Order,
    QueryError,
    Value,
    parse_filter,
    parse_order,
)
from services.user.refusal import Violation, invalid
from services.user.store import Query
from services.user.v1.user_service_pb2 import ListUsersRequest, ListUsersResponse, User

PAGE_SIZE = 50
PAGE_SIZE_LIMIT = 1000
PAGE_BYTES = 2 << 20
"""Where a page ends early; a gRPC client takes 4 MiB unless told otherwise."""

_DEFAULT_ORDER = (Order(field="create_time"),)


def query_of(request: ListUsersRequest) -> Query:
    """Return the query of a request; its limit is one more than the page has, to see a next one.

    Raises:
        Refused: a field is not as it must be; all such fields are named.
    """
    violations: list[Violation] = []
    conditions: Sequence[Comparison] = ()
    order: Sequence[Order] = ()
    try:
        conditions = parse_filter(request.filter)
    except QueryError as error:
        violations.append(Violation("filter", str(error)))
    try:
        order = _total(parse_order(request.order_by) or _DEFAULT_ORDER)
    except QueryError as error:
        violations.append(Violation("order_by", str(error)))
    if violations:
        raise invalid(*violations)
    size = min(request.page_size or PAGE_SIZE, PAGE_SIZE_LIMIT)
    after = _position(request, order) if request.page_token else ()
    return Query(conditions=conditions, order=order, after=after, limit=size + 1)


def page_of(request: ListUsersRequest, query: Query, users: Sequence[User]) -> ListUsersResponse:
    """Return the page of a query's result."""
    shown = list(_fitting(users[: query.limit - 1]))
    token = ""
    if len(shown) < len(users):
        position = [_value(shown[-1], order.field) for order in query.order]
        token = page_token.encode(position, request.filter, request.order_by)
    return ListUsersResponse(users=shown, next_page_token=token)


def _total(order: tuple[Order, ...]) -> tuple[Order, ...]:
    if any(field.field == "id" for field in order):
        return order
    # In the direction of the field before, an index on both serves either way.
    return (*order, Order(field="id", descending=order[-1].descending))


def _position(request: ListUsersRequest, order: Sequence[Order]) -> tuple[Value, ...]:
    fields = [field.field for field in order]
    try:
        return page_token.decode(request.page_token, fields, request.filter, request.order_by)
    except ValueError as error:
        raise invalid(Violation("page_token", str(error))) from None


def _value(user: User, field: str) -> Value:
    if FIELDS[field] is Kind.TIME:
        time: int = getattr(user, field).ToMicroseconds()
        return time
    value: Value = getattr(user, field)
    return value


def _fitting(users: Sequence[User]) -> Iterator[User]:
    size = 0
    for user in users:
        size += user.ByteSize()
        if size > PAGE_BYTES and user is not users[0]:
            return
        yield user
