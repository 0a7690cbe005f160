"""Plans of the optional features, in every combination.

The plans are parts of two plans, on the table of DEV's engine, and nothing is applied. What the
engine does not check is checked here: rights to streams and queues, policies of queues, retries and
failures of the event sources.
"""

import fnmatch
import itertools
import json
import re
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from local.stack import LocalStack
from product_tools.functions import FUNCTIONS
from product_tools.terraform import TERRAFORM_FOLDER
from tests.support.aws_policies import findings
from tests.support.module_plans import root_of_modules

pytestmark = pytest.mark.timeout(900)  # seconds; the plans of all combinations take minutes

EVENTS: Final = "enable_change_events"
AUDIT: Final = "enable_audit_log"
ASYNC: Final = "enable_async_writes"
INDEXES: Final = "enable_product_indexes"
EDGE: Final = "enable_cloudfront_cache"
SEARCH: Final = "enable_opensearch"
SWITCHES: Final = (EVENTS, AUDIT, ASYNC, INDEXES, EDGE, SEARCH)
NEED_EVENTS: Final = frozenset({AUDIT, EDGE, SEARCH})
"""The switches that switch change events on, too."""
COMBINATIONS: Final = [
    switches
    for number in range(len(SWITCHES) + 1)
    for switches in map(frozenset, itertools.combinations(SWITCHES, number))
    # A switch that another one brings along changes nothing: all, and all but one, show that.
    if EVENTS not in switches or not switches & NEED_EVENTS or number >= len(SWITCHES) - 1
]
READ_ONLY: Final = frozenset({*SWITCHES, "read_only"})
# A distribution of another stack, behind the firewall, and one allowed origin.
NAMED: Final = frozenset({EDGE, "waf_enabled"})
DISTRIBUTION_ID: Final = "E2EXAMPLE1234"
DISTRIBUTION: Final = f"arn:aws:cloudfront::536580886816:distribution/{DISTRIBUTION_ID}"
PLANS: Final[Mapping[frozenset[str], Mapping[str, object]]] = {
    **{switches: {} for switches in [*COMBINATIONS, READ_ONLY]},
    NAMED: {
        "cloudfront_distribution_id": DISTRIBUTION_ID,
        "cors_allowed_origins": ["https://dev.kimmyai.io"],
    },
}
"""All plans by the switches that are on, with further inputs."""
MODULES_OF_PLAN: Final = 22  # twice as many take Terraform three times the processor time
ACCOUNT: Final = "eu-west-1:536580886816"
TABLE: Final = f"arn:aws:dynamodb:{ACCOUNT}:table/products-dev"
SQS: Final = f"arn:aws:sqs:{ACCOUNT}"
BUS: Final = f"arn:aws:events:{ACCOUNT}:event-bus/bbws-product-events-dev"
RULES: Final = f"arn:aws:events:{ACCOUNT}:rule/bbws-product-events-dev"
DOMAIN: Final = f"arn:aws:es:{ACCOUNT}:domain/products"
BUCKET: Final = "bbws-product-audit-logs-dev"
READS: Final = ("list_products", "get_product")
CONSUMERS: Final = ("audit", "cache", "search")
WRITES: Final = ("create_product", "update_product", "delete_product")
# Written by the plan of the release before these switches, with the values of DEV.
WITHOUT_EVENTS: Final[Mapping[str, Any]] = json.loads(
    (Path(__file__).parent / "plan_without_events.json").read_text()
)
# Amazon CloudFront Developer Guide, "Use managed cache policies": CachingDisabled.
CACHING_DISABLED: Final = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
VIEWER_ADDRESS: Final = "true-client-ip"
READ_A_QUEUE: Final = {"sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"}
LOGS: Final = f"arn:aws:logs:{ACCOUNT}:log-group:/aws/lambda"


@dataclass(frozen=True, slots=True)
class Combination:
    """The plan of one combination.

    Attributes:
        switches: the variables that are true.
        resources: the planned values by address.
        statements: the statements of the five functions' rights, by function.
    """

    switches: frozenset[str]
    resources: Mapping[str, Mapping[str, Any]]
    statements: Mapping[str, list[dict[str, Any]]]

    @property
    def has_events(self) -> bool:
        """Whether change events are on: the consumers of this service switch them on."""
        return bool(self.switches & {EVENTS, *NEED_EVENTS})

    @property
    def event_functions(self) -> set[str]:
        """The event functions that must be on."""
        functions = {"change_publisher"} if self.has_events else set()
        functions |= {"audit_logger"} if AUDIT in self.switches else set()
        functions |= {"search_indexer"} if SEARCH in self.switches else set()
        functions |= {"cache_invalidator"} if EDGE in self.switches else set()
        return functions | ({"product_creator"} if ASYNC in self.switches else set())

    def of_kind(self, kind: str, name: str = "") -> dict[str, Mapping[str, Any]]:
        """Return the resources of a type by what is in the brackets of the address, or by name."""
        pattern = rf'{kind}\.({name or "[a-z_]+"})(?:\["?([^"]+)"?\])?'
        matches = ((re.fullmatch(pattern, address), address) for address in self.resources)
        return {
            match[1] if match[2] in {None, "0"} else match[2]: self.resources[address]
            for match, address in matches
            if match
        }


@pytest.fixture(scope="module")
def combinations(
    stack: LocalStack, tmp_path_factory: pytest.TempPathFactory
) -> dict[frozenset[str], Combination]:
    """All of PLANS."""
    fixed = {
        "package_dir": str(stack.folder / "packages"),
        "audit_retention_days": 30,
        "opensearch_endpoint": "https://search-products.eu-west-1.es.amazonaws.com",
        "opensearch_domain_arn": DOMAIN,
    }
    modules = {
        f"c{number}": (
            fixed | dict.fromkeys(SWITCHES, False) | dict.fromkeys(switches, True) | dict(further)
        )
        for number, (switches, further) in enumerate(PLANS.items())
    }
    planned: dict[frozenset[str], Combination] = {}
    for names in itertools.batched(modules, MODULES_OF_PLAN):
        root = root_of_modules(
            tmp_path_factory.mktemp("combinations"),
            {name: modules[name] for name in names},
            stack._provider_environment(),
        )
        root.plan()
        shown = json.loads(root._output_of(["show", "-json", str(root._plan)], "There is no plan."))
        planned |= _combinations(shown)
    return planned


@pytest.fixture(params=COMBINATIONS, ids=lambda switches: "-".join(_short(switches)) or "none")
def combination(
    combinations: dict[frozenset[str], Combination], request: pytest.FixtureRequest
) -> Combination:
    """Each of the combinations."""
    return combinations[request.param]


@pytest.fixture
def everything(combinations: dict[frozenset[str], Combination]) -> Combination:
    """The combination with all switches on."""
    return combinations[frozenset(SWITCHES)]


def test_without_switches_plan_is_what_it_was(
    combinations: dict[frozenset[str], Combination],
) -> None:
    off = combinations[frozenset()]
    assert sorted(off.resources) == WITHOUT_EVENTS["addresses"]
    assert _environments(off) == WITHOUT_EVENTS["environments"]
    assert off.statements == WITHOUT_EVENTS["rights"]


def test_each_switch_adds_its_own_whatever_others_do(
    combinations: dict[frozenset[str], Combination], combination: Combination
) -> None:
    alone = [combinations[frozenset()]]
    alone += [combinations[frozenset({switch})] for switch in combination.switches]
    assert combination.resources.keys() == set().union(*(each.resources for each in alone))


def test_event_functions_of_combination_are_complete(combination: Combination) -> None:
    for kind in ("aws_iam_role", "aws_iam_role_policy", "aws_lambda_function", "aws_lambda_alias"):
        assert combination.of_kind(kind, "event_function").keys() == combination.event_functions
    groups = combination.of_kind("aws_cloudwatch_log_group", "event_function")
    assert {group["name"] for group in groups.values()} == {
        f"/aws/lambda/{_deployed(name)}" for name in combination.event_functions
    }
    for name, function in combination.of_kind("aws_lambda_function", "event_function").items():
        assert function["function_name"] == _deployed(name)
        assert function["handler"] == f"product_lambda.event_handlers.{name}.handler"
        assert Path(function["filename"]).name == f"{name}.zip"


def test_event_functions_have_exact_rights(
    combinations: dict[frozenset[str], Combination], combination: Combination
) -> None:
    expected: dict[str, list[tuple[AbstractSet[str], str]]] = {
        "change_publisher": [
            (
                {"dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"},
                f"{TABLE}/stream/*",
            ),
            ({"dynamodb:ListStreams"}, "*"),
            ({"events:PutEvents"}, BUS),
            ({"sqs:SendMessage"}, f"{SQS}:bbws-product-parked-dev"),
            ({"sqs:SendMessage"}, f"{SQS}:bbws-product-stream-failures-dev"),
        ],
        "audit_logger": [
            (READ_A_QUEUE, f"{SQS}:bbws-product-audit-dev"),
            ({"s3:PutObject"}, f"arn:aws:s3:::{BUCKET}/*"),
        ],
        "product_creator": [
            ({"dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"}, TABLE),
            (READ_A_QUEUE, f"{SQS}:bbws-product-change-dev.fifo"),
        ],
        "search_indexer": [
            (READ_A_QUEUE, f"{SQS}:bbws-product-search-dev"),
            ({"es:ESHttpPost"}, f"{DOMAIN}/products/_bulk"),
            ({"es:ESHttpPost"}, f"{DOMAIN}/products-next/_bulk"),
        ],
        "cache_invalidator": [
            (READ_A_QUEUE, f"{SQS}:bbws-product-cache-dev"),
            ({"cloudfront:CreateInvalidation"}, DISTRIBUTION),
        ],
    }
    policies = combination.of_kind("aws_iam_role_policy", "event_function")
    if EDGE in combination.switches:  # a new distribution has no id before the apply
        policies |= combinations[NAMED].of_kind("aws_iam_role_policy", "event_function")
    assert policies.keys() == combination.event_functions
    for name, policy in policies.items():
        rights = [
            (set(_list(statement["Action"])), resource)
            for statement in json.loads(policy["policy"])["Statement"]
            for resource in _list(statement["Resource"])
        ]
        patterns = [
            *expected[name],
            ({"logs:CreateLogStream", "logs:PutLogEvents"}, f"{LOGS}/{_deployed(name)}:*"),
            ({"xray:PutTraceSegments", "xray:PutTelemetryRecords"}, "*"),
        ]
        assert len(rights) == len(patterns)
        for actions, pattern in patterns:
            assert [
                right
                for right in rights
                if right[0] == actions and fnmatch.fnmatchcase(right[1], pattern)
            ], f"{name} lacks {actions} on {pattern}"


def test_only_writes_reach_queue_of_commands(combination: Combination) -> None:
    url = f"https://sqs.{ACCOUNT.replace(':', '.amazonaws.com/')}/bbws-product-change-dev.fifo"
    right = {
        "actions": ["sqs:SendMessage"],
        "resources": [f"{SQS}:bbws-product-change-dev.fifo"],
    }
    environments = _environments(combination)
    for function in FUNCTIONS:
        may_send = ASYNC in combination.switches and function in WRITES
        added = {"CHANGE_QUEUE_URL": url} if may_send else {}
        indexes = INDEXES in combination.switches and function == "list_products"
        added |= {"PRODUCT_INDEXES": "true"} if indexes else {}
        cached = EDGE in combination.switches and function in READS
        added |= {"EDGE_CACHE_SECONDS": "60"} if cached else {}
        assert environments[function] == WITHOUT_EVENTS["environments"][function] | added
        sends = [each for each in combination.statements[function] if each == right]
        assert len(sends) == may_send
        first, *others = [each for each in combination.statements[function] if each != right]
        before, *others_before = WITHOUT_EVENTS["rights"][function]
        checks = may_send and function == "create_product"
        assert set(first["actions"]) - set(before["actions"]) == (
            {"dynamodb:ConditionCheckItem"} if checks else set()
        )
        assert indexes or first["resources"] == before["resources"]
        assert others == others_before


def test_browsers_may_send_prefer_where_writes_wait(combination: Combination) -> None:
    header = "method.response.header.Access-Control-Allow-Headers"
    responses = combination.of_kind("aws_api_gateway_integration_response", "preflight")
    assert responses
    for response in responses.values():
        allowed = response["response_parameters"][header].strip("'").split(", ")
        assert ("prefer" in allowed) == (ASYNC in combination.switches)


def test_event_sources_call_aliases_of_functions_on(combination: Combination) -> None:
    sources = {
        "stream": "change_publisher",
        "audit": "audit_logger",
        "cache": "cache_invalidator",
        "change": "product_creator",
        "search": "search_indexer",
    }
    mappings = combination.of_kind("aws_lambda_event_source_mapping")
    assert {sources[name] for name in mappings} == combination.event_functions


def test_read_only_switch_turns_off_only_commands(
    combinations: dict[frozenset[str], Combination],
) -> None:
    """Changes that other programs make are still published."""
    for switches, commands in ((READ_ONLY, False), (frozenset(SWITCHES), True)):
        mappings = combinations[switches].of_kind("aws_lambda_event_source_mapping")
        enabled = {name: mapping["enabled"] for name, mapping in mappings.items()}
        on = dict.fromkeys(("audit", "cache", "search", "stream"), True)
        assert enabled == {**on, "change": commands}


def test_queues_of_combination_are_complete(combination: Combination) -> None:
    expected = {"bbws-product-parked-dev", "bbws-product-stream-failures-dev"}
    expected = expected if combination.has_events else set()
    if AUDIT in combination.switches:
        expected |= {"bbws-product-audit-dev", "bbws-product-audit-dev-dlq"}
    if ASYNC in combination.switches:
        expected |= {"bbws-product-change-dev.fifo", "bbws-product-change-dev-dlq.fifo"}
    if SEARCH in combination.switches:
        expected |= {"bbws-product-search-dev", "bbws-product-search-dev-dlq"}
    if EDGE in combination.switches:
        expected |= {"bbws-product-cache-dev", "bbws-product-cache-dev-dlq"}
    queues = combination.of_kind("aws_sqs_queue")
    assert {queue["name"] for queue in queues.values()} == expected


def test_alarms_are_for_what_is_on(combination: Combination) -> None:
    expected = {f"{_deployed(name)}-errors" for name in combination.event_functions}
    if combination.has_events:
        expected |= {"bbws-change-publisher-dev-iterator-age"}
        expected |= {f"bbws-product-{name}-dev-not-empty" for name in ("parked", "stream-failures")}
    consumers = ((AUDIT, "audit"), (ASYNC, "change"), (EDGE, "cache"), (SEARCH, "search"))
    for switch, name in consumers:
        if switch in combination.switches:
            expected |= {f"bbws-product-{name}-dev-{kind}" for kind in ("old-messages",)}
            expected |= {f"bbws-product-{name}-dev-dlq-not-empty"}
    for switch, name in ((ASYNC, "change"), (SEARCH, "search")):
        if switch in combination.switches:
            expected |= {f"bbws-product-{name}-dev-rejected"}
    assert combination.of_kind("aws_cloudwatch_metric_alarm", "event").keys() == expected
    filters = combination.of_kind("aws_cloudwatch_log_metric_filter", "event_function")
    assert filters.keys() == {
        *(["ParkedRecords"] if combination.has_events else []),
        *(["RejectedCommands"] if ASYNC in combination.switches else []),
        *(["RejectedDocuments"] if SEARCH in combination.switches else []),
    }


# --- What the engine does not check ---


def test_stream_is_retried_until_it_drops_a_record(everything: Combination) -> None:
    """AWS Lambda Developer Guide, "Using AWS Lambda with Amazon DynamoDB", error handling."""
    mapping = everything.of_kind("aws_lambda_event_source_mapping")["stream"]
    assert mapping["event_source_arn"].startswith(f"{TABLE}/stream/")
    assert mapping["starting_position"] == "TRIM_HORIZON"
    assert mapping["maximum_retry_attempts"] == -1
    assert mapping["maximum_record_age_in_seconds"] == 24 * 60 * 60
    assert mapping["bisect_batch_on_function_error"] is True
    # A list of failures would be a success for the engine, so the function reports none.
    assert not mapping["function_response_types"]
    assert mapping["destination_config"][0]["on_failure"]


def test_stream_filter_selects_only_products(everything: Combination) -> None:
    mapping = everything.of_kind("aws_lambda_event_source_mapping")["stream"]
    [criteria] = mapping["filter_criteria"]
    [pattern] = criteria["filter"]
    keys = {"PK": {"S": [{"prefix": "PRODUCT#"}]}, "SK": {"S": ["METADATA"]}}
    assert json.loads(pattern["pattern"]) == {"dynamodb": {"Keys": keys}}


def test_change_reaches_consumers_within_ten_seconds(everything: Combination) -> None:
    mappings = everything.of_kind("aws_lambda_event_source_mapping")
    windows = {
        name: mapping.get("maximum_batching_window_in_seconds") or 0
        for name, mapping in mappings.items()
    }
    assert windows["change"] == 0  # AWS has no window for FIFO queues
    assert windows["stream"] + max(windows[name] for name in CONSUMERS) <= 5
    assert {mappings[name]["batch_size"] for name in ("audit", "change")} == {10}
    assert mappings["search"]["batch_size"] == 5
    for name in (*CONSUMERS, "change"):
        assert mappings[name]["function_response_types"] == ["ReportBatchItemFailures"]


def test_invalidations_are_few_and_begin_after_reads(everything: Combination) -> None:
    """CloudFront works on 15 invalidations with a wildcard at a time (its page "Quotas").

    A read may have begun before the change, and end at its deadline of 2.5 seconds.
    """
    mapping = everything.of_kind("aws_lambda_event_source_mapping")["cache"]
    assert mapping["batch_size"] == 1000
    assert mapping["scaling_config"] == [{"maximum_concurrency": 2}]
    assert everything.of_kind("aws_sqs_queue")["cache"]["delay_seconds"] == 3


def test_queue_hides_messages_longer_than_its_function_runs(everything: Combination) -> None:
    """AWS Lambda Developer Guide, "Using Lambda with Amazon SQS": six times, and the window."""
    functions = everything.of_kind("aws_lambda_function", "event_function")
    mappings = everything.of_kind("aws_lambda_event_source_mapping")
    functions_of = {
        "audit": "audit_logger",
        "cache": "cache_invalidator",
        "change": "product_creator",
        "search": "search_indexer",
    }
    for queue, function in functions_of.items():
        window = mappings[queue].get("maximum_batching_window_in_seconds") or 0
        visibility = everything.of_kind("aws_sqs_queue")[queue]["visibility_timeout_seconds"]
        assert visibility == 60
        assert visibility >= 6 * functions[function]["timeout"] + window


def test_queues_keep_dead_letters_after_three_tries(everything: Combination) -> None:
    queues = everything.of_kind("aws_sqs_queue")
    for name in (*CONSUMERS, "change"):
        dead_letters = queues[f"{name}_dead_letters"]
        assert json.loads(queues[name]["redrive_policy"]) == {
            "deadLetterTargetArn": f"{SQS}:{dead_letters['name']}",
            "maxReceiveCount": 3,
        }
        assert queues[name]["message_retention_seconds"] == 4 * 24 * 60 * 60
        assert dead_letters["message_retention_seconds"] == 14 * 24 * 60 * 60
        assert bool(queues[name]["fifo_queue"]) == bool(dead_letters["fifo_queue"])


def test_no_customer_key_so_no_right_to_a_key_is_needed(everything: Combination) -> None:
    for queue in everything.of_kind("aws_sqs_queue").values():
        assert queue["sqs_managed_sse_enabled"] is True
        assert not queue.get("kms_master_key_id")
    assert not everything.of_kind("aws_cloudwatch_event_bus")["product"].get("kms_key_identifier")
    [encryption] = everything.of_kind("aws_s3_bucket_server_side_encryption_configuration").values()
    [rule] = encryption["rule"]
    [default] = rule["apply_server_side_encryption_by_default"]
    assert default["sse_algorithm"] == "AES256"


def test_only_rule_of_consumer_may_send_to_its_queues(everything: Combination) -> None:
    rules = everything.of_kind("aws_cloudwatch_event_rule")
    targets = everything.of_kind("aws_cloudwatch_event_target")
    queues = everything.of_kind("aws_sqs_queue")
    assert rules.keys() == targets.keys() == set(CONSUMERS)
    for consumer, target in targets.items():
        rule = rules[consumer]
        assert target["arn"] == f"{SQS}:{queues[consumer]['name']}"
        assert target["dead_letter_config"] == [
            {"arn": f"{SQS}:{queues[f'{consumer}_dead_letters']['name']}"}
        ]
        assert (target["rule"], rule["event_bus_name"]) == (rule["name"], "bbws-product-events-dev")
        assert json.loads(rule["event_pattern"]) == {"source": ["bbws.product"]}
    for name, queue in queues.items():
        allowed = [
            (each["Principal"], each["Action"], each["Resource"], each["Condition"])
            for each in json.loads(queue["policy"])["Statement"]
            if each["Effect"] == "Allow"
        ]
        consumer = name.removesuffix("_dead_letters")
        senders = [
            (
                {"Service": "events.amazonaws.com"},
                "sqs:SendMessage",
                f"{SQS}:{queue['name']}",
                {"ArnEquals": {"aws:SourceArn": f"{RULES}/{rules[consumer]['name']}"}},
            )
            for _ in [consumer]
            if consumer in rules
        ]
        assert allowed == senders


def test_queues_and_bucket_reject_requests_without_tls(everything: Combination) -> None:
    policies = [queue["policy"] for queue in everything.of_kind("aws_sqs_queue").values()]
    policies += [each["policy"] for each in everything.of_kind("aws_s3_bucket_policy").values()]
    assert len(policies) == 11
    for policy in policies:
        denied = [each for each in json.loads(policy)["Statement"] if each["Effect"] == "Deny"]
        assert [each["Condition"] for each in denied] == [
            {"Bool": {"aws:SecureTransport": "false"}}
        ]
        assert [each["Principal"] for each in denied] == ["*"]


def test_policies_fit_the_list_of_aws(everything: Combination) -> None:
    kinds = ("aws_sqs_queue", "aws_s3_bucket_policy", "aws_iam_role_policy")
    policies = [
        json.loads(resource["policy"])
        for kind in kinds
        for resource in everything.of_kind(kind).values()
        # Those of the five functions and of a new distribution are unknown before the apply.
        if "policy" in resource
    ]
    assert len(policies) == 15
    assert [finding for policy in policies for finding in findings(policy)] == []


def test_audit_bucket_is_protected(everything: Combination) -> None:
    [versioning] = everything.of_kind("aws_s3_bucket_versioning").values()
    assert versioning["versioning_configuration"][0]["status"] == "Enabled"
    [block] = everything.of_kind("aws_s3_bucket_public_access_block").values()
    names = ("acls", "policy")
    assert all(block[f"block_public_{name}"] for name in names)
    assert block["ignore_public_acls"]
    assert block["restrict_public_buckets"]
    [lock] = everything.of_kind("aws_s3_bucket_object_lock_configuration").values()
    assert lock["rule"][0]["default_retention"] == [
        {"mode": "GOVERNANCE", "days": 30, "years": None}
    ]
    [lifecycle] = everything.of_kind("aws_s3_bucket_lifecycle_configuration").values()
    rules = {rule["id"]: rule for rule in lifecycle["rule"]}
    [transition] = rules["archive"]["transition"]
    assert (transition["days"], transition["storage_class"]) == (365, "GLACIER")
    # Without a size, S3 moves no object under 128 KB, and all objects are smaller.
    assert float(rules["archive"]["filter"][0]["object_size_greater_than"]) == 1
    bucket = everything.of_kind("aws_s3_bucket")["audit"]
    assert (bucket["bucket"], bucket["force_destroy"]) == (BUCKET, False)
    text = (TERRAFORM_FOLDER / "audit_log.tf").read_text()
    assert text.count("prevent_destroy = true") == 1


# --- The edge cache ---


def test_edge_cache_is_one_distribution_or_a_named_one(
    combinations: dict[frozenset[str], Combination], everything: Combination
) -> None:
    named = combinations[NAMED]
    assert everything.of_kind("aws_cloudfront_distribution").keys() == {"edge"}
    assert named.of_kind("aws_cloudfront_distribution") == {}
    functions = named.of_kind("aws_lambda_function", "event_function")
    variables = functions["cache_invalidator"]["environment"][0]["variables"]
    assert variables["DISTRIBUTION_ID"] == DISTRIBUTION_ID
    assert variables["INVALIDATION_PATHS"] == "/v1_0/products*"
    for plan in (everything, named):  # a named one uses the same policies
        for kind in ("cache_policy", "origin_request_policy"):
            assert plan.of_kind(f"aws_cloudfront_{kind}").keys() == {"edge"}


def test_only_reads_of_products_are_cached(everything: Combination) -> None:
    [distribution] = everything.of_kind("aws_cloudfront_distribution").values()
    [default] = distribution["default_cache_behavior"]
    [products] = distribution["ordered_cache_behavior"]
    assert products["path_pattern"] == "/v1_0/products*"
    assert default["cache_policy_id"] == CACHING_DISABLED
    assert "cache_policy_id" not in products  # of this plan, so it has no id before the apply
    for behavior in (default, products):
        assert sorted(behavior["cached_methods"]) == ["GET", "HEAD"]  # so not OPTIONS
        assert {"DELETE", "OPTIONS", "POST", "PUT"} < set(behavior["allowed_methods"])
        assert behavior["viewer_protocol_policy"] == "https-only"
        # CloudFront would weaken the tags of what it compresses.
        assert behavior["compress"] is False


def test_headers_of_responses_decide_what_is_cached(everything: Combination) -> None:
    [policy] = everything.of_kind("aws_cloudfront_cache_policy").values()
    assert (policy["min_ttl"], policy["default_ttl"]) == (0, 0)
    assert policy["max_ttl"] >= 60
    [distribution] = everything.of_kind("aws_cloudfront_distribution").values()
    errors = {
        each["error_code"]: each["error_caching_min_ttl"]
        for each in distribution["custom_error_response"]
    }
    # The statuses that CloudFront keeps for ten seconds otherwise: its Developer Guide, "How
    # CloudFront caches HTTP 4xx and 5xx status codes from your origin".
    assert errors == dict.fromkeys([400, 403, 404, 405, 414, 416, 500, 501, 502, 503, 504], 0)


def test_cache_key_has_what_a_read_depends_on(
    combinations: dict[frozenset[str], Combination], everything: Combination
) -> None:
    """Unknown parameters are in it, too, so that the API gets and rejects them."""
    for plan, headers in (
        (everything, ["Origin", "x-api-key"]),
        (combinations[NAMED], ["x-api-key"]),
    ):
        [policy] = plan.of_kind("aws_cloudfront_cache_policy").values()
        [key] = policy["parameters_in_cache_key_and_forwarded_to_origin"]
        assert sorted(key["headers_config"][0]["headers"][0]["items"]) == headers
        assert key["query_strings_config"][0]["query_string_behavior"] == "all"
        assert key["cookies_config"][0]["cookie_behavior"] == "none"
        assert key["enable_accept_encoding_gzip"] is True
        assert key["enable_accept_encoding_brotli"] is False


def test_origin_gets_all_headers_but_host(everything: Combination) -> None:
    [policy] = everything.of_kind("aws_cloudfront_origin_request_policy").values()
    [headers] = policy["headers_config"]
    assert headers["header_behavior"] == "allExcept"
    assert headers["headers"][0]["items"] == ["Host"]
    assert policy["query_strings_config"][0]["query_string_behavior"] == "all"
    assert policy["cookies_config"][0]["cookie_behavior"] == "none"


def test_edge_speaks_tls_1_2_to_the_api(everything: Combination) -> None:
    [distribution] = everything.of_kind("aws_cloudfront_distribution").values()
    [origin] = distribution["origin"]
    [settings] = origin["custom_origin_config"]
    assert settings["origin_protocol_policy"] == "https-only"
    assert settings["origin_ssl_protocols"] == ["TLSv1.2"]
    assert settings["origin_read_timeout"] == 12  # a function may run for ten seconds
    assert origin["origin_path"] in {None, ""}  # the path of a request stays as it is
    assert distribution["http_version"] == "http2and3"
    assert distribution["price_class"] == "PriceClass_200"  # South Africa is not in PriceClass_100


def test_firewall_counts_callers_behind_the_edge(
    combinations: dict[frozenset[str], Combination],
) -> None:
    [acl] = combinations[NAMED].of_kind("aws_wafv2_web_acl").values()
    rules = {
        rule["name"]: rule["statement"][0]["rate_based_statement"][0]
        for rule in acl["rule"]
        if rule["statement"][0]["rate_based_statement"]
    }
    assert {name: (rule["limit"], rule["aggregate_key_type"]) for name, rule in rules.items()} == {
        "rate": (2000, "FORWARDED_IP"),
        "rate-direct": (2000, "IP"),
        "rate-connection": (20000, "IP"),
    }
    assert rules["rate"]["forwarded_ip_config"] == [
        {"header_name": VIEWER_ADDRESS, "fallback_behavior": "MATCH"}
    ]
    [direct] = rules["rate-direct"]["scope_down_statement"]
    [without] = direct["not_statement"][0]["statement"]
    [size] = without["size_constraint_statement"]
    assert size["field_to_match"][0]["single_header"] == [{"name": VIEWER_ADDRESS}]
    assert (size["comparison_operator"], size["size"]) == ("GE", 0)
    assert not rules["rate-connection"]["scope_down_statement"]


def test_function_of_edge_is_only_for_the_firewall(
    combinations: dict[frozenset[str], Combination], everything: Combination
) -> None:
    [function] = combinations[NAMED].of_kind("aws_cloudfront_function").values()
    assert function["runtime"] == "cloudfront-js-2.0"
    assert f"'{VIEWER_ADDRESS}'" in function["code"]
    assert everything.of_kind("aws_cloudfront_function") == {}


def _combinations(shown: Mapping[str, Any]) -> Iterator[tuple[frozenset[str], Combination]]:
    """Yield the part of each combination in a plan of several."""
    statements: dict[str, dict[str, Any]] = {}
    for change in shown["resource_changes"]:
        if change["mode"] == "data" and change["name"] == "function":
            rights = [
                {"actions": each["actions"], "resources": each["resources"]}
                for each in change["change"]["after"]["statement"]
            ]
            statements.setdefault(change["module_address"], {})[change["index"]] = rights
    for module in shown["planned_values"]["root_module"]["child_modules"]:
        address = module["address"]
        resources = {
            each["address"].removeprefix(f"{address}."): each.get("values", {})
            for each in module["resources"]
            if each["mode"] == "managed"
        }
        switches = [*PLANS][int(address.removeprefix("module.c"))]
        yield switches, Combination(switches, resources, statements[address])


def _environments(combination: Combination) -> dict[str, Any]:
    functions = combination.of_kind("aws_lambda_function", "function")
    return {name: each["environment"][0]["variables"] for name, each in functions.items()}


def _deployed(function: str) -> str:
    return f"bbws-{function.replace('_', '-')}-dev"


def _short(switches: AbstractSet[str]) -> list[str]:
    return [switch.removeprefix("enable_") for switch in SWITCHES if switch in switches]


def _list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value
