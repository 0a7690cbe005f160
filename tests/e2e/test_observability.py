"""Observability of the deployed stack: logs, metric filters, alarms, the dashboard, and traces."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import pytest
import urllib3

from local.stack import LocalStack
from product_tools.functions import event_function_names, function_names
from product_tools.traffic import alarm_prefixes
from tests.support.factory import product_body, unused_key, unused_product_id
from tests.support.product_api import ProductApi
from tests.support.raw_items import raw_product
from tests.support.response_check import ApiResponse
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from types_boto3_cloudwatch import CloudWatchClient
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_logs import CloudWatchLogsClient

FUNCTIONS: Final = set(function_names("dev"))
EVENT_FUNCTIONS: Final = set(event_function_names("dev"))
# Variables for access logs of REST APIs. Amazon API Gateway Developer Guide, "Variables for data
# models, authorizers, mapping templates, and CloudWatch access logging".
DOCUMENTED_VARIABLES: Final = {
    *("accountId", "apiId", "awsEndpointRequestId", "cipherSuite"),
    *("customDomain.basePathMatched",),
    *("deploymentId", "domainName", "domainPrefix", "endpointType", "error.message"),
    *("error.messageString", "error.responseType", "error.validationErrorString"),
    *("extendedRequestId", "httpMethod", "identity.accountId", "identity.apiKey"),
    *("identity.apiKeyId", "identity.caller", "identity.sourceIp", "identity.user"),
    *("identity.userAgent", "identity.userArn", "integration.error"),
    *("integration.integrationStatus", "integration.latency", "integration.requestId"),
    *("integration.status", "integrationErrorMessage", "integrationLatency"),
    *("integrationStatus", "isCanaryRequest", "path", "protocol", "requestId", "requestTime"),
    *("requestTimeEpoch", "resourceId", "resourcePath", "responseLatency", "responseLength"),
    *("stage", "status", "waf.error", "waf.latency", "waf.status", "wafResponseCode"),
    *("tlsVersion", "webaclArn", "xrayTraceId"),
}
# Metrics, and their sets of dimensions. AWS Lambda Developer Guide, "Types of metrics for Lambda
# functions"; Amazon API Gateway Developer Guide, "Amazon API Gateway dimensions and
# metrics"; Amazon DynamoDB Developer Guide, "DynamoDB Metrics and dimensions"; Amazon SQS Developer
# Guide, "Available CloudWatch metrics for Amazon SQS"; Amazon CloudFront Developer Guide, "Types of
# metrics for CloudFront".
DOCUMENTED_METRICS: Final = {
    "AWS/Lambda": (
        {
            *("Invocations", "Errors", "Throttles", "Duration", "ConcurrentExecutions"),
            "IteratorAge",
        },
        {frozenset({"FunctionName"})},
    ),
    "AWS/ApiGateway": (
        {"4XXError", "5XXError", "Count", "Latency", "IntegrationLatency"},
        {frozenset({"ApiName", "Stage"})},
    ),
    "AWS/DynamoDB": (
        {"ThrottledRequests", "SystemErrors"},
        {frozenset({"TableName", "Operation"})},
    ),
    "AWS/SQS": (
        {"ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage"},
        {frozenset({"QueueName"})},
    ),
    "AWS/CloudFront": (
        {"Requests", "4xxErrorRate", "5xxErrorRate"},
        {frozenset({"DistributionId", "Region"})},
    ),
}
DOCUMENTED_TABLE_METRICS: Final = {"ConsumedReadCapacityUnits", "ConsumedWriteCapacityUnits"}
TABLE_OPERATIONS: Final = {"GetItem", "PutItem", "Query", "TransactWriteItems", "UpdateItem"}
TABLE_ALARMS: Final = {f"bbws-product-table-dev-{kind}" for kind in ("throttles", "system-errors")}
SHARE_ALARMS: Final = {f"bbws-product-api-dev-{kind}" for kind in ("5xx", "4xx")}
PRODUCT_METRICS: Final = {
    *("ProductsCreated", "ProductsUpdated", "ProductsRestored", "ProductsDeleted"),
    *("UnreadableItems", "ParkedRecords", "RejectedCommands"),
    "RejectedDocuments",
}
DEAD_LETTER_QUEUES: Final = {
    *("bbws-product-audit-dev-dlq", "bbws-product-cache-dev-dlq"),
    *("bbws-product-change-dev-dlq.fifo", "bbws-product-search-dev-dlq"),
}
QUEUES: Final = {
    *("bbws-product-audit-dev", "bbws-product-cache-dev", "bbws-product-change-dev.fifo"),
    *("bbws-product-parked-dev", "bbws-product-stream-failures-dev", "bbws-product-search-dev"),
    *DEAD_LETTER_QUEUES,
}
# The alarms of the events, with the sections of the operations runbook.
EVENT_ALARMS: Final = {
    **{f"{name}-errors": "Event function errors" for name in EVENT_FUNCTIONS},
    "bbws-change-publisher-dev-iterator-age": "Iterator age",
    "bbws-product-audit-dev-dlq-not-empty": "Dead letters",
    "bbws-product-audit-dev-old-messages": "Old messages",
    "bbws-product-cache-dev-dlq-not-empty": "Dead letters",
    "bbws-product-cache-dev-old-messages": "Old messages",
    "bbws-product-change-dev-dlq-not-empty": "Dead letters",
    "bbws-product-change-dev-old-messages": "Old messages",
    "bbws-product-change-dev-rejected": "Rejected commands",
    "bbws-product-parked-dev-not-empty": "Parked records",
    "bbws-product-search-dev-dlq-not-empty": "Dead letters",
    "bbws-product-search-dev-old-messages": "Old messages",
    "bbws-product-search-dev-rejected": "Rejected documents",
    "bbws-product-stream-failures-dev-not-empty": "Stream failures",
}
UNREADABLE_ALARM: Final = "bbws-product-items-dev-unreadable"
ALARMS: Final = {
    UNREADABLE_ALARM,
    *(f"{name}-{kind}" for name in FUNCTIONS for kind in ("errors", "throttles")),
    "bbws-product-api-dev-latency-p95",
    *SHARE_ALARMS,
    *TABLE_ALARMS,
    *EVENT_ALARMS,
}


@pytest.fixture(scope="module")
def logs(stack: LocalStack) -> "CloudWatchLogsClient":
    client: CloudWatchLogsClient = stack.client("logs")
    return client


@pytest.fixture(scope="module")
def cloudwatch(stack: LocalStack) -> "CloudWatchClient":
    client: CloudWatchClient = stack.client("cloudwatch")
    return client


def test_request_writes_one_json_log_line(api: ProductApi, logs: "CloudWatchLogsClient") -> None:
    response = api.list_products()
    line = _log_line(response, "bbws-list-products-dev", logs)
    duration = line.pop("duration_ms")
    assert 0 < duration < 10_000
    assert (
        line.items()
        >= {
            "level": "INFO",
            "message": "request completed",
            "operation": "list_products",
            "method": "GET",
            "route": "/products",
            "status": 200,
            "product_id": None,
            "request_id": response.headers["X-Request-Id"],
            "replayed": False,
        }.items()
    )


def test_metric_filters_count_only_made_changes(
    api: ProductApi, logs: "CloudWatchLogsClient"
) -> None:
    key = {"Idempotency-Key": unused_key()}
    body = product_body()
    created, replayed = api.create_product(body, key), api.create_product(body, key)
    product_id = created.json()["productId"]
    steps = [
        ("create", created, {"ProductsCreated"}),
        ("create", replayed, set()),
        ("create", api.create_product({}), set()),
        ("update", api.update_product(product_id, {"price": 5}), {"ProductsUpdated"}),
        ("update", api.update_product(product_id, {}), set()),
        ("delete", api.delete_product(product_id), {"ProductsDeleted"}),
        ("update", api.update_product(product_id, {"price": 6}), set()),
        (
            "update",
            api.update_product(product_id, {"active": True}),
            {"ProductsUpdated", "ProductsRestored"},
        ),
    ]
    filters = logs.describe_metric_filters()["metricFilters"]
    for verb, response, expected in steps:
        group = f"/aws/lambda/bbws-{verb}-product-dev"
        line = _log_line(response, f"bbws-{verb}-product-dev", logs)
        counted = {
            transformation["metricName"]
            for each in filters
            if each["logGroupName"] == group and _matches(each["filterPattern"], line)
            for transformation in each["metricTransformations"]
        }
        assert counted == expected, line


def test_each_kind_of_change_has_a_metric_filter(logs: "CloudWatchLogsClient") -> None:
    filters = logs.describe_metric_filters()["metricFilters"]
    assert {
        (
            each["logGroupName"],
            each["metricTransformations"][0]["metricNamespace"],
            each["metricTransformations"][0]["metricName"],
        )
        for each in filters
    } == {
        ("/aws/lambda/bbws-create-product-dev", "BBWS/Product/dev", "ProductsCreated"),
        ("/aws/lambda/bbws-update-product-dev", "BBWS/Product/dev", "ProductsUpdated"),
        ("/aws/lambda/bbws-update-product-dev", "BBWS/Product/dev", "ProductsRestored"),
        ("/aws/lambda/bbws-delete-product-dev", "BBWS/Product/dev", "ProductsDeleted"),
        *((f"/aws/lambda/{name}", "BBWS/Product/dev", "UnreadableItems") for name in FUNCTIONS),
        ("/aws/lambda/bbws-change-publisher-dev", "BBWS/Product/dev", "ParkedRecords"),
        ("/aws/lambda/bbws-product-creator-dev", "BBWS/Product/dev", "RejectedCommands"),
        ("/aws/lambda/bbws-search-indexer-dev", "BBWS/Product/dev", "RejectedDocuments"),
    }


@pytest.fixture
def unreadable_id(stack: LocalStack) -> Iterator[str]:
    """The id of the oldest product, whose item has no price and no valid features."""
    product_id = unused_product_id()
    created_at = {"S": "2000-01-01T00:00:00.000000Z"}
    item = raw_product(product_id, price=None, features={"S": "a,b"}, createdAt=created_at)
    dynamodb: DynamoDBClient = stack.client("dynamodb")
    dynamodb.put_item(TableName="products-dev", Item=item)
    yield product_id
    dynamodb.delete_item(TableName="products-dev", Key={name: item[name] for name in ("PK", "SK")})


def test_metric_filters_count_unreadable_items(
    api: ProductApi, unreadable_id: str, logs: "CloudWatchLogsClient"
) -> None:
    # The client of the tests accepts no 500.
    url, key = f"{api.base_url}/products/{unreadable_id}", {"x-api-key": api.api_key}
    assert api.list_products(sort="createdAt").status == 200
    assert urllib3.request("GET", url).status == 500
    assert urllib3.request("PUT", url, headers=key, json={"name": "New"}).status == 500

    filters = logs.describe_metric_filters()["metricFilters"]
    for function in ("bbws-list-products-dev", "bbws-get-product-dev", "bbws-update-product-dev"):
        group = f"/aws/lambda/{function}"
        line = _unreadable_line(unreadable_id, group, logs)
        assert line["level"] == "ERROR"
        assert line["item_key"] == f"PRODUCT#{unreadable_id} METADATA"
        assert {flaw.split()[0] for flaw in line["flaws"].split("; ")} == {"price", "features"}
        counted = [
            each["metricTransformations"][0]
            for each in filters
            if each["logGroupName"] == group and _matches(each["filterPattern"], line)
        ]
        assert [each["metricName"] for each in counted] == ["UnreadableItems"]
        assert counted[0]["metricValue"] == "1"


def test_repair_and_deletion_of_unreadable_item(api: ProductApi, unreadable_id: str) -> None:
    """The two ways of the runbook that callers have."""
    change = {"price": 95, "features": ["One site"]}
    assert api.update_product(unreadable_id, change).status == 200
    assert api.get_product(unreadable_id).status == 200
    assert api.delete_product(unreadable_id).status == 204


def test_alarm_of_unreadable_items(cloudwatch: "CloudWatchClient") -> None:
    (alarm,) = cloudwatch.describe_alarms(AlarmNames=[UNREADABLE_ALARM])["MetricAlarms"]
    assert (alarm["Namespace"], alarm["MetricName"]) == ("BBWS/Product/dev", "UnreadableItems")
    assert (alarm["Statistic"], alarm["Period"], alarm["Threshold"]) == ("Sum", 300, 1)
    assert alarm["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"
    assert alarm["TreatMissingData"] == "notBreaching"


def test_shift_watches_only_alarms_of_api_and_table() -> None:
    prefixes = tuple(alarm_prefixes("dev"))
    assert {name for name in ALARMS if not name.startswith(prefixes)} == {
        UNREADABLE_ALARM,
        *EVENT_ALARMS,
    }


def test_log_groups_keep_lines_for_90_days(logs: "CloudWatchLogsClient") -> None:
    groups = {
        group["logGroupName"]: group.get("retentionInDays")
        for group in logs.describe_log_groups()["logGroups"]
        if "probe" not in group["logGroupName"]  # from test_least_privilege.py
    }
    names = {f"/aws/lambda/{name}" for name in FUNCTIONS | EVENT_FUNCTIONS}
    names |= {"/aws/apigateway/bbws-product-api-dev"}
    assert groups == dict.fromkeys(names, 90)


def test_access_log_has_only_documented_variables(stack: LocalStack) -> None:
    gateway = stack.client("apigateway")
    (api,) = gateway.get_rest_apis()["items"]
    (stage,) = gateway.get_stages(restApiId=api["id"])["item"]
    fields = json.loads(stage["accessLogSettings"]["format"])
    variables = {value.removeprefix("$context.") for value in fields.values()}
    assert variables <= DOCUMENTED_VARIABLES
    assert {"requestId", "status", "identity.sourceIp", "responseLatency"} <= variables
    assert "identity.apiKey" not in variables, "the API key is a secret"
    assert stage["accessLogSettings"]["destinationArn"].endswith(
        ":log-group:/aws/apigateway/bbws-product-api-dev"
    )


def test_alarms_watch_documented_metrics_and_notify_topic(
    stack: LocalStack, cloudwatch: "CloudWatchClient"
) -> None:
    (topic,) = stack.client("sns").list_topics()["Topics"]
    alarms = cloudwatch.describe_alarms()["MetricAlarms"]
    assert {alarm["AlarmName"] for alarm in alarms} == ALARMS
    for alarm in alarms:
        assert alarm["AlarmActions"] == alarm["OKActions"] == [topic["TopicArn"]]
        section = EVENT_ALARMS.get(alarm["AlarmName"], alarm["AlarmName"])
        assert alarm["AlarmDescription"].endswith(f"product_lambda_operations, section {section}")
        if alarm["AlarmName"] in TABLE_ALARMS | SHARE_ALARMS:
            continue  # the emulator does not return their metrics: see test_terraform.py
        _assert_documented(alarm["Namespace"], alarm["MetricName"], _by_name(alarm["Dimensions"]))


@pytest.mark.parametrize(
    ("alarm", "statistic", "threshold"),
    [
        ("bbws-product-api-dev-latency-p95", "p95", 250),
        ("bbws-get-product-dev-errors", "Sum", 1),
        ("bbws-product-audit-dev-dlq-not-empty", "Maximum", 1),
        ("bbws-product-audit-dev-old-messages", "Maximum", 301),
        ("bbws-change-publisher-dev-iterator-age", "Maximum", 300_001),
        ("bbws-product-change-dev-rejected", "Sum", 1),
    ],
)
def test_alarms_have_expected_thresholds(
    cloudwatch: "CloudWatchClient", alarm: str, statistic: str, threshold: float
) -> None:
    (found,) = cloudwatch.describe_alarms(AlarmNames=[alarm])["MetricAlarms"]
    assert found["Threshold"] == threshold
    assert statistic in {found.get("Statistic"), found.get("ExtendedStatistic")}


def test_dashboard_shows_documented_metrics_and_all_alarms(
    cloudwatch: "CloudWatchClient",
) -> None:
    body = json.loads(cloudwatch.get_dashboard(DashboardName="bbws-product-dev")["DashboardBody"])
    shown = set()
    for widget in body["widgets"]:
        for namespace, metric, *dimensions in widget["properties"].get("metrics", []):
            # CloudFront has its metrics in one region for all edges.
            region = "us-east-1" if namespace == "AWS/CloudFront" else "eu-west-1"
            assert widget["properties"]["region"] == region
            by_name = dict(zip(dimensions[::2], dimensions[1::2], strict=True))
            _assert_documented(namespace, metric, by_name)
            shown.add(metric if namespace == "BBWS/Product/dev" else namespace)
        for arn in widget["properties"].get("alarms", []):
            shown.add(arn.split(":alarm:")[1])
    assert shown == {*DOCUMENTED_METRICS, *PRODUCT_METRICS, *ALARMS}


def test_dashboard_shows_the_distribution(
    stack: LocalStack, cloudwatch: "CloudWatchClient"
) -> None:
    [distribution] = stack.client("cloudfront").list_distributions()["DistributionList"]["Items"]
    body = cloudwatch.get_dashboard(DashboardName="bbws-product-dev")["DashboardBody"]
    assert f'"DistributionId","{distribution["Id"]}"' in body


def test_functions_have_tracing_and_json_logs(stack: LocalStack) -> None:
    deployed = stack.client("lambda").list_functions()["Functions"]
    all_names = FUNCTIONS | EVENT_FUNCTIONS
    functions = [function for function in deployed if function["FunctionName"] in all_names]
    assert len(functions) == len(all_names)
    for function in functions:
        assert function["TracingConfig"] == {"Mode": "Active"}
        assert function["LoggingConfig"]["LogFormat"] == "JSON"
        assert function["LoggingConfig"]["SystemLogLevel"] == "INFO"  # for the report lines
        assert function["LoggingConfig"]["LogGroup"] == f"/aws/lambda/{function['FunctionName']}"


def _log_line(response: ApiResponse, function: str, logs: "CloudWatchLogsClient") -> dict[str, Any]:
    """Return the only log line "request completed" of a request."""
    group, request_id = f"/aws/lambda/{function}", response.headers["X-Request-Id"]

    def lines() -> list[dict[str, Any]] | None:
        pages = logs.get_paginator("filter_log_events").paginate(
            logGroupName=group, filterPattern=f'"{request_id}"'
        )
        found = [
            json.loads(event["message"])
            for page in pages
            for event in page["events"]
            if event["message"].startswith("{")
        ]
        return [line for line in found if line["message"] == "request completed"] or None

    (line,) = eventually(lines, f"the log line of request {request_id}")
    return line


def _unreadable_line(product_id: str, group: str, logs: "CloudWatchLogsClient") -> dict[str, Any]:
    """Return a log line "unreadable item" about a product."""

    def line() -> dict[str, Any] | None:
        events = logs.filter_log_events(logGroupName=group, filterPattern=f'"{product_id}"')
        lines = (event["message"] for event in events["events"])
        found = [json.loads(text) for text in lines if text.startswith("{")]
        return next((each for each in found if each["message"] == "unreadable item"), None)

    return eventually(line, f"the log line of {product_id} in {group}")


def _matches(pattern: str, line: Mapping[str, Any]) -> bool:
    """Evaluate a JSON pattern of CloudWatch Logs, with the syntax that the filters use.

    The emulator stores patterns but does not evaluate them.
    Source: Amazon CloudWatch Logs User Guide, "Filter pattern syntax for metric filters".
    """
    terms = pattern.removeprefix("{ ").removesuffix(" }").split(" && ")
    for term in terms:
        parsed = re.fullmatch(r'\(\$\.(\w+) (?:= "([^"]*)"|= (\d+)|IS (TRUE|FALSE))\)', term)
        assert parsed, f"unknown syntax: {term}"
        name, text, number, truth = parsed.groups()
        expected = text if text is not None else int(number) if number else truth == "TRUE"
        if name not in line or line[name] != expected or type(line[name]) is not type(expected):
            return False
    return True


def _by_name(dimensions: list[Any]) -> dict[str, str]:
    return {dimension["Name"]: dimension["Value"] for dimension in dimensions}


def _assert_documented(namespace: str, metric: str, dimensions: Mapping[str, str]) -> None:
    if namespace == "BBWS/Product/dev":
        assert metric in PRODUCT_METRICS
        assert dimensions == {}
        return
    if metric in DOCUMENTED_TABLE_METRICS:
        assert dimensions == {"TableName": "products-dev"}
        return
    metrics, dimension_sets = DOCUMENTED_METRICS[namespace]
    assert metric in metrics
    assert frozenset(dimensions) in dimension_sets
    allowed = {
        "FunctionName": FUNCTIONS | EVENT_FUNCTIONS,
        "QueueName": QUEUES,
        "ApiName": {"bbws-product-api-dev"},
        "Stage": {"v1_0"},
        "TableName": {"products-dev"},
        "Operation": TABLE_OPERATIONS,
        "Region": {"Global"},
    }
    for name, value in dimensions.items():
        assert name == "DistributionId" or value in allowed[name], f"{name} {value}"
