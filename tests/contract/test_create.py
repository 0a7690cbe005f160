"""POST /products: stored products, rejected values, and protection from overwriting."""

from typing import Any

import pytest

from tests.support.factory import product_body, product_body_without, unused_product_id
from tests.support.product_api import ProductApi
from tests.support.rejected_values import (
    INVALID_IDS,
    INVALID_VALUES,
    READ_ONLY_OR_UNKNOWN_FIELDS,
    short_id,
)


def test_create_returns_product_as_sent(api: ProductApi) -> None:
    body = product_body(currency="EUR", period="monthly", setupFee=12)
    created = api.create_product(body)
    product = created.json()
    assert created.status == 201
    assert created.headers["ETag"] == api.tag_of(product["productId"])
    assert "Idempotency-Replayed" not in created.headers
    assert {name: product[name] for name in body} == body
    assert (product["active"], product["version"]) == (True, 1)
    assert product["createdAt"] == product["updatedAt"]
    assert api.get_product(product["productId"]).json() == product


def test_location_is_path_of_new_product(api: ProductApi) -> None:
    product_id = unused_product_id()
    created = api.create_product(product_body(productId=product_id))
    assert created.headers["Location"].endswith(f"/products/{product_id}")


def test_missing_optional_fields_get_defaults(api: ProductApi) -> None:
    product = api.new_product()
    assert product["currency"] == "ZAR"
    assert product["active"] is True
    assert "setupFee" not in product
    assert "setupFee" not in api.new_product(setupFee=None)


def test_create_trims_text(api: ProductApi) -> None:
    product = api.new_product(
        name="  Basic\t", description="\n One\n\ttwo ", features=[" a ", "b "]
    )
    assert product["name"] == "Basic"
    assert product["description"] == "One\n\ttwo"
    assert product["features"] == ["a", "b"]


def test_length_is_counted_after_trimming(api: ProductApi) -> None:
    product = api.new_product(
        name=f"   {'n' * 200}   ",
        description=f"\n{'d' * 4000}\n",
        features=[f" {'f' * 200} "] * 50,
    )
    assert len(product["name"]) == 200
    assert len(product["description"]) == 4000
    assert [len(feature) for feature in product["features"]] == [200] * 50


def test_length_is_counted_in_characters(api: ProductApi) -> None:
    assert api.new_product(name="🎉" * 200)["name"] == "🎉" * 200


@pytest.mark.parametrize("period", ["monthly", "yearly", "once-off"])
def test_every_period_is_accepted(api: ProductApi, period: str) -> None:
    assert api.new_product(period=period)["period"] == period


@pytest.mark.parametrize(("field", "value"), INVALID_VALUES, ids=short_id)
def test_create_invalid_value_returns_400_with_field(
    api: ProductApi, field: str, value: object
) -> None:
    rejected = api.create_product(product_body(**{field: value}))
    assert rejected.status == 400
    assert {name.split("[")[0] for name in rejected.error_fields()} == {field}


@pytest.mark.parametrize("field", ["name", "description", "price", "period", "features"])
def test_create_missing_field_returns_400_with_field(api: ProductApi, field: str) -> None:
    rejected = api.create_product(product_body_without(field))
    assert rejected.status == 400
    assert rejected.error_fields() == {field}


@pytest.mark.parametrize(("field", "value"), READ_ONLY_OR_UNKNOWN_FIELDS)
def test_create_unwritable_field_returns_400_with_field(
    api: ProductApi, field: str, value: object
) -> None:
    rejected = api.create_product(product_body(**{field: value}))
    assert rejected.status == 400
    assert len(rejected.error_fields()) == 1
    assert not field or rejected.error_fields() == {field}


@pytest.mark.parametrize("product_id", INVALID_IDS, ids=short_id)
def test_create_malformed_id_returns_400_with_field(api: ProductApi, product_id: object) -> None:
    rejected = api.create_product(product_body(productId=product_id))
    assert rejected.status == 400
    assert rejected.error_fields() == {"productId"}


def test_create_reports_all_errors_together(api: ProductApi) -> None:
    invalid: dict[str, Any] = {
        "productId": "plan",
        "name": "",
        "price": "19.99",
        "setupFee": -1,
        "currency": "zar",
        "period": "daily",
        "features": [],
        "version": 7,
        "colour": "red",
    }
    rejected = api.create_product(invalid)
    assert rejected.status == 400
    assert rejected.error_fields() == {*invalid, "description"}


def test_create_reports_body_and_header_errors_together(api: ProductApi) -> None:
    rejected = api.create_product(product_body(name=""), {"Idempotency-Key": "two words"})
    assert rejected.status == 400
    assert rejected.error_fields() == {"name", "Idempotency-Key"}


def test_error_message_lists_valid_periods(api: ProductApi) -> None:
    rejected = api.create_product(product_body(period="daily"))
    [error] = rejected.json()["errors"]
    assert all(period in error["message"] for period in ("monthly", "yearly", "once-off"))


@pytest.mark.parametrize("length", [1, 2, 32])
def test_create_accepts_chosen_id(api: ProductApi, length: int) -> None:
    suffix = unused_product_id().removeprefix("PROD-")
    product_id = f"PROD-{(suffix * 2)[:length]}"
    created = api.create_product(product_body(productId=product_id))
    # An earlier run may have taken a short id.
    assert created.status == 201 or (created.status == 409 and length < 3)


def test_create_taken_id_returns_409_and_keeps_product(api: ProductApi) -> None:
    product = api.new_product(productId=unused_product_id())
    rejected = api.create_product(product_body(productId=product["productId"], name="Another"))
    assert rejected.status == 409
    assert rejected.json()["type"].endswith(":duplicate-product")
    assert api.get_product(product["productId"]).json() == product


def test_create_id_of_deleted_product_returns_409(api: ProductApi) -> None:
    product_id = api.new_product(productId=unused_product_id())["productId"]
    assert api.delete_product(product_id).status == 204
    assert api.create_product(product_body(productId=product_id)).status == 409
    assert api.get_product(product_id).status == 404


def test_assigned_ids_are_zero_padded_numbers(api: ProductApi) -> None:
    product_id = api.new_product()["productId"]
    number = int(product_id.removeprefix("PROD-"))
    assert number >= 1
    assert product_id == f"PROD-{number:03}"


def test_used_ids_are_not_assigned_again(api: ProductApi) -> None:
    first = api.new_product()["productId"]
    assert api.delete_product(first).status == 204
    number = int(first.removeprefix("PROD-"))
    following = [f"PROD-{number + step:03}" for step in (1, 2, 3)]
    for product_id in following:
        assert api.create_product(product_body(productId=product_id)).status in {201, 409}
    assert api.new_product()["productId"] not in {first, *following}
