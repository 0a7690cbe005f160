"""The Terraform files: the plan after an apply, errors that stop a plan, and variables."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pytest

from local.stack import MISREPORTED, LocalStack
from product_tools.functions import FUNCTIONS, ROUTES
from product_tools.terraform import TERRAFORM_FOLDER, LocalRoot, TerraformError
from tests.support.module_plans import root_of_modules

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_lambda import LambdaClient

pytestmark = pytest.mark.timeout(300)  # seconds; a deployment takes one minute

VARIABLES: Final = (TERRAFORM_FOLDER / "variables.tf").read_text()
OUTPUTS: Final = (TERRAFORM_FOLDER / "outputs.tf").read_text()
README: Final = (TERRAFORM_FOLDER / "README.md").read_text()

# Rules of the AWS managed common rule set that inspect bodies and would block valid products, with
# their labels. AWS WAF Developer Guide, "Baseline rule groups".
BODY_RULES: Final = {
    "CrossSiteScripting_BODY": "awswaf:managed:aws:core-rule-set:CrossSiteScripting_Body",
    "GenericLFI_BODY": "awswaf:managed:aws:core-rule-set:GenericLFI_Body",
    "GenericRFI_BODY": "awswaf:managed:aws:core-rule-set:GenericRFI_Body",
    "SizeRestrictions_BODY": "awswaf:managed:aws:core-rule-set:SizeRestrictions_Body",
}
CHANGE_QUEUE: Final = {
    "CHANGE_QUEUE_URL": (
        "https://sqs.eu-west-1.amazonaws.com/536580886816/bbws-product-change-dev.fifo"
    )
}
METHODS: Final = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "POSTS", "APUT")

_KEYS: Final = [("PK", "HASH"), ("SK", "RANGE")]
_INDEX_KEYS: Final = [("active", "HASH"), ("createdAt", "RANGE")]


class WrongTable(NamedTuple):
    """A table that stops a plan.

    Attributes:
        sentence: a part of the error.
        variables: values of variables with which the table is wrong.
        table: arguments of `_table`.
        stream: the view type of the table's stream.
    """

    sentence: str
    variables: Mapping[str, object] = {}
    table: Mapping[str, Any] = {}
    stream: str | None = None


WRONG_TABLES: Final = {
    "wrong-partition-key": WrongTable(
        "the partition key is ID, but must be PK", table={"keys": [("ID", "HASH"), ("SK", "RANGE")]}
    ),
    "without-sort-key": WrongTable(
        "the sort key is missing, but must be SK", table={"keys": [("PK", "HASH")]}
    ),
    "without-index": WrongTable("the index ActiveProductsIndex is missing", table={"index": None}),
    "other-index": WrongTable(
        'ActiveProductsIndex is missing (it has ["Other"])', table={"index": "Other"}
    ),
    "wrong-index-key": WrongTable(
        'has the keys ["active","name"], but must have ["active","createdAt"]',
        table={"index_keys": [("active", "HASH"), ("name", "RANGE")]},
    ),
    "wrong-type": WrongTable('"createdAt":"N"', table={"types": {"createdAt": "N"}}),
    "wrong-projection": WrongTable(
        "does not project ALL attributes", table={"projection": "KEYS_ONLY"}
    ),
    "provisioned": WrongTable(
        "the billing mode is PROVISIONED, but must be PAY_PER_REQUEST",
        table={"billing": "PROVISIONED"},
    ),
    "without-price-index": WrongTable(
        "the index ProductsByPriceIndex", {"enable_product_indexes": True}
    ),
    "without-name-index": WrongTable(
        "the index ProductsByNameIndex", {"enable_product_indexes": True}
    ),
    "without-stream": WrongTable(
        "the stream is off, but change events need it with NEW_AND_OLD_IMAGES:",
        {"enable_change_events": True},
    ),
    "stream-of-keys": WrongTable(
        "the stream is on with the view type KEYS_ONLY, but change events need it",
        {"enable_audit_log": True},
        stream="KEYS_ONLY",
    ),
}
NO_TABLE: Final = "no-such-table"
RIGHT_TABLE: Final = "right-table"


class Planned(NamedTuple):
    """The values in a plan without a state: resources by address, and outputs."""

    resources: dict[str, dict[str, Any]]
    outputs: dict[str, Any]


INVALID: Final[Mapping[str, object]] = {
    "environment": "test",
    "aws_account_id": "123",
    "aws_region": "us-east-1",
    "table_name": "no spaces",
    "schema_file": "/nowhere.json",
    "package_dir": " ",
    "architecture": "sparc",
    "memory_size": 64,
    "timeout": 60,
    "reserved_concurrency": 0,
    "log_level": "ERROR",
    "read_cache_control": "No-Cache;",
    "stage_name": "v1/0",
    "cors_allowed_origins": ["https://kimmyai.io/"],
    "stage_throttle_rate": 0,
    "stage_throttle_burst": 0,
    "write_throttle_rate": 0,
    "write_throttle_burst": 0,
    "writers": ["admin", "admin"],
    "custom_domain_name": "https://api.kimmyai.io",
    "custom_domain_base_path": "v1/0",
    "edge_cache_seconds": 0,
    "cloudfront_distribution_id": "https://d111111abcdef8.cloudfront.net",
    "cloudfront_certificate_arn": "arn:aws:acm:eu-west-1:536580886816:certificate/1",
    "cloudfront_price_class": "PriceClass_300",
    "waf_rate_limit": 1,
    "waf_edge_rate_limit": 1,
    "log_retention_days": 45,
    "audit_lifecycle_days": 0,
    "audit_retention_days": 0.5,
    "alarm_function_errors": 0,
    "alarm_function_throttles": 0,
    "alarm_5xx_percent": 100,
    "alarm_5xx_minimum": 0,
    "alarm_4xx_percent": -1,
    "alarm_4xx_minimum": 0,
    "alarm_latency_p95_ms": 0,
    "alarm_table_throttles": 0,
    "alarm_table_system_errors": 0,
    "alarm_unreadable_items": 0,
    "opensearch_domain_arn": "arn:aws:es:eu-west-1:123:domain/x",
}
INVALID_NAMES: Final[Mapping[str, object]] = {
    "alert_email": "nobody",
    "cloudfront_domain_name": "https://shop.kimmyai.io",
}
INVALID_BESIDE_OTHERS: Final[Mapping[str, object]] = {
    "api_key_values": {"stranger": "k" * 20},
    "former_table_name": "products-dev",
    "opensearch_endpoint": "http://search-x.eu-west-1.es.amazonaws.com",
}
SUBSCRIPTION: Final = ".aws_sns_topic_subscription.email"
API_KEY: Final = ".aws_api_gateway_api_key.writer"
# What the variables are for, and their values, by the name of the module that has these values.
VALUES: Final[Mapping[str, tuple[str, Mapping[str, object]]]] = {
    "invalid": ("", INVALID),
    "invalid-names": ("", INVALID_NAMES),
    "empty-key": (API_KEY, {"api_key_values": {"admin": ""}}),
    "blank-key": (API_KEY, {"api_key_values": {"admin": " " * 20}}),
    "short-key": (API_KEY, {"api_key_values": {"admin": "k" * 19}}),
    "long-key": (API_KEY, {"api_key_values": {"admin": "k" * 129}}),
    "key-with-line-break": (API_KEY, {"api_key_values": {"admin": "k" * 19 + "\n"}}),
}
# The same for rules about several variables. Terraform checks them only when all variables fulfil
# their own rules.
VALUES_OF_SEVERAL: Final[Mapping[str, tuple[str, Mapping[str, object]]]] = {
    "invalid-beside-others": ("", INVALID_BESIDE_OTHERS),
    "sit-without-address": (SUBSCRIPTION, {"environment": "sit", "alert_email": None}),
    "prod-without-address": (SUBSCRIPTION, {"environment": "prod", "alert_email": None}),
    "sit-with-empty-address": (SUBSCRIPTION, {"environment": "sit", "alert_email": ""}),
    "prod-with-empty-address": (SUBSCRIPTION, {"environment": "prod", "alert_email": ""}),
    "with-address": (SUBSCRIPTION, {"environment": "sit", "alert_email": "team@example.com"}),
    "with-waiver": (SUBSCRIPTION, {"environment": "sit", "waive_alert_email": True}),
    "search-index-without-domain": ("", {"enable_opensearch": True}),
    "key-of-20-characters": (API_KEY, {"api_key_values": {"admin": "k" * 20}}),
}


@pytest.fixture(scope="module")
def empty_stack(stack: LocalStack) -> LocalStack:
    """A stack on DEV's engine with a separate state, for plans that are never applied."""
    empty_stack = LocalStack(stack.folder / "empty", packages=stack.folder / "packages")
    empty_stack.engine_folder = stack.engine_folder
    empty_stack.backend_file = None
    return empty_stack


@pytest.fixture(scope="module")
def errors_of_tables(
    stack: LocalStack, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[str]]:
    """The errors of one plan on all wrong tables, a missing and a right one, by table."""
    dynamodb: DynamoDBClient = stack.client("dynamodb")
    tables = {**WRONG_TABLES, RIGHT_TABLE: WrongTable("")}
    for name, wrong in tables.items():
        table = _table(**wrong.table)
        if wrong.stream:
            table["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": wrong.stream}
        dynamodb.create_table(TableName=name, **table)
    modules = {
        name: {"table_name": name, **wrong.variables}
        for name, wrong in {**tables, NO_TABLE: WrongTable("")}.items()
    }
    targets = [f"module.{name}.data.aws_dynamodb_table.products" for name in modules]
    # The right table stops no part of a plan.
    targets[list(modules).index(RIGHT_TABLE)] = f"module.{RIGHT_TABLE}"
    try:
        errors = _errors(stack, tmp_path_factory.mktemp("tables"), modules, targets)
    finally:
        for name in tables:
            dynamodb.delete_table(TableName=name)
    texts = [f"{error['summary']}: {error['detail']}" for error in errors]
    return {name: [text for text in texts if name in text] for name in modules}


@pytest.fixture(scope="module")
def rejected(
    stack: LocalStack, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, str]]:
    """The errors of two plans with values that variables reject or accept.

    By the name in VALUES or VALUES_OF_SEVERAL, and by variable.
    """
    rejected: dict[str, dict[str, str]] = {}
    for values in (VALUES, VALUES_OF_SEVERAL):
        modules = {name: variables for name, (_, variables) in values.items()}
        targets = [f"module.{name}{target}" for name, (target, _) in values.items()]
        errors = _errors(stack, tmp_path_factory.mktemp("values"), modules, targets)
        assert {error["summary"] for error in errors} == {"Invalid value for variable"}
        rejected |= {name: {} for name in values}
        for error in errors:
            module = error["snippet"]["context"].removeprefix('module "').removesuffix('"')
            rejected[module][error["detail"].split()[0]] = error["detail"]
    return rejected


@pytest.fixture(scope="module")
def domains(stack: LocalStack) -> Iterator[None]:
    """Two custom domains; the old one accepts TLS 1.0."""
    gateway = stack.client("apigateway")
    policies = {"old.example.com": "TLS_1_0", "new.example.com": "TLS_1_2"}
    for name, policy in policies.items():
        gateway.create_domain_name(
            domainName=name,
            regionalCertificateArn="arn:aws:acm:eu-west-1:536580886816:certificate/1",
            endpointConfiguration={"types": ["REGIONAL"]},
            securityPolicy=policy,
        )
    yield
    for name in policies:
        gateway.delete_domain_name(domainName=name)


@pytest.fixture(scope="module")
def default_plan(empty_stack: LocalStack) -> Planned:
    """A plan with DEV's values."""
    return _plan(empty_stack, {})


@pytest.fixture(scope="module")
def full_plan(empty_stack: LocalStack, domains: None) -> Planned:
    """A plan with all optional resources, and a single origin."""
    assert domains is None
    return _plan(
        empty_stack,
        {
            "alert_email": "team@example.com",
            "waf_enabled": True,
            "custom_domain_name": "new.example.com",
            "cors_allowed_origins": ["https://kimmyai.io"],
            "enable_product_indexes": True,
        },
    )


def test_plan_after_apply_has_only_misreported_attributes(stack: LocalStack) -> None:
    changes = stack.main_root().plan()
    assert {change.actions for change in changes} == {("update",)}
    shown = {(change.kind, attribute) for change in changes for attribute in change.attributes}
    assert shown == MISREPORTED


def test_second_deployment_changes_nothing(stack: LocalStack) -> None:
    same_stack = LocalStack(
        stack.folder, packages=stack.folder / "packages", features=stack.features
    )
    steps: list[str] = []
    assert not same_stack.deploy(steps.append).changed
    assert steps == ["Planning the table", "Planning the service"]


def test_all_resources_are_tagged(stack: LocalStack) -> None:
    for root in (stack.table_root(), stack.main_root()):
        resources = _shown(root)["values"]["root_module"]["resources"]
        tagged = [each["values"]["tags_all"] for each in resources if "tags_all" in each["values"]]
        assert tagged
        for tags in tagged:
            assert tags.pop("Component")
            assert tags == {
                "Project": "2.1",
                "Application": "CustomerPortalPublic",
                "Service": "ProductLambda",
                "Environment": "dev",
                "ManagedBy": "Terraform",
                "Repository": "2_bbws_product_lambda",
            }


def test_aliases_point_at_versions_with_given_settings(stack: LocalStack) -> None:
    client: LambdaClient = stack.client("lambda")
    functions = stack.main_root().outputs()["functions"]
    assert len(functions) == 5
    for function in functions.values():
        name = function["name"]
        alias = client.get_alias(FunctionName=name, Name="live")
        assert alias["FunctionVersion"].isdigit()
        version = client.get_function_configuration(
            FunctionName=name, Qualifier=alias["FunctionVersion"]
        )
        assert version["SnapStart"]["ApplyOn"] == "None"
        assert version["Runtime"] == "python3.12"
        assert (version["MemorySize"], version["Timeout"]) == (512, 10)
        indexes = {"PRODUCT_INDEXES": "true"} if name == "bbws-list-products-dev" else {}
        is_read = name in {"bbws-list-products-dev", "bbws-get-product-dev"}
        assert version["Environment"]["Variables"] == {
            **indexes,
            **({"EDGE_CACHE_SECONDS": "60"} if is_read else CHANGE_QUEUE),
            "TABLE_NAME": "products-dev",
            "CORS_ALLOWED_ORIGINS": "https://dev.kimmyai.io,http://localhost:5173",
            "LOG_LEVEL": "INFO",
            "READ_CACHE_CONTROL": "no-cache",
            "READ_ONLY": "false",
            "MALLOC_ARENA_MAX": "1",
            "TOKIO_WORKER_THREADS": "1",
        }


@pytest.mark.parametrize("name", WRONG_TABLES)
def test_wrong_table_stops_plan_with_sentence(
    errors_of_tables: dict[str, list[str]], name: str
) -> None:
    sentence = WRONG_TABLES[name].sentence
    assert [error for error in errors_of_tables[name] if sentence in error]


def test_missing_table_stops_plan(errors_of_tables: dict[str, list[str]]) -> None:
    assert errors_of_tables[NO_TABLE]


def test_right_table_stops_no_plan(errors_of_tables: dict[str, list[str]]) -> None:
    assert errors_of_tables[RIGHT_TABLE] == []


def test_features_switched_off_take_only_their_resources(stack: LocalStack) -> None:
    without = LocalStack(stack.folder, packages=stack.folder / "packages")
    changes = without.main_root().plan()
    deleted = {change.address for change in changes if change.actions == ("delete",)}
    resources = _shown(stack.main_root())["values"]["root_module"]["resources"]
    existing = {each["address"] for each in resources if each["mode"] == "managed"}
    before = json.loads((Path(__file__).parent / "plan_without_events.json").read_text())
    assert existing - deleted == set(before["addresses"])


def test_switch_of_indexes_reaches_only_list_function(
    default_plan: Planned, full_plan: Planned
) -> None:
    for name in FUNCTIONS:
        address = f'aws_lambda_function.function["{name}"]'
        off, on = (
            plan.resources[address]["environment"][0]["variables"]
            for plan in (default_plan, full_plan)
        )
        assert "PRODUCT_INDEXES" not in off
        assert on.get("PRODUCT_INDEXES") == ("true" if name == "list_products" else None)


def test_domain_with_tls_1_0_stops_plan(empty_stack: LocalStack, domains: None) -> None:
    assert domains is None
    _expect_error(
        empty_stack,
        {"custom_domain_name": "old.example.com"},
        "data.aws_api_gateway_domain_name.custom",
        "Domain old.example.com accepts TLS 1.0: set its security policy to TLS_1_2",
    )


def test_custom_domain_disables_default_endpoint(full_plan: Planned) -> None:
    resources, outputs = full_plan
    assert resources["aws_api_gateway_base_path_mapping.custom[0]"]["base_path"] == "v1.0"
    assert resources["aws_api_gateway_rest_api.product"]["disable_execute_api_endpoint"]
    assert outputs["api_url"]["value"] == "https://new.example.com/v1.0"


def test_optional_resources_need_their_variables(default_plan: Planned, full_plan: Planned) -> None:
    assert full_plan.resources.keys() - default_plan.resources.keys() == {
        "aws_api_gateway_base_path_mapping.custom[0]",
        "aws_sns_topic_subscription.email[0]",
        "aws_wafv2_web_acl.api[0]",
        "aws_wafv2_web_acl_association.api[0]",
    }


def test_gateway_responses_name_single_origin(full_plan: Planned) -> None:
    header = "gatewayresponse.header.Access-Control-Allow-Origin"
    assert {
        values["response_parameters"][header]
        for address, values in full_plan.resources.items()
        if address.startswith("aws_api_gateway_gateway_response.")
    } == {"'https://kimmyai.io'"}


def test_firewall_rules_run_in_order(full_plan: Planned) -> None:
    rules = _firewall_rules(full_plan)
    names = ["common", "bodies-outside-writes", "known-bad-inputs", "rate"]
    assert [rule["name"] for rule in rules] == names
    assert len({rule["priority"] for rule in rules}) == len(names)
    assert _firewall(full_plan)["default_action"][0]["allow"]


def test_firewall_counts_only_body_rules(full_plan: Planned) -> None:
    groups = {
        group["name"]: group["rule_action_override"]
        for rule in _firewall_rules(full_plan)
        for group in rule["statement"][0]["managed_rule_group_statement"]
    }
    assert groups.keys() == {"AWSManagedRulesCommonRuleSet", "AWSManagedRulesKnownBadInputsRuleSet"}
    assert groups["AWSManagedRulesKnownBadInputsRuleSet"] == []
    overridden = {
        rule["name"]: {name for name, action in rule["action_to_use"][0].items() if action}
        for rule in groups["AWSManagedRulesCommonRuleSet"]
    }
    assert overridden == {rule: {"count"} for rule in BODY_RULES}
    for rule in _firewall_rules(full_plan):
        if rule["statement"][0]["managed_rule_group_statement"]:
            assert rule["override_action"][0]["none"]
            assert rule["override_action"][0]["count"] == []


def test_firewall_blocks_counted_bodies_outside_writes(full_plan: Planned) -> None:
    rule = _firewall_rules(full_plan)[1]
    assert rule["action"][0]["block"] == [{"custom_response": []}]
    labelled, not_write = rule["statement"][0]["and_statement"][0]["statement"]
    labels = [
        statement["label_match_statement"][0]
        for statement in labelled["or_statement"][0]["statement"]
    ]
    assert {label["scope"] for label in labels} == {"LABEL"}
    assert {label["key"] for label in labels} == set(BODY_RULES.values())
    (methods,) = not_write["not_statement"][0]["statement"][0]["regex_match_statement"]
    assert methods["field_to_match"][0]["method"]
    assert [each["type"] for each in methods["text_transformation"]] == ["NONE"]
    matched = {method for method in METHODS if re.search(methods["regex_string"], method)}
    assert matched == {route.method for route in ROUTES.values()} - {"GET"}


def test_firewall_rate_rule_returns_429_problem(full_plan: Planned) -> None:
    rule = _firewall_rules(full_plan)[3]
    (rate,) = rule["statement"][0]["rate_based_statement"]
    (custom,) = rule["action"][0]["block"][0]["custom_response"]
    assert custom["response_code"] == 429
    headers = {header["name"]: header["value"] for header in custom["response_header"]}
    throttled = full_plan.resources['aws_api_gateway_gateway_response.problem["THROTTLED"]']
    gateway_headers = {
        name.removeprefix("gatewayresponse.header."): value.strip("'")
        for name, value in throttled["response_parameters"].items()
    }
    # WAF sets Content-Type itself and knows no request id.
    assert headers.keys() == gateway_headers.keys() - {"Content-Type", "X-Request-Id"}
    assert headers.pop("Retry-After") == str(rate["evaluation_window_sec"]) == "300"
    assert headers.items() <= gateway_headers.items()

    (body,) = _firewall(full_plan)["custom_response_body"]
    assert body["key"] == custom["custom_response_body_key"]
    assert body["content_type"] == "APPLICATION_JSON"
    gateway_problem = json.loads(throttled["response_templates"]["application/json"])
    assert json.loads(body["content"]) == {**gateway_problem, "instance": "firewall"}


def test_firewall_custom_response_is_within_limits(full_plan: Planned) -> None:
    """AWS WAF Developer Guide, "AWS WAF quotas"; API Reference, "CustomHTTPHeader"."""
    (custom,) = _firewall_rules(full_plan)[3]["action"][0]["block"][0]["custom_response"]
    (body,) = _firewall(full_plan)["custom_response_body"]
    assert len(body["content"].encode()) <= 4096
    assert len(custom["response_header"]) <= 10
    for header in custom["response_header"]:
        assert re.fullmatch(r"[a-zA-Z0-9._$-]{1,64}", header["name"])
        assert header["name"].lower() != "content-type"
        assert 1 <= len(header["value"]) <= 255


def test_table_alarms_add_all_operations(default_plan: Planned) -> None:
    """Checked in the plan, since the emulator does not return metric queries."""
    added = {}
    for address, values in default_plan.resources.items():
        if address.startswith("aws_cloudwatch_metric_alarm.table"):
            (total,) = (query for query in values["metric_query"] if query["return_data"])
            parts = [query for query in values["metric_query"] if query["metric"]]
            summed = re.findall(r"FILL\((\w+), 0\)", total["expression"])
            assert sorted(summed) == sorted(query["id"] for query in parts)
            metrics = [query["metric"][0] for query in parts]
            assert {metric["namespace"] for metric in metrics} == {"AWS/DynamoDB"}
            assert {metric["dimensions"]["TableName"] for metric in metrics} == {"products-dev"}
            (name,) = {metric["metric_name"] for metric in metrics}
            added[name] = {metric["dimensions"]["Operation"] for metric in metrics}
    operations = {"GetItem", "PutItem", "Query", "TransactWriteItems", "UpdateItem"}
    assert added == {"ThrottledRequests": operations, "SystemErrors": operations}


@pytest.mark.parametrize(
    ("kind", "threshold", "minimum"), [("4xx", 0.2, 20), ("5xx", 0.01, 5)], ids=["4xx", "5xx"]
)
def test_share_alarm_needs_minimum_count(
    default_plan: Planned, kind: str, threshold: float, minimum: int
) -> None:
    """Amazon CloudWatch User Guide, "Using math expressions with CloudWatch metrics"."""
    name = f"bbws-product-api-dev-{kind}"
    alarm = default_plan.resources[f'aws_cloudwatch_metric_alarm.api_share["{name}"]']
    assert (alarm["comparison_operator"], alarm["threshold"]) == (
        "GreaterThanThreshold",
        threshold,
    )
    queries = {query["id"]: query for query in alarm["metric_query"]}
    assert [query["id"] for query in queries.values() if query["return_data"]] == ["judged"]
    assert queries["judged"]["expression"] == f"IF(responses >= {minimum}, share, 0)"
    metrics = {name: query["metric"][0] for name, query in queries.items() if query["metric"]}
    assert {name: metric["stat"] for name, metric in metrics.items()} == {
        "responses": "Sum",
        "share": "Average",
    }
    for metric in metrics.values():
        assert (metric["namespace"], metric["period"]) == ("AWS/ApiGateway", 300)
        assert metric["metric_name"] == f"{kind.upper()}Error"
        assert metric["dimensions"] == {"ApiName": "bbws-product-api-dev", "Stage": "v1_0"}


def test_latency_alarm_ignores_low_sample_counts(default_plan: Planned) -> None:
    alarm = default_plan.resources["aws_cloudwatch_metric_alarm.api_latency"]
    assert alarm["evaluate_low_sample_count_percentiles"] == "ignore"


def test_names_of_second_region_differ_from_first(empty_stack: LocalStack) -> None:
    """Dashboards and roles are global in an account; both regions of PROD are in one account."""
    variables = {"environment": "prod", "table_name": "products-dev", "waive_alert_email": True}
    planned = _plan(empty_stack, variables).resources
    dashboard = planned["aws_cloudwatch_dashboard.product"]
    assert dashboard["dashboard_name"] == "bbws-product-prod-eu-west-1"
    roles = [values for name, values in planned.items() if name.startswith("aws_iam_role.")]
    assert len(roles) == len(FUNCTIONS)
    for role in roles:
        assert role["name"].endswith("-prod-eu-west-1")


@pytest.mark.parametrize(
    "variables", [{"timeout": 20}, {"custom_domain_name": "new.example.com"}], ids=str
)
def test_changed_input_of_api_is_deployed(
    stack: LocalStack, domains: None, variables: dict[str, object]
) -> None:
    assert domains is None
    changed = LocalStack(
        stack.folder,
        variables=variables,
        packages=stack.folder / "packages",
        features=stack.features,
    )
    changes = {change.address: change.actions for change in changed.main_root().plan()}
    assert changes["aws_api_gateway_deployment.product"] == ("create", "delete")


def test_upgrade_keeps_key_and_account_role(stack: LocalStack) -> None:
    """The state is that of an earlier release: one key without a writer, and the account's role."""
    earlier = LocalStack(
        stack.folder / "earlier", packages=stack.folder / "packages", features=stack.features
    )
    earlier.engine_folder = stack.engine_folder
    earlier.backend_file = None
    earlier.variables = {"api_key_values": {"admin": stack.main_root().outputs()["api_key"]}}
    root = earlier.main_root()
    root.init()
    state = json.loads(stack.main_root()._output_of(["state", "pull"], "There is no state."))
    state["resources"] = [*map(_of_earlier_release, state["resources"]), _account_resource()]
    (root.folder / "terraform.tfstate").write_text(json.dumps(state))

    changes = {change.address: change.actions for change in root.plan()}
    assert [address for address in changes if "_key" in address] == []
    assert changes["aws_api_gateway_account.this[0]"] == ("forget",)
    assert not any("delete" in actions for actions in changes.values())


@pytest.mark.parametrize("environment", ["sit", "prod"])
@pytest.mark.parametrize("address", ["without-address", "with-empty-address"])
def test_environment_without_alert_address_is_rejected(
    rejected: dict[str, dict[str, str]], environment: str, address: str
) -> None:
    errors = rejected[f"{environment}-{address}"]
    assert errors.keys() == {"alert_email"}
    assert re.search(r"set TF_VAR_alert_email .*, or waive it with", errors["alert_email"])


def test_search_index_without_domain_is_rejected(rejected: dict[str, dict[str, str]]) -> None:
    assert rejected["search-index-without-domain"].keys() == {"enable_opensearch"}


@pytest.mark.parametrize("case", ["with-address", "with-waiver", "key-of-20-characters"])
def test_alert_address_waiver_and_long_key_are_accepted(
    rejected: dict[str, dict[str, str]], case: str
) -> None:
    assert rejected[case] == {}


def test_invalid_value_of_each_variable_is_rejected(rejected: dict[str, dict[str, str]]) -> None:
    booleans = {name for name, body in _blocks("variable", VARIABLES).items() if "= bool" in body}
    tried = {*INVALID, *INVALID_NAMES, *INVALID_BESIDE_OTHERS}
    assert tried == _blocks("variable", VARIABLES).keys() - booleans
    assert rejected["invalid"].keys() == INVALID.keys()
    assert rejected["invalid-names"].keys() == INVALID_NAMES.keys()
    assert rejected["invalid-beside-others"].keys() == INVALID_BESIDE_OTHERS.keys()


@pytest.mark.parametrize(
    "case", ["empty-key", "blank-key", "short-key", "long-key", "key-with-line-break"]
)
def test_empty_or_short_api_key_stops_plan(rejected: dict[str, dict[str, str]], case: str) -> None:
    assert rejected[case].keys() == {"api_key_values"}
    sentence = "api_key_values must have 20 to 128 letters, digits, hyphens or underscores."
    assert sentence in rejected[case]["api_key_values"]


def test_variables_and_outputs_have_descriptions() -> None:
    for name, body in _blocks("variable", VARIABLES).items():
        assert re.search(r'description = "[A-Z].{20,}\."', body), name
        assert re.search(r"type +=", body), name
        for sentence in re.findall(r'error_message = "(.*)"', body):
            assert sentence.startswith(name), name
            assert sentence.endswith("."), name
    for name, body in _blocks("output", OUTPUTS).items():
        assert re.search(r'description = "[A-Z].{8,}\."', body), name


@pytest.mark.parametrize(
    ("kind", "text"), [("variable", VARIABLES), ("output", OUTPUTS)], ids=["inputs", "outputs"]
)
def test_readme_lists_all_inputs_and_outputs(kind: str, text: str) -> None:
    for name, body in _blocks(kind, text).items():
        description = re.search(r'description = "(.*)"', body)
        assert description
        assert f"\n| `{name}` | {description[1]} |" in README, name


@pytest.mark.parametrize(
    ("environment", "account", "region", "days", "origins"),
    [
        (
            "dev",
            "536580886816",
            "eu-west-1",
            90,
            ["https://dev.kimmyai.io", "http://localhost:5173"],
        ),
        ("sit", "815856636111", "eu-west-1", 180, ["https://sit.kimmyai.io"]),
        ("prod", "093646564004", "af-south-1", 365, ["https://kimmyai.io"]),
    ],
)
def test_files_of_environment_have_its_values(
    environment: str, account: str, region: str, days: int, origins: list[str]
) -> None:
    folder = TERRAFORM_FOLDER / "environments"
    assert _values(folder / f"{environment}.tfvars") == {
        "environment": environment,
        "aws_account_id": account,
        "aws_region": region,
        "log_retention_days": days,
        "cors_allowed_origins": origins,
        **({"waf_enabled": True, "snapstart": True} if environment == "prod" else {}),
    }
    assert _values(folder / f"{environment}.s3.tfbackend") == {
        "bucket": f"bbws-terraform-state-{environment}",
        "region": region,
    }


def test_lock_file_has_provider_for_all_platforms() -> None:
    for folder in (TERRAFORM_FOLDER, TERRAFORM_FOLDER / "table"):
        text = (folder / ".terraform.lock.hcl").read_text()
        assert 'version     = "5.100.0"' in text
        assert len(re.findall(r'"h1:[^"]{44}"', text)) == 14
        assert len(re.findall(r'"zh:[0-9a-f]{64}"', text)) == 15


def _initialised_root(empty_stack: LocalStack, variables: Mapping[str, object]) -> LocalRoot:
    empty_stack.variables = {"enable_product_indexes": False, **variables}
    root = empty_stack.main_root()
    root.init()
    return root


def _shown(root: LocalRoot, *arguments: str) -> dict[str, Any]:
    """Return a state or a plan as `terraform show` prints it."""
    output = root._output_of(["show", "-json", *arguments], "Terraform shows nothing.")
    document: dict[str, Any] = json.loads(output)
    return document


def _plan(empty_stack: LocalStack, variables: Mapping[str, object]) -> Planned:
    root = _initialised_root(empty_stack, variables)
    root.plan()
    planned = _shown(root, str(root._plan))["planned_values"]
    resources = planned["root_module"]["resources"]
    managed = [each for each in resources if each["mode"] == "managed"]
    # A resource without known values has no key `values`.
    values = {each["address"]: each.get("values", {}) for each in managed}
    return Planned(values, planned["outputs"])


def _of_earlier_release(resource: dict[str, Any]) -> dict[str, Any]:
    """Return a resource of a state as releases with one key for writes recorded it."""
    if resource["type"] not in {"aws_api_gateway_api_key", "aws_api_gateway_usage_plan_key"}:
        return resource
    (instance,) = resource["instances"]
    attributes = {name: value for name, value in instance.items() if name != "index_key"}
    without_writer = {name: value for name, value in resource.items() if name != "each"}
    return {**without_writer, "instances": [attributes]}


def _account_resource() -> dict[str, Any]:
    """Return API Gateway's account setting, as earlier releases recorded it in a state."""
    return {
        "mode": "managed",
        "type": "aws_api_gateway_account",
        "name": "this",
        "provider": 'provider["registry.terraform.io/hashicorp/aws"]',
        "instances": [
            {
                "index_key": 0,
                "schema_version": 0,
                "attributes": {"id": "api-gateway-account"},
                "sensitive_attributes": [],
            }
        ],
    }


def _firewall(plan: Planned) -> dict[str, Any]:
    return plan.resources["aws_wafv2_web_acl.api[0]"]


def _firewall_rules(plan: Planned) -> list[dict[str, Any]]:
    """Return the rules in the order of their evaluation."""
    rules: list[dict[str, Any]] = _firewall(plan)["rule"]
    return sorted(rules, key=lambda rule: int(rule["priority"]))


def _errors(
    stack: LocalStack,
    folder: Path,
    modules: Mapping[str, Mapping[str, object]],
    targets: Iterable[str],
) -> list[dict[str, Any]]:
    """Plan targets in modules of the service, and return all errors as Terraform reports them."""
    package_dir = {"package_dir": str(stack.folder / "packages")}
    with_packages = {name: package_dir | dict(values) for name, values in modules.items()}
    root = root_of_modules(folder, with_packages, stack._provider_environment())
    with pytest.raises(TerraformError):
        root._run_with_events(
            ["plan", "-input=false", "-json", *(f"-target={target}" for target in targets)]
        )
    lines = (root.folder / "terraform.log").read_text().splitlines()
    events = [json.loads(line) for line in lines if line.startswith("{")]
    return [event["diagnostic"] for event in events if event["@level"] == "error"]


def _expect_error(
    empty_stack: LocalStack, variables: Mapping[str, object], source: str, sentence: str
) -> None:
    """Plan only one data source, and expect an error with this sentence."""
    root = _initialised_root(empty_stack, variables)
    with pytest.raises(TerraformError, match=re.escape(sentence)):
        root._run_with_events(["plan", "-input=false", "-json", f"-target={source}"])


def _table(  # noqa: PLR0913 (one for each possible defect of a table)
    *,
    keys: list[tuple[str, str]] = _KEYS,
    index: str | None = "ActiveProductsIndex",
    index_keys: list[tuple[str, str]] = _INDEX_KEYS,
    types: Mapping[str, str] | None = None,
    projection: str = "ALL",
    billing: str = "PAY_PER_REQUEST",
) -> dict[str, Any]:
    """Return the arguments of CreateTable for a valid table with the given differences."""
    names = [name for name, _ in keys] + [name for name, _ in index_keys if index]
    throughput = {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}
    provisioned = {"ProvisionedThroughput": throughput} if billing == "PROVISIONED" else {}
    table: dict[str, Any] = {
        "AttributeDefinitions": [
            {"AttributeName": name, "AttributeType": (types or {}).get(name, "S")} for name in names
        ],
        "KeySchema": _key_schema(keys),
        "BillingMode": billing,
        **provisioned,
    }
    if index:
        table["GlobalSecondaryIndexes"] = [
            {
                "IndexName": index,
                "KeySchema": [
                    {"AttributeName": name, "KeyType": kind} for name, kind in index_keys
                ],
                "Projection": {"ProjectionType": projection},
                **provisioned,
            }
        ]
    return table


def _key_schema(keys: list[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"AttributeName": name, "KeyType": kind} for name, kind in keys]


def _blocks(kind: str, text: str) -> dict[str, str]:
    """Return the bodies of all blocks of one kind, by name."""
    return dict(re.findall(rf'^{kind} "(\w+)" {{\n(.*?)^}}', text, re.MULTILINE | re.DOTALL))


def _values(path: Path) -> dict[str, Any]:
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    pairs = (line.split("=", maxsplit=1) for line in lines)
    return {name.strip(): json.loads(value) for name, value in pairs}
