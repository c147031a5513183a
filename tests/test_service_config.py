from __future__ import annotations

import subprocess
import sys
from textwrap import dedent, indent

import pytest
from google.api.http_pb2 import CustomHttpPattern, HttpRule
from google.cloud.location import locations_pb2
from google.longrunning import operations_pb2

from transcoder import Transcoder
from transcoder.descriptors import Place
from transcoder.errors import ConfigError
from transcoder.profile import ENVOY, GOOGLE, GRPC_GATEWAY
from transcoder.service_config import ServiceConfig, read_service_config

SERVICES = [
    operations_pb2.DESCRIPTOR.services_by_name["Operations"],
    locations_pb2.DESCRIPTOR.services_by_name["Locations"],
]
OPERATIONS = "google.longrunning.Operations"
LOCATIONS = "google.cloud.location.Locations"


def config(rules: str) -> ServiceConfig:
    """A configuration with these rules, which begin in line 4."""
    head = "type: google.api.Service\nhttp:\n  rules:\n"
    return read_service_config(head + indent(dedent(rules).strip("\n"), "    "), "api.yaml")


def test_rules() -> None:
    """Rules are read as `google/api/http.proto` has them, by proto and by JSON names."""
    read = config(
        """
        - selector: a.B.C
          get: /v1/{name}
          response_body: x
          additional_bindings:
          - post: /v1/x
            body: "*"
          - custom: {kind: HEAD, path: /v1/y}
        - selector: a.B.D
          put: '/v2'
          responseBody: y
          additionalBindings: [{delete: /v2}, {patch: /v3}]
        """
    )

    assert [(rule.selector, rule.rule) for rule in read.rules] == [
        (
            "a.B.C",
            HttpRule(
                get="/v1/{name}",
                response_body="x",
                additional_bindings=[
                    HttpRule(post="/v1/x", body="*"),
                    HttpRule(custom=CustomHttpPattern(kind="HEAD", path="/v1/y")),
                ],
            ),
        ),
        (
            "a.B.D",
            HttpRule(
                put="/v2",
                response_body="y",
                additional_bindings=[HttpRule(delete="/v2"), HttpRule(patch="/v3")],
            ),
        ),
    ]


def test_places() -> None:
    """The selector and the pattern of each binding know where they are written."""
    (rule,) = config(
        """
        - selector: a.B.C
          get: /v1
          additional_bindings:
          - post: /v1
        """
    ).rules

    assert rule.place == Place("api.yaml", 4, 17)
    assert rule.places == (Place("api.yaml", 5, 12), Place("api.yaml", 7, 15))


def selected(rules: str) -> dict[str, str]:
    """The paths of the rules that count, by the ends of their methods' names."""
    found = config(rules).http_rules(SERVICES)
    return {name.rpartition(".")[2]: rule.get for name, rule in found.items()}


@pytest.mark.parametrize(
    ("selector", "methods"),
    [
        (f"{OPERATIONS}.GetOperation", {"GetOperation"}),
        (f"{LOCATIONS}.*", {"GetLocation", "ListLocations"}),
        ("google.cloud.*", {"GetLocation", "ListLocations"}),  # any depth
        (
            f"{LOCATIONS}.GetLocation, {OPERATIONS}.GetOperation",
            {"GetLocation", "GetOperation"},
        ),
    ],
)
def test_selector(selector: str, methods: set[str]) -> None:
    """A selector is names and wildcards with commas between."""
    assert selected(f"- selector: '{selector}'\n  get: /x").keys() == methods


def test_everything() -> None:
    """A star selects every method."""
    count = sum(len(service.methods) for service in SERVICES)

    assert len(selected("- selector: '*'\n  get: /x")) == count


def test_the_last_rule_counts() -> None:
    """Of two rules for one method the last one wins, wildcard or not."""
    rules = f"""
        - {{selector: {OPERATIONS}.GetOperation, get: /lost}}
        - {{selector: google.longrunning.*, get: /all}}
        - {{selector: {OPERATIONS}.WaitOperation, get: /wait}}
        """

    assert selected(rules) == {
        "ListOperations": "/all",
        "GetOperation": "/all",
        "DeleteOperation": "/all",
        "CancelOperation": "/all",
        "WaitOperation": "/wait",
    }


def test_an_empty_rule() -> None:
    """A rule without a pattern takes a method's route away."""
    rules = config(f"- selector: {OPERATIONS}.GetOperation").http_rules(SERVICES)
    names = {route.name for route in Transcoder(SERVICES, rules=rules).routes}

    assert f"{OPERATIONS}.GetOperation" not in names
    assert f"{OPERATIONS}.ListOperations" in names


@pytest.mark.parametrize(
    ("selector", "told"),
    [
        (
            f"{OPERATIONS}.GetOperatoin",
            (
                f"'{OPERATIONS}.GetOperatoin' matches no method; "
                f"did you mean {OPERATIONS}.GetOperation?"
            ),
        ),
        (OPERATIONS, f"'{OPERATIONS}' matches no method; did you mean {OPERATIONS}.*?"),
        (f"{OPERATIONS}.Nothing.*", f"'{OPERATIONS}.Nothing.*' matches no method"),
        ("x.Get*", "'x.Get*' matches no method"),  # a star stands for a whole name
        ("", "'' matches no method"),
    ],
)
def test_selects_nothing(selector: str, told: str) -> None:
    """A selector of nothing in a service is an error, with its place and the nearest name."""
    with pytest.raises(ConfigError) as refused:
        selected(f"- selector: '{selector}'\n  get: /x")

    assert str(refused.value).startswith(f"api.yaml:4:17: selector {told}")


@pytest.mark.parametrize(
    "selector",
    ["google.iam.v1.IAMPolicy.GetIamPolicy", "google.iam.v1.IAMPolicy.*", "google.iam.*"],
)
def test_selects_a_service_that_is_not_here(selector: str) -> None:
    """Rules for mixins that are served elsewhere are no error, and are told as a note."""
    read = config(f"- selector: {selector}\n  get: /x")

    assert read.http_rules(SERVICES) == {}
    Transcoder(SERVICES, rules=read).compile()
    (told,) = read.unmatched(SERVICES)
    assert not told.fatal
    assert told.message.startswith(f"selector '{selector}' matches no method")


def test_suggestion_for_another_service() -> None:
    """A service that is misspelt is told as one served elsewhere, with the nearest name."""
    (told,) = config("- selector: google.longruning.*").unmatched(SERVICES)

    assert told.message.endswith("; did you mean google.longrunning.*?")


def test_given_to_a_transcoder() -> None:
    """A transcoder takes the configuration itself, its rules and how it decodes paths."""
    text = f"""
        type: google.api.Service
        http:
          fully_decode_reserved_expansion: true
          rules: [{{selector: '{OPERATIONS}.GetOperation', get: '/v9/{{name=**}}'}}]
        """
    transcoder = Transcoder(SERVICES, rules=read_service_config(dedent(text), "api.yaml"))

    assert transcoder.match("GET", "/v9/a%3Ab%2Fc").values == ("a:b%2Fc",)


def test_selects_nothing_of_a_transcoder() -> None:
    """A transcoder refuses a method that a service of its own does not have."""
    transcoder = Transcoder(SERVICES, rules=config(f"- selector: {OPERATIONS}.GetOperatoin"))

    with pytest.raises(ConfigError, match=r"^api\.yaml:4:17: .*did you mean"):
        transcoder.compile()


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        ("- get: /x", "4:7: the rule has no selector"),
        ("- selector: 7", "4:17: expected text"),
        ("- selector: [a]", "4:17: expected text"),
        ("- selector: a\n  get:", "5:11: expected text"),
        ("- selector: a\n  gett: /x", "5:7: gett: no such field; did you mean get?"),
        ("- selector: a\n  get: /x\n  get: /y", "6:7: get is there twice"),
        ("- selector: a\n  get: /x\n  put: /y", "4:7: one rule has one pattern, not get and put"),
        ("- selector: a\n  custom: {kind: X, way: /}", "5:25: way: no such field"),
        ("- selector: a\n  custom: GET", "5:15: expected a mapping, key: value"),
        ("- selector: a\n  additional_bindings: x", "5:28: expected a list, - item"),
        (
            "- selector: a\n  additional_bindings: [{get: /, additional_bindings: []}]",
            "5:29: additional_bindings may not be nested",
        ),
        ("- a", "4:7: expected a mapping, key: value"),
        ("x: y", "4:5: expected a list, - item"),
        (
            "- selector: a\n  body: *",
            (
                "5:14: not YAML: did not find expected alphabetic or numeric character; "
                'a star stands in quotes: "*"'
            ),
        ),
        ("- }", "4:7: not YAML: did not find expected node content"),
    ],
)
def test_refuses(rules: str, told: str) -> None:
    """What is no rule is told in one line with file, line and column."""
    with pytest.raises(ConfigError) as refused:
        config(rules)

    assert str(refused.value) == f"api.yaml:{told}"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "api.yaml: expected type: google.api.Service, found nothing"),
        ("[]", "api.yaml:1:1: expected a mapping, key: value"),
        ("http: {}", "api.yaml:1:1: expected type: google.api.Service"),
        ("type: google.api.Servce", "api.yaml:1:7: expected type: google.api.Service"),
        (
            "type: google.api.Service\nhttp: {rule: []}",
            "api.yaml:2:8: rule: no such field; did you mean rules?",
        ),
        (
            "type: google.api.Service\n---\ntype: x",
            "api.yaml:2:1: not YAML: but found another document",
        ),
        (
            "type: google.api.Service\nhttp: {fully_decode_reserved_expansion: 1}",
            "api.yaml:2:41: expected true or false",
        ),
    ],
)
def test_refuses_file(text: str, told: str) -> None:
    """A file of another kind is told from one of this kind."""
    with pytest.raises(ConfigError) as refused:
        read_service_config(text, "api.yaml")

    assert str(refused.value) == told


def test_control_characters() -> None:
    """Text that YAML does not allow at all is refused without a traceback."""
    with pytest.raises(ConfigError, match=r"^api\.yaml.*: not YAML: .*special characters"):
        read_service_config("type: \0", "api.yaml")


def test_deep_nesting() -> None:
    """Brackets without end are refused without a traceback."""
    with pytest.raises(ConfigError, match=r"^api\.yaml"):
        read_service_config("[" * 100_000, "api.yaml")


def test_other_sections_are_passed_over() -> None:
    """What else a service configuration says is not looked at."""
    text = """
        type: google.api.Service
        config_version: 3
        apis: [{name: a.B}]
        documentation: {summary: S}
        """

    assert read_service_config(dedent(text), "api.yaml").rules == ()


def test_fully_decode_reserved_expansion() -> None:
    """The option decodes all but slashes, where reserved characters would stay encoded."""
    text = "type: google.api.Service\nhttp: {fullyDecodeReservedExpansion: true}"
    read = read_service_config(text, "api.yaml")

    assert [read.adapt(profile).unescape for profile in (GOOGLE, ENVOY, GRPC_GATEWAY)] == [
        "except-slash",
        "except-slash",
        "legacy",
    ]
    assert config("[]").adapt(GOOGLE) is GOOGLE


def test_without_yaml() -> None:
    """Without PyYAML, importing the module names the extra to install."""
    script = "import sys; sys.modules['yaml'] = None; import transcoder.service_config"
    done = subprocess.run(
        [sys.executable, "-c", script], check=False, capture_output=True, text=True
    )

    assert done.stderr.endswith(
        "ImportError: service configurations need PyYAML: install transcoder[cli]\n"
    )
