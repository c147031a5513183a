"""Documents: what they ask for, and with which variables. GraphQL's own parser reads them.

What a schema knows is checked where there is one. Without it, a type that GraphQL does not bring
along may be anything, and it is the backend that knows better.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from transcoder.errors import ConfigError
from transcoder.values import suggestion

try:
    import graphql
except ImportError as missing:
    raise ImportError(f"{missing.name} is missing: install transcoder[graphql]") from missing

InputType: TypeAlias = "graphql.GraphQLInputType"
Schema: TypeAlias = "graphql.GraphQLSchema"


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable of an operation.

    Args:
        name: without its dollar sign.
        type: of its values.
        required: whether it must have one: it may not be null, and has no default.
    """

    name: str
    type: InputType
    required: bool


@dataclass(frozen=True, slots=True)
class Document:
    """An operation of a document.

    Args:
        text: the whole document.
        operation: its name; empty where it has none.
        kind: what it does.
        variables: by their names.
        selections: what it asks for.
        fragments: of the document, by name.
    """

    text: str
    operation: str
    kind: Literal["query", "mutation"]
    variables: Mapping[str, Variable]
    selections: graphql.SelectionSetNode
    fragments: Mapping[str, graphql.SelectionSetNode]

    def check_answer(self, path: str) -> None:
        """Check that a part of the data is asked for.

        Args:
            path: names with dots between them, as the reply has them; empty for all of the data.

        Raises:
            ConfigError: it is not.
        """
        found = [self.selections]
        for name in path.split(".") if path else ():
            fields = list(self._fields(found, set()))
            names = [(each.alias or each.name).value for each in fields]
            if name not in names:
                hint = suggestion(name, names)
                raise ConfigError(f"answer {path!r}: the document asks for no {name!r}{hint}")
            found = [
                each.selection_set
                for each, own in zip(fields, names, strict=True)
                if own == name and each.selection_set
            ]

    def _fields(
        self, selections: Iterable[graphql.SelectionSetNode], seen: set[str]
    ) -> Iterator[graphql.FieldNode]:
        for each in itertools.chain.from_iterable(found.selections for found in selections):
            if isinstance(each, graphql.FieldNode):
                yield each
            elif isinstance(each, graphql.InlineFragmentNode):
                yield from self._fields([each.selection_set], seen)
            elif isinstance(each, graphql.FragmentSpreadNode):
                name = each.name.value
                if name not in seen and name in self.fragments:
                    seen.add(name)
                    yield from self._fields([self.fragments[name]], seen)


def read_schema(text: str, name: str = "sdl") -> Schema:
    """Return the schema that a text describes, in GraphQL's schema definition language.

    Args:
        text: all of it.
        name: of the file, for messages.

    Raises:
        ConfigError: it is none, with line and column where they are known.
    """
    try:
        schema = graphql.build_schema(text)
        wrong = graphql.validate_schema(schema)
    except graphql.GraphQLError as error:
        raise _wrong(error, name) from None
    except TypeError as error:
        raise ConfigError(f"{name}: {error}") from None
    if wrong:
        raise _wrong(wrong[0], name)
    return schema


def read_document(
    text: str, name: str = "document", *, operation: str = "", schema: Schema | None = None
) -> Document:
    """Return an operation of a document.

    Args:
        text: of the document.
        name: of its file, for messages.
        operation: which one; empty where there is one alone.
        schema: of the backend; None where it is not known.

    Raises:
        ConfigError: the document is wrong, with line and column; there is no such operation, or it
            is a subscription.

    >>> found = read_document("query One($id: ID!) { user(id: $id) { name } }")
    >>> found.operation, found.kind, str(found.variables["id"].type)
    ('One', 'query', 'ID!')
    """
    try:
        parsed = graphql.parse(text)
    except graphql.GraphQLError as error:
        raise _wrong(error, name) from None
    if schema is not None:
        wrong = graphql.validate(schema, parsed, max_errors=1)
        if wrong:
            raise _wrong(wrong[0], name)
    chosen = _chosen(parsed, name, operation)
    if chosen.operation is graphql.OperationType.SUBSCRIPTION:
        raise ConfigError(f"{name}: a subscription has no answer to a request of REST")
    fragments = {
        each.name.value: each.selection_set
        for each in parsed.definitions
        if isinstance(each, graphql.FragmentDefinitionNode)
    }
    return Document(
        text,
        chosen.name.value if chosen.name else "",
        "query" if chosen.operation is graphql.OperationType.QUERY else "mutation",
        {each.name: each for each in _variables(chosen, schema)},
        chosen.selection_set,
        fragments,
    )


def _chosen(
    parsed: graphql.DocumentNode, name: str, operation: str
) -> graphql.OperationDefinitionNode:
    found = [
        each for each in parsed.definitions if isinstance(each, graphql.OperationDefinitionNode)
    ]
    names = [each.name.value for each in found if each.name]
    if not found:
        raise ConfigError(f"{name}: there is no operation in it")
    if operation:
        for each in found:
            if each.name and each.name.value == operation:
                return each
        hint = suggestion(operation, names)
        raise ConfigError(f"{name}: no operation is named {operation!r}{hint}")
    if len(found) > 1:
        raise ConfigError(f"{name}: operation is to name one of {', '.join(names)}")
    return found[0]


def _variables(
    operation: graphql.OperationDefinitionNode, schema: Schema | None
) -> Iterator[Variable]:
    for each in operation.variable_definitions or ():
        type_ = _type(each.type, schema)
        required = graphql.is_non_null_type(type_) and each.default_value is None
        yield Variable(each.variable.name.value, type_, required)


def _type(node: graphql.TypeNode, schema: Schema | None) -> InputType:
    if isinstance(node, graphql.NonNullTypeNode):
        inner: Any = _type(node.type, schema)
        return graphql.GraphQLNonNull(inner)
    if isinstance(node, graphql.ListTypeNode):
        return graphql.GraphQLList(_type(node.type, schema))
    assert isinstance(node, graphql.NamedTypeNode)  # noqa: S101  the grammar has no fourth
    name = node.name.value
    known = graphql.specified_scalar_types.get(name)
    if known is None and schema is not None:
        found = schema.type_map[name]
        assert graphql.is_input_type(found)  # noqa: S101  the document is valid
        return found
    return known or graphql.GraphQLScalarType(name)


def _wrong(error: graphql.GraphQLError, name: str) -> ConfigError:
    told = error.message.removeprefix("Syntax Error: ")
    place = f":{error.locations[0].line}:{error.locations[0].column}" if error.locations else ""
    return ConfigError(f"{name}{place}: {told}")
