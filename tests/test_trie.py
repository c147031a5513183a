from __future__ import annotations

from transcoder.path_template import PathTemplate
from transcoder.trie import Node, fitting, samples


def trie(*texts: str) -> Node[str]:
    root: Node[str] = Node()
    for text in texts:
        template = PathTemplate.parse(text)
        root.place(template.segments)[template.verb] = text
    return root


def test_all_that_fits_in_order() -> None:
    """Everything that fits is found, the most specific first."""
    texts = ["/a/b", "/a/*", "/a/**/b", "/a/**/*", "/a/**", "/*/b", "/*/*", "/*/**", "/**/b", "/**"]

    assert fitting(trie(*texts[::-1], "/a", "/a/b/c", "/b/**"), ["", "a", "b"], "") == texts


def test_verb() -> None:
    """Only templates of the verb that is asked for fit."""
    assert fitting(trie("/a", "/a:v", "/**:v"), ["", "a"], "v") == ["/a:v", "/**:v"]


def test_nothing_fits() -> None:
    """A path without a template finds nothing, whether it ends too early or leaves the trie."""
    root = trie("/a/b", "/a/*/c", "/a/**/d/*/e")

    assert [fitting(root, keys, "") for keys in (["", "a"], ["", "x"], ["", "a", "d", "e"])] == [
        [],
        [],
        [],
    ]


def test_samples() -> None:
    """A template has a sample of each length that other templates may have."""
    segments = PathTemplate.parse("/a/**/*").segments
    paths = ["/".join(keys) for keys in samples(segments, 1)]

    assert paths == ["/a/\0", "/a/\0/\0", "/a/\0/\0/\0"]
