"""POST /products: what is stored, what is refused, and that nothing is ever overwritten."""

from typing import Any

import pytest

from tests.support.factory import product_body, product_body_without, unused_product_id
from tests.support.product_api import ProductApi
from tests.support.rejected_values import BAD_IDS, BAD_VALUES, NEVER_WRITTEN, in_short


def test_a_product_is_shown_as_it_was_given(api: ProductApi) -> None:
    body = product_body(currency="EUR", period="monthly", setupFee=12)
    created = api.create_product(body)
    product = created.json()
    assert created.status == 201
    assert created.headers["ETag"] == '"1"'
    assert "Idempotency-Replayed" not in created.headers
    assert {name: product[name] for name in body} == body
    assert (product["active"], product["version"]) == (True, 1)
    assert product["createdAt"] == product["updatedAt"]
    assert api.get_product(product["productId"]).json() == product


def test_location_is_the_path_of_the_new_product(api: ProductApi) -> None:
    product_id = unused_product_id()
    created = api.create_product(product_body(productId=product_id))
    assert created.headers["Location"].endswith(f"/products/{product_id}")


def test_what_may_be_left_out_has_its_default(api: ProductApi) -> None:
    product = api.new_product()
    assert product["currency"] == "ZAR"
    assert product["active"] is True
    assert "setupFee" not in product
    assert "setupFee" not in api.new_product(setupFee=None)


def test_text_is_trimmed(api: ProductApi) -> None:
    product = api.new_product(
        name="  Basic\t", description="\n One\n\ttwo ", features=[" a ", "b "]
    )
    assert product["name"] == "Basic"
    assert product["description"] == "One\n\ttwo"
    assert product["features"] == ["a", "b"]


def test_length_counts_after_trimming(api: ProductApi) -> None:
    product = api.new_product(
        name=f"   {'n' * 200}   ",
        description=f"\n{'d' * 4000}\n",
        features=[f" {'f' * 200} "] * 50,
    )
    assert len(product["name"]) == 200
    assert len(product["description"]) == 4000
    assert [len(feature) for feature in product["features"]] == [200] * 50


def test_length_counts_characters_not_bytes(api: ProductApi) -> None:
    assert api.new_product(name="🎉" * 200)["name"] == "🎉" * 200


@pytest.mark.parametrize("period", ["monthly", "yearly", "once-off"])
def test_each_period_is_known(api: ProductApi, period: str) -> None:
    assert api.new_product(period=period)["period"] == period


@pytest.mark.parametrize(("field", "value"), BAD_VALUES, ids=in_short)
def test_a_bad_value_is_refused_by_name(api: ProductApi, field: str, value: object) -> None:
    rejected = api.create_product(product_body(**{field: value}))
    assert rejected.status == 400
    assert {name.split("[")[0] for name in rejected.fields()} == {field}


@pytest.mark.parametrize("field", ["name", "description", "price", "period", "features"])
def test_a_missing_field_is_refused_by_name(api: ProductApi, field: str) -> None:
    rejected = api.create_product(product_body_without(field))
    assert rejected.status == 400
    assert rejected.fields() == {field}


@pytest.mark.parametrize(("field", "value"), NEVER_WRITTEN)
def test_a_field_that_cannot_be_written_is_refused_by_name(
    api: ProductApi, field: str, value: object
) -> None:
    rejected = api.create_product(product_body(**{field: value}))
    assert rejected.status == 400
    assert len(rejected.fields()) == 1
    assert not field or rejected.fields() == {field}


@pytest.mark.parametrize("product_id", BAD_IDS, ids=in_short)
def test_a_malformed_id_is_refused_by_name(api: ProductApi, product_id: object) -> None:
    rejected = api.create_product(product_body(productId=product_id))
    assert rejected.status == 400
    assert rejected.fields() == {"productId"}


def test_all_faults_are_told_at_once(api: ProductApi) -> None:
    bad: dict[str, Any] = {
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
    rejected = api.create_product(bad)
    assert rejected.status == 400
    assert rejected.fields() == {*bad, "description"}


def test_faults_of_body_and_header_are_told_together(api: ProductApi) -> None:
    rejected = api.create_product(product_body(name=""), {"Idempotency-Key": "two words"})
    assert rejected.status == 400
    assert rejected.fields() == {"name", "Idempotency-Key"}


def test_a_message_says_what_to_send_instead(api: ProductApi) -> None:
    rejected = api.create_product(product_body(period="daily"))
    [error] = rejected.json()["errors"]
    assert all(period in error["message"] for period in ("monthly", "yearly", "once-off"))


@pytest.mark.parametrize("length", [1, 2, 32])
def test_an_id_may_be_chosen(api: ProductApi, length: int) -> None:
    own = unused_product_id().removeprefix("PROD-")
    product_id = f"PROD-{(own * 2)[:length]}"
    created = api.create_product(product_body(productId=product_id))
    # A short one may have been taken by an earlier run.
    assert created.status == 201 or (created.status == 409 and length < 3)


def test_a_taken_id_is_refused_and_what_has_it_stays(api: ProductApi) -> None:
    product = api.new_product(productId=unused_product_id())
    rejected = api.create_product(product_body(productId=product["productId"], name="Another"))
    assert rejected.status == 409
    assert rejected.json()["type"].endswith(":duplicate-product")
    assert api.get_product(product["productId"]).json() == product


def test_the_id_of_a_deleted_product_stays_taken(api: ProductApi) -> None:
    product_id = api.new_product(productId=unused_product_id())["productId"]
    assert api.delete_product(product_id).status == 204
    assert api.create_product(product_body(productId=product_id)).status == 409
    assert api.get_product(product_id).status == 404


def test_ids_are_given_in_the_form_of_a_sequence(api: ProductApi) -> None:
    product_id = api.new_product()["productId"]
    number = int(product_id.removeprefix("PROD-"))
    assert number >= 1
    assert product_id == f"PROD-{number:03}"


def test_an_id_that_was_given_or_taken_is_not_given_again(api: ProductApi) -> None:
    first = api.new_product()["productId"]
    assert api.delete_product(first).status == 204
    number = int(first.removeprefix("PROD-"))
    following = [f"PROD-{number + step:03}" for step in (1, 2, 3)]
    for product_id in following:
        assert api.create_product(product_body(productId=product_id)).status in {201, 409}
    assert api.new_product()["productId"] not in {first, *following}
