from __future__ import annotations

import pytest
from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.json_format import MessageToDict
from google.protobuf.message_factory import GetMessageClass

from transcoder.errors import InvalidRequest
from transcoder.query import QueryBinder
from transcoder.query_string import DEFAULT_LIMITS, parameters
from transcoder.system_parameters import (
    SystemParameters,
    check_system,
    system_names,
    system_parameters,
)

INT = SystemParameters(enum_numbers=True, alt="json")


@pytest.fixture
def everything(protos: DescriptorPool) -> Descriptor:
    """The message with one field of each kind."""
    return protos.FindMessageTypeByName("everything.v1.Everything")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (b"", SystemParameters()),
        (b"x=1", SystemParameters()),
        (b"$alt=json", SystemParameters(alt="json")),
        (b"%24alt=json%3Benum-encoding%3Dint", INT),
        (b"alt=json;enum-encoding=int", INT),
        (b"$alt=proto", SystemParameters(alt="proto")),
        (b"alt=sse", SystemParameters(alt="sse")),
        (b"$prettyPrint=false", SystemParameters(pretty_print=False)),
        (b"prettyPrint=1&fields=a,b(c)", SystemParameters(pretty_print=True, fields="a,b(c)")),
    ],
)
def test_system_parameters(
    everything: Descriptor, query: bytes, expected: SystemParameters
) -> None:
    """System parameters are read in both spellings, and bind nothing."""
    names = system_names(everything)
    message = GetMessageClass(everything)()
    QueryBinder(everything, system=names, unknown="ignore")(message, query)

    assert system_parameters(parameters(query, DEFAULT_LIMITS), names) == expected
    assert not message.ListFields()


@pytest.mark.parametrize("query", ["alt=media", "$alt=xml", "$prettyPrint=yes"])
def test_refuses_system_parameter(everything: Descriptor, query: str) -> None:
    """A system parameter that would not be honoured is refused."""
    pairs = parameters(query.encode(), DEFAULT_LIMITS)
    with pytest.raises(InvalidRequest) as refused:
        system_parameters(pairs, system_names(everything))

    assert refused.value.field == query.partition("=")[0]
    with pytest.raises(InvalidRequest):
        check_system(*query.split("="))


def test_field_with_the_name_of_a_system_parameter(protos: DescriptorPool) -> None:
    """A bare name is the message's field when it has one; with $ it is Google's."""
    message = protos.FindMessageTypeByName("everything.v1.SystemNames")
    names = system_names(message)

    assert names == {"$alt", "$fields", "$prettyPrint", "prettyPrint"}
    bound = GetMessageClass(message)()
    QueryBinder(message, system=names)(bound, b"alt=media&$alt=json")
    assert MessageToDict(bound) == {"alt": "media"}
