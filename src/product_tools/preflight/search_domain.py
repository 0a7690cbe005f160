"""The OpenSearch domain of the search index, which other people own."""

from collections.abc import Iterator, Mapping
from functools import cache, partial
from typing import Any, Final

from botocore.exceptions import ClientError

from product_tools.preflight.checks import Check, Finding, error_code, found, found_if, missing
from product_tools.preflight.target import Target

_SWITCH: Final = "enable_opensearch"
_REGION_IN_ARN: Final = 3


def checks(target: Target) -> Iterator[Check]:
    """Return the checks of the domain, where the search index is on."""
    arn = target.values.get("opensearch_domain_arn")
    endpoint = target.values.get("opensearch_endpoint")
    if not target.values.get(_SWITCH) or not arn:
        return
    name = arn.rpartition("/")[2]
    client = target.client("opensearch", arn.split(":")[_REGION_IN_ARN])

    @cache
    def domain() -> Mapping[str, Any]:
        status: Mapping[str, Any] = client.describe_domain(DomainName=name)["DomainStatus"]
        return status

    yield Check(
        "Search domain",
        f"{name}, outside a VPC",
        "ask the owners of the domain, or correct opensearch_domain_arn",
        partial(_existence, domain),
    )
    yield Check(
        "Search domain: endpoint",
        str(endpoint),
        "correct opensearch_endpoint in the file of the environment",
        lambda: _endpoint(domain(), endpoint),
    )


def _existence(domain: Any) -> Finding:  # noqa: ANN401 (a cached function)
    try:
        status = domain()
    except ClientError as error:
        if error_code(error) == "ResourceNotFoundException":
            return missing("no such domain")
        raise
    if status.get("Deleted") or not status.get("Created"):
        return missing("it is being created or deleted")
    if status.get("VPCOptions"):
        return missing("it is in a VPC, which the functions cannot reach")
    return found(status["EngineVersion"])


def _endpoint(status: Mapping[str, Any], expected: str | None) -> Finding:
    endpoints = [
        f"https://{status[name]}" for name in ("Endpoint", "EndpointV2") if status.get(name)
    ]
    return found_if(expected in endpoints, " or ".join(endpoints) or "no endpoint")
