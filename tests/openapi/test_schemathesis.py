"""The running user service, held to its own document by schemathesis."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from schemathesis.checks import CHECKS as KNOWN
from schemathesis.checks import load_all_checks

CHECKS = (
    "allow_header_conformance",
    "content_type_conformance",
    "ensure_resource_availability",
    "negative_data_rejection",
    "not_a_server_error",
    "positive_data_acceptance",
    "response_headers_conformance",
    "response_schema_conformance",
    "status_code_conformance",
    "unsupported_method",
    "use_after_free",
)
EXCLUDED = {
    "ignored_auth": "the service asks nobody who they are",
    "object_level_authorization": "likewise",
    "missing_required_header": "no operation requires a header",
}

CONFIG = """
workers = 1
request-timeout = 10.0
warnings = false
[cache]
enabled = false
[generation]
max-examples = 4
no-shrink = true
deterministic = true
database = "none"
[phases.stateful]
max-steps = 4

[phases.coverage]
# TRACE is implemented for no resource, and 501 for that (RFC 9110, section 9.1).
unexpected-methods = ["DELETE", "OPTIONS", "PATCH", "PUT", "QUERY"]

[checks.positive_data_acceptance]
# What the servicer itself does not take, such as an email that is none, is said in words only.
expected-statuses = ["2xx", "400", "404", "409"]

[[operations]]
include-operation-id = "UserService_DeactivateUser"
# `/v1/users/ann:deactivate` is also the path of a user who would be called that.
checks.allow_header_conformance.enabled = false

[[operations]]
include-method = ["PATCH", "POST"]
# Of a body the schema shows the canonical form. Protobuf JSON takes more: null for what is absent,
# numbers as texts and texts as numbers, the names that fields have in the proto.
checks.negative_data_rejection.enabled = false

[[operations]]
include-operation-id = ["UserService_ImportUsers", "UserService_UpdateUser"]
# What is wrong with a user, CreateUser is asked.
phases.coverage.generation.mode = "positive"

[[operations]]
include-operation-id = "UserService_WatchUsers"
# A watch has no end of its own, and of the forms these alone tell how it ended.
headers = {Accept = "text/event-stream", X-Request-Timeout = "0.1"}
parameters."$alt" = "sse"
checks.not_a_server_error.expected-statuses = ["2xx", "4xx", "504"]
checks.positive_data_acceptance.expected-statuses = ["2xx", "4xx", "504"]
"""


@pytest.fixture
def service(tmp_path: Path) -> Iterator[str]:
    """The URL of the user service, in a process of its own, with two users."""
    process = subprocess.Popen(
        [sys.executable, "-m", "services.user", "--http=127.0.0.1:0", "--grpc=127.0.0.1:0"],
        cwd=tmp_path,
        env={**os.environ, "USER_DATABASE": f"sqlite:///{tmp_path / 'users.db'}"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    found = re.search(r"127\.0\.0\.1:\d+", process.stdout.readline())
    assert found is not None
    url = f"http://{found[0]}"
    for name in ("ann", "bob"):
        body = json.dumps({"name": name, "email": f"{name}@example.com"}).encode()
        headers = {"content-type": "application/json"}
        target = f"{url}/v1/users?userId={name}"
        urllib.request.urlopen(urllib.request.Request(target, body, headers)).close()
    yield url
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)


def test_checks() -> None:
    """Each check that there is, is made, or has a reason why not."""
    load_all_checks()

    assert sorted([*CHECKS, *EXCLUDED]) == sorted(KNOWN.get_all_names())


@pytest.mark.timeout(300)
def test_the_running_service(service: str, tmp_path: Path) -> None:
    """Nothing fails a check: examples, limits, random data and calls in rows."""
    lines = [f"[checks.{name}]\nenabled = {str(name in CHECKS).lower()}" for name in EXCLUDED]
    (tmp_path / "schemathesis.toml").write_text("\n".join([CONFIG, *lines]))
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{service}/openapi.json"),
            *("--report=json", "--report-json-path=report.json"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout
    told = json.loads((tmp_path / "report.json").read_text())
    assert (told["complete"], told["operations"]["total"]) == (True, told["operations"]["tested"])
    assert told["test_cases"]["generated"] > 500
