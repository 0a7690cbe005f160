"""Quotas of the account that a deployment needs room in."""

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from product_tools.functions import FUNCTIONS, function_name
from product_tools.preflight.checks import Check, Finding, error_code, found_if
from product_tools.preflight.target import Target

if TYPE_CHECKING:
    from types_boto3_apigateway import APIGatewayClient
    from types_boto3_iam import IAMClient
    from types_boto3_lambda import LambdaClient

_UNRESERVED = 100  # Lambda leaves at least this to functions without a reservation
_REGIONAL_APIS = "L-AA0FF27B"  # the code of this quota in Service Quotas


def checks(target: Target) -> Iterator[Check]:
    """Return the checks of the quotas."""
    values = target.values
    reserved = max(values["reserved_concurrency"], 0) * len(FUNCTIONS)
    executions = max(values["stage_throttle_burst"], reserved + _UNRESERVED if reserved else 0)
    yield Check(
        "Quota: concurrency of Lambda",
        f"{executions} concurrent executions, for bursts of requests and reservations",
        "ask for a higher quota in Service Quotas: Lambda, Concurrent executions",
        partial(_concurrency, target.client("lambda"), executions),
    )
    yield Check(
        "Quota: APIs",
        "room for one regional API",
        "ask for a higher quota in Service Quotas: API Gateway, Regional APIs",
        partial(_apis, target),
    )
    yield Check(
        "Quota: IAM roles",
        f"room for the {len(FUNCTIONS)} roles of the functions",
        "ask for a higher quota in Service Quotas: IAM, Roles per account",
        partial(_roles, target),
    )


def _concurrency(client: "LambdaClient", needed: int) -> Finding:
    limit = client.get_account_settings()["AccountLimit"]["ConcurrentExecutions"]
    return found_if(limit >= needed, f"{limit} concurrent executions")


def _apis(target: Target) -> Finding:
    response = target.client("service-quotas").get_service_quota(
        ServiceCode="apigateway", QuotaCode=_REGIONAL_APIS
    )
    quota = int(response["Quota"]["Value"])
    client: APIGatewayClient = target.client("apigateway")
    pages = client.get_paginator("get_rest_apis").paginate()
    names = [
        api["name"]
        for page in pages
        for api in page["items"]
        if "REGIONAL" in api.get("endpointConfiguration", {}).get("types", [])
    ]
    exists = f"bbws-product-api-{target.environment}" in names
    return found_if(exists or len(names) < quota, f"{len(names)} of {quota} are used")


def _roles(target: Target) -> Finding:
    client: IAMClient = target.client("iam")
    summary = client.get_account_summary()["SummaryMap"]
    used, quota = summary["Roles"], summary["RolesQuota"]
    absent = 0
    for function in FUNCTIONS:
        name = f"{function_name(function, target.environment)}-{target.region}"
        absent += not _role_exists(client, name)
    return found_if(used + absent <= quota, f"{used} of {quota} are used, {absent} are to come")


def _role_exists(client: "IAMClient", name: str) -> bool:
    try:
        client.get_role(RoleName=name)
    except ClientError as error:
        if error_code(error) == "NoSuchEntity":
            return False
        raise
    return True
