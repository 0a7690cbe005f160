"""GET /products/{productId}: strongly consistent reads, conditional ones, and what is not there."""

import pytest

from tests.support.factory import unused_product_id
from tests.support.product_api import ProductApi

# As they stand in a path; `%2F` would be a slash, and so another path.
MALFORMED_IDS = [
    *("prod-001", "PROD-", "PROD001", "001", "PROD-1-", "PROD--1", "PROD-1_2", "PROD-a"),
    *("PROD-1%20", "%20PROD-1", "PROD-1%0A", "PROD-1%00", "PROD-%C3%89", "PROD-1%22", "PROD-*"),
    *("PRODUCT%23PROD-001", "COUNTER%23PRODUCT", "..%5C..", "%3Cscript%3E", f"PROD-{'A' * 33}"),
    *("undefined", "null", "0", "PROD-1'%20OR%20'1'='1", "PROD-" + "A" * 1000),
]


def test_you_read_what_you_just_wrote(api: ProductApi) -> None:
    product_id = api.new_product()["productId"]
    for price in range(1, 20):
        changed = api.update_product(product_id, {"price": price})
        read = api.get_product(product_id)
        assert read.body == changed.body
        assert read.headers["ETag"] == changed.headers["ETag"]


def test_a_product_that_never_was_is_not_found(api: ProductApi) -> None:
    response = api.get_product(unused_product_id())
    assert response.status == 404
    assert response.json()["type"].endswith(":product-not-found")


def test_a_deleted_product_is_not_found(api: ProductApi) -> None:
    product_id = api.new_product()["productId"]
    api.delete_product(product_id)
    assert api.get_product(product_id).status == 404


@pytest.mark.parametrize("product_id", MALFORMED_IDS, ids=lambda product_id: product_id[:20])
def test_a_malformed_id_is_refused(api: ProductApi, product_id: str) -> None:
    rejected = api.get_product(product_id)
    assert rejected.status == 400
    assert rejected.fields() == {"productId"}


@pytest.mark.parametrize(
    "known", ['"1"', 'W/"1"', '"7", "1"', '"7",W/"1"', "*", ' "1" ', '"other","1","x"']
)
def test_what_the_caller_has_is_not_sent_again(api: ProductApi, known: str) -> None:
    product_id = api.new_product()["productId"]
    response = api.get_product(product_id, {"If-None-Match": known})
    assert response.status == 304
    assert response.headers["ETag"] == '"1"'


@pytest.mark.parametrize("known", ['"0"', '"2"', '"11"', 'W/"2"', '"2", "3"', '""', '"x"', '"01"'])
def test_what_the_caller_has_not_is_sent(api: ProductApi, known: str) -> None:
    product = api.new_product()
    response = api.get_product(product["productId"], {"If-None-Match": known})
    assert response.status == 200
    assert response.json() == product


def test_tags_may_come_in_several_header_lines(api: ProductApi) -> None:
    product_id = api.new_product()["productId"]
    lines = [("If-None-Match", '"7"'), ("If-None-Match", '"1"')]
    assert api.get_product(product_id, lines).status == 304


def test_a_changed_product_is_sent_again(api: ProductApi) -> None:
    product_id = api.new_product()["productId"]
    api.update_product(product_id, {"price": 1})
    assert api.get_product(product_id, {"If-None-Match": '"1"'}).status == 200
    assert api.get_product(product_id, {"If-None-Match": '"2"'}).status == 304


@pytest.mark.parametrize("known", ["1", '"1', '1"', "'1'", '"1" "2"', 'w/"1"', "*, *", '*,"1"'])
def test_malformed_tags_are_refused(api: ProductApi, known: str) -> None:
    product_id = api.new_product()["productId"]
    rejected = api.get_product(product_id, {"If-None-Match": known})
    assert rejected.status == 400
    assert rejected.fields() == {"If-None-Match"}


def test_a_missing_product_is_not_found_whatever_the_caller_has(api: ProductApi) -> None:
    assert api.get_product(unused_product_id(), {"If-None-Match": "*"}).status == 404


def test_faults_of_path_and_header_are_told_together(api: ProductApi) -> None:
    rejected = api.get_product("plan", {"If-None-Match": "1"})
    assert rejected.status == 400
    assert rejected.fields() == {"productId", "If-None-Match"}


def test_the_name_of_a_header_is_read_in_any_case(api: ProductApi) -> None:
    product_id = api.new_product()["productId"]
    for name in ("if-none-match", "IF-NONE-MATCH", "iF-nOnE-mAtCh"):
        assert api.get_product(product_id, {name: '"1"'}).status == 304


def test_a_read_needs_no_key_and_minds_no_wrong_one(api: ProductApi) -> None:
    product_id = api.new_product()["productId"]
    assert api.get_product(product_id).status == 200
    assert api.get_product(product_id, {"x-api-key": "wrong"}).status == 200
