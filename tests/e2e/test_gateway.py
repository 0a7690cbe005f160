"""The deployed API Gateway: its own error responses, API keys, CORS, integrations, and limits."""

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
import urllib3

from local import gateway as local_gateway
from local.stack import LocalStack
from product_lambda.exceptions import DependencyUnavailableException, InternalException
from product_lambda.utils.response_builder import Problem
from product_tools.terraform import TERRAFORM_FOLDER
from tests.support.factory import product_body
from tests.support.product_api import ProductApi

if TYPE_CHECKING:
    from types_boto3_apigateway import APIGatewayClient

EXPOSED = "ETag, Location, Retry-After, X-Request-Id, Idempotency-Replayed"
# Amazon API Gateway Developer Guide, "Gateway response types for API Gateway".
TYPES = {
    "ACCESS_DENIED",
    "API_CONFIGURATION_ERROR",
    "AUTHORIZER_CONFIGURATION_ERROR",
    "AUTHORIZER_FAILURE",
    "BAD_REQUEST_BODY",
    "BAD_REQUEST_PARAMETERS",
    "DEFAULT_4XX",
    "DEFAULT_5XX",
    "EXPIRED_TOKEN",
    "INTEGRATION_FAILURE",
    "INTEGRATION_TIMEOUT",
    "INVALID_API_KEY",
    "INVALID_SIGNATURE",
    "MISSING_AUTHENTICATION_TOKEN",
    "QUOTA_EXCEEDED",
    "REQUEST_TOO_LARGE",
    "RESOURCE_NOT_FOUND",
    "THROTTLED",
    "UNAUTHORIZED",
    "UNSUPPORTED_MEDIA_TYPE",
    "WAF_FILTERED",
}
ALLOWED = {
    "/products": {"GET", "POST", "OPTIONS"},
    "/products/{productId}": {"GET", "PUT", "DELETE", "OPTIONS"},
    "/deleted-products": {"GET", "OPTIONS"},
}
# All methods of a REST API but OPTIONS. Amazon API Gateway API Reference, "PutMethod".
METHODS = {"DELETE", "GET", "HEAD", "PATCH", "POST", "PUT"}
NOT_ALLOWED = [(method, path) for path in ALLOWED for method in sorted(METHODS - ALLOWED[path])]


@pytest.fixture(scope="module")
def gateway(stack: LocalStack) -> "APIGatewayClient":
    client: APIGatewayClient = stack.client("apigateway")
    return client


@pytest.fixture(scope="module")
def api_id(gateway: "APIGatewayClient") -> str:
    (api,) = gateway.get_rest_apis()["items"]
    assert api["name"] == "bbws-product-api-dev"
    return api["id"]


@pytest.mark.parametrize(
    ("method", "target"),
    [("POST", "/products"), ("PUT", "/products/PROD-001"), ("DELETE", "/products/PROD-001")],
)
@pytest.mark.parametrize("key", [None, "", "unknown-key-of-a-valid-length"])
def test_write_without_valid_key_returns_403(
    api: ProductApi, method: str, target: str, key: str | None
) -> None:
    headers = {} if key is None else {"x-api-key": key}
    response = api.request(method, target, headers=headers, body=b"{}")
    assert response.status == 403
    assert response.json()["type"] == "tag:kimmyai.io,2026:forbidden"
    assert "x-api-key" in response.json()["detail"]


@pytest.mark.parametrize("target", ["/", "/nope", "/products/PROD-001/more"])
def test_unknown_path_returns_404(api: ProductApi, target: str) -> None:
    response = api.request("GET", target)
    assert response.status == 404
    assert response.json()["type"] == "tag:kimmyai.io,2026:route-not-found"


@pytest.mark.parametrize(("method", "path"), NOT_ALLOWED)
@pytest.mark.parametrize("key", ["none", "wrong", "valid"])
def test_other_method_returns_405(api: ProductApi, method: str, path: str, key: str) -> None:
    headers = {"none": {}, "wrong": {"x-api-key": "wrong"}, "valid": {"x-api-key": api.api_key}}
    target = path.replace("{productId}", "PROD-001")
    response = api.request(method, target, headers=headers[key])
    assert response.status == 405
    assert set(response.headers["Allow"].split(", ")) == ALLOWED[path]
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert response.headers["Access-Control-Expose-Headers"] == EXPOSED
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Cache-Control"] == "no-store"
    if method == "HEAD":
        assert response.body == b""
        return
    problem = response.json()
    assert problem.pop("instance")
    assert problem == {
        "type": "tag:kimmyai.io,2026:method-not-allowed",
        "title": "The method is not allowed",
        "status": 405,
        "detail": "Use one of the methods in Allow.",
    }


def test_unlisted_content_type_of_other_method_returns_415(api: ProductApi) -> None:
    """Passed through to the mock integration, it would be a 500 on AWS."""
    url = f"{api.base_url}/products"
    response = urllib3.request("PATCH", url, headers={"Content-Type": "image/png"}, body=b"x")
    assert response.status == 415
    problem = response.json()
    assert problem["type"] == "tag:kimmyai.io,2026:unsupported-media-type"
    assert problem["instance"] == response.headers["X-Request-Id"]


def test_integrations_of_other_methods(gateway: "APIGatewayClient", api_id: str) -> None:
    """The emulator evaluates no expressions of mocks, so this test compares them."""
    checked = set()
    for resource in gateway.get_resources(restApiId=api_id)["items"]:
        if resource["path"] not in ALLOWED:
            continue
        place: Any = {"restApiId": api_id, "resourceId": resource["id"], "httpMethod": "ANY"}
        method = gateway.get_method(**place)
        assert method["authorizationType"] == "NONE"
        assert not method["apiKeyRequired"]
        integration = gateway.get_integration(**place)
        assert integration["type"] == "MOCK"
        assert integration["passthroughBehavior"] == "NEVER"
        assert integration["contentHandling"] == "CONVERT_TO_TEXT"
        templates = integration["requestTemplates"]
        assert "application/json" in templates
        assert {json.loads(template)["statusCode"] for template in templates.values()} == {405}
        assert list(method["methodResponses"]) == ["405"]
        response = gateway.get_integration_response(**place, statusCode="405")
        assert response["contentHandling"] == "CONVERT_TO_TEXT"
        headers = _headers(response["responseParameters"], "method.response.header.")
        declared = _headers(
            method["methodResponses"]["405"]["responseParameters"], "method.response.header."
        )
        assert declared.keys() == headers.keys()
        # Amazon API Gateway Developer Guide, "Parameter mapping source reference for REST APIs".
        assert headers["X-Request-Id"] == "context.requestId"
        assert set(headers["Allow"].strip("'").split(", ")) == ALLOWED[resource["path"]]
        (template,) = response["responseTemplates"].values()
        problem = json.loads(template)
        assert problem["instance"] == "$context.requestId"
        _assert_same_text(problem, local_gateway.METHOD_NOT_ALLOWED)
        checked.add(resource["path"])
    assert checked == ALLOWED.keys()


def test_deployment_includes_whole_api() -> None:
    """A deployment is a snapshot: it waits for all resources."""
    texts = {path.name: path.read_text() for path in TERRAFORM_FOLDER.glob("api_gateway*.tf")}
    resources = re.findall(
        r'^resource "aws_api_gateway_(\w+)" "(\w+)"', "\n".join(texts.values()), re.MULTILINE
    )
    last = {"gateway_response", "integration", "integration_response"}
    responses = {name for kind, name in resources if kind == "integration_response"}
    expected = {
        f"aws_api_gateway_{kind}.{name}"
        for kind, name in resources
        if kind in last and (kind != "integration" or name not in responses)
    }
    deployment = texts["api_gateway.tf"].split('"aws_api_gateway_deployment"')[1]
    depends_on = deployment.split("depends_on = [")[1].split("]")[0]
    assert set(re.findall(r"aws_\w+\.\w+", depends_on)) == expected


def test_read_without_key_succeeds(api: ProductApi) -> None:
    assert api.request("GET", "/products").status == 200


def test_gateway_response_allows_every_origin(api: ProductApi) -> None:
    response = api.request("POST", "/products", headers={"Origin": "http://localhost:5173"})
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert response.headers["Access-Control-Expose-Headers"] == EXPOSED
    assert response.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("origin", ["https://dev.kimmyai.io", "http://localhost:5173"])
def test_function_response_allows_origin_of_caller(api: ProductApi, origin: str) -> None:
    response = api.list_products({"Origin": origin})
    assert response.headers["Access-Control-Allow-Origin"] == origin
    assert response.headers["Vary"] == "Accept-Encoding, Origin"


def test_unknown_origin_is_not_allowed(api: ProductApi) -> None:
    response = api.list_products({"Origin": "https://elsewhere.example"})
    assert response.headers["Access-Control-Allow-Origin"] == "https://dev.kimmyai.io"


@pytest.mark.parametrize(
    ("target", "methods"),
    [
        ("/products", {"GET", "POST", "OPTIONS"}),
        ("/products/PROD-001", {"GET", "PUT", "DELETE", "OPTIONS"}),
    ],
)
def test_preflight_allows_methods_and_headers_of_path(
    api: ProductApi, target: str, methods: set[str]
) -> None:
    headers = {"Origin": "https://dev.kimmyai.io", "Access-Control-Request-Method": "GET"}
    response = api.request("OPTIONS", target, headers=headers)
    assert response.status == 204
    assert response.headers["Access-Control-Allow-Origin"] == "https://dev.kimmyai.io"
    assert set(response.headers["Access-Control-Allow-Methods"].split(", ")) == methods
    assert set(response.headers["Access-Control-Allow-Headers"].split(", ")) == {
        "content-type",
        "x-api-key",
        "if-match",
        "if-none-match",
        "idempotency-key",
        "prefer",
    }


def test_preflight_template_sets_origin_and_request_id(
    gateway: "APIGatewayClient", api_id: str
) -> None:
    """The emulator does not run templates of mocks, so this test compares the text."""
    for resource in gateway.get_resources(restApiId=api_id)["items"]:
        if "OPTIONS" not in resource.get("resourceMethods", {}):
            continue
        response = gateway.get_integration_response(
            restApiId=api_id, resourceId=resource["id"], httpMethod="OPTIONS", statusCode="204"
        )
        assert response["contentHandling"] == "CONVERT_TO_TEXT"
        override = "#set($context.responseOverride.header."
        origin = "http://localhost:5173"
        assert response["responseTemplates"]["application/json"].splitlines() == [
            f"{override}X-Request-Id = $context.requestId)",
            "#foreach($name in $input.params().header.keySet())",
            '#if($name.toLowerCase() == "origin")',
            "#set($origin = $input.params().header.get($name))",
            f'#if($origin == "{origin}"){override}Access-Control-Allow-Origin = $origin)#end',
            "#end",
            "#end",
        ]


def test_gateway_responses_are_problems_with_common_headers(
    gateway: "APIGatewayClient", api_id: str
) -> None:
    responses = {
        response["responseType"]: response
        for response in gateway.get_gateway_responses(restApiId=api_id)["items"]
        if not response["defaultResponse"]
    }
    assert responses.keys() == TYPES
    for kind, response in responses.items():
        problem = json.loads(response["responseTemplates"]["application/json"])
        assert problem.pop("errors", []) if problem["status"] == 400 else "errors" not in problem
        assert problem.keys() == {"type", "title", "status", "detail", "instance"}, kind
        assert str(problem["status"]) == response["statusCode"], kind
        assert problem["instance"] == "$context.requestId", kind
        headers = _headers(response["responseParameters"], "gatewayresponse.header.")
        assert headers.pop("Retry-After", None) == (
            "'1'" if problem["status"] in {429, 503} else None
        ), kind
        assert headers == {
            "Content-Type": "'application/problem+json'",
            "Cache-Control": "'no-store'",
            "X-Content-Type-Options": "'nosniff'",
            "X-Request-Id": "context.requestId",
            "Access-Control-Allow-Origin": "'*'",
            "Access-Control-Expose-Headers": f"'{EXPOSED}'",
        }, kind


@pytest.mark.parametrize(
    ("kinds", "exception"),
    [
        ({"INTEGRATION_FAILURE", "INTEGRATION_TIMEOUT"}, DependencyUnavailableException()),
        ({"API_CONFIGURATION_ERROR", "DEFAULT_5XX"}, InternalException()),
    ],
)
def test_gateway_has_same_text_as_functions(
    gateway: "APIGatewayClient",
    api_id: str,
    kinds: set[str],
    exception: DependencyUnavailableException | InternalException,
) -> None:
    for kind in kinds:
        _assert_same_text(_problem_of(gateway, api_id, kind), exception)


@pytest.mark.parametrize(
    ("kind", "local"),
    [
        ("BAD_REQUEST_BODY", local_gateway.MALFORMED),
        ("INVALID_API_KEY", local_gateway.NO_VALID_KEY),
        ("MISSING_AUTHENTICATION_TOKEN", local_gateway.NO_SUCH_ROUTE),
        ("REQUEST_TOO_LARGE", local_gateway.TOO_LARGE),
    ],
)
def test_gateway_has_same_text_as_local_server(
    gateway: "APIGatewayClient", api_id: str, kind: str, local: local_gateway.GatewayProblem
) -> None:
    _assert_same_text(_problem_of(gateway, api_id, kind), local)


def test_methods_call_alias_of_function(gateway: "APIGatewayClient", api_id: str) -> None:
    called = set()
    for resource in gateway.get_resources(restApiId=api_id)["items"]:
        for method in resource.get("resourceMethods", {}).keys() - {"ANY", "OPTIONS"}:
            integration = gateway.get_integration(
                restApiId=api_id, resourceId=resource["id"], httpMethod=method
            )
            function = integration["uri"].split(":function:")[1].removesuffix("/invocations")
            called.add((method, resource["path"], function))
    product = "/products/{productId}"
    assert called == {
        ("GET", "/products", "bbws-list-products-dev:live"),
        ("POST", "/products", "bbws-create-product-dev:live"),
        ("GET", product, "bbws-get-product-dev:live"),
        ("PUT", product, "bbws-update-product-dev:live"),
        ("DELETE", product, "bbws-delete-product-dev:live"),
        ("GET", "/deleted-products", "bbws-list-products-dev:live"),
    }


def test_stage_has_tracing_and_limits(gateway: "APIGatewayClient", api_id: str) -> None:
    (stage,) = gateway.get_stages(restApiId=api_id)["item"]
    assert stage["stageName"] == "v1_0"
    assert stage["tracingEnabled"]
    settings = stage["methodSettings"]["*/*"]
    assert settings["throttlingRateLimit"] == 100
    assert settings["metricsEnabled"]
    assert not settings["dataTraceEnabled"]


def test_usage_plan_limits_api_key(gateway: "APIGatewayClient", api_id: str) -> None:
    (plan,) = gateway.get_usage_plans()["items"]
    assert plan["throttle"]["rateLimit"] == 50
    assert plan["apiStages"] == [{"apiId": api_id, "stage": "v1_0"}]
    (key,) = gateway.get_usage_plan_keys(usagePlanId=plan["id"])["items"]
    assert key["name"] == "bbws-product-writes-dev-admin"
    assert len(key["value"]) >= 20


def test_body_reaches_function_unchanged(api: ProductApi) -> None:
    created = api.new_product(name="Zoë, 日本 plan 🚀", price=19.9)
    assert api.get_product(created["productId"]).json()["name"] == "Zoë, 日本 plan 🚀"
    latin_1 = json.dumps(product_body(name="caf\u00e9"), ensure_ascii=False).encode("latin-1")
    assert api.create_product(latin_1).status == 400


def _headers(parameters: dict[str, Any], prefix: str) -> dict[str, Any]:
    return {name.removeprefix(prefix): value for name, value in parameters.items()}


def _assert_same_text(problem: dict[str, Any], expected: Problem) -> None:
    assert problem["type"] == f"tag:kimmyai.io,2026:{expected.problem}"
    assert problem["title"] == expected.title
    assert problem["status"] == expected.status
    assert problem["detail"] == expected.detail
    errors = [(error["field"], error["message"]) for error in problem.get("errors", [])]
    assert errors == list(expected.errors)


def _problem_of(gateway: "APIGatewayClient", api_id: str, kind: Any) -> dict[str, Any]:
    response = gateway.get_gateway_response(restApiId=api_id, responseType=kind)
    problem: dict[str, Any] = json.loads(response["responseTemplates"]["application/json"])
    return problem
