"""What API Gateway needs of an account and a region: a role for logs, limits, a custom domain."""

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from product_tools.preflight.checks import Check, Finding, error_code, found, found_if, missing
from product_tools.preflight.target import Target

if TYPE_CHECKING:
    from types_boto3_apigateway import APIGatewayClient

_SERVICE = "apigateway.amazonaws.com"
_OLD_TLS = "TLS_1_0"


def checks(target: Target) -> Iterator[Check]:
    """Return the checks of the account's settings, and of the custom domain where one is set."""
    rate, burst = (target.values[f"stage_throttle_{limit}"] for limit in ("rate", "burst"))
    yield Check(
        "API Gateway: role for logs",
        f"a role that {_SERVICE} may use, in the settings of {target.region}",
        "apply terraform/region; CI/CD guide: API Gateway's CloudWatch role",
        partial(_role_for_logs, target),
    )
    yield Check(
        "API Gateway: limits",
        f"at least {rate} requests a second, bursts of {burst}",
        "ask for a higher quota of API Gateway: Throttle rate",
        partial(_limits, target.client("apigateway"), rate, burst),
    )
    if domain := target.values.get("custom_domain_name"):
        yield Check(
            "Custom domain",
            f"{domain}, regional and available",
            "create the custom domain with its certificate, or set custom_domain_name to null",
            partial(_domain, target.client("apigateway"), domain),
        )
        yield Check(
            "Custom domain: TLS",
            "TLS 1.2 or newer",
            "change the security policy of the custom domain",
            partial(_tls, target.client("apigateway"), domain),
        )


def _role_for_logs(target: Target) -> Finding:
    arn = target.client("apigateway").get_account().get("cloudwatchRoleArn")
    if not arn:
        return missing("no role")
    name = arn.rpartition("/")[2]
    try:
        role = target.client("iam").get_role(RoleName=name)["Role"]
    except ClientError as error:
        if error_code(error) == "NoSuchEntity":  # the settings outlive the role
            return missing(f"{arn}, which does not exist")
        raise
    if _SERVICE not in _trusted_services(role["AssumeRolePolicyDocument"]):
        return missing(f"{arn}, which does not trust {_SERVICE}")
    own = f"bbws-api-gateway-logs-{target.environment}-{target.region}"
    return found(arn if name == own else f"{arn}, which another stack manages")


def _trusted_services(document: Any) -> set[str]:  # noqa: ANN401 (a policy, decoded by boto3)
    services: set[str] = set()
    for statement in document["Statement"]:
        service = statement["Principal"].get("Service", [])
        services |= {service} if isinstance(service, str) else set(service)
    return services


def _limits(client: "APIGatewayClient", rate: float, burst: int) -> Finding:
    limits = client.get_account()["throttleSettings"]
    text = f"{limits['rateLimit']:g} requests a second, bursts of {limits['burstLimit']}"
    return found_if(limits["rateLimit"] >= rate and limits["burstLimit"] >= burst, text)


def _domain(client: "APIGatewayClient", name: str) -> Finding:
    try:
        domain = client.get_domain_name(domainName=name)
    except ClientError as error:
        if error_code(error) == "NotFoundException":
            return missing("no such domain in this region")
        raise
    types = domain["endpointConfiguration"]["types"]
    # API Gateway shows the status of a change only; without one, the domain is available.
    status = domain.get("domainNameStatus", "AVAILABLE")
    is_ready = "REGIONAL" in types and status == "AVAILABLE"
    return found_if(is_ready, f"{', '.join(types).lower()}, {status.lower()}")


def _tls(client: "APIGatewayClient", name: str) -> Finding:
    policy = client.get_domain_name(domainName=name).get("securityPolicy", _OLD_TLS)
    return found_if(policy != _OLD_TLS, policy)
