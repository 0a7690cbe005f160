"""Items of other programs in the table: never shown, never guessed at, always logged."""

import base64
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from local.engine import REGION
from local.table import create_table
from product_lambda.repositories.product_repository import open_table
from product_tools.repository import REPOSITORY
from tests.support.events import FunctionResponse, Functions
from tests.support.factory import product_body
from tests.support.raw_items import FLAWED_ATTRIBUTES, dynamodb, raw_product
from tests.support.response_check import ApiResponse, check_response

ITEM_RULES = Draft202012Validator(
    json.loads((REPOSITORY / "schemas/products.schema.json").read_text())["item"]
)
"""The rules of items, stated without the code of the service."""
TABLE = "product_lambda.handlers.entry.TABLE"
WHOLE = {
    "name": "New",
    "description": "New",
    "price": 10,
    "setupFee": None,
    "currency": "EUR",
    "period": "monthly",
    "features": ["New"],
}
"""A change of everything that a client may change."""
SUPPLIED = set(WHOLE) | {"updatedAt"}
RESTORATION = {"active": True}
# A flaw that no condition of DynamoDB sees: the change is stored, and the response is 500.
UNSEEN = {
    "name of spaces",
    "long name",
    "name with a control character",
    "price with 5 decimals",
    "unknown currency",
    "unknown period",
    "no features",
    "feature as a number",
    "version 1.5",
    "createdAt without a time",
    "createdAt of no day",
    "other productId",
}
# UpdateItem returns binary64, which hides the digits after the fifteenth.
ROUNDED = {"price with 38 digits"}


class Store:
    """A table on one of the engines, with the functions on it."""

    def __init__(self, functions: Functions, endpoint_url: str, name: str) -> None:
        self.functions = functions
        self._client = dynamodb(endpoint_url)
        self._name = name

    def put(self, item: dict[str, Any]) -> None:
        self._client.put_item(TableName=self._name, Item=item)

    def item(self, product_id: str) -> dict[str, Any]:
        key = {"PK": {"S": f"PRODUCT#{product_id}"}, "SK": {"S": "METADATA"}}
        found = self._client.get_item(TableName=self._name, Key=key, ConsistentRead=True)
        item: dict[str, Any] = found["Item"]
        return item


@pytest.fixture(params=["engine", "dynamodb_local"])
def store(
    request: pytest.FixtureRequest,
    imported_functions: Functions,
    monkeypatch: pytest.MonkeyPatch,
) -> Store:
    endpoint_url = request.getfixturevalue(request.param)
    name = f"products-{uuid4().hex}"
    # An index by price would reject a price that is no number.
    create_table(endpoint_url, name, product_indexes=False)
    monkeypatch.setattr(TABLE, open_table(name, REGION, endpoint_url))
    return Store(imported_functions, endpoint_url, name)


@pytest.fixture
def unreadable(caplog: pytest.LogCaptureFixture) -> Callable[[], list[tuple[str, str]]]:
    """Returns what was logged since the last call: the key and the flaws of each encounter."""

    def logged() -> list[tuple[str, str]]:
        records = [record for record in caplog.records if record.message == "unreadable item"]
        caplog.clear()
        assert all(record.levelname == "ERROR" for record in records)
        return [(vars(record)["item_key"], vars(record)["flaws"]) for record in records]

    return logged


def listed(functions: Functions, limit: int = 100, **query: Any) -> list[str]:
    """Walk the list by nextToken and return the ids."""
    ids: list[str] = []
    response = functions.list(limit=limit, **query)
    while True:
        assert response.status == 200, response.body
        check_response(as_api_response("/products", response))
        page = response.json()
        assert page["count"] == len(page["products"])
        assert page["moreAvailable"] == (page["nextToken"] is not None)
        assert page["count"] == limit or not page["moreAvailable"]
        ids += [product["productId"] for product in page["products"]]
        if page["nextToken"] is None:
            return ids
        response = functions.list(limit=limit, nextToken=page["nextToken"])


def as_api_response(path: str, response: FunctionResponse) -> ApiResponse:
    from urllib3 import HTTPHeaderDict  # noqa: PLC0415

    headers = HTTPHeaderDict(response.headers)
    return ApiResponse("GET", path, response.status, headers, response.body.encode())


@pytest.mark.parametrize("flaw", FLAWED_ATTRIBUTES)
def test_unreadable_item_is_left_out_and_logged(
    store: Store, unreadable: Callable[[], list[tuple[str, str]]], flaw: str
) -> None:
    store.put(raw_product("PROD-001"))
    store.put(raw_product("PROD-002", **FLAWED_ATTRIBUTES[flaw]))
    store.put(raw_product("PROD-003"))
    assert sorted(listed(store.functions)) == ["PROD-001", "PROD-003"]
    ((key, flaws),) = unreadable()
    assert key == "PRODUCT#PROD-002 METADATA"
    assert next(iter(FLAWED_ATTRIBUTES[flaw])) in flaws

    response = store.functions.get("PROD-002")
    assert (response.status, response.problem()) == (500, "internal-error")
    assert len(unreadable()) == 1


def test_all_flaws_of_unreadable_item_are_logged(
    store: Store, unreadable: Callable[[], list[tuple[str, str]]]
) -> None:
    store.put(raw_product("PROD-001", period={"S": "daily"}, price={"N": "0"}))
    assert listed(store.functions) == []
    amount = "a number above 0, at most 99999999.99, with at most 2 decimals"
    assert unreadable() == [
        ("PRODUCT#PROD-001 METADATA", f"price is not {amount}; period is not a period")
    ]


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_pages_go_past_foreign_items(store: Store, limit: int) -> None:
    for number in range(5):
        moment = f"2026-01-31T09:3{number}:00.000000Z"
        store.put(raw_product(f"PROD-{number}", createdAt={"S": moment}))
        store.put(raw_product(f"prod-{number}", createdAt={"S": moment}))
    for created_at in ("2099-…", "2026-01-31", "|", "0"):
        foreign = {"PK": {"S": f"CAMPAIGN#{created_at}"}, "SK": {"S": "METADATA"}}
        store.put({**foreign, "active": {"S": "true"}, "createdAt": {"S": created_at}})
    assert listed(store.functions, limit) == [f"PROD-{number}" for number in (4, 3, 2, 1, 0)]
    assert listed(store.functions, limit, sort="createdAt") == [f"PROD-{n}" for n in range(5)]
    assert listed(store.functions, limit, offset=3) == ["PROD-1", "PROD-0"]


# Every change repairs `updatedAt`.
@pytest.mark.parametrize(
    "flaw", [flaw for flaw, changes in FLAWED_ATTRIBUTES.items() if "updatedAt" not in changes]
)
def test_other_change_of_unreadable_item_returns_500(store: Store, flaw: str) -> None:
    changes = FLAWED_ATTRIBUTES[flaw]
    item = raw_product("PROD-001", **changes)
    store.put(item)
    field = "period" if "period" not in changes else "name"
    value = "monthly" if field == "period" else "New"
    response = store.functions.update("PROD-001", {field: value})
    if flaw in ROUNDED:
        assert response.status == 200
    else:
        assert (response.status, response.problem()) == (500, "internal-error")
    if flaw not in UNSEEN | ROUNDED:
        assert store.item("PROD-001")["name"] == item.get("name")
        assert store.item("PROD-001")["period"] == item["period"]
        assert store.item("PROD-001").keys() == item.keys()


@pytest.mark.parametrize("flaw", FLAWED_ATTRIBUTES)
@pytest.mark.parametrize(("state", "changes"), [("true", WHOLE), ("false", WHOLE | RESTORATION)])
def test_change_that_supplies_what_is_missing_repairs(
    store: Store, flaw: str, state: str, changes: dict[str, Any]
) -> None:
    store.put(raw_product("PROD-001", active={"S": state}, **FLAWED_ATTRIBUTES[flaw]))
    response = store.functions.update("PROD-001", changes)
    if set(FLAWED_ATTRIBUTES[flaw]) <= SUPPLIED:
        assert response.status == 200
        assert listed(store.functions) == ["PROD-001"]
    else:
        assert (response.status, response.problem()) == (500, "internal-error")
        assert listed(store.functions) == []


# `active` is an index key, so it is text or missing.
NO_STATE: dict[str, dict[str, Any]] = {
    "missing active": {"active": None},
    "active of another word": {"active": {"S": "yes"}},
}


@pytest.mark.parametrize(
    "flaw",
    [
        flaw
        for flaw, changes in FLAWED_ATTRIBUTES.items()
        if "updatedAt" not in changes and flaw not in UNSEEN | ROUNDED
    ],
)
def test_other_restoration_of_unreadable_item_changes_nothing(
    store: Store, unreadable: Callable[[], list[tuple[str, str]]], flaw: str
) -> None:
    item = raw_product("PROD-001", active={"S": "false"}, **FLAWED_ATTRIBUTES[flaw])
    store.put(item)
    response = store.functions.update("PROD-001", RESTORATION)
    assert (response.status, response.problem()) == (500, "internal-error")
    assert store.item("PROD-001")["active"] == {"S": "false"}
    assert store.item("PROD-001").keys() == item.keys()
    assert len(unreadable()) == 1


@pytest.mark.parametrize("flaw", NO_STATE)
def test_restoration_repairs_missing_state(store: Store, flaw: str) -> None:
    store.put(raw_product("PROD-001", **NO_STATE[flaw]))
    assert store.functions.get("PROD-001").status == 500
    assert store.functions.update("PROD-001", {"name": "New"}).status == 500
    assert store.functions.update("PROD-001", RESTORATION).status == 200
    assert listed(store.functions) == ["PROD-001"]


@pytest.mark.parametrize("flaw", [*FLAWED_ATTRIBUTES, "missing active"])
def test_unreadable_item_can_be_deleted(store: Store, flaw: str) -> None:
    store.put(raw_product("PROD-001", **FLAWED_ATTRIBUTES.get(flaw, {"active": None})))
    assert store.functions.delete("PROD-001").status == 204
    assert store.functions.delete("PROD-001").status == 204
    assert store.item("PROD-001")["active"] == {"S": "false"}
    assert store.functions.get("PROD-001").status == 404
    assert store.functions.update("PROD-001", {"name": "New"}).status == 404


def test_no_tag_matches_unreadable_item(store: Store) -> None:
    store.put(raw_product("PROD-001", version={"N": "1.5"}))
    tag = {"If-Match": '"1-20260131093000123456"'}
    assert store.functions.update("PROD-001", WHOLE, tag).status == 500
    assert store.functions.delete("PROD-001", tag).status == 412


def test_unreadable_counter_returns_500(
    store: Store, unreadable: Callable[[], list[tuple[str, str]]]
) -> None:
    store.put({"PK": {"S": "COUNTER#PRODUCT"}, "SK": {"S": "METADATA"}, "number": {"S": "1"}})
    response = store.functions.create(product_body())
    assert (response.status, response.problem()) == (500, "internal-error")
    assert unreadable() == [("COUNTER#PRODUCT METADATA", "number is not a number")]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"S": "{}"}, "KeyError"),
        ({"S": "x"}, "JSONDecodeError"),
        ({"N": "1"}, "TypeError"),
        (None, "KeyError"),
    ],
)
def test_unreadable_idempotency_record_returns_500(
    store: Store,
    unreadable: Callable[[], list[tuple[str, str]]],
    answer: dict[str, str] | None,
    error: str,
) -> None:
    key = {"Idempotency-Key": "one"}
    store.functions.create(product_body(productId="PROD-001"), key)
    record = {
        "PK": {"S": "IDEMPOTENCY#7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"},
        "SK": {"S": "METADATA"},
        "fingerprint": {"S": "0" * 64},
        "expiresAt": {"N": "99999999999"},
    }
    store.put(record | ({"answer": answer} if answer else {}))
    response = store.functions.create(product_body(productId="PROD-001"), key)
    assert (response.status, response.problem()) == (500, "internal-error")
    assert unreadable() == [(f"{record['PK']['S']} METADATA", f"answer holds no product ({error})")]


# Random items

NUMBERS = st.one_of(
    st.integers(-(10**37), 10**37).map(str),
    st.decimals(-1000, 10**9, allow_nan=False, places=2).map(str),
    st.sampled_from(["1E125", "-1E125", "1E-130", "0", "95.5", "0.001", "99999999.99"]),
)
TEXTS = st.one_of(
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=30),
    st.sampled_from(["true", "false", "ZAR", "yearly", "PROD-001", "2026-01-31T09:30:00.123456Z"]),
)
SCALARS = st.one_of(
    st.builds(lambda text: {"S": text}, TEXTS),
    st.builds(lambda number: {"N": number}, NUMBERS),
    st.booleans().map(lambda flag: {"BOOL": flag}),
    st.just({"NULL": True}),
    st.binary(min_size=1, max_size=9).map(lambda raw: {"B": raw}),
)
VALUES = st.one_of(
    SCALARS,
    st.lists(SCALARS, max_size=4).map(lambda values: {"L": values}),
    st.dictionaries(st.text("ab", min_size=1, max_size=3), SCALARS, max_size=3).map(
        lambda values: {"M": values}
    ),
    st.sets(st.text("ab", min_size=1, max_size=3), min_size=1, max_size=3).map(
        lambda values: {"SS": sorted(values)}
    ),
    st.just({"NS": ["1", "2"]}),
)
# DynamoDB accepts only text for the attributes of an index key.
INDEX_TEXTS = st.one_of(
    TEXTS.map(lambda text: {"S": text}), st.just({"S": "true"}), st.just({"S": "2026-…"})
)
ATTRIBUTES = st.dictionaries(
    st.sampled_from(
        [
            "productId",
            "name",
            "description",
            "price",
            "setupFee",
            "currency",
            "period",
            "features",
            "version",
            "updatedAt",
            "updatedBy",
            "other",
        ]
    ),
    st.one_of(VALUES, st.none()),
    max_size=4,
)
INDEXED = st.dictionaries(st.sampled_from(["active", "createdAt"]), INDEX_TEXTS, max_size=2)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(st.tuples(ATTRIBUTES, INDEXED), max_size=6), st.integers(1, 4))
def test_list_shows_exactly_the_readable_items(
    store: Store, changes: list[tuple[dict[str, Any], dict[str, Any]]], limit: int
) -> None:
    readable = set()
    for number, (attributes, indexed) in enumerate(changes):
        product_id = f"PROD-{number}"
        item = raw_product(product_id, **attributes, **indexed)
        store.put(item)
        response = store.functions.get(product_id)
        check_response_of_get(product_id, response)
        stored = store.item(product_id)
        for ignored in ("other", "updatedBy"):  # no response shows them
            stored.pop(ignored, None)
        keeps_the_rules = ITEM_RULES.is_valid(stored)
        assert (response.status == 200) == (keeps_the_rules and item["active"] == {"S": "true"})
        if response.status == 200:
            readable.add(product_id)
            assert Decimal(item["price"]["N"]) == response.json()["price"]
        if item["active"] == {"S": "false"}:
            assert response.status == 404
    for number in range(len(changes), 6):
        store.put({**raw_product(f"PROD-{number}"), "active": {"S": "false"}})
    assert set(listed(store.functions, limit)) == readable


def check_response_of_get(product_id: str, response: FunctionResponse) -> None:
    if response.status == 500:
        assert response.problem() == "internal-error"
    else:
        check_response(as_api_response(f"/products/{product_id}", response))


def test_forged_token_reaches_only_active_products(store: Store) -> None:
    store.put(raw_product("PROD-001"))
    store.put({**raw_product("PROD-002"), "active": {"S": "false"}})
    token = base64.urlsafe_b64encode(b"createdAt|2000-01-01T00:00:00.000000Z|PROD-0").decode()
    page = store.functions.list(nextToken=token.rstrip("=")).json()
    assert [product["productId"] for product in page["products"]] == ["PROD-001"]
    assert json.dumps(page, default=str).count("PROD-") == 1
