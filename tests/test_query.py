from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from cost import BOUND, cost
from transcoder.errors import InvalidRequest
from transcoder.query import QueryBinder
from transcoder.query_string import DEFAULT_LIMITS, QueryLimits


@pytest.fixture
def everything(protos: DescriptorPool) -> Descriptor:
    """The message with one field of each kind."""
    return protos.FindMessageTypeByName("everything.v1.Everything")


def bind(message: Descriptor, query: str, **options: Any) -> Any:
    """Return a message with what the query says."""
    bound = GetMessageClass(message)()
    QueryBinder(message, **options)(bound, query.encode())
    return bound


def refusal(message: Descriptor, query: str, **options: Any) -> tuple[str, str]:
    """Return the field and the problem of a query that is refused."""
    with pytest.raises(InvalidRequest) as refused:
        bind(message, query, **options)
    return refused.value.field, refused.value.problem


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("int32_value=5&stringValue=x", {"int32_value": 5, "string_value": "x"}),
        ("string_value=a+b%20c%2B", {"string_value": "a b c+"}),
        ("string%5Fvalue=x", {"string_value": "x"}),
        ("string_value=%C3%A4ä", {"string_value": "ää"}),
        ("string_value=a=b==", {"string_value": "a=b=="}),
        ("string_value=%2500", {"string_value": "%00"}),  # decoded once
        ("optional_string=", {"optional_string": ""}),
        ("optional_string", {"optional_string": ""}),  # as HTML forms have it
        ("int32_list=1&stringValue=x&int32List=2", {"int32_list": [1, 2], "string_value": "x"}),
        ("child.child.bool_value=true", {"child": {"child": {"bool_value": True}}}),
        ("string_map[a.b]=1&stringMap[c]=2", {"string_map": {"a.b": "1", "c": "2"}}),
        ("string_map%5Ba%5D=1", {"string_map": {"a": "1"}}),  # most clients encode brackets
        ("child.int_map[-1]=2", {"child": {"int_map": {-1: 2}}}),
        (
            "choice_child.int32_value=1&choice_child.string_value=x",
            {"choice_child": {"int32_value": 1, "string_value": "x"}},
        ),
        ("enum_value=RED&enum_list=GREEN&enum_list=1", {"enum_value": 1, "enum_list": [2, 1]}),
        # Parts of well-known values, in whatever order.
        ("time.nanos=5&time.seconds=-1", {"time": {"seconds": -1, "nanos": 5}}),
        ("duration.nanos=-1&duration.seconds=-1", {"duration": {"seconds": -1, "nanos": -1}}),
        ("mask.paths=a_b&mask.paths=c", {"mask": {"paths": ["a_b", "c"]}}),
        ("int32_wrapper.value=5", {"int32_wrapper": {"value": 5}}),
        ("value.number_value=5", {"value": {"number_value": 5}}),
        ("child.time.seconds=1", {"child": {"time": {"seconds": 1}}}),
        ("", {}),
        ("&&&", {}),
        ("=x&=", {}),
    ],
)
def test_binds(everything: Descriptor, query: str, expected: dict[str, Any]) -> None:
    """A parameter is a field by its path, its values in order."""
    assert bind(everything, query) == GetMessageClass(everything)(**expected)


@pytest.mark.parametrize(
    ("query", "field", "problem"),
    [
        ("int32_valeu=1", "int32_valeu", "no such field; did you mean int32_value?"),
        ("child.boolvalue=1", "child.boolvalue", "no such field; did you mean bool_value?"),
        ("zzz", "zzz", "no such field"),
        ("int32_value=1&int32_value=2", "int32_value", "too many values: this field takes one"),
        ("int32_value=1&int32Value=1", "int32Value", "too many values: this field takes one"),
        ("string_map[a]=1&string_map[a]=2", "string_map[a]", "too many values: this key takes one"),
        ("int32_value.x=1", "int32_value.x", "int32_value is not a message"),
        ("child_list.class=1", "child_list.class", "child_list is not a message"),
        ("child=x", "child", "child is a message: set its fields one by one"),
        ("string_map=x", "string_map", "string_map is a map: write string_map[key]=value"),
        ("int32_list[0]=1", "int32_list[0]", "int32_list is not a map"),
        ("string_value[0]=1", "string_value[0]", "string_value is not a map"),
        ("child_map[a]=1", "child_map[a]", "child_map holds messages: send it in the body"),
        (
            "choice_int=1&choice_string=x",
            "choice_string",
            "only one of choice_int and choice_string may be set",
        ),
        ("string_value=%ff", "", "the query is not UTF-8"),
        ("string_value=%zz", "", "the query holds a % without two hexadecimal digits behind it"),
        ("string_value=%4", "", "the query holds a % without two hexadecimal digits behind it"),
        ("string_value=\0", "", "the query holds a NUL"),
    ],
)
def test_refuses(everything: Descriptor, query: str, field: str, problem: str) -> None:
    """A parameter that does not fit is told by its name."""
    assert refusal(everything, query) == (field, problem)


@pytest.mark.parametrize(
    ("query", "field", "problem"),
    [
        ("value.number_value=NaN", "value.number_value", "Value"),
        ("value.number_value=-Infinity", "value.number_value", "Value"),
        ("time.seconds=999999999999999", "time.seconds", "Timestamp"),
        ("time.nanos=-1", "time.nanos", "Timestamp"),
        ("duration.seconds=1&duration.nanos=-1", "duration.nanos", "Duration"),
        ("child.duration.nanos=1000000000", "child.duration.nanos", "Duration"),
        ("mask.paths=aB&mask.paths=b", "mask.paths", "FieldMask"),
        ("choice_time.seconds=-62135596801", "choice_time.seconds", "Timestamp"),
    ],
)
def test_parts_that_do_not_fit(
    everything: Descriptor, query: str, field: str, problem: str
) -> None:
    """A value in parts is looked at as a whole, for JSON has to have a form for it."""
    assert refusal(everything, query) == (field, f"its parts make no {problem}")


@pytest.mark.parametrize(
    "keys",
    [
        ("string_wrapper", "string_wrapper.value"),
        ("time", "time.seconds"),
        ("mask", "mask.paths"),
        ("child.mask", "child.mask.paths"),
        ("struct", "struct.fields[a]"),
        ("value", "value.struct_value.fields[a]"),
        ("value.struct_value", "value.struct_value.fields[a]"),
    ],
)
def test_whole_beside_parts(everything: Descriptor, keys: tuple[str, str]) -> None:
    """A well-known value is said once: whole, or in parts."""
    whole = {"time": "1970-01-01T00:00:00Z", "struct": "{}", "value": "{}"}
    said = [f"{key}={whole.get(key, '{}' if 'struct' in key else '1')}" for key in keys]
    for pairs in (said, said[::-1]):
        field, problem = refusal(everything, "&".join(pairs))
        assert (field, problem) == (
            pairs[1].partition("=")[0],
            "too many values: this field takes one, or its parts",
        )


@pytest.mark.parametrize(
    "query", ["any.type_url=http://169.254.169.254/x", "any.value=AA==", "child.any.type_url=x"]
)
def test_parts_of_any(everything: Descriptor, query: str) -> None:
    """The type of an Any is only said by JSON, where it is looked for."""
    assert refusal(everything, query)[1] == (
        "any holds a message of any type, which only a JSON body says"
    )


def test_many_parts_cost_little(everything: Descriptor) -> None:
    """A value is looked at once, however many parts it has."""
    query = "&".join(["mask.paths=a"] * 600)

    assert cost(lambda: bind(everything, query)) < BOUND


def test_map_in_a_oneof(everything: Descriptor) -> None:
    """A map of a oneof's member is set, or refused beside another member."""
    assert bind(everything, "choice_child.string_map[a]=1").choice_child.string_map["a"] == "1"
    _, problem = refusal(everything, "choice_int=1&choice_child.string_map[a]=1")
    assert problem == "only one of choice_int and choice_child may be set"


def test_refuses_raw_bytes(everything: Descriptor) -> None:
    """Bytes that are not UTF-8 are refused unencoded too."""
    with pytest.raises(InvalidRequest, match="not UTF-8"):
        QueryBinder(everything)(GetMessageClass(everything)(), b"string_value=\xff")


def test_unknown_can_be_ignored(everything: Descriptor) -> None:
    """Unknown keys of any shape say nothing, when the profile has it so."""
    query = "zzz=1&zzz=2&child.zzz=1&filter[x][y]=1&__proto__=1&int32_value=5"

    assert bind(everything, query, unknown="ignore").int32_value == 5


def test_known_field_is_not_ignored(everything: Descriptor) -> None:
    """A key that goes on behind a scalar is wrong even where unknown keys are not."""
    field, _ = refusal(everything, "int32_value.x=1", unknown="ignore")

    assert field == "int32_value.x"


def test_ignored_keys(everything: Descriptor) -> None:
    """Listed keys say nothing, repeated or not, even if a field has their name."""
    query = "utm_source=a&utm_source=b&int32_value=5"

    assert not bind(everything, query, ignored={"utm_source", "int32_value"}).ListFields()


@pytest.mark.parametrize(
    "query", ["child.string_value=q", "child.stringValue=q", "child.child.int32_value=x"]
)
def test_bound_fields(everything: Descriptor, query: str) -> None:
    """A key at or under a bound field says nothing, right or wrong."""
    bound = {("child", "string_value"), ("child", "child")}

    assert not bind(everything, query, bound=bound).ListFields()


def test_beside_a_bound_field(everything: Descriptor) -> None:
    """The neighbours of a bound field are bound by the query."""
    bound = {("child", "string_value")}

    assert bind(everything, "child.class=q", bound=bound).child.ListFields()


def test_body_only(everything: Descriptor) -> None:
    """Where the body holds all fields, a parameter is told to go there."""
    field, problem = refusal(everything, "int32_value=1", body_only=True, ignored={"key"})

    assert field == "int32_value"
    assert problem == "this method takes its fields from the body: send it there"
    assert not bind(everything, "key=1&&", body_only=True, ignored={"key"}).ListFields()


def test_keys_are_kept_up_to_a_limit(everything: Descriptor) -> None:
    """A key behind the limit of kept setters is bound, and counted, all the same."""
    limits = QueryLimits(compiled=0)

    assert bind(everything, "int32_value=1", limits=limits).int32_value == 1
    _, problem = refusal(everything, "int32_value=1&int32Value=1", limits=limits)
    assert problem == "too many values: this field takes one"


def test_depth_limit(everything: Descriptor) -> None:
    """A key has at most 32 names."""
    deepest = "child." * 31 + "int32_value=1"

    assert bind(everything, deepest).HasField("child")
    _, problem = refusal(everything, f"child.{deepest}")
    assert problem == "over 32 names in one path"


UNKNOWN = "".join(f"&x{number}=1" for number in range(1_001))


@pytest.mark.parametrize(
    ("query", "field"),
    [
        pytest.param(UNKNOWN, "", id="29"),
        pytest.param("&i=1" * 10_000, "", id="29 as sent"),
        pytest.param(".".join("abcde" * 20), ".".join("abcde" * 20)[:64], id="30"),
        pytest.param("a." * 4_000, ("a." * 4_000)[:64], id="30 deeper"),
        pytest.param("child." * 200 + "class=1", ("child." * 200)[:64], id="31"),
        pytest.param("z" * 1_000, "z" * 64, id="32"),
        pytest.param("int32_value=1&int32_value=2", "int32_value", id="33"),
        pytest.param("&string_map[k]=v" * 1_001, "", id="34"),
        *(
            pytest.param(f"string_map{rest}=1", f"string_map{rest}", id=f"35 {rest}")
            for rest in ("[", "[]", "[a]b", "[a][b]", "[a", "[a]]", "[[a]")
        ),
        *(
            pytest.param(f"{name}=1", name, id=f"36 {name}")
            for name in ("__proto__", "DESCRIPTOR", "SerializeToString", "_fields", "__class__")
        ),
        *(
            pytest.param(f"int32_value={text}", "int32_value", id=f"37 {text}")
            for text in ("+1", "%2B1", "1_000", "٣", "%201", "0x10", "1e2")
        ),
        *(
            pytest.param(f"double_value={text}", "double_value", id=f"38 {text}")
            for text in ("nan", "1e400", "inf", "-inf")
        ),
        *(
            pytest.param(f"bool_value={text}", "bool_value", id=f"39 {text}")
            for text in ("TRUE", "yes", "")
        ),
        pytest.param("bytes_value=*%26^", "bytes_value", id="40"),
        pytest.param("bytes_value=+/8", "bytes_value", id="40 plus"),
        pytest.param("enum_value=red", "enum_value", id="41"),
        pytest.param("time=", "time", id="42"),
        pytest.param("time=10000-01-01T00:00:00Z", "time", id="42 year"),
        pytest.param("string_value=%00", "", id="43"),
        pytest.param("string%00value=1", "", id="43 key"),
        pytest.param("%ff=1", "", id="43 ff"),
        pytest.param("choice_int=1&choice_child.class=x", "choice_child.class", id="45"),
        pytest.param("int32_value=1;b=2", "int32_value", id="46"),
    ],
)
def test_catalogue(everything: Descriptor, query: str, field: str) -> None:
    """Each bad query is refused in short words and little time, naming the parameter."""
    limits = QueryLimits(size=200_000)

    def refused() -> InvalidRequest:
        with pytest.raises(InvalidRequest) as caught:
            bind(everything, query, limits=limits)
        return caught.value

    error = refused()
    assert error.field == field
    assert len(error.status.message) < 200
    assert cost(refused) < BOUND


def test_separators_cost_little(everything: Descriptor) -> None:
    """Forty thousand empty parameters are nothing, in little time; a semicolon is text."""
    query = "&&&&" * 10_000 + "string_value=1;b=2"
    limits = QueryLimits(size=50_000)

    assert bind(everything, query, limits=limits).string_value == "1;b=2"
    assert cost(lambda: bind(everything, query, limits=limits)) < BOUND


def test_many_unknown_ones_cost_little(everything: Descriptor) -> None:
    """A thousand unknown parameters are ignored in little time."""
    query = UNKNOWN[: DEFAULT_LIMITS.size].rpartition("&")[0]

    assert cost(lambda: bind(everything, query, unknown="ignore")) < BOUND
