"""The rights of the workflows' roles, against AWS's list of actions, and the comparison itself.

`tests/e2e/test_access.py` compares the policies of all Terraform roots, as they are applied.
"""

import json
from string import Template
from typing import Any, Final

import pytest

from product_tools.environment_files import DEPLOYMENTS, state_location, values
from product_tools.pipeline_roles import POLICY_FOLDER, ROLES, rights
from tests.support.aws_policies import findings

FUNCTION: Final = "arn:aws:lambda:eu-west-1:536580886816:function:bbws-*-product-dev*"
BUCKET: Final = "arn:aws:s3:::bbws-terraform-state-dev"


def policy(action: str, resource: str, **condition: Any) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Action": [action], "Resource": [resource]}
    return {"Statement": [{**statement, **condition}]}


@pytest.mark.parametrize("deployment", DEPLOYMENTS)
@pytest.mark.parametrize("role", ROLES)
def test_rights_of_role_fit_the_list_of_aws(role: str, deployment: str) -> None:
    location = state_location(deployment)
    region = values(deployment)["aws_region"]
    statements = rights(
        role,
        deployment.removesuffix("-recovery"),
        account_id=location.account,
        region=region,
        state_bucket=location.bucket,
    )
    assert findings({"Statement": statements}) == []


def test_trust_of_roles_fits_the_list_of_aws() -> None:
    template = Template((POLICY_FOLDER / "trust.json.tftpl").read_text())
    assert findings(json.loads(template.substitute(account_id="1", subject="s"))) == []


@pytest.mark.parametrize(
    ("wrong", "finding"),
    [
        (policy("lambda:MoveAlias", FUNCTION), "lambda:MoveAlias is no action of AWS"),
        (policy("lambda:updateAlias", FUNCTION), "lambda:updateAlias is no action of AWS"),
        (policy("lambda:Update*", FUNCTION), "lambda:Update* is no action of AWS"),
        (policy("lambda:*", FUNCTION), "lambda:* is no action of AWS"),
        (policy("lamda:*", "*", Effect="Deny"), "lamda:* is no action of AWS"),
        (policy("lamda:UpdateAlias", FUNCTION), "lamda:UpdateAlias is no action of AWS"),
        (
            policy("lambda:UpdateAlias", FUNCTION.replace(":function:", ":functions:")),
            "lambda:UpdateAlias has none of these resources",
        ),
        (policy("s3:GetObject", BUCKET), "s3:GetObject has none of these resources"),
        (policy("s3:ListBucket", f"{BUCKET}/*"), "s3:ListBucket has none of these resources"),
        (policy("dynamodb:ListTables", FUNCTION), "dynamodb:ListTables needs *"),
        (policy("xray:PutTraceSegments", FUNCTION), "xray:PutTraceSegments needs *"),
        (
            policy("s3:ListBucket", BUCKET, Condition={"StringLike": {"s3:prefixes": "a"}}),
            "s3:ListBucket has no condition key s3:prefixes (StringLike)",
        ),
        (
            policy("s3:GetObject", f"{BUCKET}/*", Condition={"StringLike": {"s3:prefix": "a"}}),
            "s3:GetObject has no condition key s3:prefix (StringLike)",
        ),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_wrong_policy_is_found(wrong: dict[str, Any], finding: str) -> None:
    assert any(each.startswith(finding) for each in findings(wrong)), findings(wrong)


@pytest.mark.parametrize(
    "right",
    [
        policy("lambda:UpdateAlias", FUNCTION),
        policy("lambda:UpdateAlias", "*"),
        policy("s3:*", BUCKET, Effect="Deny"),
        policy(
            "dynamodb:GetRecords",
            "arn:aws:dynamodb:eu-west-1:1:table/t/stream/2026-01-31T09:30:00.123",
        ),
        policy("s3:GetObject", f"{BUCKET}/folder/*"),
        policy("s3:ListBucket", BUCKET, Condition={"StringLike": {"s3:prefix": "a"}}),
        policy("apigateway:GET", "arn:aws:apigateway:eu-west-1::/restapis*"),
        policy("logs:PutLogEvents", "arn:aws:logs:eu-west-1:1:log-group:/aws/lambda/f:*"),
    ],
    ids=lambda right: right["Statement"][0]["Action"][0],
)
def test_right_policy_has_no_finding(right: dict[str, Any]) -> None:
    assert findings(right) == []
