"""The named schemas of a document: one for each message or enum and each view that differs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from transcoder.openapi.examples import PREFIX, Examples, Unexampled
from transcoder.openapi.scalars import Schema, View

_MERGED = (
    (View.CHANGE, View.REQUEST),
    (View.REQUEST, View.ANSWER),
    (View.CHANGE, View.ANSWER),
)


class Components:
    """Collects the schemas that others refer to.

    While a document is made, each schema is named by its view. At the end those that say the same
    become one, and what is left alone has the message's plain name.
    """

    def __init__(self) -> None:
        self._schemas: dict[str, dict[View, Schema]] = {}
        self._inline: list[tuple[Schema, View]] = []
        self._names: dict[str, str] = {}

    def ref(self, name: str, view: View, make: Callable[[], Schema]) -> Schema:
        """Return a reference to a schema, which is made when it is first referred to."""
        views = self._schemas.setdefault(name, {})
        if view not in views:
            views[view] = {}
            views[view].update(make())
        return {"$ref": f"{PREFIX}{name}{view.value}"}

    def inline(self, schema: Schema, view: View) -> Schema:
        """Return a schema without a name; it gets an example as those with names do."""
        self._inline.append((schema, view))
        return schema

    def finish(self) -> dict[str, Schema]:
        """Return the schemas by their names, sorted; call `rename` for all that refers to them."""
        for view, into in _MERGED:
            self._merge(view, into)
        found: dict[str, tuple[Schema, View]] = {}
        for name, views in self._schemas.items():
            for view, schema in views.items():
                final = name if len(views) == 1 else f"{name}{view.value}"
                self._names[f"{PREFIX}{name}{view.value}"] = f"{PREFIX}{final}"
                found[final] = schema, view
        schemas = {name: found[name][0] for name in sorted(found)}
        self.rename(schemas)
        self.rename([schema for schema, _ in self._inline])
        self._show(schemas, [*found.values(), *self._inline])
        return schemas

    def rename(self, tree: Any) -> None:
        """Give the references in a tree the names of what they refer to."""
        if isinstance(tree, dict):
            ref = tree.get("$ref")
            if isinstance(ref, str):
                tree["$ref"] = self._final(ref)
            for value in tree.values():
                self.rename(value)
        elif isinstance(tree, list):
            for value in tree:
                self.rename(value)

    def _final(self, ref: str) -> str:
        while self._names.get(ref, ref) != ref:
            ref = self._names[ref]
        return ref

    def _show(self, schemas: dict[str, Schema], shown: list[tuple[Schema, View]]) -> None:
        makers = {
            True: Examples(schemas, "writeOnly"),
            False: Examples(schemas, "readOnly"),
        }
        made: list[tuple[Schema, Any]] = []
        for schema, view in shown:
            if "properties" in schema and "examples" not in schema:
                try:
                    made.append((schema, makers[view is View.ANSWER](schema)))
                except Unexampled:
                    continue
        # Not before all are made: one that is shown goes before what its depth allows.
        for schema, example in made:
            if example:
                schema["examples"] = [example]

    def _merge(self, view: View, into: View) -> None:
        """Drop the schemas of a view that say what those of another one say."""
        alike = {name for name, views in self._schemas.items() if {view, into} <= views.keys()}
        while True:
            pairs = {f"{PREFIX}{name}{view.value}": f"{PREFIX}{name}{into.value}" for name in alike}
            other = {
                name
                for name in alike
                if not _same(self._schemas[name][view], self._schemas[name][into], pairs)
            }
            if not other:
                break
            alike -= other
        for name in alike:
            del self._schemas[name][view]
        self._names |= pairs


def _same(one: Any, other: Any, pairs: dict[str, str]) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(
            _same(value, other[key], pairs) for key, value in one.items()
        )
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(
            _same(first, second, pairs) for first, second in zip(one, other, strict=True)
        )
    return bool(one == other) or (isinstance(one, str) and pairs.get(one) == other)
