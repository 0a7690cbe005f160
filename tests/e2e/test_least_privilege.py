"""The IAM role of each function: its rights are exactly those that the function needs.

The contract tests run against the same deployment, and show that no right is missing.
"""

import io
import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import pytest

from local.stack import LocalStack
from product_tools import functions

if TYPE_CHECKING:
    from types_boto3_iam import IAMClient
    from types_boto3_lambda import LambdaClient

ACCOUNT: Final = "536580886816"
TABLE: Final = "products-dev"
TABLE_ARN: Final = f"arn:aws:dynamodb:eu-west-1:{ACCOUNT}:table/{TABLE}"
OTHER_TABLE: Final = "not-products"
API_FUNCTIONS: Final = [name.replace("_", "-") for name in functions.FUNCTIONS]
EVENT_FUNCTIONS: Final = [name.replace("_", "-") for name in functions.EVENT_FUNCTIONS]
FUNCTIONS: Final = [*API_FUNCTIONS, *EVENT_FUNCTIONS]
SQS: Final = f"arn:aws:sqs:eu-west-1:{ACCOUNT}"
DOMAIN: Final = f"arn:aws:es:eu-west-1:{ACCOUNT}:domain/local"
BUCKET: Final = "bbws-product-audit-logs-dev"
COMMANDS: Final = ({"sqs:SendMessage"}, {f"{SQS}:bbws-product-change-dev.fifo"})
MESSAGES: Final = {"sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"}
RIGHTS: Final[Mapping[str, list[tuple[set[str], set[str]]]]] = {
    "list-products": [
        (
            {"dynamodb:Query"},
            {
                f"{TABLE_ARN}/index/{index}"
                for index in ("ActiveProductsIndex", "ProductsByPriceIndex", "ProductsByNameIndex")
            },
        ),
    ],
    "get-product": [({"dynamodb:GetItem"}, {TABLE_ARN})],
    "create-product": [
        (
            {
                *("dynamodb:ConditionCheckItem", "dynamodb:GetItem"),
                *("dynamodb:PutItem", "dynamodb:UpdateItem"),
            },
            {TABLE_ARN},
        ),
        COMMANDS,
    ],
    "update-product": [({"dynamodb:GetItem", "dynamodb:UpdateItem"}, {TABLE_ARN}), COMMANDS],
    "delete-product": [({"dynamodb:GetItem", "dynamodb:UpdateItem"}, {TABLE_ARN}), COMMANDS],
    "change-publisher": [
        (
            {"dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"},
            {f"{TABLE_ARN}/stream/…"},
        ),
        ({"dynamodb:ListStreams"}, {"*"}),
        (
            {"events:PutEvents"},
            {f"arn:aws:events:eu-west-1:{ACCOUNT}:event-bus/bbws-product-events-dev"},
        ),
        (
            {"sqs:SendMessage"},
            {f"{SQS}:bbws-product-parked-dev", f"{SQS}:bbws-product-stream-failures-dev"},
        ),
    ],
    "audit-logger": [
        (MESSAGES, {f"{SQS}:bbws-product-audit-dev"}),
        ({"s3:PutObject"}, {f"arn:aws:s3:::{BUCKET}/*"}),
    ],
    "search-indexer": [
        (MESSAGES, {f"{SQS}:bbws-product-search-dev"}),
        ({"es:ESHttpPost"}, {f"{DOMAIN}/{alias}/_bulk" for alias in ("products", "products-next")}),
    ],
    "cache-invalidator": [
        (MESSAGES, {f"{SQS}:bbws-product-cache-dev"}),
        ({"cloudfront:CreateInvalidation"}, {f"arn:aws:cloudfront::{ACCOUNT}:distribution/…"}),
    ],
    "product-creator": [
        ({"dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"}, {TABLE_ARN}),
        (MESSAGES, {f"{SQS}:bbws-product-change-dev.fifo"}),
    ],
}

_KEY: Final = {"PK": {"S": "PRODUCT#PROD-PROBE"}, "SK": {"S": "METADATA"}}
_QUERY: Final = {
    "KeyConditionExpression": "#key = :value",
    "ExpressionAttributeNames": {"#key": "active"},
    "ExpressionAttributeValues": {":value": {"S": "true"}},
}
_QUERY_TABLE: Final = {
    **_QUERY,
    "ExpressionAttributeNames": {"#key": "PK"},
    "TableName": TABLE,
}
_PUT: Final = {"Item": _KEY, "ConditionExpression": "attribute_exists(nothing)"}
_UPDATE: Final = {
    "Key": _KEY,
    "UpdateExpression": "SET a = :a",
    "ConditionExpression": "attribute_exists(nothing)",
    "ExpressionAttributeValues": {":a": {"S": "a"}},
}
_OBJECT: Final = "2000/01/01/PROD-PROBE.json"


def _event(bus: str) -> dict[str, Any]:
    """Return parameters of an event that no rule matches."""
    return {
        "Entries": [
            {"EventBusName": bus, "Source": "probe", "DetailType": "Probe", "Detail": "{}"},
        ]
    }


def _message(queue: str) -> dict[str, Any]:
    """Return parameters of a message that SQS rejects."""
    url = f"https://sqs.eu-west-1.amazonaws.com/{ACCOUNT}/{queue}"
    return {"QueueUrl": url, "MessageBody": "probe", "DelaySeconds": 901}


def _invalidation(distribution: str) -> dict[str, Any]:
    """Return parameters of an invalidation of a path that nobody reads."""
    paths = {"Quantity": 1, "Items": ["/probe"]}
    return {
        "DistributionId": distribution,
        "InvalidationBatch": {"Paths": paths, "CallerReference": "probe"},
    }


# Allowed calls change nothing that matters: their condition fails, or their parameters are invalid.
CALLS: Final[Mapping[str, tuple[str, str, Mapping[str, Any]]]] = {
    "read a product": ("dynamodb", "GetItem", {"TableName": TABLE, "Key": _KEY}),
    "query the index": (
        "dynamodb",
        "Query",
        {**_QUERY, "TableName": TABLE, "IndexName": "ActiveProductsIndex"},
    ),
    "query the index by price": (
        "dynamodb",
        "Query",
        {**_QUERY, "TableName": TABLE, "IndexName": "ProductsByPriceIndex"},
    ),
    "query the index by name": (
        "dynamodb",
        "Query",
        {**_QUERY, "TableName": TABLE, "IndexName": "ProductsByNameIndex"},
    ),
    "query the table": ("dynamodb", "Query", _QUERY_TABLE),
    "scan the table": ("dynamodb", "Scan", {"TableName": TABLE}),
    "put an item": ("dynamodb", "PutItem", {**_PUT, "TableName": TABLE}),
    "update an item": ("dynamodb", "UpdateItem", {**_UPDATE, "TableName": TABLE}),
    "put items in a transaction": (
        "dynamodb",
        "TransactWriteItems",
        {"TransactItems": [{"Put": {**_PUT, "TableName": TABLE}}]},
    ),
    "delete an item": (
        "dynamodb",
        "DeleteItem",
        {"TableName": TABLE, "Key": _KEY, "ConditionExpression": "attribute_exists(nothing)"},
    ),
    "delete items in a batch": (
        "dynamodb",
        "BatchWriteItem",
        {"RequestItems": {TABLE: [{"DeleteRequest": {"Key": _KEY}}]}},
    ),
    "delete a table": ("dynamodb", "DeleteTable", {"TableName": OTHER_TABLE}),
    "delete the table": ("dynamodb", "DeleteTable", {"TableName": TABLE}),
    "change the table": (
        "dynamodb",
        "UpdateTable",
        {"TableName": TABLE, "DeletionProtectionEnabled": False},
    ),
    "read another table": ("dynamodb", "GetItem", {"TableName": OTHER_TABLE, "Key": _KEY}),
    "query another table's index": (
        "dynamodb",
        "Query",
        {**_QUERY, "TableName": OTHER_TABLE, "IndexName": "ActiveProductsIndex"},
    ),
    "put into another table": ("dynamodb", "PutItem", {**_PUT, "TableName": OTHER_TABLE}),
    "update another table": ("dynamodb", "UpdateItem", {**_UPDATE, "TableName": OTHER_TABLE}),
    "put an audit object": (
        "s3",
        "PutObject",
        {"Bucket": BUCKET, "Key": _OBJECT, "IfMatch": "of no object"},
    ),
    "put an object elsewhere": (
        "s3",
        "PutObject",
        {"Bucket": "bbws-terraform-state-dev", "Key": _OBJECT, "IfMatch": "none"},
    ),
    "read an audit object": ("s3", "GetObject", {"Bucket": BUCKET, "Key": _OBJECT}),
    "list the audit trail": ("s3", "ListObjectsV2", {"Bucket": BUCKET}),
    "delete an audit object": ("s3", "DeleteObject", {"Bucket": BUCKET, "Key": _OBJECT}),
    "unlock an audit object": (
        "s3",
        "PutObjectRetention",
        {"Bucket": BUCKET, "Key": _OBJECT, "Retention": {}},
    ),
    "change the audit bucket": (
        "s3",
        "PutBucketVersioning",
        {"Bucket": BUCKET, "VersioningConfiguration": {"Status": "Suspended"}},
    ),
    "put an event": ("events", "PutEvents", _event("bbws-product-events-dev")),
    "put an event elsewhere": ("events", "PutEvents", _event("default")),
    "send a command": ("sqs", "SendMessage", _message("bbws-product-change-dev.fifo")),
    "park a record": ("sqs", "SendMessage", _message("bbws-product-parked-dev")),
    "send to the audit queue": ("sqs", "SendMessage", _message("bbws-product-audit-dev")),
    "invalidate another distribution": (
        "cloudfront",
        "CreateInvalidation",
        _invalidation("E2EXAMPLE1234"),
    ),
    "create a log group": ("logs", "CreateLogGroup", {"logGroupName": "/created/by/a/function"}),
    "read its own code": (
        "lambda",
        "GetFunction",
        {"FunctionName": "bbws-list-products-dev"},
    ),
    "read the API key": ("apigateway", "GetApiKeys", {}),
    "list roles": ("iam", "ListRoles", {}),
}
ALLOWED: Final = {
    "list-products": {
        *("query the index", "query the index by price", "query the index by name"),
    },
    "get-product": {"read a product"},
    "create-product": {
        "read a product",
        "put an item",
        "put items in a transaction",
        "update an item",
        "send a command",
    },
    "update-product": {"read a product", "update an item", "send a command"},
    "delete-product": {"read a product", "update an item", "send a command"},
    "change-publisher": {"put an event", "park a record"},
    "audit-logger": {"put an audit object"},
    "search-indexer": set(),
    "cache-invalidator": {"invalidate the distribution"},
    "product-creator": {
        "read a product",
        "put an item",
        "put items in a transaction",
        "update an item",
    },
}
DENIED: Final = {"AccessDenied", "AccessDeniedException"}

# Runs in the emulator's Lambda with the role under test; botocore comes from the emulator.
PROBE: Final = """
import botocore.session
from botocore.exceptions import ClientError

def handler(event, context):
    codes = {}
    for name, (service, operation, parameters) in event.items():
        client = botocore.session.get_session().create_client(service)
        try:
            client._make_api_call(operation, parameters)
            codes[name] = "done"
        except ClientError as error:
            codes[name] = error.response["Error"]["Code"]
    return codes
"""


@pytest.fixture(scope="module")
def iam(stack: LocalStack) -> "IAMClient":
    client: IAMClient = stack.client("iam")
    return client


@pytest.fixture
def probe(stack: LocalStack, function: str) -> Iterator[str]:
    """A deployed function with the code of PROBE and the role of `function`."""
    client: LambdaClient = stack.client("lambda")
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("probe.py", PROBE)
    name = f"probe-{function}"
    client.create_function(
        FunctionName=name,
        Runtime="python3.12",
        Role=f"arn:aws:iam::{ACCOUNT}:role/bbws-{function}-dev-eu-west-1",
        Handler="probe.handler",
        Code={"ZipFile": package.getvalue()},
        Timeout=30,
    )
    yield name
    client.delete_function(FunctionName=name)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_role_allows_only_calls_of_its_function(
    stack: LocalStack, function: str, probe: str
) -> None:
    client: LambdaClient = stack.client("lambda")
    own = stack.main_root().outputs()["cloudfront_distribution_id"]
    invalidation = ("cloudfront", "CreateInvalidation", _invalidation(own))
    calls = {**CALLS, "invalidate the distribution": invalidation}
    response = client.invoke(FunctionName=probe, Payload=json.dumps(calls))
    codes = json.loads(response["Payload"].read())
    assert codes.keys() == calls.keys(), codes
    allowed = {name for name, code in codes.items() if code not in DENIED}
    assert allowed == ALLOWED[function], codes


@pytest.mark.parametrize("function", FUNCTIONS)
def test_policy_has_exact_actions_and_resources(iam: "IAMClient", function: str) -> None:
    role = f"bbws-{function}-dev-eu-west-1"
    assert iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"] == []
    (name,) = iam.list_role_policies(RoleName=role)["PolicyNames"]
    document: Any = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
    group = f"arn:aws:logs:eu-west-1:{ACCOUNT}:log-group:/aws/lambda/bbws-{function}-dev"
    assert {
        (
            statement["Effect"],
            frozenset(_as_list(statement["Action"])),
            # The label of a stream is the time of its creation; CloudFront chooses an id.
            frozenset(
                re.sub("(stream|distribution)/.*", r"\1/…", each)
                for each in _as_list(statement["Resource"])
            ),
        )
        for statement in document["Statement"]
    } == {
        *(
            ("Allow", frozenset(actions), frozenset(resources))
            for actions, resources in RIGHTS[function]
        ),
        (
            "Allow",
            frozenset({"logs:CreateLogStream", "logs:PutLogEvents"}),
            frozenset({f"{group}:*"}),
        ),
        ("Allow", frozenset({"xray:PutTraceSegments", "xray:PutTelemetryRecords"}), frozenset("*")),
    }


@pytest.mark.parametrize("function", FUNCTIONS)
def test_only_lambda_can_assume_role(iam: "IAMClient", function: str) -> None:
    role: Any = iam.get_role(RoleName=f"bbws-{function}-dev-eu-west-1")["Role"]
    (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Service": "lambda.amazonaws.com"}
    assert statement["Action"] == "sts:AssumeRole"


@pytest.mark.parametrize(
    ("function", "methods"),
    [
        ("list-products", {"GET/products", "GET/deleted-products"}),
        ("get-product", {"GET/products/*"}),
        ("create-product", {"POST/products"}),
        ("update-product", {"PUT/products/*"}),
        ("delete-product", {"DELETE/products/*"}),
    ],
)
def test_only_own_api_methods_can_call_function(
    stack: LocalStack, function: str, methods: set[str]
) -> None:
    client: LambdaClient = stack.client("lambda")
    response = client.get_policy(FunctionName=f"bbws-{function}-dev", Qualifier="live")
    called = set()
    for statement in json.loads(response["Policy"])["Statement"]:
        assert statement["Principal"] == {"Service": "apigateway.amazonaws.com"}
        (source,) = statement["Condition"]["ArnLike"].values()
        api_id, stage, rest = source.split(":execute-api:eu-west-1:536580886816:")[1].split("/", 2)
        assert stage == "v1_0"
        assert "*" not in api_id
        called.add(rest)
    assert called == methods


def _as_list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value
