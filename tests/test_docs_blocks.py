"""Each block of the README and of docs/ is run, or held to what is so, by a test."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from pages import DOCS, Page, page, readme

HERE = Path(__file__).parent
PAGES = {
    shown.name: shown
    for shown in (
        readme(),
        readme("README.zh.md"),
        *(page(path.relative_to(DOCS).as_posix()) for path in sorted(DOCS.rglob("*.md"))),
    )
    if shown.all_blocks
}
HELLO = "test_packaging.test_the_readme_hello_answers_in_a_clean_environment"
COMMANDS = "test_readme.test_commands"
POLICY = "test_docs_policies.test_page"
TESTS: dict[str, str | dict[str, list[str]]] = {
    "README.md": {
        "sh": ["test_packaging.test_the_readme_builds_and_installs_the_wheel", HELLO, HELLO],
        "proto": [HELLO],
        "python": [HELLO],
        "console": [
            *(HELLO, "test_readme.test_run", "test_readme.test_make_test"),
            *5 * [COMMANDS],
        ],
    },
    "README.zh.md": "test_readme.test_in_chinese",
    "command.md": {
        "console": 5 * ["test_cli.test_the_page_about_the_command"],
        "sh": ["test_docs_command.test_serve", *4 * ["test_docs_command.test_calls"]],
        "text": ["test_docs_command.test_calls"],
        "python": ["test_cli.test_the_page_about_programs"],
    },
    "demo.md": "test_demo.test_page",
    "deployment.md": {
        "sh": ["test_docs_deployment.test_command"],
        "python": 3 * ["test_docs_deployment.test_python"],
        "ini": ["test_docs_deployment.test_serving"],
        "yaml": 3 * ["test_docs_deployment.test_names"],
        "nginx": ["test_docs_deployment.test_through_nginx"],
    },
    "east-west.md": {"console": ["test_docs_tiers.test_console"]},
    "discovery.md": {
        "python": 2 * ["test_docs_discovery.test_python"],
        "yaml": ["test_docs_discovery.test_yaml"],
    },
    "errors.md": {
        "pycon": 4 * ["test_docs_headers.test_code"],
        "python": ["test_docs_headers.test_shape"],
    },
    "example-services.md": {
        "sh": ["test_docs_example_services.test_commands"],
        "console": 4 * ["test_docs_example_services.test_commands"],
        "python": 2 * ["test_docs_example_services.test_python"],
    },
    "http-backends.md": {
        "python": ["test_docs_http_backends.test_python"],
        "yaml": ["test_docs_http_backends.test_yaml"],
    },
    "from-fastapi.md": "test_docs_from_fastapi.test_session",
    "from-grpc-gateway.md": {"python": ["test_docs_from_grpc_gateway.test_python"]},
    "gateway.md": {
        "yaml": ["test_docs_gateway.test_example"],
        "console": 2 * ["test_docs_gateway.test_commands"],
    },
    "graphql.md": {
        "graphql": ["test_docs_graphql.test_answers"],
        "yaml": ["test_docs_graphql.test_answers"],
        "console": ["test_docs_graphql.test_check", "test_docs_graphql.test_answers"],
        "python": ["test_docs_graphql.test_python"],
    },
    "headers.md": {
        "pycon": 6 * ["test_docs_headers.test_code"],
        "python": ["test_docs_headers.test_created"],
    },
    "index.md": {"{toctree}": 6 * ["test_docs_site.test_pages"]},
    "json.md": {"python": ["protojson/test_json_docs.test_examples"]},
    "mounting.md": "test_docs_mounting.test_session",
    "console.md": {
        "sh": 2 * ["test_docs_console.test_command"],
        "console": ["test_docs_console.test_topology"],
        "python": ["test_docs_console.test_python"],
    },
    "observability.md": {
        "python": 2 * ["test_docs_observability.test_python"],
        "sh": ["test_docs_observability.test_logs", "test_docs_observability.test_command"],
        "yaml": ["test_docs_observability.test_prometheus"],
        "console": ["test_docs_observability.test_admin_port"],
        "text": ["test_docs_observability.test_blocked"],
    },
    "openapi.md": {
        "python": 5 * ["test_docs_openapi.test_python"],
        "sh": 2 * ["test_docs_openapi.test_commands"],
    },
    "plugin.md": {
        "proto": ["test_docs_plugin.test_commands"],
        "console": 3 * ["test_docs_plugin.test_commands"],
        "python": ["test_docs_plugin.test_commands", "test_docs_plugin.test_registering"],
        "yaml": ["test_docs_plugin.test_buf"],
    },
    "policies/api-keys.md": {
        "python": ["test_docs_policies.test_api_keys"],
        "console": ["test_docs_policies.test_api_keys"],
        "pycon": ["test_docs_policies.test_api_keys"],
    },
    "policies/authorization.md": {"python": [POLICY], "pycon": [POLICY]},
    "policies/circuit-breaker.md": {"python": [POLICY], "pycon": [POLICY]},
    "policies/compression.md": {"python": [POLICY], "pycon": [POLICY]},
    "policies/concurrency.md": {"python": [POLICY], "pycon": 2 * [POLICY]},
    "policies/cors.md": {"python": [POLICY], "pycon": 2 * [POLICY]},
    "policies/index.md": {
        "python": [
            "test_docs_policies.test_first",
            "test_docs_policies.test_overrides",
            "test_docs_policies.test_overrides",
        ]
    },
    "policies/introspection.md": {
        "python": ["test_docs_policies.test_introspection"],
        "pycon": 2 * ["test_docs_policies.test_introspection"],
    },
    "policies/ip-filter.md": {"python": [POLICY], "pycon": 3 * [POLICY]},
    "policies/jwt.md": {
        "python": ["test_docs_jwt.test_gateway", "test_docs_jwt.test_overrides"],
        "pycon": ["test_docs_jwt.test_session"],
        "text": ["test_docs_jwt.test_challenge"],
    },
    "policies/mutual-tls.md": {"python": [POLICY], "pycon": [POLICY]},
    "policies/own.md": {
        "python": [POLICY],
        "pycon": 3 * [POLICY],
        "toml": ["test_docs_policies.test_entry_point"],
    },
    "policies/rate-limit.md": {
        "python": 2 * ["test_docs_policies.test_rate_limit"],
        "pycon": ["test_docs_policies.test_rate_limit"],
    },
    "policies/request-id.md": {"python": [POLICY], "pycon": 2 * [POLICY]},
    "policies/security-headers.md": {"python": [POLICY], "pycon": [POLICY]},
    "profiles.md": {"pycon": 6 * ["test_docs_profiles.test_code"]},
    "remote.md": {"python": 5 * ["test_docs_remote.test_python"]},
    "routing.md": {
        "yaml": ["test_docs_tiers.test_yaml"],
        "console": 2 * ["test_docs_tiers.test_console"],
    },
    "routes.md": {
        "yaml": 2 * ["test_docs_routes.test_files"],
        "python": 2 * ["test_docs_routes.test_python"],
        "console": ["test_docs_routes.test_commands"],
    },
    "servicers.md": {"python": ["test_gateway_interceptors.test_the_example"]},
    "start.md": "test_docs_start.test_session",
    "streams.md": {
        "python": 3 * ["test_docs_streams.test_python"],
        "js": ["test_browser.test_the_example_of_events", "test_browser.test_the_example"],
    },
    "testing.md": {"python": 3 * ["test_docs_testing.test_python"]},
    "tiers.md": {"yaml": 4 * ["test_docs_tiers.test_yaml"]},
    "tls.md": {
        "python": [*2 * ["test_docs_tls.test_commands"], "test_docs_tls.test_ports_that_differ"],
        "console": 2 * ["test_docs_tls.test_commands"],
        "sh": ["test_docs_tls.test_the_command"],
        "text": ["test_docs_tls.test_errors", "test_docs_tls.test_a_failed_handshake"],
    },
    "validation.md": {
        "proto": ["test_docs_validation.test_session"],
        "python": ["test_docs_validation.test_python"],
        "console": 2 * ["test_docs_validation.test_session"],
    },
    "zh/demo.md": "test_demo.test_page",
    "zh/discovery.md": {"yaml": ["test_docs_discovery.test_yaml"]},
    "zh/east-west.md": {"console": ["test_docs_tiers.test_console"]},
    "zh/routing.md": {
        "yaml": ["test_docs_tiers.test_yaml"],
        "console": 2 * ["test_docs_tiers.test_console"],
    },
    "zh/tiers.md": {"yaml": 4 * ["test_docs_tiers.test_yaml"]},
    "zh/index.md": {"{toctree}": ["test_docs_site.test_index_in_chinese"]},
}
"""The test of each block, by page and language, in their order; a name alone is of a whole page."""


def named(tests: str | dict[str, list[str]]) -> set[str]:
    """Return the tests that are named for a page."""
    return {tests} if isinstance(tests, str) else {test for each in tests.values() for test in each}


NAMED = sorted((name, test) for name, tests in TESTS.items() for test in named(tests))


def test_pages() -> None:
    """Each page that has blocks is here, and no other."""
    assert TESTS.keys() == PAGES.keys()


@pytest.mark.parametrize("shown", PAGES.values(), ids=lambda shown: shown.name)
def test_blocks(shown: Page) -> None:
    """Each block of a page has a test, and each test its block."""
    tests = TESTS.get(shown.name, {})
    if not isinstance(tests, str):
        languages = sorted(block.language for block in shown.all_blocks)

        assert sorted(each for each, found in tests.items() for _ in found) == languages


@pytest.mark.parametrize("shown", PAGES.values(), ids=lambda shown: shown.name)
def test_fences(shown: Page) -> None:
    """What a reader sees as a block is one for the tests too, whatever its fence."""
    tokens = MarkdownIt().parse(shown.text)
    seen = [token for token in tokens if token.type in {"fence", "code_block"}]

    assert [(token.info, token.content) for token in seen] == [
        (block.language, block.text) for block in shown.all_blocks
    ]


@pytest.mark.parametrize(("name", "test"), NAMED)
def test_names(name: str, test: str) -> None:
    """Each test that is named is there, in a file that reads the page."""
    file, _, function = test.rpartition(".")
    text = (HERE / f"{file}.py").read_text(encoding="utf-8")
    functions = {each.name for each in ast.parse(text).body if isinstance(each, ast.FunctionDef)}

    assert function in functions
    assert ("readme()" if name == "README.md" else f'"{name}"') in text
