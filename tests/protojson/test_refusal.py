import pytest
from google.api import distribution_pb2, http_pb2, httpbody_pb2, metric_pb2, monitored_resource_pb2
from google.logging.type import http_request_pb2
from google.protobuf import type_pb2, wrappers_pb2
from google.protobuf.message import Message

from transcoder.protojson.refusal import refusal

RULE = http_pb2.HttpRule
DISTRIBUTION = distribution_pb2.Distribution
METRIC = metric_pb2.MetricDescriptor
REQUEST = http_request_pb2.HttpRequest
RESOURCE = monitored_resource_pb2.MonitoredResource
METADATA = monitored_resource_pb2.MonitoredResourceMetadata


@pytest.mark.parametrize(
    ("message_class", "data", "field", "problem"),
    [
        (RULE, b"[]", "", "expected an object, got an array"),
        (RULE, b'"x"', "", "expected an object, got a string"),
        (RULE, b"null", "", "expected an object, got null"),
        (RULE, b'{"get": 1}', "get", "expected a string, got a number"),
        (RULE, b'{"nope": 1}', "nope", "no such field"),
        (
            RULE,
            b'{"responsebody": ""}',
            "responsebody",
            "no such field; did you mean responseBody?",
        ),
        (RULE, b'{"body": "a", "body": "b"}', "body", "given twice, as body before"),
        (
            RULE,
            b'{"responseBody": "a", "response_body": "b"}',
            "response_body",
            "given twice, as responseBody before",
        ),
        (RULE, b'{"get": "a", "put": "b"}', "put", "only one of get and put may be set"),
        (
            RULE,
            b'{"additionalBindings": [{}, {"custom": {"kind": 1}}]}',
            "additionalBindings[1].custom.kind",
            "expected a string, got a number",
        ),
        (
            RULE,
            b'{"additionalBindings": {}}',
            "additionalBindings",
            "expected an array, got an object",
        ),
        (RULE, b'{"get": "\\ud800"}', "get", "holds half of a surrogate pair"),
        (DISTRIBUTION, b'{"count": true}', "count", "expected a 64-bit integer, got a boolean"),
        (DISTRIBUTION, b'{"count": "x"}', "count", "expected a 64-bit integer"),
        (DISTRIBUTION, b'{"count": 1.5}', "count", "expected a 64-bit integer"),
        (
            DISTRIBUTION,
            b'{"count": 9223372036854775808}',
            "count",
            "expected a 64-bit integer, from -9223372036854775808 to 9223372036854775807",
        ),
        (DISTRIBUTION, b'{"mean": "x"}', "mean", "expected a number"),
        (DISTRIBUTION, b'{"mean": []}', "mean", "expected a number, got an array"),
        (
            DISTRIBUTION,
            b'{"bucketCounts": ["1", null]}',
            "bucketCounts[1]",
            "expected a 64-bit integer, got null",
        ),
        (
            DISTRIBUTION,
            b'{"exemplars": [{"timestamp": "today"}]}',
            "exemplars[0].timestamp",
            "expected an RFC 3339 time such as 2026-01-31T12:00:00Z",
        ),
        (
            DISTRIBUTION,
            b'{"exemplars": [{"timestamp": 5}]}',
            "exemplars[0].timestamp",
            "expected an RFC 3339 time such as 2026-01-31T12:00:00Z, got a number",
        ),
        (
            DISTRIBUTION,
            b'{"exemplars": [{"attachments": [{"a": 1}]}]}',
            "exemplars[0].attachments[0]",
            'expected an object with the "@type" of a known message, and its fields',
        ),
        (
            METRIC,
            b'{"metricKind": "GAUGEE"}',
            "metricKind",
            "no such value of MetricKind; did you mean GAUGE?",
        ),
        (
            METRIC,
            b'{"metricKind": true}',
            "metricKind",
            "expected a name or number of MetricKind, got a boolean",
        ),
        (METRIC, b'{"metricKind": 4294967296}', "metricKind", "expected a number of MetricKind"),
        (REQUEST, b'{"cacheHit": 1}', "cacheHit", "expected true or false, got a number"),
        (
            REQUEST,
            b'{"status": 2147483648}',
            "status",
            "expected a 32-bit integer, from -2147483648 to 2147483647",
        ),
        (REQUEST, b'{"latency": "1"}', "latency", "expected a duration in seconds such as 1.5s"),
        (RESOURCE, b'{"labels": []}', "labels", "expected an object, got an array"),
        (RESOURCE, b'{"labels": {"a": 1}}', "labels.a", "expected a string, got a number"),
        (METADATA, b'{"systemLabels": []}', "systemLabels", "expected a Struct, got an array"),
        (httpbody_pb2.HttpBody, b'{"data": "a*b="}', "data", "expected base64"),
        (
            httpbody_pb2.HttpBody,
            b'{"data": "abcde"}',
            "data",
            "expected base64, and this one ends early",
        ),
        (wrappers_pb2.Int32Value, b'"x"', "", "expected a 32-bit integer"),
        (type_pb2.Field, b'{"number": {}}', "number", "expected a 32-bit integer, got an object"),
    ],
)
def test_problem(message_class: type[Message], data: bytes, field: str, problem: str) -> None:
    """The first place that does not fit is named, with what was expected there."""
    error = refusal(data, message_class)

    assert (field, problem) == (error.field, error.problem)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "not JSON: line 1, column 1: expecting value"),
        (b'{\n"get": }', "not JSON: line 2, column 8: expecting value"),
        (b'{"get": "\xff"}', "the JSON is not UTF-8: bad byte at offset 9"),
        (b"[" * 100_000, "not JSON of this message: nested over 100 levels deep"),
        (b'{"additionalBindings":[' * 150 + b"]}" * 150, "nested over 100 levels deep"),
    ],
    ids=["empty", "cut", "UTF-8", "brackets", "messages"],
)
def test_not_json(data: bytes, problem: str) -> None:
    """What is no JSON document is told by line and column, or by offset."""
    assert problem == refusal(data, RULE).problem


def test_values_are_not_echoed() -> None:
    """However long and secret a value is, the error does not hold it."""
    data = b'{"count": "' + b"secret" * 100_000 + b'"}'

    error = refusal(data, DISTRIBUTION)

    assert "secret" not in error.status.message
    assert len(error.status.to_json()) < 2048


def test_fields_are_not_listed() -> None:
    """An unknown field does not tell the names of the others."""
    message = refusal(b'{"xyz": 1}', RULE).status.message

    assert message == "xyz: no such field"


def test_ignored_unknown_fields() -> None:
    """When unknown fields are ignored, the next problem is told."""
    error = refusal(b'{"xyz": 1, "get": 2}', RULE, ignore_unknown=True)

    assert error.field == "get"
