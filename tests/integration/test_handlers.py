"""The five functions, called like Lambda calls them, with a real engine."""

import base64
import gc
import json
import logging
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from product_lambda.repositories.product_repository import ProductTable
from product_tools.functions import FUNCTIONS
from tests.integration.conftest import ORIGIN
from tests.support.events import (
    API_KEY_ID,
    API_KEY_VALUE,
    REQUEST_ID,
    FunctionResponse,
    Functions,
    as_json,
    gateway_event,
    tag_of,
)
from tests.support.factory import product_body, unused_key, unused_product_id

ENTRY = "product_lambda.handlers.entry"
COMMON = {
    "Access-Control-Allow-Origin": ORIGIN,
    "Access-Control-Expose-Headers": (
        "ETag, Location, Retry-After, X-Request-Id, Idempotency-Replayed"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Request-Id": REQUEST_ID,
}
READ = {"Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
ANY_VERSION = {"If-Match": "*"}


def new_product(functions: Functions, **fields: Any) -> dict[str, Any]:
    created = functions.create(product_body(productId=unused_product_id(), **fields))
    assert created.status == 201, created
    product: dict[str, Any] = created.json()
    return product


def rejection(response: FunctionResponse) -> tuple[int, str]:
    assert response.headers["Cache-Control"] == "no-store"
    assert response.json()["instance"] == REQUEST_ID
    assert response.json()["status"] == response.status
    return response.status, response.problem()


# POST


def test_create_returns_complete_product(functions: Functions) -> None:
    product_id = unused_product_id()
    response = functions.create(product_body(productId=product_id, price=Decimal("19.90")))
    assert response.status == 201
    assert response.headers == {
        **COMMON,
        "Cache-Control": "no-store",
        "Content-Type": "application/json",
        "ETag": tag_of(response.json(), 1),
        "Location": f"/v1.0/products/{product_id}",
    }
    shown = response.json()
    assert shown["createdAt"] == shown["updatedAt"]
    assert shown == {
        "productId": product_id,
        "name": "Basic",
        "description": "One site with up to five pages.",
        "price": Decimal("19.9"),
        "currency": "ZAR",
        "period": "yearly",
        "features": ["Five pages", "Contact form"],
        "active": True,
        "version": 1,
        "createdAt": shown["createdAt"],
        "updatedAt": shown["createdAt"],
    }


def test_replayed_creation_has_header(functions: Functions) -> None:
    body, key = product_body(productId=unused_product_id()), {"Idempotency-Key": unused_key()}
    first, again = functions.create(body, key), functions.create(body, key)
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers == {**first.headers, "Idempotency-Replayed": "true"}
    assert (again.status, again.body) == (201, first.body)


def test_key_with_other_body_returns_422(functions: Functions) -> None:
    key = {"Idempotency-Key": unused_key()}
    functions.create(product_body(productId=unused_product_id()), key)
    response = functions.create(product_body(), key)
    assert rejection(response) == (422, "idempotency-key-reused")
    assert response.errors() == [("Idempotency-Key", "was used with another body; send a new key")]


def test_taken_id_returns_409(functions: Functions) -> None:
    taken = new_product(functions)["productId"]
    assert rejection(functions.create(product_body(productId=taken))) == (409, "duplicate-product")
    functions.delete(taken)
    assert rejection(functions.create(product_body(productId=taken))) == (409, "duplicate-product")


def test_header_and_body_errors_are_combined(functions: Functions) -> None:
    response = functions.create(product_body(price=0), {"Idempotency-Key": "é"})
    assert rejection(response) == (400, "validation-error")
    assert [field for field, _ in response.errors()] == ["Idempotency-Key", "price"]


@pytest.mark.parametrize("write", ["create_product", "update_product"])
def test_other_content_type_returns_415(functions: Functions, write: str) -> None:
    event = gateway_event(product_id="PROD-1", body="{", headers={"Content-Type": "text/plain"})
    assert rejection(functions.call(write, event)) == (415, "unsupported-media-type")


@pytest.mark.parametrize("write", ["create_product", "update_product"])
def test_large_body_returns_413(functions: Functions, write: str) -> None:
    event = gateway_event(product_id="PROD-1", body="é" * (128 * 1024) + " ")
    assert rejection(functions.call(write, event)) == (413, "payload-too-large")


def test_base64_body_is_accepted(functions: Functions) -> None:
    product_id = unused_product_id()
    text = json.dumps(product_body(productId=product_id, name="\U0001f680"), ensure_ascii=False)
    event = gateway_event(body=base64.b64encode(text.encode()).decode())
    response = functions.call("create_product", {**event, "isBase64Encoded": True})
    assert response.json()["name"] == "\U0001f680"
    broken = functions.call("create_product", {**event, "isBase64Encoded": True, "body": "e30"})
    assert broken.errors() == [("body", "send one JSON object in UTF-8 (RFC 8259)")]


# GET one


def test_get_returns_product_as_written(functions: Functions) -> None:
    product = new_product(functions)
    response = functions.get(product["productId"])
    assert (response.status, response.json()) == (200, product)
    assert response.headers == {
        **COMMON,
        **READ,
        "Content-Type": "application/json",
        "ETag": tag_of(product),
    }


@pytest.mark.parametrize("known", ["TAG", "W/TAG", '"7", TAG', "*"])
def test_matching_if_none_match_returns_304(functions: Functions, known: str) -> None:
    product = new_product(functions)
    tag = tag_of(product)
    headers = {"If-None-Match": known.replace("TAG", tag)}
    response = functions.get(product["productId"], headers)
    assert (response.status, response.body) == (304, "")
    assert response.headers == {**COMMON, **READ, "ETag": tag}


def test_changed_product_returns_200_for_old_tag(functions: Functions) -> None:
    product = new_product(functions)
    product_id = product["productId"]
    changed = functions.update(product_id, {"name": "New"}).json()
    response = functions.get(product_id, {"If-None-Match": tag_of(product)})
    assert (response.status, response.headers["ETag"]) == (200, tag_of(changed))


def test_get_missing_or_deleted_product_returns_404(functions: Functions) -> None:
    product_id = new_product(functions)["productId"]
    functions.delete(product_id)
    for missing in (product_id, unused_product_id()):
        assert rejection(functions.get(missing)) == (404, "product-not-found")
        assert rejection(functions.update(missing, {"name": "N"})) == (404, "product-not-found")
        stale = {"If-Match": '"9"'}
        assert rejection(functions.update(missing, {"name": "N"}, stale))[0] == 404


def test_path_and_header_errors_are_combined(functions: Functions) -> None:
    response = functions.get("prod-1", {"If-None-Match": "x"})
    assert rejection(response) == (400, "validation-error")
    assert [field for field, _ in response.errors()] == ["productId", "If-None-Match"]
    response = functions.delete("prod-1", {"If-Match": "x"})
    assert [field for field, _ in response.errors()] == ["productId", "If-Match"]
    response = functions.update("prod-1", {}, {"If-Match": "x"})
    assert [field for field, _ in response.errors()] == ["productId", "If-Match", "body"]
    response = functions.list({"If-None-Match": "x"}, limit=0)
    assert [field for field, _ in response.errors()] == ["limit", "If-None-Match"]


# PUT


def test_update_returns_complete_product(functions: Functions) -> None:
    product = new_product(functions, setupFee=5)
    response = functions.update(product["productId"], {"name": "New", "setupFee": None})
    assert response.status == 200
    assert response.headers == {
        **COMMON,
        "Cache-Control": "no-store",
        "Content-Type": "application/json",
        "ETag": tag_of(response.json(), 2),
    }
    changed = response.json()
    del product["setupFee"]
    assert changed["updatedAt"] > product["updatedAt"]
    updated_at = changed["updatedAt"]
    assert changed == {**product, "name": "New", "version": 2, "updatedAt": updated_at}
    assert functions.get(product["productId"]).json() == changed


@pytest.mark.parametrize("expected", ["*", "TAG", '"7", TAG'])
def test_matching_if_match_allows_update_and_delete(functions: Functions, expected: str) -> None:
    product = new_product(functions)
    headers = {"If-Match": expected.replace("TAG", tag_of(product))}
    changed = functions.update(product["productId"], {"name": "N"}, headers)
    assert changed.status == 200
    headers = {"If-Match": expected.replace("TAG", changed.headers["ETag"])}
    assert functions.delete(product["productId"], headers).status == 204


@pytest.mark.parametrize("stale", ["2", "W/1", "0", '"1"', '"x"'])
def test_other_if_match_returns_412(functions: Functions, stale: str) -> None:
    product = new_product(functions)
    tags = {"2": tag_of(product, 2), "W/1": f"W/{tag_of(product)}", "0": tag_of(product, 0)}
    headers = {"If-Match": tags.get(stale, stale)}
    response = functions.update(product["productId"], {"name": "N"}, headers)
    assert rejection(response) == (412, "precondition-failed")
    response = functions.delete(product["productId"], headers)
    assert rejection(response) == (412, "precondition-failed")
    assert functions.get(product["productId"]).json() == product


def test_update_with_if_none_match_star_returns_412(functions: Functions) -> None:
    product = new_product(functions)
    headers = {"If-None-Match": "*"}
    response = functions.update(product["productId"], {"name": "N"}, headers)
    assert rejection(response) == (412, "precondition-failed")
    assert functions.get(product["productId"]).json() == product
    response = functions.update(unused_product_id(), {"name": "N"}, headers)
    assert rejection(response) == (404, "product-not-found")


def test_get_with_query_parameter_returns_400(functions: Functions) -> None:
    product = new_product(functions)
    event = gateway_event(product_id=product["productId"], query={"version": "1"})
    response = functions.call("get_product", event)
    assert rejection(response) == (400, "validation-error")
    assert response.errors() == [("version", "is not a parameter; leave it out")]


@pytest.mark.parametrize("operation", ["create", "update"])
def test_body_that_gateway_decompressed_returns_415(functions: Functions, operation: str) -> None:
    """API Gateway decompresses a body and leaves the header: see ADR 31."""
    headers = {"Content-Encoding": "gzip"}
    if operation == "create":
        response = functions.create(product_body(), headers)
    else:
        response = functions.update(unused_product_id(), {"price": 1}, headers)
    assert rejection(response) == (415, "unsupported-media-type")


# DELETE


def test_delete_returns_204_without_body(functions: Functions) -> None:
    product_id = new_product(functions)["productId"]
    for headers in (None, None, {"If-Match": '"x"'}):
        response = functions.delete(product_id, headers)
        assert (response.status, response.body) == (204, "")
        assert response.headers == {**COMMON, "Cache-Control": "no-store"}


def test_delete_missing_product_returns_404(functions: Functions) -> None:
    assert rejection(functions.delete(unused_product_id())) == (404, "product-not-found")


# GET the list


@pytest.fixture
def five(functions_on_table: Functions) -> list[dict[str, Any]]:
    """Five products, newest first."""
    created = [functions_on_table.create(product_body()).json() for _ in range(5)]
    return created[::-1]


def test_list_shows_newest_first(functions_on_table: Functions, five: list[dict[str, Any]]) -> None:
    response = functions_on_table.list()
    assert response.status == 200
    assert response.json() == {
        "products": five,
        "count": 5,
        "limit": 50,
        "moreAvailable": False,
        "nextToken": None,
        "offset": 0,
    }
    assert response.headers == {
        **COMMON,
        **READ,
        "Content-Type": "application/json",
        "ETag": response.headers["ETag"],
    }


def test_empty_list_returns_200(functions_on_table: Functions) -> None:
    assert functions_on_table.list(limit=7).json() == {
        "products": [],
        "count": 0,
        "limit": 7,
        "moreAvailable": False,
        "nextToken": None,
        "offset": 0,
    }


@pytest.mark.parametrize("sort", ["createdAt", "-createdAt"])
def test_tokens_walk_whole_list(
    functions_on_table: Functions, five: list[dict[str, Any]], sort: str
) -> None:
    page = functions_on_table.list(limit=2, sort=sort).json()
    seen = page["products"]
    while page["nextToken"]:
        assert page["moreAvailable"]
        assert page["count"] == 2
        page = functions_on_table.list(limit=2, nextToken=page["nextToken"]).json()
        assert "offset" not in page
        seen += page["products"]
    assert not page["moreAvailable"]
    assert seen == (five if sort == "-createdAt" else five[::-1])


def test_page_by_offset_shows_offset(
    functions_on_table: Functions, five: list[dict[str, Any]]
) -> None:
    page = functions_on_table.list(limit=2, offset=1).json()
    assert (page["products"], page["offset"], page["moreAvailable"]) == (five[1:3], 1, True)
    page = functions_on_table.list(limit=2, nextToken=page["nextToken"]).json()
    assert page["products"] == five[3:]
    page = functions_on_table.list(offset=9).json()
    assert (page["products"], page["offset"], page["moreAvailable"]) == ([], 9, False)


def test_page_tag_changes_with_page(
    functions_on_table: Functions, five: list[dict[str, Any]]
) -> None:
    tag = functions_on_table.list().headers["ETag"]
    assert len(tag) == 34
    assert functions_on_table.list().headers["ETag"] == tag
    assert functions_on_table.list(limit=49).headers["ETag"] != tag
    known = functions_on_table.list({"If-None-Match": f"W/{tag}"})
    assert (known.status, known.body) == (304, "")
    assert known.headers == {**COMMON, **READ, "ETag": tag}
    functions_on_table.update(five[0]["productId"], {"name": "New"})
    assert functions_on_table.list({"If-None-Match": tag}).status == 200


def test_page_of_largest_products_fits_response_limit(functions_on_table: Functions) -> None:
    """The limit is 6 MB (AWS Lambda Developer Guide, "Lambda quotas")."""
    largest: list[dict[str, Any]] = []
    for widest in ('"', "\\", "\U0001f680"):
        fields = {"description": widest * 4000, "features": [widest * 200] * 50}
        response = functions_on_table.create(product_body(name=widest * 200, setupFee=1, **fields))
        largest.append(response.json())
    page = functions_on_table.list(limit=100)
    assert page.json()["products"] == largest[::-1]
    envelope = {"statusCode": page.status, "headers": dict(page.headers), "isBase64Encoded": False}
    for product in page.json()["products"]:
        one = json.dumps(product, ensure_ascii=False, default=str, separators=(",", ":"))
        body = '{"products":[' + ",".join([one] * 100) + "]}"
        encoded = json.dumps({**envelope, "body": body}, ensure_ascii=False).encode()
        assert len(encoded) + 1000 < 6 * 1024 * 1024


# Items of older code


def test_item_without_version_has_version_0(
    functions: Functions, shared_table: ProductTable
) -> None:
    product_id = new_product(functions)["productId"]
    shared_table.client.sync_update_item(
        shared_table.name,
        {"PK": f"PRODUCT#{product_id}", "SK": "METADATA"},
        update_expression="REMOVE version",
    )
    shown = functions.get(product_id)
    assert shown.json()["version"] == 0
    assert shown.headers["ETag"] == tag_of(shown.json())
    response = functions.update(product_id, {"name": "N"}, {"If-Match": shown.headers["ETag"]})
    assert response.status == 200
    assert response.headers["ETag"] == tag_of(response.json(), 1)


# Settings


@pytest.fixture
def read_only(monkeypatch: pytest.MonkeyPatch, functions: Functions) -> None:
    from product_lambda.handlers import entry  # noqa: PLC0415 (it reads the settings)

    assert not entry.SETTINGS.read_only, functions
    monkeypatch.setattr(f"{ENTRY}.SETTINGS", entry.SETTINGS._replace(read_only=True))


def test_orders_without_indexes_return_400(
    functions: Functions, monkeypatch: pytest.MonkeyPatch
) -> None:
    from product_lambda.handlers import entry, list_products  # noqa: PLC0415 (they read settings)

    settings = entry.SETTINGS._replace(product_indexes=False)
    monkeypatch.setattr(list_products, "SETTINGS", settings)
    response = functions.list(sort="name", name="basic")
    assert response.status == 400
    assert [name for name, _ in response.errors()] == ["sort", "name"]
    assert functions.list(currency="ZAR", minPrice="1", period="yearly").status == 200


@pytest.mark.usefixtures("read_only")
def test_read_only_switch_rejects_writes_and_allows_reads(
    functions: Functions, caplog: pytest.LogCaptureFixture
) -> None:
    writes = [
        functions.create(product_body()),
        functions.update("PROD-1", {"name": "N"}),
        functions.delete("PROD-1"),
        functions.delete("malformed"),
        functions.create("{", {"Content-Type": "text/plain"}),
    ]
    for response in writes:
        assert rejection(response) == (503, "read-only")
        assert response.headers["Retry-After"] == "60"
    assert functions.list().status == 200
    assert functions.get("PROD-404").status == 404
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []


def test_cache_control_of_reads_is_a_setting(
    functions: Functions, monkeypatch: pytest.MonkeyPatch
) -> None:
    from product_lambda.handlers import entry  # noqa: PLC0415 (it reads the settings)

    cached = entry.SETTINGS._replace(read_cache_control="public, max-age=60")
    monkeypatch.setattr(entry, "SETTINGS", cached)
    product_id = new_product(functions)["productId"]
    for headers in (None, {"If-None-Match": "*"}):
        for response in (functions.get(product_id, headers), functions.list(headers)):
            assert response.headers["Cache-Control"] == "public, max-age=60"
    assert functions.get("PROD-404").headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (None, "max-age=0, s-maxage=60, stale-while-revalidate=2"),
        ("any", "private, no-cache"),
        ("", "private, no-cache"),
    ],
)
def test_edge_cache_may_serve_public_reads_alone(
    functions: Functions, monkeypatch: pytest.MonkeyPatch, key: str | None, expected: str
) -> None:
    from product_lambda.handlers import entry  # noqa: PLC0415 (it reads the settings)

    monkeypatch.setattr(entry, "SETTINGS", entry.SETTINGS._replace(edge_cache_seconds=60))
    product_id = new_product(functions)["productId"]

    def caching(product_id: str | None, known: str = "", **query: object) -> tuple[int, str]:
        headers = {"If-None-Match": known} if known else {}
        event = gateway_event(product_id=product_id, headers=headers, query=query)
        for lines, value in ((event["headers"], key), (event["multiValueHeaders"], [key])):
            lines.pop("x-api-key")
            lines.update({} if key is None else {"X-Api-Key": value})
        response = functions.call("get_product" if product_id else "list_products", event)
        return response.status, response.headers["Cache-Control"]

    for path in (product_id, None):
        assert caching(path) == (200, expected)
        assert caching(path, "*") == (304, expected)
        assert caching(path, limit=0) == (400, "no-store")
    functions.delete(product_id)
    assert caching(product_id) == (404, "no-store")


def test_allowed_origin_is_repeated(functions: Functions, monkeypatch: pytest.MonkeyPatch) -> None:
    from product_lambda.handlers import entry  # noqa: PLC0415 (it reads the settings)

    origins = (ORIGIN, "https://other.example")
    monkeypatch.setattr(f"{ENTRY}.SETTINGS", entry.SETTINGS._replace(cors_allowed_origins=origins))
    headers = functions.list({"ORIGIN": "https://other.example"}).headers
    assert headers["Access-Control-Allow-Origin"] == "https://other.example"
    assert headers["Vary"] == "Accept-Encoding, Origin"


# The log

STANDARD = set(vars(logging.makeLogRecord({}))) | {"message"}


def extra(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in STANDARD}


def test_request_log_line_has_documented_fields(
    functions: Functions, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    product_id, one = unused_product_id(), "/products/{productId}"
    body, key = product_body(productId=product_id), {"Idempotency-Key": unused_key()}
    functions.create(body, key)
    functions.create(body, key)
    functions.create("{")
    functions.get(product_id)
    functions.get(product_id, {"If-None-Match": "*"})
    functions.get("malformed")
    functions.update(product_id, {"name": "New"})
    functions.delete(product_id)
    functions.update(product_id, {"active": True})
    functions.list()
    expected = [
        ("create_product", "POST", "/products", 201, product_id, False, False),
        ("create_product", "POST", "/products", 201, product_id, True, False),
        ("create_product", "POST", "/products", 400, None, False, False),
        ("get_product", "GET", one, 200, product_id, False, False),
        ("get_product", "GET", one, 304, product_id, False, False),
        ("get_product", "GET", one, 400, None, False, False),  # for any path
        ("update_product", "PUT", one, 200, product_id, False, False),
        ("delete_product", "DELETE", one, 204, product_id, False, False),
        ("update_product", "PUT", one, 200, product_id, False, True),
        ("list_products", "GET", "/products", 200, None, False, False),
    ]
    lines = caplog.records
    assert [record.message for record in lines] == ["request completed"] * len(expected)
    assert {record.levelno for record in lines} == {logging.INFO}
    durations = [extra(record)["duration_ms"] for record in lines]
    assert all(0 <= duration < 10_000 for duration in durations)
    assert durations[0] > 0.5  # a transaction takes longer
    names = ("operation", "method", "route", "status", "product_id", "replayed", "restored")
    assert [extra(record) for record in lines] == [
        {
            **dict(zip(names, row, strict=True)),
            "request_id": REQUEST_ID,
            "duration_ms": duration,
        }
        for row, duration in zip(expected, durations, strict=True)
    ]


def test_no_secret_is_logged(functions: Functions, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    key = unused_key()
    for body in (product_body(productId=unused_product_id()), product_body(), "{"):
        functions.create(body, {"Idempotency-Key": key})
    functions.create(product_body(), {"Idempotency-Key": f"{key} é"})
    everything = "".join(str(vars(record)) for record in caplog.records)
    assert len(caplog.records) == 4
    assert key not in everything
    assert API_KEY_VALUE not in everything
    assert API_KEY_ID not in everything


# Random events

NAMES = list(FUNCTIONS)
TEXT = st.text(st.characters(codec=None), max_size=20)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
QUERY = st.dictionaries(
    st.sampled_from(
        ["limit", "offset", "sort", "nextToken", "currency", "minPrice", "maxPrice", "name"]
    )
    | TEXT,
    st.lists(st.sampled_from(["1", "0", "createdAt", "price", "-name", "ZAR"]) | TEXT, max_size=2),
    max_size=3,
)
HEADERS = st.dictionaries(
    st.sampled_from(["If-Match", "If-None-Match", "Idempotency-Key", "Content-Type", "Origin"]),
    st.lists(st.sampled_from(["*", '"1"', "application/json"]) | TEXT, max_size=2),
    max_size=3,
)
BODIES = st.sampled_from([json.dumps(product_body()), '{"name": "New"}', "{}"]) | TEXT
EVENTS = ANYTHING | st.fixed_dictionaries(
    {},
    optional={
        "resource": st.sampled_from(["/products", "/deleted-products"]) | ANYTHING,
        "pathParameters": st.fixed_dictionaries(
            {"productId": st.sampled_from(["PROD-001", "PROD-404"]) | TEXT}
        )
        | ANYTHING,
        "multiValueQueryStringParameters": QUERY | ANYTHING,
        "queryStringParameters": ANYTHING,
        "multiValueHeaders": HEADERS | ANYTHING,
        "headers": ANYTHING,
        "requestContext": ANYTHING,
        "body": BODIES | ANYTHING,
        "isBase64Encoded": ANYTHING,
    },
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(NAMES), EVENTS)
def test_any_event_gets_response_other_than_500(
    functions: Functions, name: str, event: Any
) -> None:
    response = functions.call(name, event)
    assert 200 <= response.status < 500, response


@pytest.mark.parametrize("path", ["/v1_0/products", "/v1_0/products/", "/products"])
def test_location_follows_request_path(functions: Functions, path: str) -> None:
    product_id = unused_product_id()
    event = gateway_event(body=as_json(product_body(productId=product_id)))
    event["requestContext"]["path"] = path
    response = functions.call("create_product", event)
    assert response.headers["Location"] == f"{path.removesuffix('/')}/{product_id}"


def test_rejected_body_leaks_no_memory(functions: Functions) -> None:
    def held() -> int:
        gc.collect()
        return sum(isinstance(each, ValueError) for each in gc.get_objects())

    before = held()
    for _ in range(20):
        assert functions.create(product_body(price=-1)).status == 400
    assert held() == before
