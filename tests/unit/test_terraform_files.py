"""Rules of the Terraform files that need no Terraform; the e2e tests plan and apply them."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import hcl2

from local.gateway import SMALLEST_COMPRESSED
from product_tools.environment_files import values
from product_tools.functions import ENVIRONMENTS
from product_tools.terraform import TERRAFORM_FOLDER

# Resources that take effect without a deployment of the API. All others of API Gateway are part of
# the snapshot that a deployment is. Amazon API Gateway Developer Guide, "Deploy REST APIs".
OUTSIDE_SNAPSHOT = {
    f"aws_api_gateway_{kind}"
    for kind in (
        *("api_key", "base_path_mapping", "deployment", "method_settings", "stage"),
        *("usage_plan", "usage_plan_key"),
    )
}
_OPTIONS = hcl2.SerializationOptions(
    with_comments=False, explicit_blocks=False, strip_string_quotes=True
)
FILES = [
    hcl2.loads(path.read_text("utf-8"), serialization_options=_OPTIONS)
    for path in TERRAFORM_FOLDER.glob("*.tf")
]
LOCALS = {
    name: value
    for file in FILES
    for block in file.get("locals", [])
    for name, value in block.items()
}


def api_resources() -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the type and the body of each resource of API Gateway."""
    for file in FILES:
        for block in file.get("resource", []):
            for kind, named in block.items():
                if kind.startswith("aws_api_gateway_"):
                    yield from ((kind, body) for body in named.values())


SNAPSHOT = [body for kind, body in api_resources() if kind not in OUTSIDE_SNAPSHOT]


def variables_of(value: object) -> set[str]:
    """Return the variables that a value depends on, through any local values."""
    variables: set[str] = set()
    seen: set[str] = set()
    waiting = [json.dumps(value)]
    while waiting:
        text = waiting.pop()
        variables |= set(re.findall(r"\bvar\.(\w+)", text))
        names = set(re.findall(r"\blocal\.(\w+)", text)) - seen
        seen |= names
        waiting += [json.dumps(LOCALS[name]) for name in names]
    return variables


def test_variables_are_found_through_local_values() -> None:
    assert variables_of("${local.default_endpoint_disabled}") == {"custom_domain_name"}
    assert variables_of(["${local.integration_timeout_ms}", "${var.a}"]) == {"a", "timeout"}
    assert {"cors_allowed_origins", "custom_domain_name", "environment", "timeout"} <= (
        variables_of(SNAPSHOT)
    )


def test_each_input_of_api_triggers_deployment() -> None:
    """A changed input that triggers none is applied, but callers never see it."""
    (deployment,) = (body for kind, body in api_resources() if kind.endswith("_deployment"))
    assert variables_of(SNAPSHOT) - variables_of(deployment["triggers"]) == set()


def test_api_depends_on_aliases_alone() -> None:
    """An attribute of another resource would be an input of the API that triggers nothing."""
    used = set(re.findall(r"(?<![\w.])(?:data\.)?aws_\w+\.\w+", json.dumps(SNAPSHOT)))
    outside = {name for name in used if not name.startswith("aws_api_gateway_")}
    assert outside == {"aws_lambda_alias.live"}


def test_gateway_compresses_from_the_size_of_the_local_server() -> None:
    (api,) = (body for kind, body in api_resources() if kind == "aws_api_gateway_rest_api")
    assert api["minimum_compression_size"] == SMALLEST_COMPRESSED == 1024


def test_region_of_environments_is_their_home_region() -> None:
    assert LOCALS["home_regions"] == {
        environment: values(environment)["aws_region"] for environment in ENVIRONMENTS
    }


def test_kept_audit_bucket_keeps_its_protection() -> None:
    assert LOCALS["has_audit_bucket"] == "${var.enable_audit_log || var.keep_audit_bucket}"
    bucket = {
        kind: named["audit"]
        for file in FILES
        for block in file.get("resource", [])
        for kind, named in block.items()
        if kind.startswith("aws_s3_bucket") and "audit" in named
    }
    assert len(bucket) == 7
    for body in bucket.values():
        assert "local.has_audit_bucket" in body["count"]
        assert "enable_audit_log" not in body["count"]
    [lifecycle] = bucket["aws_s3_bucket"]["lifecycle"]
    assert lifecycle["prevent_destroy"] is True
