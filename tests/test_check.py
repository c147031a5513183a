from __future__ import annotations

import pytest

from compiled import descriptor_set
from transcoder.check import Problem, check
from transcoder.descriptors import Descriptors, Place, import_descriptors, read_descriptors
from transcoder.errors import ConfigError
from transcoder.profile import GOOGLE, GRPC_GATEWAY
from transcoder.service_config import check_service_config, read_service_config
from transcoder.transcoder import Transcoder

HEAD = """\
syntax = "proto3";
package api.v1;
import "google/api/annotations.proto";
message Book { string name = 1; int32 pages = 2; Book next = 3; }
service Books {
"""


def api(*rules: str) -> Descriptors:
    """A service with a method for each rule, the first in line 7, further ones three lines on."""
    methods = [
        f"rpc M{number}(Book) returns (Book) {{\n  option (google.api.http) = {{ {rule} }};\n}}\n"
        for number, rule in enumerate(rules, 1)
    ]
    return read_descriptors(descriptor_set(HEAD + "".join(methods) + "}\n"), "api.binpb")


def told(descriptors: Descriptors, **options: object) -> list[str]:
    return [str(problem) for problem in check(descriptors, **options)]  # type: ignore[arg-type]


def test_nothing_wrong() -> None:
    """Rules that are right, and methods without any, are no problem."""
    assert check(import_descriptors("google.longrunning")) == ()


def test_everything_at_once() -> None:
    """All problems are told, sorted by their places, several of one rule too."""
    descriptors = api(
        'get: "/v1/{nmae}/{next}", response_body: "page"',
        'get: "v1"',
        'get: "/v1/{name}" additional_bindings { post: "/x" body: "boody" }',
        'get: "/v1/{pages}"',
    )

    assert told(descriptors) == [
        (
            "api.proto:7:3: api.v1.Books.M1: '/v1/{nmae}/{next}', column 13: "
            "next: a path variable cannot be a api.v1.Book"
        ),
        (
            "api.proto:7:3: api.v1.Books.M1: '/v1/{nmae}/{next}', column 6: "
            "nmae: no such field; did you mean name?"
        ),
        (
            "api.proto:7:3: api.v1.Books.M1: '/v1/{nmae}/{next}': response_body 'page': "
            "page: no such field; did you mean pages?"
        ),
        "api.proto:10:3: api.v1.Books.M2: 'v1', column 1: expected '/' at the start",
        "api.proto:13:3: api.v1.Books.M3: '/x': body 'boody': boody: no such field",
        (
            "api.proto:16:3: api.v1.Books.M3 (GET /v1/{name}) and api.v1.Books.M4 "
            "(GET /v1/{pages}) answer the same requests: remove one of them; "
            "the other is at api.proto:13:3"
        ),
    ]


def test_unreachable() -> None:
    """A route all of whose paths go to another is a problem."""
    assert told(api('get: "/v1/{name=**}/x"', 'get: "/v1/{pages}/{name=**}"')) == [
        (
            "api.proto:7:3: api.v1.Books.M1 (GET /v1/{name=**}/x) can never answer: "
            "api.v1.Books.M2 (GET /v1/{pages}/{name=**}) takes all its paths; "
            "the other is at api.proto:10:3"
        )
    ]


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        (
            ['get: "/v1/{name}"', 'get: "/v1/{pages}"'],
            (
                "api.proto:10:3: api.v1.Books.M2 (GET /v1/{pages}) never answers: "
                "api.v1.Books.M1 (GET /v1/{name}) does; the other is at api.proto:7:3"
            ),
        ),
        (
            ['get: "/v1/{name=**}/x"', 'get: "/v1/{pages}/{name=**}"'],
            (
                "api.proto:7:3: api.v1.Books.M1 (GET /v1/{name=**}/x) never answers: "
                "api.v1.Books.M2 (GET /v1/{pages}/{name=**}) does; the other is at api.proto:10:3"
            ),
        ),
    ],
)
def test_conflicts_that_do_not_keep_from_starting(rules: list[str], message: str) -> None:
    """Where conflicts are warnings, the one that answers is told, and it is not fatal."""
    (problem,) = check(api(*rules), conflicts="warn")

    assert str(problem) == message
    assert not problem.fatal


def test_health() -> None:
    """A route at the path of the gateway's health is a problem, unless that is elsewhere."""
    descriptors = api('get: "/healthz"')

    assert told(descriptors) == [
        (
            "api.proto:7:3: the gateway's health (GET /healthz) and api.v1.Books.M1 (GET /healthz) "
            "answer the same requests: remove one of them; health= moves it"
        )
    ]
    assert told(descriptors, health="/health") == []
    assert told(descriptors, health=None) == []


@pytest.mark.parametrize(
    ("path", "option"),
    [
        ("/livez", "liveness"),
        ("/readyz", "readiness"),
        ("/openapi.json", "openapi"),
        ("/openapi.yaml", "openapi"),
        ("/docs", "docs"),
    ],
)
def test_own_paths(path: str, option: str) -> None:
    """A route where the gateway tells of itself is a problem, unless it does so elsewhere."""
    descriptors = api(f'get: "{path}"')

    (problem,) = told(descriptors)
    assert problem.endswith(f"remove one of them; {option}= moves it")
    assert told(descriptors, **{option: "/about"}) == []
    assert told(descriptors, **{option: None}) == []


def test_no_document_has_no_page() -> None:
    """Without a document there is no page for people whose path could be taken."""
    assert told(api('get: "/docs"'), openapi=None) == []


def test_shadowed() -> None:
    """A route that several others leave nothing to is told, and does not keep from starting."""
    descriptors = api(
        'get: "/v1/{name=a/*/**}"',
        'get: "/v1/{next.name=a/*/**}/{name}"',
        'get: "/v1/a/{name}"',
    )

    assert check(descriptors) == (
        Problem(
            Place("api.proto", 7, 3),
            "api.v1.Books.M1 (GET /v1/{name=a/*/**}) can never answer: "
            "api.v1.Books.M3 (GET /v1/a/{name}) and "
            "api.v1.Books.M2 (GET /v1/{next.name=a/*/**}/{name}) take all its paths among them",
            fatal=False,
        ),
    )


def test_notes() -> None:
    """What a rule does and its author may not expect is told, and does not keep from starting."""
    assert check(api('custom: { kind: "get" path: "/v1/x" }', 'delete: "/v1/x" body: "*"')) == (
        Problem(
            Place("api.proto", 7, 3),
            "api.v1.Books.M1 (get /v1/x): "
            "custom kind 'get': HTTP methods are case-sensitive, write 'GET'",
            fatal=False,
        ),
        Problem(
            Place("api.proto", 10, 3),
            "api.v1.Books.M2 (DELETE /v1/x): "
            "DELETE with a body: RFC 9110 gives it no meaning, clients and proxies may drop it",
            fatal=False,
        ),
    )


def test_selector_of_another_service() -> None:
    """A selector of a service that is not here is a note."""
    config = read_service_config(
        "type: google.api.Service\n"
        "http: {rules: [{selector: google.longrunning.Operations.*, get: /v1}]}\n",
        "api.yaml",
    )

    (problem,) = check(api('get: "/v1"'), config=config)

    assert not problem.fatal
    assert problem.message == "selector 'google.longrunning.Operations.*' matches no method"


def test_a_profile_decides_on_conflicts() -> None:
    """Where the last route wins, two of the same template are no problem."""
    descriptors = api('get: "/v1/{name}"', 'get: "/v1/{pages}"')

    assert len(check(descriptors, profile=GOOGLE)) == 1
    assert check(descriptors, profile=GRPC_GATEWAY) == ()


def test_unbound() -> None:
    """The routes of methods without a rule are part of the check."""
    descriptors = api("", 'post: "/api.v1.Books/M1" body: "*"')

    assert check(descriptors) == ()
    assert [problem.where for problem in check(descriptors, unbound=True)] == [
        Place("api.proto", 10, 3)
    ]


def test_service_config() -> None:
    """Rules of a service configuration replace options, and their problems are told there."""
    config = read_service_config(
        "type: google.api.Service\n"
        "http:\n"
        "  rules:\n"
        "  - selector: api.v1.Books.M1\n"
        "    get: /v1/{nmae}\n"
        "  - selector: api.v1.Books.M22\n"
        "    get: /v2\n",
        "api.yaml",
    )

    assert told(api('get: "v1"', 'get: "v2"'), config=config) == [
        "api.proto:10:3: api.v1.Books.M2: 'v2', column 1: expected '/' at the start",
        (
            "api.yaml:5:10: api.v1.Books.M1: '/v1/{nmae}', column 6: "
            "nmae: no such field; did you mean name?"
        ),
        (
            "api.yaml:6:15: selector 'api.v1.Books.M22' matches no method; "
            "did you mean api.v1.Books.M2?"
        ),
    ]


def test_mistakes_of_a_service_config() -> None:
    """What is wrong in the file itself is told with all else, and the right rules count."""
    config, mistakes = check_service_config(
        "type: google.api.Service\n"
        "http:\n"
        "  rules:\n"
        "  - selector: api.v1.Books.M1\n"
        "    gett: /v1/{name}\n"
        "    bdoy: '*'\n"
        "  - get: /v2\n"
        "  - selector: [api.v1.Books.M2]\n"
        "    get: /v2\n"
        "  - selector: api.v1.Books.M2\n"
        "    get: /v1/{nmae}\n",
        "api.yaml",
    )

    assert told(api("", ""), config=config, mistakes=mistakes) == [
        "api.yaml:5:5: gett: no such field; did you mean get?",
        "api.yaml:6:5: bdoy: no such field; did you mean body?",
        "api.yaml:7:5: the rule has no selector",
        "api.yaml:8:15: expected text",
        (
            "api.yaml:11:10: api.v1.Books.M2: '/v1/{nmae}', column 6: "
            "nmae: no such field; did you mean name?"
        ),
    ]


@pytest.mark.parametrize(
    "rules",
    [
        ['get: "v1"'],
        ['get: "/v1/{name}"', 'get: "/v1/{pages}"'],
        ['get: "/v1/{x}"'],
        ['get: "/v1/{name=**}/x"', 'get: "/v1/{pages}/{name=**}"'],
    ],
)
def test_what_is_found_keeps_a_transcoder_from_starting(rules: list[str]) -> None:
    """A fatal problem is what the transcoder refuses, in the same words."""
    descriptors = api(*rules)
    with pytest.raises(ConfigError) as refused:
        Transcoder(descriptors.services).compile()

    (problem,) = check(descriptors)
    hint = '; conflicts="warn" makes this a warning'
    assert problem.message.startswith(str(refused.value).removesuffix(hint))
