"""The stack of PROD: an interrupted deployment, firewall, limits, writers, and a restored table.

Each fixture changes the stack once; fixtures that need an earlier change name its fixture.
"""

import json
import os
import re
import signal
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import urllib3

from local.engine import running_engine
from local.stack import Deployment, LocalStack, LocalStackError
from tests.support.factory import product_body
from tests.support.product_api import ProductApi
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_lambda import LambdaClient

TABLE = "products-prod"
RESTORED_TABLE = "products-prod-restored"

# Seconds. The first test may make all changes of the stack, which take three minutes.
pytestmark = pytest.mark.timeout(900)


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


class Switch(NamedTuple):
    """What callers and aliases saw while the read-only switch was on, applied off, and shifted."""

    problem: str
    read_status: int
    applied_versions: set[str]
    applied_status: int
    shifted_versions: set[str]
    shifted_status: int


@pytest.fixture(scope="session")
def apis(
    redeployed: tuple[Deployment, list[str]], writer_keys: dict[str, str]
) -> dict[str, ProductApi]:
    """PROD's API with the key of each writer, by writer."""
    base_url = redeployed[0].base_url
    return {writer: ProductApi(base_url, key) for writer, key in writer_keys.items()}


@pytest.fixture(scope="session")
def switched(prod: LocalStack, apis: dict[str, ProductApi]) -> Switch:
    """PROD accepts writes again."""
    api = apis["admin"]
    rejected, read = api.create_product(product_body()), api.list_products()
    assert rejected.status == 503
    prod.variables["read_only"] = False
    assert prod.apply(lambda _: None)
    applied_versions, applied = _live_versions(prod), api.create_product(product_body())
    assert prod.shift_aliases(lambda _: None)
    return Switch(
        rejected.json()["type"],
        read.status,
        applied_versions,
        applied.status,
        _live_versions(prod),
        api.create_product(product_body()).status,
    )


@pytest.fixture(scope="session")
def written(apis: dict[str, ProductApi], switched: Switch) -> dict[str, str]:
    """The id of a new product of each writer, by writer."""
    assert switched.shifted_status == 201
    return {
        writer: api.create_product(product_body()).json()["productId"]
        for writer, api in apis.items()
    }


class TakeOver(NamedTuple):
    """The statuses of reads while a restored table takes over, and the tables of the rights."""

    before_shift: int
    after_shift: int
    after_roll_back: int
    tables: set[str]


@pytest.fixture(scope="session")
def restored(
    prod: LocalStack,
    apis: dict[str, ProductApi],
    writer_keys: dict[str, str],
    written: dict[str, str],
) -> TakeOver:
    """PROD without the second writer, on a restored table, and rolled back to the former one."""
    dynamodb: DynamoDBClient = prod.client("dynamodb")
    dynamodb.restore_table_to_point_in_time(
        SourceTableName=TABLE, TargetTableName=RESTORED_TABLE, UseLatestRestorableTime=True
    )
    eventually(
        lambda: dynamodb.describe_table(TableName=RESTORED_TABLE)["Table"]["TableStatus"]
        == "ACTIVE"
        or None,
        "the restored table",
    )
    only_in_former, only_in_restored = written.values()
    for table, product_id in ((RESTORED_TABLE, only_in_former), (TABLE, only_in_restored)):
        dynamodb.delete_item(TableName=table, Key=_key(product_id))
    former_versions = _versions(prod)

    prod.variables |= {
        "table_name": RESTORED_TABLE,
        "former_table_name": TABLE,
        "writers": ["admin"],
        "api_key_values": {"admin": writer_keys["admin"]},
    }
    assert prod.apply(lambda _: None)
    api = apis["admin"]
    before_shift = api.get_product(only_in_former).status
    assert prod.shift_aliases(lambda _: None)
    after_shift = api.get_product(only_in_restored).status
    client: LambdaClient = prod.client("lambda")
    for function, version in former_versions.items():
        client.update_alias(FunctionName=function, Name="live", FunctionVersion=version)
    after_roll_back = api.get_product(only_in_former).status
    return TakeOver(before_shift, after_shift, after_roll_back, _tables_of_rights(prod))


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
    redeployed: tuple[Deployment, list[str]], writer_keys: dict[str, str]
) -> None:
    deployment, _ = redeployed
    url = f"{deployment.base_url}/products"
    key, other = ({"x-api-key": value} for value in writer_keys.values())
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
    # The limit is that of each key: the other writer is not throttled.
    assert urllib3.request("POST", url, headers=other).status != 429


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


def test_read_only_setting_takes_effect_after_shift(switched: Switch) -> None:
    assert switched.problem == "tag:kimmyai.io,2026:read-only"
    assert switched.read_status == 200
    assert switched.applied_versions == {"1"}, "Terraform must not move the aliases"
    assert switched.applied_status == 503
    assert switched.shifted_versions == {"2"}
    assert switched.shifted_status == 201


def test_published_versions_have_snapstart(
    prod: LocalStack, redeployed: tuple[Deployment, list[str]]
) -> None:
    assert redeployed
    client: LambdaClient = prod.client("lambda")
    for function in _versions(prod):
        version = client.get_function_configuration(FunctionName=function, Qualifier="1")
        assert version["SnapStart"]["ApplyOn"] == "PublishedVersions"


def test_revoked_key_is_rejected_while_other_works(
    prod: LocalStack,
    apis: dict[str, ProductApi],
    writer_keys: dict[str, str],
    restored: TakeOver,
) -> None:
    assert restored
    assert prod.main_root().outputs()["api_keys"] == {"admin": writer_keys["admin"]}
    statuses = {writer: api.delete_product("PROD-NEVER").status for writer, api in apis.items()}
    assert statuses == {"admin": 404, "promotions": 403}


def test_former_table_is_readable_until_traffic_moved(restored: TakeOver) -> None:
    assert restored.before_shift == 200, "live versions lost the rights to their table"
    assert restored.after_shift == 200
    assert restored.after_roll_back == 200, "a roll-back leads to versions without rights"
    assert restored.tables == {TABLE, RESTORED_TABLE}


def test_dashboard_of_home_region_has_no_region(
    prod: LocalStack, redeployed: tuple[Deployment, list[str]]
) -> None:
    assert redeployed
    dashboards = prod.client("cloudwatch").list_dashboards()["DashboardEntries"]
    assert [dashboard["DashboardName"] for dashboard in dashboards] == ["bbws-product-prod"]


def _live_versions(stack: LocalStack) -> set[str]:
    return set(_versions(stack).values())


def _versions(stack: LocalStack) -> dict[str, str]:
    """Return the version of each function's alias, by the name of the function."""
    client: LambdaClient = stack.client("lambda")
    names = [function["name"] for function in stack.main_root().outputs()["functions"].values()]
    return {
        name: client.get_alias(FunctionName=name, Name="live")["FunctionVersion"] for name in names
    }


def _tables_of_rights(stack: LocalStack) -> set[str]:
    """Return the names of the tables in the policies of all functions' roles."""
    iam = stack.client("iam")
    tables = set()
    for function in _versions(stack):
        document = iam.get_role_policy(
            RoleName=f"{function}-af-south-1", PolicyName="least-privilege"
        )["PolicyDocument"]
        tables |= set(re.findall(r":table/([\w.-]+)", json.dumps(document)))
    return tables


def _key(product_id: str) -> dict[str, Any]:
    return {"PK": {"S": f"PRODUCT#{product_id}"}, "SK": {"S": "METADATA"}}
