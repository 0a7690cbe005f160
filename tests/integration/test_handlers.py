"""The five functions, called as Lambda calls them, on a working engine."""

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
from product_tools.functions import ROUTES
from tests.integration.conftest import ORIGIN
from tests.support.events import (
    API_KEY_ID,
    API_KEY_VALUE,
    REQUEST_ID,
    FunctionResponse,
    Functions,
    as_json,
    gateway_event,
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
ANY_VERSION = {"If-Match": "*"}


def new_product(functions: Functions, **members: Any) -> dict[str, Any]:
    created = functions.create(product_body(productId=unused_product_id(), **members))
    assert created.status == 201, created
    product: dict[str, Any] = created.json()
    return product


def rejection(reply: FunctionResponse) -> tuple[int, str]:
    assert reply.headers["Cache-Control"] == "no-store"
    assert reply.json()["instance"] == REQUEST_ID
    assert reply.json()["status"] == reply.status
    return reply.status, reply.problem()


# POST


def test_a_created_product_is_answered_whole(functions: Functions) -> None:
    product_id = unused_product_id()
    reply = functions.create(product_body(productId=product_id, price=Decimal("19.90")))
    assert reply.status == 201
    assert reply.headers == {
        **COMMON,
        "Cache-Control": "no-store",
        "Content-Type": "application/json",
        "ETag": '"1"',
        "Location": f"/v1.0/products/{product_id}",
    }
    shown = reply.json()
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


def test_a_replayed_creation_says_so(functions: Functions) -> None:
    body, key = product_body(productId=unused_product_id()), {"Idempotency-Key": unused_key()}
    first, again = functions.create(body, key), functions.create(body, key)
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers == {**first.headers, "Idempotency-Replayed": "true"}
    assert (again.status, again.body) == (201, first.body)


def test_a_key_with_another_body_is_refused(functions: Functions) -> None:
    key = {"Idempotency-Key": unused_key()}
    functions.create(product_body(productId=unused_product_id()), key)
    reply = functions.create(product_body(), key)
    assert rejection(reply) == (422, "idempotency-key-reused")
    assert reply.errors() == [("Idempotency-Key", "was used with another body; send a new key")]


def test_a_taken_id_is_refused(functions: Functions) -> None:
    taken = new_product(functions)["productId"]
    assert rejection(functions.create(product_body(productId=taken))) == (409, "duplicate-product")
    functions.delete(taken)
    assert rejection(functions.create(product_body(productId=taken))) == (409, "duplicate-product")


def test_faults_of_headers_and_body_come_together(functions: Functions) -> None:
    reply = functions.create(product_body(price=0), {"Idempotency-Key": "é"})
    assert rejection(reply) == (400, "validation-error")
    assert [field for field, _ in reply.errors()] == ["Idempotency-Key", "price"]


@pytest.mark.parametrize("write", ["create_product", "update_product"])
def test_a_body_of_another_type_is_refused(functions: Functions, write: str) -> None:
    event = gateway_event(product_id="PROD-1", body="{", headers={"Content-Type": "text/plain"})
    assert rejection(functions.call(write, event)) == (415, "unsupported-media-type")


@pytest.mark.parametrize("write", ["create_product", "update_product"])
def test_a_body_that_is_too_large_is_refused(functions: Functions, write: str) -> None:
    event = gateway_event(product_id="PROD-1", body="é" * (128 * 1024) + " ")
    assert rejection(functions.call(write, event)) == (413, "payload-too-large")


def test_a_body_in_base64_is_read(functions: Functions) -> None:
    product_id = unused_product_id()
    text = json.dumps(product_body(productId=product_id, name="\U0001f680"), ensure_ascii=False)
    event = gateway_event(body=base64.b64encode(text.encode()).decode())
    reply = functions.call("create_product", {**event, "isBase64Encoded": True})
    assert reply.json()["name"] == "\U0001f680"
    broken = functions.call("create_product", {**event, "isBase64Encoded": True, "body": "e30"})
    assert broken.errors() == [("body", "send one JSON object in UTF-8 (RFC 8259)")]


# GET one


def test_a_product_is_read_as_it_was_written(functions: Functions) -> None:
    product = new_product(functions)
    reply = functions.get(product["productId"])
    assert (reply.status, reply.json()) == (200, product)
    assert reply.headers == {
        **COMMON,
        "Cache-Control": "no-cache",
        "Content-Type": "application/json",
        "ETag": '"1"',
    }


@pytest.mark.parametrize("known", ['"1"', 'W/"1"', '"7", "1"', "*"])
def test_a_product_that_is_known_is_not_sent_again(functions: Functions, known: str) -> None:
    product_id = new_product(functions)["productId"]
    reply = functions.get(product_id, {"If-None-Match": known})
    assert (reply.status, reply.body) == (304, "")
    assert reply.headers == {**COMMON, "Cache-Control": "no-cache", "ETag": '"1"'}


def test_a_product_that_has_changed_is_sent_again(functions: Functions) -> None:
    product_id = new_product(functions)["productId"]
    functions.update(product_id, {"name": "New"})
    reply = functions.get(product_id, {"If-None-Match": '"1"'})
    assert (reply.status, reply.headers["ETag"]) == (200, '"2"')


def test_what_is_not_there_or_deleted_is_not_found(functions: Functions) -> None:
    product_id = new_product(functions)["productId"]
    functions.delete(product_id)
    for missing in (product_id, unused_product_id()):
        assert rejection(functions.get(missing)) == (404, "product-not-found")
        assert rejection(functions.update(missing, {"name": "N"})) == (404, "product-not-found")
        stale = {"If-Match": '"9"'}
        assert rejection(functions.update(missing, {"name": "N"}, stale))[0] == 404


def test_faults_of_path_and_headers_come_together(functions: Functions) -> None:
    reply = functions.get("prod-1", {"If-None-Match": "x"})
    assert rejection(reply) == (400, "validation-error")
    assert [field for field, _ in reply.errors()] == ["productId", "If-None-Match"]
    reply = functions.delete("prod-1", {"If-Match": "x"})
    assert [field for field, _ in reply.errors()] == ["productId", "If-Match"]
    reply = functions.update("prod-1", {}, {"If-Match": "x"})
    assert [field for field, _ in reply.errors()] == ["productId", "If-Match", "body"]
    reply = functions.list({"If-None-Match": "x"}, limit=0)
    assert [field for field, _ in reply.errors()] == ["limit", "If-None-Match"]


# PUT


def test_a_changed_product_is_answered_whole(functions: Functions) -> None:
    product = new_product(functions, setupFee=5)
    reply = functions.update(product["productId"], {"name": "New", "setupFee": None})
    assert reply.status == 200
    assert reply.headers == {
        **COMMON,
        "Cache-Control": "no-store",
        "Content-Type": "application/json",
        "ETag": '"2"',
    }
    changed = reply.json()
    del product["setupFee"]
    assert changed["updatedAt"] > product["updatedAt"]
    updated_at = changed["updatedAt"]
    assert changed == {**product, "name": "New", "version": 2, "updatedAt": updated_at}
    assert functions.get(product["productId"]).json() == changed


@pytest.mark.parametrize("expected", ["*", '"1"', '"7", "1"'])
def test_an_expected_version_is_changed_and_deleted(functions: Functions, expected: str) -> None:
    changed, deleted = new_product(functions)["productId"], new_product(functions)["productId"]
    assert functions.update(changed, {"name": "N"}, {"If-Match": expected}).status == 200
    assert functions.delete(deleted, {"If-Match": expected}).status == 204


@pytest.mark.parametrize("stale", ['"2"', 'W/"1"', '"0"', '"x"'])
def test_another_version_is_neither_changed_nor_deleted(functions: Functions, stale: str) -> None:
    product = new_product(functions)
    headers = {"If-Match": stale}
    reply = functions.update(product["productId"], {"name": "N"}, headers)
    assert rejection(reply) == (412, "precondition-failed")
    reply = functions.delete(product["productId"], headers)
    assert rejection(reply) == (412, "precondition-failed")
    assert functions.get(product["productId"]).json() == product


# DELETE


def test_a_deleted_product_leaves_an_empty_answer(functions: Functions) -> None:
    product_id = new_product(functions)["productId"]
    for headers in (None, None, {"If-Match": '"1"'}):
        reply = functions.delete(product_id, headers)
        assert (reply.status, reply.body) == (204, "")
        assert reply.headers == {**COMMON, "Cache-Control": "no-store"}


def test_what_never_was_is_not_deleted(functions: Functions) -> None:
    assert rejection(functions.delete(unused_product_id())) == (404, "product-not-found")


# GET the list


@pytest.fixture
def five(functions_on_table: Functions) -> list[dict[str, Any]]:
    """Five products, the newest first."""
    created = [functions_on_table.create(product_body()).json() for _ in range(5)]
    return created[::-1]


def test_the_list_shows_the_newest_first(
    functions_on_table: Functions, five: list[dict[str, Any]]
) -> None:
    reply = functions_on_table.list()
    assert reply.status == 200
    assert reply.json() == {
        "products": five,
        "count": 5,
        "limit": 50,
        "moreAvailable": False,
        "nextToken": None,
        "offset": 0,
    }
    assert reply.headers == {
        **COMMON,
        "Cache-Control": "no-cache",
        "Content-Type": "application/json",
        "ETag": reply.headers["ETag"],
    }


def test_an_empty_list_is_an_answer(functions_on_table: Functions) -> None:
    assert functions_on_table.list(limit=7).json() == {
        "products": [],
        "count": 0,
        "limit": 7,
        "moreAvailable": False,
        "nextToken": None,
        "offset": 0,
    }


@pytest.mark.parametrize("sort", ["createdAt", "-createdAt"])
def test_tokens_lead_through_the_list(
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


def test_an_offset_is_shown_with_its_page(
    functions_on_table: Functions, five: list[dict[str, Any]]
) -> None:
    page = functions_on_table.list(limit=2, offset=1).json()
    assert (page["products"], page["offset"], page["moreAvailable"]) == (five[1:3], 1, True)
    page = functions_on_table.list(limit=2, nextToken=page["nextToken"]).json()
    assert page["products"] == five[3:]
    page = functions_on_table.list(offset=9).json()
    assert (page["products"], page["offset"], page["moreAvailable"]) == ([], 9, False)


def test_the_tag_of_a_page_is_the_pages_own(
    functions_on_table: Functions, five: list[dict[str, Any]]
) -> None:
    tag = functions_on_table.list().headers["ETag"]
    assert len(tag) == 34
    assert functions_on_table.list().headers["ETag"] == tag
    assert functions_on_table.list(limit=49).headers["ETag"] != tag
    known = functions_on_table.list({"If-None-Match": f"W/{tag}"})
    assert (known.status, known.body) == (304, "")
    assert known.headers == {**COMMON, "Cache-Control": "no-cache", "ETag": tag}
    functions_on_table.update(five[0]["productId"], {"name": "New"})
    assert functions_on_table.list({"If-None-Match": tag}).status == 200


def test_a_page_of_the_largest_products_fits_into_an_answer(functions_on_table: Functions) -> None:
    """Lambda carries 6 MB (AWS Lambda Developer Guide, "Lambda quotas")."""
    largest: list[dict[str, Any]] = []
    for widest in ('"', "\\", "\U0001f680"):
        members = {"description": widest * 4000, "features": [widest * 200] * 50}
        reply = functions_on_table.create(product_body(name=widest * 200, setupFee=1, **members))
        largest.append(reply.json())
    page = functions_on_table.list(limit=100)
    assert page.json()["products"] == largest[::-1]
    envelope = {"statusCode": page.status, "headers": dict(page.headers), "isBase64Encoded": False}
    for product in page.json()["products"]:
        one = json.dumps(product, ensure_ascii=False, default=str, separators=(",", ":"))
        body = '{"products":[' + ",".join([one] * 100) + "]}"
        response = json.dumps({**envelope, "body": body}, ensure_ascii=False).encode()
        assert len(response) + 1000 < 6 * 1024 * 1024


# Items that older code wrote


def test_an_item_without_version_has_version_0(
    functions: Functions, shared_table: ProductTable
) -> None:
    product_id = new_product(functions)["productId"]
    shared_table.client.sync_update_item(
        shared_table.name,
        {"PK": f"PRODUCT#{product_id}", "SK": "METADATA"},
        update_expression="REMOVE version",
    )
    assert functions.get(product_id).headers["ETag"] == '"0"'
    assert functions.get(product_id).json()["version"] == 0
    reply = functions.update(product_id, {"name": "N"}, {"If-Match": '"0"'})
    assert (reply.status, reply.headers["ETag"]) == (200, '"1"')


def test_an_item_that_is_broken_is_a_fault_of_ours(
    functions: Functions, shared_table: ProductTable, caplog: pytest.LogCaptureFixture
) -> None:
    product_id = new_product(functions)["productId"]
    key = {"PK": f"PRODUCT#{product_id}", "SK": "METADATA"}
    shared_table.client.sync_update_item(
        shared_table.name,
        key,
        update_expression="REMOVE #name SET active = :false",
        expression_attribute_names={"#name": "name"},
        expression_attribute_values={":false": "false"},
    )
    reply = functions.get(product_id)
    assert rejection(reply) == (500, "internal-error")
    assert "KeyError: 'name'" in caplog.text
    assert "name" not in reply.body


# Settings


@pytest.fixture
def read_only(monkeypatch: pytest.MonkeyPatch, functions: Functions) -> None:
    from product_lambda.handlers import entry  # noqa: PLC0415 (it reads the configuration)

    assert not entry.SETTINGS.read_only, functions
    monkeypatch.setattr(f"{ENTRY}.SETTINGS", entry.SETTINGS._replace(read_only=True))


@pytest.mark.usefixtures("read_only")
def test_a_read_only_catalogue_refuses_writes_and_answers_reads(
    functions: Functions, caplog: pytest.LogCaptureFixture
) -> None:
    writes = [
        functions.create(product_body()),
        functions.update("PROD-1", {"name": "N"}),
        functions.delete("PROD-1"),
        functions.delete("malformed"),
        functions.create("{", {"Content-Type": "text/plain"}),
    ]
    for reply in writes:
        assert rejection(reply) == (503, "read-only")
        assert reply.headers["Retry-After"] == "60"
    assert functions.list().status == 200
    assert functions.get("PROD-404").status == 404
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []


def test_how_long_reads_may_be_cached_is_a_setting(
    functions: Functions, monkeypatch: pytest.MonkeyPatch
) -> None:
    from product_lambda.handlers import entry  # noqa: PLC0415 (it reads the configuration)

    cached = entry.SETTINGS._replace(read_cache_control="public, max-age=60")
    for name in ("list_products", "get_product"):
        monkeypatch.setattr(f"product_lambda.handlers.{name}.SETTINGS", cached)
    product_id = new_product(functions)["productId"]
    for headers in (None, {"If-None-Match": "*"}):
        for reply in (functions.get(product_id, headers), functions.list(headers)):
            assert reply.headers["Cache-Control"] == "public, max-age=60"
    assert functions.get("PROD-404").headers["Cache-Control"] == "no-store"


def test_an_allowed_origin_is_echoed(functions: Functions, monkeypatch: pytest.MonkeyPatch) -> None:
    from product_lambda.handlers import entry  # noqa: PLC0415 (it reads the configuration)

    origins = (ORIGIN, "https://other.example")
    monkeypatch.setattr(f"{ENTRY}.SETTINGS", entry.SETTINGS._replace(cors_allowed_origins=origins))
    headers = functions.list({"ORIGIN": "https://other.example"}).headers
    assert headers["Access-Control-Allow-Origin"] == "https://other.example"
    assert headers["Vary"] == "Origin"


# The log

STANDARD = set(vars(logging.makeLogRecord({}))) | {"message"}


def extra(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in STANDARD}


def test_each_request_leaves_one_line_with_the_documented_fields(
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
    functions.list()
    expected = [
        ("create_product", "POST", "/products", 201, product_id, False),
        ("create_product", "POST", "/products", 201, product_id, True),
        ("create_product", "POST", "/products", 400, None, False),
        ("get_product", "GET", one, 200, product_id, False),
        ("get_product", "GET", one, 304, product_id, False),
        ("get_product", "GET", one, 400, None, False),  # whatever is in the path
        ("update_product", "PUT", one, 200, product_id, False),
        ("delete_product", "DELETE", one, 204, product_id, False),
        ("list_products", "GET", "/products", 200, None, False),
    ]
    lines = caplog.records
    assert [record.message for record in lines] == ["request completed"] * len(expected)
    assert {record.levelno for record in lines} == {logging.INFO}
    durations = [extra(record)["duration_ms"] for record in lines]
    assert all(0 <= duration < 10_000 for duration in durations)
    assert durations[0] > 0.5  # a transaction takes longer than that
    names = ("operation", "method", "route", "status", "product_id", "replayed")
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


# Any event at all

NAMES = list(ROUTES)
TEXT = st.text(st.characters(codec=None), max_size=20)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
QUERY = st.dictionaries(
    st.sampled_from(["limit", "offset", "sort", "nextToken"]) | TEXT,
    st.lists(st.sampled_from(["1", "0", "createdAt"]) | TEXT, max_size=2),
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
def test_any_event_is_answered_and_never_with_a_fault_of_ours(
    functions: Functions, name: str, event: Any
) -> None:
    reply = functions.call(name, event)
    assert 200 <= reply.status < 500, reply


@pytest.mark.parametrize("path", ["/v1_0/products", "/v1_0/products/", "/products"])
def test_the_location_follows_the_address_that_was_used(functions: Functions, path: str) -> None:
    product_id = unused_product_id()
    event = gateway_event(body=as_json(product_body(productId=product_id)))
    event["requestContext"]["path"] = path
    reply = functions.call("create_product", event)
    assert reply.headers["Location"] == f"{path.removesuffix('/')}/{product_id}"


def test_a_refused_body_leaves_nothing_in_memory(functions: Functions) -> None:
    def held() -> int:
        gc.collect()
        return sum(isinstance(each, ValueError) for each in gc.get_objects())

    before = held()
    for _ in range(20):
        assert functions.create(product_body(price=-1)).status == 400
    assert held() == before
