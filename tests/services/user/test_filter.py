from __future__ import annotations

import pytest

from services.user.filter import (
    Comparison,
    Order,
    QueryError,
    Value,
    parse_filter,
    parse_order,
)


@pytest.mark.parametrize(
    ("text", "field", "operator", "value"),
    [
        ("name = ann", "name", "=", "ann"),
        ('name="ann lee"', "name", "=", "ann lee"),
        (r'name : "a\"b\\c"', "name", ":", r'a"b\c'),
        ('name = ""', "name", "=", ""),
        ('name = "AND"', "name", "=", "AND"),
        ("email=ann@example.com", "email", "=", "ann@example.com"),
        ("role != ROLE_ADMIN", "role", "!=", 3),
        ("quota_bytes>=-9223372036854775808", "quota_bytes", ">=", -(1 << 63)),
        ('create_time < "1970-01-01T01:00:00.000001+01:00"', "create_time", "<", 1),
    ],
)
def test_reads_a_comparison(text: str, field: str, operator: str, value: Value) -> None:
    """A comparison gives field, operator and a value of the field's kind."""
    assert (Comparison(field=field, operator=operator, value=value),) == parse_filter(text)


@pytest.mark.parametrize("text", ["", "  \n"])
def test_an_empty_filter_has_no_comparison(text: str) -> None:
    """Every user meets an empty filter."""
    assert parse_filter(text) == ()


@pytest.mark.parametrize(
    ("text", "column", "problem"),
    [
        ("size = 1", 1, "not one of the fields"),
        ("name", 5, "expected an operator"),
        ("name =", 7, "expected a value"),
        ("name = a b", 10, "expected AND"),
        ("name = a OR name = b", 10, "expected AND"),
        ("name = a AND", 13, "expected a comparison"),
        ("AND name = a", 1, "not one of the fields"),
        ('name = "a', 8, "the quote is not closed"),
        ("(name = a)", 1, "unexpected character"),
        ("role : ROLE_ADMIN", 6, "role is compared with = !="),
        ("role = ADMIN", 8, "expected one of ROLE_UNSPECIFIED, ROLE_VIEWER"),
        ("quota_bytes = 1.5", 15, "a whole number"),
        ("quota_bytes = 9223372036854775808", 15, "of 64 bits"),  # 2 ** 63
        ("quota_bytes = ٣", 15, "a whole number"),  # a digit, but not of ASCII
        ("create_time > yesterday", 15, "expected a time"),
        ('create_time > "2026-02-30T00:00:00Z"', 15, "expected a time"),
        ('name = "a\0"', 10, "NUL"),  # PostgreSQL has no such text
        ("x" * 1001, 1001, "more than 1000 characters"),
        (" AND ".join(["id = x"] * 17), 183, "at most 16 comparisons"),
    ],
)
def test_a_wrong_filter_is_told_with_its_column(text: str, column: int, problem: str) -> None:
    """The error says where and what, and never repeats the text."""
    with pytest.raises(QueryError, match=problem) as caught:
        parse_filter(text)

    assert column == caught.value.column


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        ("name", (Order(field="name"),)),
        ("name asc", (Order(field="name"),)),
        (
            "create_time desc,name",
            (Order(field="create_time", descending=True), Order(field="name")),
        ),
    ],
)
def test_reads_an_order(text: str, expected: tuple[Order, ...]) -> None:
    """Fields are ascending unless they say otherwise."""
    assert expected == parse_order(text)


@pytest.mark.parametrize(
    ("text", "column", "problem"),
    [
        ("name,", 6, "expected a field"),
        (",name", 1, "expected a field"),
        ("name DESC", 6, "expected a comma"),
        ("name, id, name desc", 11, "name is named twice"),
        ("tags", 1, "not one of the fields"),
    ],
)
def test_a_wrong_order_is_told_with_its_column(text: str, column: int, problem: str) -> None:
    """The error says where and what."""
    with pytest.raises(QueryError, match=problem) as caught:
        parse_order(text)

    assert column == caught.value.column
