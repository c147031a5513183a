from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost import BOUND, cost
from transcoder.errors import ConfigError, InvalidRequest
from transcoder.path_template import Kind, PathTemplate, Segment
from transcoder.profile import Order, Unescape
from transcoder.route import Match, Miss, Route
from transcoder.routing import Router


def route(rule: str, name: str = "") -> Route[str]:
    method, text = rule.split(" ", 1)
    return Route(method, PathTemplate.parse(text), name or f"Svc.{rule}", rule)


def router(
    *rules: str, order: Order = "specificity", unescape: Unescape = "except-reserved"
) -> Router[str]:
    return Router([route(rule) for rule in rules], order=order, unescape=unescape)


def found(router: Router[str], method: str, path: str) -> tuple[str, tuple[str, ...]] | Miss:
    """What came out, by the rule's text."""
    match = router.match(method, path)
    return match if isinstance(match, Miss) else (match.route.endpoint, match.values)


# What fits


@pytest.mark.parametrize(
    ("text", "path", "values"),
    [
        ("/", "/", ()),
        ("/{n=**}", "/", ("",)),
        ("/v1/users/{id}", "/v1/users/42", ("42",)),
        ("/v1/{name=shelves/*}", "/v1/shelves/7", ("shelves/7",)),
        ("/v1/{a}/x/{b}", "/v1/1/x/2", ("1", "2")),
        ("/v1/{n=**}", "/v1", ("",)),  # `**` may be nothing,
        ("/v1/{n=**}", "/v1/a/b/c", ("a/b/c",)),
        ("/v1/**/x", "/v1/x", ()),  # in the middle too.
        ("/v1/{n=a/**/x}", "/v1/a/x", ("a/x",)),
        ("/v1/{p=d/**}/{c}", "/v1/d/x", ("d", "x")),
        ("/v1/{p=d/**}/{c}", "/v1/d/1/2/x", ("d/1/2", "x")),
        ("/v1/{a}/{p=**}/{b}/x/{c}", "/v1/1/2/3/4/x/5", ("1", "2/3", "4", "5")),
        ("/v1/{n=**}/x", "/v1/x/x/x", ("x/x",)),
        ("/v1/{id}:cancel", "/v1/7:cancel", ("7",)),
        ("/v1/{id}:a:b", "/v1/7:a:b", ("7",)),
        ("/v1/{id}:b", "/v1/7:a:b", ("7:a",)),  # Other colons are text,
        ("/v1/{id}", "/v1/7:a", ("7:a",)),  # and so are all before what is no verb.
        ("/v1/{n=**}:b", "/v1/x/y:b", ("x/y",)),
        ("/v1/{n=x/*}:b", "/v1/x/y:b", ("x/y",)),
        ("/v1/{id}", "/v1/x;admin=1", ("x;admin=1",)),  # Path parameters are not cut off.
        ("/v1/{id}", "/v1/.well-known", (".well-known",)),
        ("/v1/{id}", "/v1/...", ("...",)),
        ("/v1/caf%C3%A9", "/v1/caf%c3%a9", ()),  # Literals are compared decoded.
        ("/v1/a%3Ab", "/v1/a:b", ()),
        ("/v1/abc", "/v1/%61bc", ()),
        ("/v1/{a}:%76", "/v1/x:v", ("x",)),
        ("/v1/{a}:v", "/v1/x:%76", ("x",)),
    ],
)
def test_fits(text: str, path: str, values: tuple[str, ...]) -> None:
    """A template fits a path and binds its variables to parts of it."""
    assert found(router(f"GET {text}"), "GET", path) == (f"GET {text}", values)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("/", "/x"),
        ("/v1/x", "/v1"),
        ("/v1/x", "/v1/x/y"),
        ("/v1/items", "/V1/Items"),
        ("/v1/items", "/v1/items/"),  # A trailing slash is another path.
        ("/{a}/{b}", "/v1/"),
        ("/{n=**}", "/v1/"),
        ("/{a}", "//admin"),  # An empty segment is none,
        ("/{a}/{b}", "//admin"),
        ("/{n=**}", "//admin"),  # not even for `**`.
        ("/v1/{a}/x", "/v1//x"),
        ("/v1/**/x/*/y", "/v1/x/y"),
        ("/v1/{id}:cancel", "/v1/7"),
        ("/v1/{id}:cancel", "/v1/7:other"),
        ("/v1/{id}:cancel", "/v1/7%3Acancel"),  # An encoded colon is data.
        ("/v1/{id}:cancel", "/v1/:cancel"),
        ("/v1/{n=**}:cancel", "/v1/:cancel"),
        ("/v1/a/b", "/v1/a%2Fb"),  # And so is an encoded slash.
        ("/v1/x", "/v1%2Fx"),
        ("/v1/{a}:v", "/v1/a%2Fb"),
    ],
)
def test_fits_not(text: str, path: str) -> None:
    """A path that no template fits is missed, with no method to try."""
    assert router(f"GET {text}").match("GET", path) == Miss()


def test_verb_without_text_before_it() -> None:
    """A segment that is only a known verb fits nothing, not even as text."""
    routes = router("POST /v1/{id}:cancel", "GET /v1/{id}")

    assert routes.match("GET", "/v1/:cancel") == Miss()


# Which one wins


@pytest.mark.parametrize(
    ("rules", "path", "winner"),
    [
        (["/{a}", "/x"], "/x", "/x"),
        (["/{n=**}", "/{a}"], "/x", "/{a}"),
        (["/{n=**}", "/x"], "/x", "/x"),
        (["/x/{n=**}", "/x"], "/x", "/x"),
        (["/{n=**}", "/x/**"], "/x", "/x/**"),
        (["/{a}/y", "/x/{b}"], "/x/y", "/x/{b}"),  # The first difference from the left decides.
        (["/{a}/y", "/x/{b}/z"], "/x/y", "/{a}/y"),
        (["/x/y/z", "/{a}/y/{b}"], "/x/y/q", "/{a}/y/{b}"),  # Back from two literals.
        (["/{n=**}", "/x/y/z"], "/x/y/q", "/{n=**}"),
        (["/x/**", "/{a}/y"], "/x/y", "/x/**"),
        (["/v1/{p=logs/*}/entries", "/v1/{n=logs/*/entries/**}"], "/v1/logs/l/entries", 0),
        (["/v1/{p=logs/*}/entries", "/v1/{n=logs/*/entries/**}"], "/v1/logs/l/entries/e", 1),
        (["/{a=**}", "/{a=**}/x"], "/y/x", "/{a=**}/x"),
        (["/{a=**}", "/{a=**}/{b}"], "/y/x", "/{a=**}/{b}"),
        (["/{a=**}/{b}", "/{a=**}/x"], "/y/x", "/{a=**}/x"),
        (["/**/{b}/x", "/**/y/{c}"], "/y/x", "/**/{b}/x"),  # From the end behind the same `**`.
        (["/**/x", "/**/y/x"], "/y/x", "/**/y/x"),
        (["/{a}", "/{a}:v"], "/x:v", "/{a}:v"),
        (["/{a}", "/{a}:v"], "/x:w", "/{a}"),
        (["/{a}:v", "/{a}:w:v"], "/x:w:v", "/{a}:w:v"),  # The longer verb.
        (["/{a}:v", "/{a}:w:v"], "/x:y:v", "/{a}:v"),
        (["/{a}:v", "/{a}:w:v"], "/x:v:", None),
        (["/{a}:w:v", "/{b}"], "/x:v:", "/{b}"),
        (["/x/{a}", "/{n=**}:v"], "/x/y:v", "/{n=**}:v"),  # A verb is told before the trie.
        (["/{n=a:b}", "/{a}:b"], "/a%3Ab", "/{n=a:b}"),  # Without a verb, a literal with a colon.
    ],
)
def test_order(rules: list[str], path: str, winner: str | int | None) -> None:
    """The most specific template wins, in whatever order they were declared."""
    expected = rules[winner] if isinstance(winner, int) else winner
    for declared in (rules, rules[::-1]):
        match = router(*[f"GET {text}" for text in declared]).match("GET", path)

        assert (str(match.route.template) if isinstance(match, Match) else None) == expected


def test_method_takes_part_in_backtracking() -> None:
    """A more specific template that lacks the method is left for one that has it."""
    routes = router("POST /x/y", "PUT /x/{b}", "GET /{n=**}", "DELETE /{a}/y")

    assert found(routes, "GET", "/x/y") == ("GET /{n=**}", ("x/y",))
    assert found(routes, "DELETE", "/x/y") == ("DELETE /{a}/y", ("x",))
    assert found(routes, "PUT", "/x/y") == ("PUT /x/{b}", ("y",))


def test_verb_takes_part_in_backtracking() -> None:
    """A verb whose routes lack the method is read as text again."""
    routes = router("POST /v1/{id}:cancel", "GET /v1/{id}")

    assert found(routes, "GET", "/v1/x:cancel") == ("GET /v1/{id}", ("x:cancel",))


def test_miss_lists_all_methods_that_fit() -> None:
    """A miss under this method names those of all templates and readings that fit the path."""
    routes = router("POST /v1/{id}:cancel", "GET /v1/{id}", "PATCH /v1/**", "PUT /v2", "LOCK /v3")

    assert routes.match("DELETE", "/v1/x:cancel") == Miss(
        ("GET", "HEAD", "OPTIONS", "PATCH", "POST")
    )
    assert routes.match("GET", "/v2") == Miss(("OPTIONS", "PUT"))
    assert routes.match("get", "/v3") == Miss(("LOCK", "OPTIONS"))


def test_any_method() -> None:
    """A route under "*" answers every method that its template does not name."""
    routes = router("* /x", "GET /x", "PUT /y")

    assert found(routes, "PURGE", "/x") == ("* /x", ())
    assert found(routes, "GET", "/x") == ("GET /x", ())
    assert found(routes, "HEAD", "/x") == ("GET /x", ())


def test_head() -> None:
    """HEAD goes where GET goes, and to a HEAD route of the same template before."""
    routes = router("HEAD /x", "GET /x", "GET /y", "PUT /z")

    assert found(routes, "HEAD", "/x") == ("HEAD /x", ())
    assert found(routes, "HEAD", "/y") == ("GET /y", ())
    assert routes.match("HEAD", "/z") == Miss(("OPTIONS", "PUT"))


def test_options_route() -> None:
    """An OPTIONS route of its own is matched as any other."""
    assert found(router("OPTIONS /x", "GET /x"), "OPTIONS", "/x") == ("OPTIONS /x", ())


def test_last_wins() -> None:
    """Under "last-wins" the newest fitting route answers, however unspecific."""
    rules = ["GET /u/me", "GET /u/{id}", "POST /u/{id}", "GET /u/{id}:v", "GET /{n=**}:v", "GET /w"]
    routes = router(*rules, order="last-wins")

    assert found(routes, "GET", "/u/me") == ("GET /u/{id}", ("me",))
    assert found(routes, "GET", "/u/me:v") == ("GET /{n=**}:v", ("u/me",))
    assert found(routes, "GET", "/w") == ("GET /w", ())
    assert routes.match("PUT", "/u/me") == Miss(("GET", "HEAD", "OPTIONS", "POST"))


def test_last_wins_replaces_duplicates() -> None:
    """Under "last-wins" the same template may be declared by several methods."""
    same = [route("GET /u/{a}", "A"), route("GET /u/{b}", "B")]
    match = Router(same, order="last-wins").match("GET", "/u/1")

    assert isinstance(match, Match)
    assert match.route.name == "B"


def test_last_wins_matches_empty_segments() -> None:
    """Under "last-wins" an empty segment is a segment."""
    routes = router("GET /v1/{a}/x", "GET /v1/{b}", "GET /v2/{n=**}", order="last-wins")

    assert found(routes, "GET", "/v1//x") == ("GET /v1/{a}/x", ("",))
    assert found(routes, "GET", "/v1/") == ("GET /v1/{b}", ("",))
    assert found(routes, "GET", "/v2/a//") == ("GET /v2/{n=**}", ("a//",))


@pytest.mark.parametrize(
    ("path", "values"),
    [("/v1/x/", ("x",)), ("/v1/x//", ("x",)), ("/v1/x%20/", ("x ",)), ("/v1//x", None)],
)
def test_trailing_slash_dropped(path: str, values: tuple[str, ...] | None) -> None:
    """With "drop" empty segments at the end of a path are dropped, and only there."""
    match = Router([route("GET /v1/{a}")], trailing_slash="drop").match("GET", path)

    assert (match.values if isinstance(match, Match) else None) == values


def test_trailing_slash_of_the_root() -> None:
    """With "drop" a path of slashes is the root."""
    match = Router([route("GET /")], trailing_slash="drop").match("GET", "//")

    assert isinstance(match, Match)


# Errors at start


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("GET /v1/{a}", "GET /v1/{b}"),
        ("GET /v1/{name=users/*}", "GET /v1/users/{id}"),
        ("GET /v1/{a}:v", "GET /v1/*:v"),
        ("GET /a%3Ab", "GET /%61%3Ab"),
        ("GET /v1/{n=**}/x", "GET /v1/**/{b=x}"),
        ("* /v1", "* /v1"),
        ("HEAD /v1", "HEAD /v1"),
    ],
)
def test_duplicate(one: str, other: str) -> None:
    """Two routes of the same shape, method and verb are an error that names both."""
    with pytest.raises(ConfigError) as caught:
        Router([route(one, "pkg.A.One"), route(other, "pkg.B.Two")])

    assert str(caught.value) == (
        f"pkg.A.One ({one}) and pkg.B.Two ({other}) answer the same requests: remove one of them; "
        'conflicts="warn" makes this a warning'
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("GET /v1", "PUT /v1"),
        ("GET /v1", "* /v1"),
        ("GET /v1", "HEAD /v1"),
        ("GET /v1/{a}", "GET /v1/{a}:v"),
        ("GET /a:b", "GET /a%3Ab"),
        ("GET /v1/*", "GET /v1/%2A"),
        ("GET /v1/**", "GET /v1"),
        ("GET /v1/**", "GET /v1/*"),
    ],
)
def test_no_duplicate(one: str, other: str) -> None:
    """Routes that can be told apart are no duplicates."""
    assert len(router(one, other).routes) == 2


def test_duplicate_under_last_wins() -> None:
    """Under "last-wins" a method may still not declare the same template twice."""
    with pytest.raises(ConfigError, match="answer the same requests"):
        Router([route("GET /{a}", "A"), route("GET /{b}", "A")], order="last-wins")


@pytest.mark.parametrize("order", ["specificity", "last-wins"])
@pytest.mark.parametrize("reserved_first", [True, False])
def test_duplicate_of_a_reserved_route(order: Order, *, reserved_first: bool) -> None:
    """No route may be the twin of a reserved one, whichever is declared first."""
    health = dataclasses.replace(route("GET /healthz", "health"), reserved=True)
    routes = [health, route("GET /healthz", "Users.Get")]
    with pytest.raises(ConfigError, match=r"health.*Users\.Get|Users\.Get.*health"):
        Router(routes if reserved_first else routes[::-1], order=order)


def test_reserved_route_under_last_wins() -> None:
    """Under "last-wins" a newer route with wildcards does not take a reserved path."""
    health = dataclasses.replace(route("GET /healthz", "health"), reserved=True)
    match = Router([health, route("GET /{id}")], order="last-wins").match("GET", "/healthz")

    assert isinstance(match, Match)
    assert match.route.name == "health"


def test_all_conflicts() -> None:
    """A router that refuses nothing notes every conflict, and routes what is left."""
    rules = ["GET /a", "GET /{b}", "GET /a", "GET /a/{c=**}", "GET /{d}", "GET /a/{e}", "GET /x"]
    noting = Router([route(rule) for rule in rules], refuse=False)

    assert [(each.route.endpoint, each.other.endpoint, each.same) for each in noting.conflicts] == [
        ("GET /a", "GET /a", True),
        ("GET /{d}", "GET /{b}", True),
    ]
    assert found(noting, "GET", "/y") == ("GET /{b}", ("y",))


def test_an_unreachable_route_is_noted() -> None:
    """A route that another takes all paths of is a conflict as well."""
    routes = [route("GET /v1/{n=**}/x", "A"), route("GET /v1/{a}/{b=**}", "B")]
    (conflict,) = Router(routes, refuse=False).conflicts

    assert conflict == (*routes, False)


def test_noted_twins_of_one_name_under_last_wins() -> None:
    """Under "last-wins" the newer of two twins of one method answers, and the older is noted."""
    older, newer = route("GET /{a}", "A"), route("GET /{b}", "A")
    noting = Router([older, newer], order="last-wins", refuse=False)

    assert noting.conflicts == ((older, newer, True),)
    assert noting.conflicts[0].outcome == "A (GET /{a}) never answers: A (GET /{b}) does"
    assert found(noting, "GET", "/y") == ("GET /{b}", ("y",))


@pytest.mark.parametrize("order", ["specificity", "last-wins"])
@pytest.mark.parametrize("reserved_first", [True, False])
def test_noted_twin_of_a_reserved_route(order: Order, *, reserved_first: bool) -> None:
    """Of twins a reserved one answers, whichever is declared first."""
    health = dataclasses.replace(route("GET /healthz", "health"), reserved=True)
    twin = route("GET /healthz", "Users.Get")
    declared = [health, twin] if reserved_first else [twin, health]
    noting = Router(declared, order=order, refuse=False)

    assert noting.conflicts == ((twin, health, True),)
    assert noting.match("GET", "/healthz") == (health, ())


@pytest.mark.parametrize(
    ("path", "segments"),
    [
        ("/v1/users/a%20b", ["v1", "users", "a b"]),
        ("/v1/a%2Fb", ["v1", "a\0b"]),  # data, and no separator
        ("/", []),
        ("/v1/", None),
        ("//v1", None),
    ],
)
def test_segments(path: str, segments: list[str] | None) -> None:
    """The segments that templates are compared with are decoded."""
    assert router("GET /v1").segments(path) == segments


def test_unreachable() -> None:
    """A route all of whose paths go to one other is an error that names both."""
    with pytest.raises(ConfigError) as caught:
        Router([route("GET /v1/{n=**}/x", "A"), route("GET /v1/{a}/{b=**}", "B")])

    assert str(caught.value) == (
        "A (GET /v1/{n=**}/x) can never answer: B (GET /v1/{a}/{b=**}) takes all its paths; "
        'conflicts="warn" makes this a warning'
    )


def test_shadowed() -> None:
    """Published rules in which several routes shadow another load, and the router tells it."""
    documents = "/v1/{%s=projects/*/databases/*/documents"
    get = route(f"GET {documents % 'name'}/*/**}}")
    lists = [
        route(f"GET {documents % 'parent'}/*/**}}/{{collection_id}}"),
        route(f"GET {documents % 'parent'}}}/{{collection_id}}"),
    ]
    routes = Router([get, *lists])

    assert [(one.route, set(one.takers)) for one in routes.shadowed] == [(get, set(lists))]
    assert found(routes, "GET", "/v1/projects/p/databases/d/documents/users/ann/pets") == (
        lists[0].endpoint,
        ("projects/p/databases/d/documents/users/ann", "pets"),
    )


# Bad paths


@pytest.mark.parametrize("order", ["specificity", "last-wins"])
@pytest.mark.parametrize("unescape", ["except-reserved", "except-slash", "all", "legacy"])
@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("", "must start with '/'"),
        ("*", "must start with '/'"),  # OPTIONS * is the gateway's.
        ("v1/x", "must start with '/'"),
        ("http://evil/v1/x", "must start with '/'"),
        ("/v1/é", "not ASCII"),
        ("/v1/%zz", "malformed percent escape"),
        ("/v1/%", "malformed percent escape"),
        ("/v1/%4", "malformed percent escape"),
        ("/v1/%\uff14\uff11", "not ASCII"),
        ("/v1/a%00b", "NUL"),
        ("/v1/a\0b", "NUL"),
        ("/v1/%c0%af", "not UTF-8"),  # An overlong slash
        ("/v1/%ff%fe", "not UTF-8"),
        ("/v1/%ed%a0%80", "not UTF-8"),  # A surrogate
        ("/v1/%c3/%a9", "not UTF-8"),  # A character may not lie across segments.
        ("/v1/../admin", "dot segment"),
        ("/v1/./x", "dot segment"),
        ("/v1/..", "dot segment"),
        ("/v1/%2e%2e/admin", "dot segment"),
        ("/v1/.%2E/", "dot segment"),
        ("/v1/..%2fadmin", "dot segment"),
        ("/v1/a%2F..%2Fb", "dot segment"),
        ("/v1/..:v", "dot segment"),  # It would be one once the verb is cut off.
        ("/v1/%2e:v", "dot segment"),
        ("/v1/a%2f..:v", "dot segment"),
        ("//..", "dot segment"),
    ],
)
def test_bad_path(order: Order, unescape: Unescape, path: str, problem: str) -> None:
    """What no well-behaved client sends is refused, whether or not a route would fit."""
    for routes in (
        router("GET /v1/{n=**}", "GET /v1/{a}:v", "GET /{a}", order=order, unescape=unescape),
        router("GET /other", "GET /{a}:v", "GET /v1/{n=**}:v", order=order, unescape=unescape),
    ):
        with pytest.raises(InvalidRequest, match=problem):
            routes.match("GET", path)


# Decoding


@pytest.mark.parametrize(
    ("unescape", "value"),
    [
        ("except-reserved", "%2f%23/ %23"),
        ("except-slash", "%2f#/ %23"),
        ("all", "/#/ %23"),
        ("legacy", "/#/ %23"),
    ],
)
def test_unescape_multi(unescape: Unescape, value: str) -> None:
    """A variable of several segments keeps what its mode keeps; decoding is one pass."""
    routes = router("GET /v1/{n=**}", order="last-wins", unescape=unescape)

    assert found(routes, "GET", "/v1/%2f%23/%20%2523") == ("GET /v1/{n=**}", (value,))


RESERVED = "!#$&'()*+,/:;=?@[]"


def test_except_reserved_keeps_exactly_the_reserved() -> None:
    """RFC 6570's reserved characters stay encoded as they came, all others are decoded."""
    routes = router("GET /{n=**}/x")
    ascii_text = "".join(map(chr, range(1, 128)))
    encoded = "".join(f"%{ord(char):02x}" for char in ascii_text)
    kept = "".join(f"%{ord(char):02x}" if char in RESERVED else char for char in ascii_text)

    assert found(routes, "GET", f"/{encoded}/x") == ("GET /{n=**}/x", (kept,))


@pytest.mark.parametrize(
    ("unescape", "path", "values"),
    [
        ("except-reserved", "/v1/a%2Fb", ("a/b",)),  # One segment is decoded in full,
        ("except-slash", "/v1/a%2Fb%23", ("a/b#",)),
        ("all", "/v1/a%2fb", ("a/b",)),
        ("except-reserved", "/v1/a%252Fb", ("a%2Fb",)),  # but once.
        ("all", "/v1/a%252Fb", ("a%2Fb",)),
        ("legacy", "/v1/a%252Fb", ("a%2Fb",)),
        ("legacy", "/v1/a%25zz", ("a%zz",)),
        ("all", "/v1/a%2Fb", None),  # grpc-gateway splits at the upper-case spelling only,
        ("legacy", "/v1/a%2fb", None),  # and here at both.
        ("except-reserved", "/v1/a%0Ab", ("a\nb",)),
        ("except-reserved", "/v1/%E2%82%AC", ("€",)),
    ],
)
def test_unescape_single(unescape: Unescape, path: str, values: tuple[str, ...] | None) -> None:
    """A variable of one segment is decoded in full, once, behind the splitting."""
    match = router("GET /v1/{n}", unescape=unescape).match("GET", path)

    assert (match.values if isinstance(match, Match) else None) == values


def test_several_segments_without_deep_wildcard_keep_slashes() -> None:
    """In `{name=a/*}` an encoded slash stays, or the value could not be split again."""
    routes = router("GET /{name=a/*}")

    assert found(routes, "GET", "/a/b%2fc%20d") == ("GET /{name=a/*}", ("a/b%2fc d",))


def test_verb_behind_an_escape() -> None:
    """A verb is found behind a segment with escapes, which are decoded without it."""
    routes = router("GET /{a}:v", "GET /{n=x/**}:v")

    assert found(routes, "GET", "/a%20%2F:v") == ("GET /{a}:v", ("a /",))
    assert found(routes, "GET", "/x/a%2Fb:v") == ("GET /{n=x/**}:v", ("x/a%2Fb",))


def test_legacy_verb() -> None:
    """In legacy mode an encoded colon is a colon before anything looks at it."""
    routes = router("GET /{a}:v", unescape="legacy")

    assert found(routes, "GET", "/x%3Av") == ("GET /{a}:v", ("x",))


# Cost


def test_ten_thousand_segments() -> None:
    """A path of 10,000 segments costs little under `**`, and no template makes it more."""
    routes = router(
        "GET /{n=**}",
        "GET /{n=**}/a/a/a/b",
        "GET /a/{a}/a/{n=**}/{b}/a/b",
        "GET /{a}/{n=**}/a",
        "GET /{a}/{b}/{c}/a/{n=**}/b",
    )
    path = "/a" * 10_000

    assert cost(lambda: routes.match("GET", path)) < BOUND


def test_many_templates_on_a_hostile_path() -> None:
    """Backtracking visits no node of the trie twice."""
    texts = ["/" + "/".join(parts) + "/z" for parts in itertools.product("a*", repeat=8)]
    routes = router(*[f"GET {text}" for text in texts])
    path = "/a" * 9

    assert routes.match("GET", path) == Miss()
    assert cost(lambda: routes.match("GET", path)) < BOUND


# Properties

plain_segments = st.lists(st.sampled_from(["a", "b", "*"]), max_size=3)


@st.composite
def templates(draw: st.DrawFn) -> str:
    """Any template over a small alphabet, cut into variables at random."""
    segments = draw(plain_segments)
    if draw(st.booleans()):
        segments = [*segments, "**", *draw(plain_segments)]
    parts: list[str] = []
    while segments:
        size = draw(st.integers(1, len(segments)))
        part = "/".join(segments[:size])
        bound = draw(st.booleans())
        parts.append(f"{{f{len(parts)}={part}}}" if bound else part)
        segments = segments[size:]
    verb = draw(st.sampled_from(["", "", ":v", ":w", ":w:v"])) if parts else ""
    return "/" + "/".join(parts) + verb


methods = st.sampled_from(["GET", "PUT", "*"])
route_lists = st.lists(st.tuples(methods, templates()), min_size=1, max_size=12)
path_segments = st.sampled_from(
    [
        *["a", "b", "c", "a:v", "b:w", "c:w:v", "a:x", ":v"],
        *["%61", "%62", "a%2Fb", "a%2fb", "%2F", "%40%C3%A9", "%252F"],
        *["%61:v", "a:%76", "a%3Av", "b%3Aw:v", "c:w%3Av", ":%76"],
    ]
)
paths = st.lists(path_segments, max_size=6).map(lambda segments: "/" + "/".join(segments))


def read(part: str) -> str:
    """A segment of a path as it is compared, an encoded slash being no slash."""
    return unquote(part.replace("%2F", "\0").replace("%2f", "\0"))


def value_of(parts: Sequence[str], *, multi: bool) -> str:
    """What a variable holds: with several segments its reserved characters stay encoded."""
    text = "/".join(parts)
    for character in RESERVED if multi else "":
        upper = f"{ord(character):02X}"
        for digits in (upper, upper.lower()):
            text = text.replace(f"%{digits}", f"%25{digits}")
    return unquote(text)


class Fit:
    """How the oracle says that one route fits one path."""

    def __init__(self, route: Route[str], verb: str, covers: Sequence[Sequence[str]]) -> None:
        self.route = route
        self.values = tuple(
            value_of(
                [part for cover in covers[variable.start : variable.end] for part in cover],
                multi=variable.multi,
            )
            for variable in route.template.variables
        )
        ranks = [list(Kind).index(segment.kind) for segment in route.template.segments]
        deep = ranks.index(2) if 2 in ranks else None
        self.key = (
            -len(verb),
            [*ranks, 0] if deep is None else [*ranks[: deep + 1], *ranks[:deep:-1], 2],
            route.method == "*",
        )


def covers(segments: Sequence[Segment], parts: Sequence[str]) -> Iterator[list[Sequence[str]]]:
    """Every way to spread the parts of a path over the segments of a template."""
    if not segments:
        if not parts:
            yield []
        return
    first, rest = segments[0], segments[1:]
    sizes = range(len(parts) + 1) if first.kind is Kind.DEEP_WILDCARD else range(1, 2)
    for size in sizes:
        here = parts[:size]
        if len(here) == size and (first.kind is not Kind.LITERAL or read(here[0]) == first.text):
            yield from ([here, *more] for more in covers(rest, parts[size:]))


def fits(routes: Sequence[Route[str]], method: str, path: str) -> list[Fit]:
    """All routes that fit a path, a method by name before "*" of the same template."""
    parts = path.split("/")[1:] if path != "/" else []
    last = parts[-1] if parts else ""
    # What stands before each verb that the last segment may end with.
    colons = [at for at, character in enumerate(last) if character == ":"]
    bases = {read(last[at + 1 :]): last[:at] for at in colons}
    if any(bases.get(route.template.verb) == "" for route in routes):
        return []
    found = []
    for route in routes:
        verb = route.template.verb
        if method in (route.method, "any") or route.method == "*":
            if verb and verb not in bases:
                continue
            base = [*parts[:-1], bases[verb]] if verb else parts
            found += [Fit(route, verb, way) for way in covers(route.template.segments, base)]
    return found


def distinct(rules: Sequence[tuple[str, str]]) -> list[Route[str]]:
    """The routes of these rules, each shape once."""
    shapes: dict[tuple[object, ...], Route[str]] = {}
    for method, text in rules:
        one = route(f"{method} {text}")
        shapes.setdefault((method, one.template.segments, one.template.verb), one)
    return list(shapes.values())


def without_unreachable(routes: list[Route[str]]) -> Router[str]:
    """A router of as many of these routes as it takes."""
    while True:
        try:
            return Router(routes)
        except ConfigError as error:
            routes = [one for one in routes if not str(error).startswith(f"{one} can never")]


@given(route_lists, st.lists(paths, min_size=1, max_size=10))
def test_agrees_with_oracle(rules: list[tuple[str, str]], asked: list[str]) -> None:
    """The trie finds what comparing all templates one by one finds."""
    routes = without_unreachable(distinct(rules))
    for method, path in itertools.product(["GET", "PUT", "DELETE"], asked):
        fit = fits(routes.routes, method, path)
        match = routes.match(method, path)
        if fit:
            best = min(fit, key=lambda one: one.key)
            assert match == (best.route, best.values)
        else:
            allow = {one.route.method for one in fits(routes.routes, "any", path)}
            implied = {"OPTIONS"} | ({"HEAD"} if "GET" in allow else set())
            assert match == Miss(tuple(sorted(allow | implied)) if allow else ())


@given(route_lists, st.lists(paths, min_size=1, max_size=10))
def test_last_wins_agrees_with_oracle(rules: list[tuple[str, str]], asked: list[str]) -> None:
    """Under "last-wins" the trie finds the newest of all that fit, one by one."""
    routes = Router([one for one in distinct(rules) if one.method != "*"], order="last-wins")
    for method, path in itertools.product(["GET", "PUT"], asked):
        fit = fits(routes.routes, method, path)
        newest = max(fit, key=lambda one: routes.routes.index(one.route), default=None)
        match = routes.match(method, path)

        assert (match if isinstance(match, Match) else None) == (
            newest and (newest.route, newest.values)
        )


@given(st.lists(templates(), min_size=1, max_size=8))
def test_exactly_the_shadowed_never_answer(texts: list[str]) -> None:
    """A route that is refused or noted wins on no path, any other wins on some."""
    routes = distinct([("GET", text) for text in texts])
    taken = without_unreachable(routes)
    expected = {str(one.route) for one in taken.shadowed}
    expected |= {str(one) for one in routes} - {str(one) for one in taken.routes}
    winners = set()
    for one in routes:
        for repeat in range(9):
            ways = {Kind.WILDCARD: ["z"], Kind.DEEP_WILDCARD: ["z"] * repeat}
            own = one.template.segments
            parts = [ways.get(part.kind, [part.text.replace(":", "%3A")]) for part in own]
            verb = one.template.verb and f":{one.template.verb}"
            path = "/" + "/".join(itertools.chain(*parts)) + verb
            fit = fits(routes, "GET", path)
            winners |= {str(min(fit, key=lambda one: one.key).route)} if fit else set()

    assert {str(one) for one in routes} - winners == expected


def text_without(excluded: str) -> st.SearchStrategy[str]:
    alphabet = sorted(set(RESERVED + "ab0._~-% \n\x7fé€😀") - set(excluded))
    return st.text(alphabet, min_size=1, max_size=5).filter(
        lambda value: not {".", ".."} & set(value.split("/"))
    )


segments_without = {excluded: text_without(excluded) for excluded in ("", "/", RESERVED)}


@st.composite
def expansions(draw: st.DrawFn) -> tuple[str, list[str], Unescape]:
    """A template, values for its variables, and a mode that can carry them."""
    unescape: Unescape = draw(st.sampled_from(["except-reserved", "except-slash", "all", "legacy"]))
    splits = "/" if unescape in ("all", "legacy") else ""
    text = draw(templates())
    values = []
    for variable in (template := PathTemplate.parse(text)).variables:
        kept = "/" if unescape != "except-reserved" else RESERVED
        segment = segments_without[kept if variable.multi else splits]
        parts: list[str] = []
        for own in template.segments[variable.start : variable.end]:
            if own.kind is Kind.DEEP_WILDCARD:
                parts += draw(st.lists(segment, max_size=3))
            else:
                parts.append(own.text if own.kind is Kind.LITERAL else draw(segment))
        values.append("/".join(parts))
    return text, values, unescape


@given(expansions())
def test_an_expanded_path_binds_back(case: tuple[str, list[str], Unescape]) -> None:
    """A path made from a template and values matches it and binds the same values."""
    text, values, unescape = case
    only = route(f"GET {text}")
    path = only.template.expand(values)
    match = Router([only], unescape=unescape).match("GET", path)
    # `**` before a verb may be nothing only if there is another segment to hold the verb.
    expected = Miss() if path.startswith("/:") else (only, tuple(values))

    assert match == expected
