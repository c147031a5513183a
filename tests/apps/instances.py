"""Values that fit the schemas of a document, for Hypothesis to choose from."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
_TIMES = st.datetimes().map(lambda time: f"{time.isoformat()}Z")
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**31), 2**31) | _TEXT,
    lambda inside: st.lists(inside, max_size=2) | st.dictionaries(_TEXT, inside, max_size=2),
    max_leaves=4,
)
_DURATION = {"@type": "type.googleapis.com/google.protobuf.Duration", "value": "1.5s"}
_DEPTH = 2


def instances(
    made: dict[str, Any], schema: dict[str, Any], depth: int = 0
) -> st.SearchStrategy[Any]:
    """Return what makes values of a schema that the gateway's documents may hold."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return instances(made, made["components"]["schemas"][name], depth)
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    kinds = schema.get("type", "any")
    if isinstance(kinds, list):
        plain = {**schema, "type": kinds[0]}
        return st.none() | instances(made, plain, depth)
    if kinds == "object":
        return _objects(made, schema, depth)
    return _lists(made, schema, depth) if kinds == "array" else _scalars(kinds, schema)


def _lists(made: dict[str, Any], schema: dict[str, Any], depth: int) -> st.SearchStrategy[Any]:
    if not schema["items"]:
        return st.lists(_JSON, max_size=2)
    if depth >= _DEPTH:
        return st.just([])
    return st.lists(instances(made, schema["items"], depth + 1), max_size=2)


def _scalars(kind: str, schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    if kind == "integer":
        return st.integers(schema["minimum"], schema["maximum"])
    if kind == "number":
        width = 32 if schema["format"] == "float" else 64
        return st.floats(allow_nan=False, allow_infinity=False, width=width)  # type: ignore[arg-type]
    if kind == "string":
        if schema.get("format") == "date-time":
            return _TIMES
        if "pattern" in schema:
            return st.from_regex(schema["pattern"].replace("$", r"\Z"), fullmatch=True)
        return _TEXT.filter(lambda text: len(text) >= schema.get("minLength", 0))
    return {"boolean": st.booleans(), "null": st.none()}.get(kind, _JSON)


def _objects(made: dict[str, Any], schema: dict[str, Any], depth: int) -> st.SearchStrategy[Any]:
    properties = schema.get("properties", {})
    if "@type" in properties:
        return st.just(_DURATION)
    if not properties:
        return _maps(made, schema, depth)
    required = set(schema.get("required", ()))
    rivals = [each["required"][0] for each in schema.get("oneOf", ()) if "required" in each]
    if depth >= _DEPTH:
        properties = {name: inside for name, inside in properties.items() if name in required}
    parts = {name: instances(made, inside, depth + 1) for name, inside in properties.items()}
    alone = {name: part for name, part in parts.items() if name not in rivals}
    optional = {name: part for name, part in alone.items() if name not in required}
    fixed = st.fixed_dictionaries(
        {name: part for name, part in alone.items() if name in required}, optional=optional
    )
    choices = [st.just({})] + [
        st.fixed_dictionaries({name: parts[name]}) for name in rivals if name in parts
    ]
    return st.tuples(fixed, st.one_of(*choices)).map(lambda both: {**both[0], **both[1]})


def _maps(made: dict[str, Any], schema: dict[str, Any], depth: int) -> st.SearchStrategy[Any]:
    values = schema.get("additionalProperties")
    if values is True:
        return st.dictionaries(_TEXT, _JSON, max_size=2)
    if not isinstance(values, dict) or depth >= _DEPTH:
        return st.just({})
    names = instances(made, {"type": "string", **schema.get("propertyNames", {})})
    # It is another spelling of 0, and a map takes no key twice.
    names = names.filter(lambda name: name != "-0")
    return st.dictionaries(names, instances(made, values, depth + 1), max_size=2)
