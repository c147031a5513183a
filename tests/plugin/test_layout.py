from __future__ import annotations

import ast
import subprocess
import sys
from itertools import product

import pytest

from transcoder.plugin.layout import assignment, call, comment, docstring, imported, literal

LENGTHS = (1, 20, 26, 30, 31, 32, 33, 34, 45, 80, 81, 95, 110)


def test_as_ruff_formats() -> None:
    """What is laid out here stays as it is under `ruff format`, whatever its length."""
    lines: list[str] = []
    for length, indent in product(LENGTHS, (0, 1)):
        name = "n" * length
        lines += ["if True:"] if indent else []
        lines += call(f"{name}(", [f"{name}1", name, "c=1"], ")", indent)
        lines += assignment("add", f"{name}.{name}", indent)
        lines += docstring(f'{name}\n\n    "{name}"', indent)
        lines += call("x = [", [literal(name), literal(f"2{name}")], "]", indent)
        lines += imported(f"a.{name}", name) if not indent else []
    text = "\n".join([*lines, ""])
    formatted = subprocess.run(
        [sys.executable, "-m", "ruff", "format", "--isolated", "--line-length=100", "-"],
        input=text,
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    code = [line for line in formatted.splitlines() if line]
    assert code == [line for line in lines if line]


ODD = [
    *("One.\n\tTwo.", "One.\n  Two.\n    Three.", "One.\r\nTwo.", "\tTabs\tin it.\t"),
    *(
        "One.\n\u00a0\u00a0Two.",
        "Form\ffeed.",
        "A bell\a.",
        "One.\x85Two.\u2028Three.",
        "End.\u00a0",
    ),
    *('"""', '""""', '\\"""', '"One" and "two"', "\\", "\\N{x} \\u12 \\d", "图书馆🎉", "x" * 120),
    *("# noqa", "fmt: off", "fmt: skip", "type: ignore", "-", "a\n\n\n\nb", " a\u00a0", "a  \nb  "),
]
"""What comments have in them, and a formatter, or Python, would have otherwise."""


def test_odd_comments_as_ruff_formats() -> None:
    """Docstrings and comments stay as they are under `ruff format`, whatever is said in them."""
    lines: list[str] = []
    for text in ODD:
        said = [*docstring(f"Told.\n\n{text}", 1), *comment(text, 1)]
        lines += ["def f() -> None:", *said, "    f()"]
    text = "\n".join([*lines, ""])
    formatted = subprocess.run(
        [sys.executable, "-m", "ruff", "format", "--isolated", "--line-length=100", "-"],
        input=text.encode(),
        capture_output=True,
        check=True,
    ).stdout

    code = [line for line in formatted.decode().split("\n") if line]
    assert code == [line for line in text.split("\n") if line]


@pytest.mark.parametrize(
    "text",
    [
        "Plain.",
        'Ends with "quotes"',
        'Has """ in it.',
        "A \\d and more.",
        "Ends with a backslash \\",
        'Both """ and \\n.',
        "Two\n\nparagraphs with \\w.",
        "Ünïcödé 🎉.",
    ],
)
def test_docstrings_say_what_they_were_given(text: str) -> None:
    """Whatever a comment has in it, the docstring reads as it did."""
    read: str = ast.literal_eval("\n".join(docstring(text)))

    assert read.strip() == text


@pytest.mark.parametrize("text", ["/v1", 'a"b', "a'b", "a\"b'c", "a\\b", "é"])
def test_literals_say_what_they_were_given(text: str) -> None:
    """A literal is the string that it was made of."""
    assert ast.literal_eval(literal(text)) == text


def test_comments_are_wrapped() -> None:
    """A comment is the first paragraph, in lines of 100 columns."""
    lines = comment("word " * 40 + "\n\nMore.", 1)

    assert len(lines) == 3
    assert all(line.startswith("    # word") and len(line) <= 100 for line in lines)


def test_no_comment() -> None:
    """Nothing said is no comment."""
    assert comment("") == []


@pytest.mark.parametrize("word", ["type", "fmt", "noqa"])
def test_comments_are_no_directives(word: str) -> None:
    """A comment that begins as those of tools do is none of theirs."""
    assert comment(f"{word}: off") == [f"# {word} : off"]
