"""PROD's stack, deployed over an interrupted one: firewall, limits and read-only switch."""

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

pytestmark = pytest.mark.timeout(300)  # seconds; a deployment takes one minute


@pytest.fixture(scope="session")
def interrupted(prod: LocalStack) -> str:
    """What a deployment says whose engine is killed in the middle of it."""

    def kill_halfway(line: str) -> None:
        running = running_engine(prod.engine_folder)
        if "service: 30 of" in line and running is not None:
            os.kill(running.pid, signal.SIGKILL)

    with pytest.raises(LocalStackError) as stopped:
        prod.deploy(kill_halfway)
    return str(stopped.value)


@pytest.fixture(scope="session")
def redeployed(prod: LocalStack, interrupted: str) -> tuple[Deployment, list[str]]:
    """The deployment after that, and what was reported of it."""
    assert interrupted
    said: list[str] = []
    return prod.deploy(said.append), said


def test_a_deployment_whose_engine_was_killed_is_taken_up_by_the_next_one(
    interrupted: str, redeployed: tuple[Deployment, list[str]]
) -> None:
    assert interrupted == (
        "The local AWS stopped in the middle of the deployment: "
        "run the same command again, which then starts from nothing."
    )
    deployment, said = redeployed
    assert said[0] == "The last deployment or its engine was interrupted: starting from nothing"
    assert deployment.changed
    assert urllib3.request("GET", f"{deployment.base_url}/products").status == 200


def test_past_the_limit_of_the_key_writes_are_throttled(
    redeployed: tuple[Deployment, list[str]],
) -> None:
    deployment, _ = redeployed
    key, url = {"x-api-key": deployment.api_key}, f"{deployment.base_url}/products"
    for _ in range(60):  # the plan allows five at once and one a second
        response = urllib3.request("POST", url, headers=key)
        if response.status == 429:
            break
    else:
        pytest.fail("60 writes in a row were let through")
    assert response.headers["Retry-After"] == "1"
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.headers["Access-Control-Allow-Origin"] == "https://kimmyai.io"
    assert response.json()["type"] == "tag:kimmyai.io,2026:throttled"
    assert response.json()["instance"] == response.headers["X-Request-Id"]


def test_reads_go_on_while_the_key_is_throttled(
    redeployed: tuple[Deployment, list[str]],
) -> None:
    deployment, _ = redeployed
    statuses = {urllib3.request("GET", f"{deployment.base_url}/products").status for _ in range(20)}
    assert statuses == {200}


def test_the_firewall_stands_before_the_stage_and_lets_large_products_in(
    prod: LocalStack, redeployed: tuple[Deployment, list[str]]
) -> None:
    assert redeployed
    outputs = prod.main_root().outputs()
    waf = prod.client("wafv2")
    stage = f"arn:aws:apigateway:af-south-1::/restapis/{outputs['api_id']}/stages/v1_0"
    acl = waf.get_web_acl_for_resource(ResourceArn=stage)["WebACL"]
    assert acl["ARN"] == outputs["web_acl_arn"]
    rules = {rule["Name"]: rule["Statement"] for rule in acl["Rules"]}
    common = rules["common"]["ManagedRuleGroupStatement"]
    assert common["Name"] == "AWSManagedRulesCommonRuleSet"
    (override,) = common["RuleActionOverrides"]
    assert override["Name"] == "SizeRestrictions_BODY"
    assert "Count" in override["ActionToUse"]
    assert rules["rate"]["RateBasedStatement"]["Limit"] == 2000


def test_the_read_only_switch_takes_effect_when_traffic_is_shifted(
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
    assert _live_versions(prod) == {"1"}, "Terraform must leave the aliases alone"
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
