"""docs/from-grpc-gateway.md names all that grpc-gateway has, and what is here."""

from __future__ import annotations

import re

import pytest

from named import SPAN, is_ours
from pages import page
from transcoder import Gateway
from transcoder.profile import GRPC_GATEWAY

PAGE = page("from-grpc-gateway.md")
# As runtime/mux.go, runtime/marshaler_registry.go and the two main.go of grpc-gateway v2 have them.
MUX = {
    "SetQueryParameterParser",
    "WithDisableChunkedEncoding",
    "WithDisableHTTPMethodOverride",
    "WithDisablePathLengthFallback",
    "WithErrorHandler",
    "WithForwardResponseOption",
    "WithForwardResponseRewriter",
    "WithHealthEndpointAt",
    "WithHealthzEndpoint",
    "WithIncomingHeaderMatcher",
    "WithMarshalerOption",
    "WithMetadata",
    "WithMiddlewares",
    "WithOutgoingHeaderMatcher",
    "WithOutgoingTrailerMatcher",
    "WithRoutingErrorHandler",
    "WithStreamErrorHandler",
    "WithUnescapingMode",
    "WithWriteContentLength",
}
PLUGIN = {
    "allow_delete_body",
    "allow_patch_feature",
    "generate_unbound_methods",
    "grpc_api_configuration",
    "omit_package_doc",
    "register_func_suffix",
    "repeated_path_param_separator",
    "request_context",
    "standalone",
    "use_opaque_api",
    "warn_on_unbound_methods",
}
OPENAPI = {
    "allow_delete_body",
    "allow_merge",
    "allow_patch_feature",
    "disable_default_errors",
    "disable_default_responses",
    "disable_service_tags",
    "enable_field_deprecation",
    "enable_rpc_deprecation",
    "enums_as_ints",
    "expand_slashed_path_patterns",
    "fqn_for_openapi_name",
    "generate_unbound_methods",
    "generate_x_go_type",
    "go_template_args",
    "grpc_api_configuration",
    "ignore_comments",
    "include_package_in_tags",
    "json_names_for_fields",
    "merge_file_name",
    "omit_array_item_type_when_ref_sibling",
    "omit_enum_default_value",
    "openapi_configuration",
    "openapi_naming_strategy",
    "output_format",
    "preserve_rpc_order",
    "proto3_optional_nullable",
    "recursive-depth",
    "remove_internal_comments",
    "repeated_path_param_separator",
    "simple_operation_ids",
    "use_allof_for_refs",
    "use_go_templates",
    "use_proto3_field_semantics",
    "visibility_restriction_selectors",
}
SECTIONS = {
    "## Options of the mux": MUX,
    "## Flags of protoc-gen-grpc-gateway": PLUGIN,
    "## Flags of protoc-gen-openapiv2": OPENAPI,
}
ROWS = [row for section in SECTIONS for row in PAGE.rows(section)]


def test_python() -> None:
    """The gateway of the page has the profile and the service that it says."""
    (block,) = PAGE.blocks("python")
    gateway: Gateway = PAGE.run(block)["gateway"]

    assert gateway.transcoder.profile is GRPC_GATEWAY
    assert gateway.services == ("services.user.v1.UserService",)


@pytest.mark.parametrize("section", SECTIONS)
def test_theirs(section: str) -> None:
    """Each option that grpc-gateway has stands in one row."""
    told = [name for row in PAGE.rows(section) for name in SPAN.findall(row[0])]

    assert len(told) == len(set(told))
    assert SECTIONS[section] <= set(told)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_ours(row: list[str]) -> None:
    """What stands beside it is there, or said not to be."""
    names = SPAN.findall(row[1])

    assert re.sub(r"`[^`]+`|, ", "", row[1]) in {"", "not there"}
    assert bool(names) is (row[1] != "not there")
    assert [name for name in names if not is_ours(name)] == []
