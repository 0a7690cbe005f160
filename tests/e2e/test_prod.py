"""The stack of PROD, deployed after an interrupted deployment: firewall, limits, read-only."""

import os
import signal
from typing import TYPE_CHECKING

import pytest
import urllib3

from local.engine import running_engine
from local.stack import Deployment, LocalStack, LocalStackError
from tests.support.factory import product_body
from tests.support.product_api import ProductApi

if TYPE_CHECKING:
    from types_boto3_lambda import LambdaClient

pytestmark = pytest.mark.timeout(600)  # seconds; two deployments, each takes one minute


@pytest.fixture(scope="session")
def interrupted(prod: LocalStack) -> str:
    """The error message of a deployment whose engine is killed."""

    def kill_halfway(line: str) -> None:
        running = running_engine(prod.engine_folder)
        if "service: 30 of" in line and running is not None:
            os.kill(running.pid, signal.SIGKILL)

    with pytest.raises(LocalStackError) as raised:
        prod.deploy(kill_halfway)
    return str(raised.value)


@pytest.fixture(scope="session")
def redeployed(prod: LocalStack, interrupted: str) -> tuple[Deployment, list[str]]:
    """The next deployment, and its reported steps."""
    assert interrupted
    steps: list[str] = []
    return prod.deploy(steps.append), steps


def test_deployment_after_killed_engine_starts_from_nothing(
    interrupted: str, redeployed: tuple[Deployment, list[str]]
) -> None:
    assert interrupted == (
        "The local AWS stopped during the deployment: "
        "run the same command again, which starts from nothing."
    )
    deployment, steps = redeployed
    assert steps[0] == "The last deployment or its engine was interrupted: starting from nothing"
    assert deployment.changed
    assert urllib3.request("GET", f"{deployment.base_url}/products").status == 200


def test_writes_above_limit_of_key_return_429(
    redeployed: tuple[Deployment, list[str]],
) -> None:
    deployment, _ = redeployed
    key, url = {"x-api-key": deployment.api_key}, f"{deployment.base_url}/products"
    for _ in range(60):  # the usage plan allows a burst of five, and one a second
        response = urllib3.request("POST", url, headers=key)
        if response.status == 429:
            break
    else:
        pytest.fail("60 writes in a row were accepted")
    assert response.headers["Retry-After"] == "1"
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.headers["Access-Control-Allow-Origin"] == "https://kimmyai.io"
    assert response.json()["type"] == "tag:kimmyai.io,2026:throttled"
    assert response.json()["instance"] == response.headers["X-Request-Id"]


def test_reads_succeed_while_key_is_throttled(
    redeployed: tuple[Deployment, list[str]],
) -> None:
    deployment, _ = redeployed
    statuses = {urllib3.request("GET", f"{deployment.base_url}/products").status for _ in range(20)}
    assert statuses == {200}


def test_firewall_protects_stage(
    prod: LocalStack, redeployed: tuple[Deployment, list[str]]
) -> None:
    """The emulator runs no rules and drops the custom body; test_terraform.py checks the plan."""
    assert redeployed
    outputs = prod.main_root().outputs()
    waf = prod.client("wafv2")
    stage = f"arn:aws:apigateway:af-south-1::/restapis/{outputs['api_id']}/stages/v1_0"
    acl = waf.get_web_acl_for_resource(ResourceArn=stage)["WebACL"]
    assert acl["ARN"] == outputs["web_acl_arn"]
    rules = {rule["Name"]: rule["Statement"] for rule in acl["Rules"]}
    common = rules["common"]["ManagedRuleGroupStatement"]
    assert common["Name"] == "AWSManagedRulesCommonRuleSet"
    overrides = {rule["Name"]: set(rule["ActionToUse"]) for rule in common["RuleActionOverrides"]}
    assert overrides == {
        "CrossSiteScripting_BODY": {"Count"},
        "GenericLFI_BODY": {"Count"},
        "GenericRFI_BODY": {"Count"},
        "SizeRestrictions_BODY": {"Count"},
    }
    assert rules["rate"]["RateBasedStatement"]["Limit"] == 2000
    (rate,) = (rule for rule in acl["Rules"] if rule["Name"] == "rate")
    assert rate["Action"]["Block"]["CustomResponse"]["ResponseCode"] == 429


def test_read_only_setting_takes_effect_after_shift(
    prod: LocalStack, redeployed: tuple[Deployment, list[str]]
) -> None:
    deployment, _ = redeployed
    api = ProductApi(deployment.base_url, deployment.api_key)
    rejected = api.create_product(product_body())
    assert rejected.status == 503
    assert rejected.json()["type"] == "tag:kimmyai.io,2026:read-only"
    assert api.list_products().status == 200

    prod.variables["read_only"] = False
    assert prod.apply(lambda _: None)
    assert _live_versions(prod) == {"1"}, "Terraform must not move the aliases"
    assert api.create_product(product_body()).status == 503

    assert prod.shift_aliases(lambda _: None)
    assert _live_versions(prod) == {"2"}
    assert api.create_product(product_body()).status == 201


def _live_versions(stack: LocalStack) -> set[str]:
    client: LambdaClient = stack.client("lambda")
    return {
        client.get_alias(FunctionName=function["name"], Name="live")["FunctionVersion"]
        for function in stack.main_root().outputs()["functions"].values()
    }
