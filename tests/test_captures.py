from __future__ import annotations

import pytest

from transcoder.captures import captures
from transcoder.path_template import PathTemplate


@pytest.mark.parametrize(
    ("template", "path", "values"),
    [
        ("/a/b", "/a/b", ()),
        ("/a/{x}", "/a/1", ("1",)),
        ("/{x}/a/{y}", "/1/a/2", ("1", "2")),
        ("/a/{x=b/*}", "/a/b/1", ("b/1",)),
        ("/{x=a/*}/{y}", "/a/1/2", ("a/1", "2")),
        ("/a/{x=**}", "/a", ("",)),
        ("/a/{x=**}", "/a/1/2", ("1/2",)),
        ("/{x=a/**}/{y}/{z=c/*}", "/a/1/2/3/c/4", ("a/1/2", "3", "c/4")),  # counted from the end
        ("/{x}/**/{y}", "/1/2", ("1", "2")),
    ],
)
def test_values(template: str, path: str, values: tuple[str, ...]) -> None:
    """Each variable holds the segments that it stands for."""
    assert captures(PathTemplate.parse(template))(path.split("/")) == values
