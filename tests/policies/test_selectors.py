from __future__ import annotations

import pytest

from transcoder.call_details import CallDetails
from transcoder.errors import ConfigError
from transcoder.path_template import PathTemplate
from transcoder.policies.selectors import Choices, Selectors

METHOD = "shop.v1.Orders.GetOrder"


def selects(text: str, *templates: str) -> bool:
    """Say whether one selector means METHOD, which has these paths."""
    return Selectors("public", [text]).selects(METHOD, list(map(PathTemplate.parse, templates)))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("shop.v1.Orders.GetOrder", True),
        ("shop.v1.Orders.*", True),
        ("shop.v1.*", True),
        ("shop.*", True),
        ("*", True),
        ("shop.v1.Orders.Get", False),
        # A service's name is no prefix of another's.
        ("shop.v1.Order.*", False),
        ("shop.v1.Orders", False),
        ("Orders.GetOrder", False),
    ],
)
def test_names(text: str, wanted: bool) -> None:  # noqa: FBT001  a column of the table
    """A name means the method, or all below it."""
    assert selects(text) is wanted


@pytest.mark.parametrize(
    ("text", "template", "wanted"),
    [
        ("/v1/orders/*", "/v1/orders/{id}", True),
        ("/v1/**", "/v1/orders/{id}", True),
        ("/v1/**", "/v1/orders/{id}:cancel", True),
        ("/v1/**", "/v1/{name=**}", True),
        ("/v1/**", "/v1", True),
        ("/**", "/v1/orders", True),
        ("/v1/orders/{id}", "/v1/orders/{order.id}", True),
        ("/v1/orders/{id}:cancel", "/v1/orders/{id}:cancel", True),
        ("/v1/**/items", "/v1/orders/{id}/items", True),
        ("/v1/*", "/v1/orders/{id}", False),
        ("/v2/**", "/v1/orders/{id}", False),
        ("/v1/orders", "/v1/orders/{id}", False),
        ("/v1/orders:list", "/v1/orders:drop", False),
        ("/v1/orders", "/v1/orders:drop", False),
    ],
)
def test_paths(text: str, template: str, wanted: bool) -> None:  # noqa: FBT001  as above
    """A path means a method whose paths it fits."""
    assert selects(text, template) is wanted


@pytest.mark.parametrize(
    ("text", "template"),
    [
        ("/v1/orders/new", "/v1/orders/{id}"),
        ("/v1/orders/*", "/v1/{name=**}"),
        ("/v1/*/new", "/v1/orders/{id}"),
        ("/v1/orders/**", "/{name=**}"),
        ("/v1/orders/x:cancel", "/v1/orders/{id}"),
    ],
)
def test_some_paths(text: str, template: str) -> None:
    """A path that fits only some of a method's paths is an error that names both."""
    with pytest.raises(ConfigError, match=r"public: .* means some of the paths of shop\.v1"):
        selects(text, template)


def test_some_bindings() -> None:
    """So is one that fits one of a method's templates and not another."""
    with pytest.raises(ConfigError, match="name the method instead"):
        selects("/v1/**", "/v1/orders/{id}", "/orders/{id}")


@pytest.mark.parametrize(
    ("text", "path", "wanted"),
    [
        ("/docs", "/docs", True),
        ("/static/**", "/static/a/b.css", True),
        ("/static/**", "/static/%61", True),
        ("*", "/anything", True),
        ("/docs", "/docs/", False),
        ("/docs", "/doc", False),
        # What is malformed is never meant.
        ("/static/**", "/static/../admin", False),
        ("/static/**", "/static/%zz", False),
        ("shop.v1.*", "/shop.v1", False),
    ],
)
def test_other_paths(text: str, path: str, wanted: bool) -> None:  # noqa: FBT001  as above
    """A path of no method is compared as it is routed."""
    assert Selectors("public", [text]).selects_path(path) is wanted


@pytest.mark.parametrize(
    ("texts", "problem"),
    [
        ("shop.*", "public 'shop.*': a sequence is expected"),
        (["shop..v1"], "public: 'shop..v1' names no method, service, package or path"),
        (["shop.v*"], "public: 'shop.v*' names no method"),
        ([""], "public: '' names no method"),
        (["/v1/{a"], "column"),
    ],
)
def test_malformed(texts: object, problem: str) -> None:
    """What is no selector is an error at start."""
    with pytest.raises(ConfigError) as caught:
        Selectors("public", texts)  # type: ignore[arg-type]
    assert problem in str(caught.value)


def test_nothing_meant() -> None:
    """A name that no method has is an error at start."""
    with pytest.raises(ConfigError, match=r"public: no method here fits shop\.v2\.\*"):
        Selectors("public", ["shop.v2.*"]).check({METHOD: []})


def of(choices: Choices[str], method: str = "", path: str = "") -> tuple[str, ...]:
    """Return what a call has of some choices."""
    return choices.of(CallDetails("http", method=method, path=path))


def test_choices() -> None:
    """A method has all values whose selectors mean it, in their order, on whichever path."""
    choices = Choices("require", {"/v1/orders/**": "a", "shop.*": "b", "shop.v1.Carts.*": "c"})
    other = "shop.v1.Carts.GetCart"
    choices.compile({METHOD: [PathTemplate.parse("/v1/orders/{id}")], other: []})

    assert of(choices, method=METHOD, path=f"/{METHOD}") == ("a", "b")
    assert of(choices, method=other, path="/v1/orders/x") == ("b", "c")


def test_choices_of_paths() -> None:
    """A path of no method has values of its own, a method that came later those of its name."""
    choices = Choices("require", {"/docs": "a", "*": "b", METHOD: "c"})
    choices.compile({METHOD: []})

    assert of(choices, path="/docs") == ("a", "b")
    assert of(choices, path="/elsewhere") == ("b",)
    assert of(choices, method="shop.v1.Late.Get", path="/docs") == ("b",)
    assert of(choices, method="shop.v1.Late.Get", path="/docs") == ("b",)


def test_no_choices() -> None:
    """Without any, no call has a value."""
    assert of(Choices("require", {}), method=METHOD) == ()


def test_choices_of_nothing() -> None:
    """A selector that means no method is an error at start."""
    choices = Choices("require", {"shop.v1.Order.*": "a"})
    with pytest.raises(ConfigError, match=r"require: no method here fits shop.v1.Order.\*"):
        choices.compile({METHOD: []})
