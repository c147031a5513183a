"""Text and JSON, as values of GraphQL's types.

What is sent is JSON, as the backend reads it: text becomes the number or the truth value that it
spells, and enums and scalars of a schema's own stay text. What is checked here is what the client
can mend; the rest is the backend's to refuse.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import graphql
from google.protobuf.wrappers_pb2 import BoolValue, DoubleValue, Int32Value

from transcoder.errors import ConfigError, InvalidRequest
from transcoder.graphql_upstream.document import InputType
from transcoder.values import NON_FINITE, BadValue, Read, scalar, suggestion

ReadAll = Callable[[Sequence[str]], Any]
"""Texts to one value; raises BadValue."""

BODY: Final = "body"
"""What all of a body is called."""

_number: Final = scalar(DoubleValue.DESCRIPTOR.fields_by_name["value"])


def _float(text: str) -> Any:
    # JSON has no such numbers.
    if text in NON_FINITE:
        raise BadValue("expected a number")
    return _number(text)


_READERS: Final[Mapping[str, Read]] = {
    "Int": scalar(Int32Value.DESCRIPTOR.fields_by_name["value"]),
    "Float": _float,
    "Boolean": scalar(BoolValue.DESCRIPTOR.fields_by_name["value"]),
}


def text_reader(type_: InputType) -> ReadAll:
    """Return what makes a value of this type, of one text or of several.

    Args:
        type_: of a variable.

    Raises:
        ConfigError: no text makes such a value: it is an object, or a list of lists.

    >>> text_reader(graphql.GraphQLList(graphql.GraphQLInt))(["1", "2"])
    [1, 2]
    """
    nullable = graphql.get_nullable_type(type_)
    if graphql.is_list_type(nullable):
        read = _reader(graphql.get_nullable_type(nullable.of_type))
        return lambda texts: [read(text) for text in texts]
    return functools.partial(_one, _reader(nullable))


def _one(read: Read, texts: Sequence[str]) -> Any:
    if len(texts) > 1:
        raise BadValue("too many values: one is expected")
    return read(texts[0])


def _reader(type_: Any) -> Read:
    if graphql.is_enum_type(type_):
        return functools.partial(_member, type_)
    if graphql.is_scalar_type(type_):
        return _READERS.get(type_.name, str)
    raise ConfigError(f"text makes no {type_}: take it from the body")


def _member(type_: graphql.GraphQLEnumType, text: str) -> str:
    if text not in type_.values:
        raise BadValue(f"no such value of {type_.name}{suggestion(text, type_.values)}")
    return text


def check(value: Any, type_: InputType, at: str) -> None:
    """Check JSON against a type, as GraphQL coerces values of variables.

    Args:
        value: as it came.
        type_: of the variable, or of the part of it.
        at: the value's name, for the client; empty for all of the body.

    Raises:
        InvalidRequest: it is no value of the type; names the part, and never says what it is.
    """
    if graphql.is_non_null_type(type_):
        if value is None:
            raise _refusal(f"expected {type_}, not null", at)
        type_ = type_.of_type
    if value is None:
        return
    if graphql.is_list_type(type_):
        _check_list(value, type_.of_type, at)
    elif graphql.is_input_object_type(type_):
        _check_object(value, type_, at)
    elif graphql.is_enum_type(type_):
        _check_member(value, type_, at)
    elif graphql.is_scalar_type(type_) and graphql.is_specified_scalar_type(type_):
        try:
            type_.parse_value(value)
        except graphql.GraphQLError:
            # Its text tells the value, which may be a secret in the wrong place.
            raise _refusal(f"expected {type_}", at) from None


def _check_list(value: Any, type_: InputType, at: str) -> None:
    if isinstance(value, list):
        for index, each in enumerate(value):
            check(each, type_, f"{at}[{index}]")
    else:
        # One value stands for a list of one.
        check(value, type_, at)


def _check_member(value: Any, type_: graphql.GraphQLEnumType, at: str) -> None:
    if not isinstance(value, str):
        raise _refusal(f"expected a value of {type_}", at)
    try:
        _member(type_, value)
    except BadValue as error:
        raise _refusal(str(error), at) from None


def _check_object(value: Any, type_: graphql.GraphQLInputObjectType, at: str) -> None:
    if not isinstance(value, dict):
        raise _refusal(f"expected {type_}, an object", at)
    for name in value:
        if name not in type_.fields:
            hint = suggestion(name, type_.fields)
            raise _refusal(f"no such field of {type_}{hint}", member(at, name))
    if type_.is_one_of and len(value) != 1:
        raise _refusal(f"expected one field of {type_}", at)
    for name, field in type_.fields.items():
        if name in value:
            check(value[name], field.type, member(at, name))
        elif graphql.is_required_input_field(field):
            raise _refusal("is required", member(at, name))


def member(at: str, name: str) -> str:
    """Return the name of a part of what has a name, or of the whole body."""
    return f"{at}.{name}" if at else name


def _refusal(problem: str, at: str) -> InvalidRequest:
    return InvalidRequest(problem, at or BODY)
