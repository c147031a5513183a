"""What the variables of a template hold, cut out of a path that it fits."""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter

from transcoder.path_template import PathTemplate

Captures = Callable[[list[str]], tuple[str, ...]]
"""The segments of a path, behind an empty one, to the values of a template's variables."""


def captures(template: PathTemplate) -> Captures:
    """Compile what cuts the values of a template's variables out of a split path.

    >>> captures(PathTemplate.parse("/v1/{parent=a/*}/{id}"))(["", "v1", "a", "b", "7"])
    ('a/b', '7')
    """
    places = _places(template)
    if not places:
        return lambda _: ()
    first = places[0]
    start = first.start
    match [variable.multi for variable in template.variables]:
        case [True]:
            return lambda keys: ("/".join(keys[first]),)
        case [False]:
            return lambda keys: (keys[start],)
        case multis if not any(multis):
            return itemgetter(*[place.start for place in places])
        case _:
            return lambda keys: tuple(["/".join(keys[place]) for place in places])


def _places(template: PathTemplate) -> tuple[slice, ...]:
    """Return where each variable lies in a split path; behind `**` it is counted from the end."""
    deep = len(template.segments) if template.deep is None else template.deep
    places = []
    for variable in template.variables:
        start, end = variable.start + 1, variable.end + 1
        if variable.start > deep:
            start -= len(template.segments) + 1
        if variable.end > deep:
            end -= len(template.segments) + 1
        places.append(slice(start, end or None))
    return tuple(places)
