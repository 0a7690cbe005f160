"""The workload of every measured function: a table with products, and events.

It measures nothing.
"""

import itertools
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from pydynox import DynamoDBClient, SyncBatchWriter

from local.engine import CREDENTIALS, REGION
from local.table import create_table
from product_lambda.models.product import name_key
from product_tools.functions import FUNCTIONS as MODULES
from product_tools.functions import ROUTES

TABLE = "products-measured"
"""The table that reads share; it holds `PRODUCTS` products."""
PRODUCTS = 60
"""More than one page of the list."""
MONTHLY = 100
"""One of so many products is paid monthly, all others yearly."""

FUNCTIONS = {name.partition("_")[0]: name for name in MODULES}
"""The name of each function by its operation, such as `get_product` by `get`."""
OPERATIONS = ("get", "list", "create", "update", "delete")
"""In the order of the columns that show them."""
READS = ("get", "list")
SHARES: Mapping[str, int] = {"get": 60, "list": 30, "create": 4, "update": 5, "delete": 1}
"""How often each operation occurs in a mix of nine reads to one write, in per cent."""

_START = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
_BROWSER_HEADERS = {
    "Accept": "application/json",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Accept-Language": "en-ZA,en;q=0.9,af;q=0.8",
    "CloudFront-Forwarded-Proto": "https",
    "CloudFront-Is-Desktop-Viewer": "true",
    "CloudFront-Is-Mobile-Viewer": "false",
    "CloudFront-Viewer-Country": "ZA",
    "Host": "api.example.com",
    "Origin": "https://dev.kimmyai.io",
    "Referer": "https://dev.kimmyai.io/",
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)",
    "Via": "2.0 0123456789abcdef.cloudfront.net (CloudFront)",
    "X-Amz-Cf-Id": "ZGlzdHJpYnV0aW9uLWlkLW9mLXRoZS1yZXF1ZXN0",
    "X-Amzn-Trace-Id": "Root=1-5e66d96f-7491f09xmpl79d18acf3d050",
    "X-Forwarded-For": "203.0.113.7, 198.51.100.9",
    "X-Forwarded-Port": "443",
    "X-Forwarded-Proto": "https",
}


def dynamodb(endpoint_url: str) -> DynamoDBClient:
    """Return a client of the engine at `endpoint_url`."""
    return DynamoDBClient(
        region=REGION,
        access_key=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        secret_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        endpoint_url=endpoint_url,
    )


def function_environment(endpoint_url: str, table: str) -> dict[str, str]:
    """Return the environment variables of a function that uses `table`."""
    return {
        **CREDENTIALS,
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "CORS_ALLOWED_ORIGINS": "https://dev.kimmyai.io",
        "POWERTOOLS_METRICS_NAMESPACE": "Products",
        "POWERTOOLS_SERVICE_NAME": "products",
        "TABLE_NAME": table,
        "PRODUCT_INDEXES": "true",
    }


def fill_table(
    endpoint_url: str, table: str, count: int, fields: Mapping[str, object] | None = None
) -> None:
    """Create a table with `count` products; `PROD-001` is the oldest.

    `fields` replaces fields of all products.
    """
    create_table(endpoint_url, table)
    with SyncBatchWriter(dynamodb(endpoint_url), table) as writer:
        for number in range(1, count + 1):
            writer.put({**_item(number), **(fields or {})})


def product_id(number: int) -> str:
    """Return the id of product `number`, counted from 1."""
    return f"PROD-{number:03}"


def created_at(number: int) -> str:
    """Return the creation time of product `number`."""
    return (_START + timedelta(seconds=number)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def events_of(operation: str) -> Iterator[dict[str, Any]]:
    """Yield events of an operation without end; each update or delete is for another product."""
    for number in itertools.count(1):
        if operation == "get":
            yield event("get", product=product_id(30))
        elif operation == "list":
            yield event("list")
        elif operation == "create":
            yield event("create", body=new_product())
        elif operation == "update":
            yield event("update", product=product_id(number), body={"price": 199.99, "name": "New"})
        else:
            yield event("delete", product=product_id(number))


def event(
    operation: str,
    *,
    product: str | None = None,
    body: Mapping[str, object] | None = None,
    query: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return a REST API proxy event as large as those of API Gateway behind CloudFront.

    Source: Amazon API Gateway Developer Guide, "Set up Lambda proxy integrations in API Gateway".
    """
    route = ROUTES[FUNCTIONS[operation]]
    method, resource = route.method, route.path
    path = resource.replace("{productId}", product or "")
    headers = dict(_BROWSER_HEADERS)
    if body is not None:
        headers["Content-Type"] = "application/json"
    return {
        "resource": resource,
        "path": path,
        "httpMethod": method,
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": dict(query) if query else None,
        "multiValueQueryStringParameters": {n: [v] for n, v in query.items()} if query else None,
        "pathParameters": None if product is None else {"productId": product},
        "stageVariables": None,
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "a1b2c3d4e5",
            "domainName": "api.example.com",
            "domainPrefix": "api",
            "extendedRequestId": "JJbxmplHoAMFV-g=",
            "httpMethod": method,
            "identity": {
                "apiKey": None,
                "apiKeyId": "k1l2m3n4o5",
                "sourceIp": "203.0.113.7",
                "userAgent": headers["User-Agent"],
            },
            "path": f"/v1.0{path}",
            "protocol": "HTTP/1.1",
            "requestId": "c6af9ac6-7b61-11e6-9a41-93e8deadbeef",
            "requestTime": "31/Jan/2026:09:30:00 +0000",
            "requestTimeEpoch": 1769851800000,
            "resourceId": "abc123",
            "resourcePath": resource,
            "stage": "v1_0",
        },
        "body": None if body is None else json.dumps(body),
        "isBase64Encoded": False,
    }


def new_product() -> dict[str, Any]:
    """Return the body of a create request."""
    fields = _fields(1)
    return {
        name: fields[name]
        for name in ("name", "description", "price", "setupFee", "period", "features")
    }


def _fields(number: int) -> dict[str, Any]:
    timestamp = created_at(number)
    return {
        "productId": product_id(number),
        "name": f"Hosting plan {number}",
        "description": "Hosting on fast disks with daily backups, a certificate and support. " * 4,
        "price": 95.5 + number,
        "setupFee": 1500,
        "currency": "ZAR",
        "period": "yearly",
        "features": [f"Feature {index} of a plan as customers read it" for index in range(1, 7)],
        "version": 1,
        "createdAt": timestamp,
        "updatedAt": timestamp,
    }


def _item(number: int) -> dict[str, Any]:
    return {
        "PK": f"PRODUCT#{product_id(number)}",
        "SK": "METADATA",
        **_fields(number),
        "description": _fields(number)["description"].strip(),
        "period": "monthly" if number % MONTHLY == 0 else "yearly",
        "active": "true",
        "updatedBy": "k1l2m3n4o5",
        "nameKey": name_key(_fields(number)["name"]),
    }
