"""Trust and rights of the GitHub workflows' roles: the templates in terraform/pipelines/policies.

Each template becomes the rights of a role in terraform/pipelines.
"""

import fnmatch
import json
import re
from functools import cache
from typing import Any, Final

import pytest
import yaml

from product_tools.environment_files import state_location, values
from product_tools.functions import ENVIRONMENTS, event_function_names, function_names
from product_tools.pipeline_roles import (
    POLICY_FOLDER,
    ROLES,
    github_environment,
    rights,
    role_name,
)
from product_tools.repository import REPOSITORY

WORKFLOWS: Final = REPOSITORY / ".github" / "workflows"
OPERATIONS: Final = (REPOSITORY / "docs/runbooks/product_lambda_operations.md").read_text()
PLACE: Final = "eu-west-1:536580886816"
KEY: Final = "2_bbws_product_lambda"
QUEUES: Final = (
    *("bbws-product-audit-dev", "bbws-product-audit-dev-dlq"),
    *("bbws-product-cache-dev", "bbws-product-cache-dev-dlq"),
    *("bbws-product-change-dev.fifo", "bbws-product-change-dev-dlq.fifo"),
    *("bbws-product-parked-dev", "bbws-product-stream-failures-dev"),
)
READS: Final = re.compile(r"\w+:(Get|List|Describe|GET)")


@cache  # the values of an environment are slow to read
def statements(role: str, environment: str = "dev") -> list[dict[str, Any]]:
    location = state_location(environment)
    return rights(
        role,
        environment,
        account_id=location.account,
        region=values(environment)["aws_region"],
        state_bucket=location.bucket,
    )


def allows(role: str, action: str, resource: str, environment: str = "dev") -> bool:
    """Return whether a role may do an action on a resource, under some condition."""
    return any(
        action in statement["Action"]
        and any(fnmatch.fnmatchcase(resource, pattern) for pattern in statement["Resource"])
        for statement in statements(role, environment)
    )


def reaches(resource: str) -> bool:
    """Return whether the role that deploys has any right on a resource, other than by `*`."""
    return any(
        fnmatch.fnmatchcase(resource, pattern)
        for statement in statements("deploy")
        for pattern in statement["Resource"]
        if pattern != "*"
    )


@pytest.mark.parametrize("file", sorted(POLICY_FOLDER.iterdir()), ids=lambda file: file.name)
def test_template_is_json_before_it_is_filled_in(file: Any) -> None:
    assert json.loads(file.read_text())["Version"] == "2012-10-17"


def test_trust_names_one_subject_without_wildcards() -> None:
    text = (POLICY_FOLDER / "trust.json.tftpl").read_text()
    [statement] = json.loads(text)["Statement"]
    issuer = "token.actions.githubusercontent.com"

    assert statement["Condition"] == {
        "StringEquals": {f"{issuer}:aud": "sts.amazonaws.com", f"{issuer}:sub": "${subject}"}
    }


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_workflows_use_environments_of_the_roles(environment: str) -> None:
    caller = yaml.safe_load((WORKFLOWS / f"deploy-{environment}.yml").read_text())
    deploy = (WORKFLOWS / "deploy.yml").read_text()

    assert caller["jobs"]["deploy"]["with"]["approval"] == github_environment("deploy", environment)
    assert github_environment("plan", environment) == f"{environment}-plan"
    assert "environment: ${{ inputs.environment }}-plan" in deploy


@pytest.mark.parametrize("role", ROLES)
def test_rights_are_named_actions_on_lists_of_resources(role: str) -> None:
    for statement in statements(role):
        assert statement.keys() <= {"Sid", "Effect", "Action", "Resource", "Condition"}
        assert statement["Effect"] == "Allow"
        assert isinstance(statement["Resource"], list)
        for action in statement["Action"]:
            assert re.fullmatch(r"[a-z0-9]+:[A-Za-z]+", action)


def test_plan_role_writes_only_stored_plans() -> None:
    for statement in statements("plan"):
        for action in statement["Action"]:
            assert READS.match(action) or statement["Sid"] == "StorePlans"


def test_rollback_role_only_reads_and_moves_aliases() -> None:
    actions = {action for each in statements("rollback") for action in each["Action"]}

    assert actions == {"lambda:GetAlias", "lambda:UpdateAlias"}
    for name in function_names("dev"):
        assert allows("rollback", "lambda:UpdateAlias", f"arn:aws:lambda:{PLACE}:function:{name}")


def test_deploy_role_reaches_everything_of_this_service() -> None:
    functions = [*function_names("dev"), *event_function_names("dev")]
    alarms = re.findall(r"^### `(bbws-[^`]+)`$", OPERATIONS, re.MULTILINE)
    assert alarms
    owned = [
        *(f"arn:aws:lambda:{PLACE}:function:{name}" for name in functions),
        *(f"arn:aws:lambda:{PLACE}:function:{name}:live" for name in functions),
        *(f"arn:aws:iam::536580886816:role/{name}-eu-west-1" for name in functions),
        *(f"arn:aws:logs:{PLACE}:log-group:/aws/lambda/{name}" for name in functions),
        f"arn:aws:logs:{PLACE}:log-group:/aws/apigateway/bbws-product-api-dev",
        *(f"arn:aws:cloudwatch:{PLACE}:alarm:{name.replace('{env}', 'dev')}" for name in alarms),
        *(
            f"arn:aws:cloudwatch:{PLACE}:alarm:{name}-errors"
            for name in event_function_names("dev")
        ),
        "arn:aws:cloudwatch::536580886816:dashboard/bbws-product-dev",
        "arn:aws:cloudwatch::536580886816:dashboard/bbws-product-dev-eu-west-1",
        *(f"arn:aws:sqs:{PLACE}:{name}" for name in QUEUES),
        f"arn:aws:events:{PLACE}:event-bus/bbws-product-events-dev",
        f"arn:aws:events:{PLACE}:archive/bbws-product-events-dev",
        f"arn:aws:events:{PLACE}:rule/bbws-product-events-dev/bbws-product-audit-dev",
        f"arn:aws:events:{PLACE}:rule/bbws-product-events-dev/bbws-product-search-dev",
        f"arn:aws:events:{PLACE}:rule/bbws-product-events-dev/bbws-product-cache-dev",
        "arn:aws:cloudfront::536580886816:distribution/E2EXAMPLE1234",
        "arn:aws:cloudfront::536580886816:function/bbws-product-edge-dev-viewer-address",
        "arn:aws:s3:::bbws-product-audit-logs-dev",
        f"arn:aws:sns:{PLACE}:bbws-product-alerts-dev",
        f"arn:aws:dynamodb:{PLACE}:table/products-dev",
        f"arn:aws:dynamodb:{PLACE}:table/products-dev-restored",
    ]
    assert [name for name in owned if not reaches(name)] == []


@pytest.mark.parametrize(
    "resource",
    [
        f"arn:aws:lambda:{PLACE}:function:bbws-list-orders-dev",
        f"arn:aws:lambda:{PLACE}:function:bbws-list-products-prod",
        "arn:aws:iam::536580886816:role/bbws-list-orders-dev-eu-west-1",
        *(f"arn:aws:iam::536580886816:role/{role_name(role, 'dev')}" for role in ROLES),
        "arn:aws:iam::536580886816:role/bbws-api-gateway-logs-dev-eu-west-1",
        f"arn:aws:cloudwatch:{PLACE}:alarm:bbws-list-orders-dev-errors",
        f"arn:aws:sqs:{PLACE}:bbws-orders-dev",
        f"arn:aws:events:{PLACE}:event-bus/default",
        "arn:aws:cloudfront::536580886816:function/of-another-team",
        f"arn:aws:events:{PLACE}:rule/bbws-product-events-dev/rule-of-another-team",
        "arn:aws:s3:::bbws-product-audit-logs-dev/2026/01/31/PROD-001.json",
        "arn:aws:apigateway:eu-west-1::/account",
        f"arn:aws:s3:::bbws-terraform-state-dev/{KEY}/pipelines.tfstate",
        f"arn:aws:s3:::bbws-terraform-state-dev/{KEY}/region.tfstate",
        "arn:aws:s3:::bbws-terraform-state-dev/another_service/terraform.tfstate",
    ],
)
def test_deploy_role_does_not_reach_resource_of_others(resource: str) -> None:
    assert not reaches(resource)


def test_deploy_role_changes_only_mappings_of_custom_domains() -> None:
    domain = "arn:aws:apigateway:eu-west-1::/domainnames/api.example.com"

    assert allows("deploy", "apigateway:GET", domain)
    assert allows("deploy", "apigateway:POST", f"{domain}/basepathmappings")
    assert not allows("deploy", "apigateway:DELETE", domain)


def test_deploy_role_deletes_no_audit_trail() -> None:
    bucket = "arn:aws:s3:::bbws-product-audit-logs-dev"

    assert allows("deploy", "s3:CreateBucket", bucket)
    for action in ("s3:DeleteBucket", "s3:DeleteObject", "s3:DeleteObjectVersion", "s3:PutObject"):
        assert not allows("deploy", action, bucket)
        assert not allows("deploy", action, f"{bucket}/2026/01/31/PROD-001.json")


def test_deploy_role_changes_only_distribution_of_this_service() -> None:
    changing = {"cloudfront:DeleteDistribution", "cloudfront:UpdateDistribution"}
    own = {"StringEquals": {"aws:ResourceTag/Repository": "2_bbws_product_lambda"}}
    found = [each for each in statements("deploy") if changing.intersection(each["Action"])]
    assert [each["Condition"] for each in found] == [own]


def test_deploy_role_connects_only_own_event_functions() -> None:
    conditions = [
        statement["Condition"]["ArnLike"]["lambda:FunctionArn"]
        for statement in statements("deploy")
        if {"lambda:CreateEventSourceMapping", "lambda:UpdateEventSourceMapping"}.intersection(
            statement["Action"]
        )
    ]
    assert len(conditions) == 2
    for patterns in conditions:
        assert len(patterns) == len(event_function_names("dev"))
        for name in event_function_names("dev"):
            arn = f"arn:aws:lambda:{PLACE}:function:{name}:live"
            assert any(fnmatch.fnmatchcase(arn, pattern) for pattern in patterns)


def test_deploy_role_deletes_versions_of_functions() -> None:
    version = f"arn:aws:lambda:{PLACE}:function:bbws-get-product-dev:7"

    assert allows("deploy", "lambda:ListVersionsByFunction", version.removesuffix(":7"))
    assert allows("deploy", "lambda:DeleteFunction", version)
