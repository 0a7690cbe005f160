"""The comparison of requests with AWS's service models, with right and wrong requests.

`tests/e2e/test_access.py` compares the requests of Terraform.
"""

import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

import pytest

from tests.support.aws_requests import CheckingProxy

ACL: Final = {
    "Name": "bbws-product-api-dev",
    "Scope": "REGIONAL",
    "DefaultAction": {"Allow": {}},
    "Description": "A rate limit for the product API",
    "VisibilityConfig": {
        "SampledRequestsEnabled": True,
        "CloudWatchMetricsEnabled": True,
        "MetricName": "all",
    },
}
ROLE: Final = {
    "Action": "CreateRole",
    "Version": "2010-05-08",
    "RoleName": "bbws-product-plan-dev",
    "Description": "GitHub jobs",
    "AssumeRolePolicyDocument": "{}",
    "Tags.member.1.Key": "Component",
    "Tags.member.1.Value": "Pipelines",
}
FUNCTION: Final = {
    "FunctionName": "bbws-get-product-dev",
    "Role": "arn:aws:iam::536580886816:role/bbws-get-product-dev-eu-west-1",
    "Code": {"ZipFile": "UEs="},
    "Timeout": 10,
    "Environment": {"Variables": {"TABLE_NAME": "products-dev"}},
    "Architectures": ["arm64"],
}


@pytest.fixture
def proxy() -> Any:
    """A proxy that gets no requests from a client."""
    proxy = CheckingProxy("http://127.0.0.1:1")
    yield proxy
    proxy._server.server_close()


def headers(service: str, **more: str) -> dict[str, str]:
    scope = f"Credential=local/20260131/eu-west-1/{service}/aws4_request"
    return {"Authorization": f"AWS4-HMAC-SHA256 {scope}, SignedHeaders=host", **more}


def check_acl(proxy: CheckingProxy, acl: Mapping[str, Any]) -> None:
    target = {"X-Amz-Target": "AWSWAF_20190729.CreateWebACL"}
    proxy.check("POST", "/", {**headers("wafv2"), **target}, json.dumps(acl).encode())


def check_role(proxy: CheckingProxy, form: Mapping[str, str]) -> None:
    kind = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    proxy.check("POST", "/", {**headers("iam"), **kind}, urlencode(form).encode())


def check_function(proxy: CheckingProxy, function: Mapping[str, Any]) -> None:
    body = json.dumps(function).encode()
    proxy.check("POST", "/2015-03-31/functions", headers("lambda"), body)


def test_right_requests_have_no_findings(proxy: CheckingProxy) -> None:
    check_acl(proxy, ACL)
    check_role(proxy, ROLE)
    check_function(proxy, FUNCTION)
    path = "/restapis/abc/resources/def/methods/GET"
    proxy.check("PUT", path, headers("apigateway"), b'{"authorizationType": "NONE"}')

    assert (proxy.findings, proxy.unread) == ([], [])
    assert set(proxy.operations) == {
        "apigateway:PutMethod",
        "iam:CreateRole",
        "lambda:CreateFunction",
        "wafv2:CreateWebACL",
    }


def test_apostrophe_in_description_of_firewall_is_found(proxy: CheckingProxy) -> None:
    check_acl(proxy, {**ACL, "Description": "AWS's rules"})
    [finding] = proxy.findings
    assert finding.startswith("""wafv2:CreateWebACL.Description "AWS's rules" does not match""")


def test_missing_unknown_and_wrong_fields_are_found(proxy: CheckingProxy) -> None:
    acl = {name: value for name, value in ACL.items() if name != "DefaultAction"}
    check_acl(proxy, {**acl, "Colour": "red", "Scope": "WORLD"})
    assert proxy.findings == [
        "wafv2:CreateWebACL has no field Colour",
        "wafv2:CreateWebACL lacks DefaultAction",
        "wafv2:CreateWebACL.Scope must not be 'WORLD'",
    ]


def test_dash_in_description_of_role_is_found(proxy: CheckingProxy) -> None:
    check_role(proxy, {**ROLE, "Description": "GitHub jobs \N{EM DASH} of DEV"})
    [finding] = proxy.findings
    assert "iam:CreateRole.Description" in finding


def test_wrong_tag_of_role_is_found(proxy: CheckingProxy) -> None:
    check_role(proxy, {**ROLE, "Tags.member.2.Key": "a;b", "Tags.member.2.Value": "c"})
    [finding] = proxy.findings
    assert finding.startswith("iam:CreateRole.Tags[1].Key 'a;b' does not match")


def test_wrong_settings_of_function_are_found(proxy: CheckingProxy) -> None:
    check_function(
        proxy,
        {
            **FUNCTION,
            "Timeout": 0,
            "Description": "d" * 257,
            "Environment": {"Variables": {"1ST": "value"}},
            "Architectures": ["sparc"],
        },
    )
    places = [finding.split(" ")[0] for finding in proxy.findings]
    assert places == [
        "lambda:CreateFunction.Architectures[0]",
        "lambda:CreateFunction.Description",
        "lambda:CreateFunction.Environment.Variables",
        "lambda:CreateFunction.Timeout",
    ]


def test_missing_query_parameter_and_wrong_label_are_found(proxy: CheckingProxy) -> None:
    path = "/2015-03-31/functions/not%20a%20name/aliases/live"
    proxy.check("PUT", path, headers("lambda"), b"{}")
    assert [finding.split(" ")[0] for finding in proxy.findings] == [
        "lambda:UpdateAlias.FunctionName"
    ]


def test_request_without_known_operation_is_reported(proxy: CheckingProxy) -> None:
    proxy.check("PATCH", "/nowhere", headers("lambda"), b"")
    proxy.check("GET", "/", {"Authorization": "none"}, b"")
    proxy.check("GET", "/bucket/key", headers("s3"), b"")
    assert len(proxy.unread) == 3
    assert proxy.operations.total() == 0
