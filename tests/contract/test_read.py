"""GET /products/{productId}: consistent reads, conditional reads and missing products."""

import pytest

from tests.support.factory import unused_product_id
from tests.support.product_api import ProductApi

# Encoded as in a path. `%2F` is not here: as a slash it makes another path.
MALFORMED_IDS = [
    *("prod-001", "PROD-", "PROD001", "001", "PROD-1-", "PROD--1", "PROD-1_2", "PROD-a"),
    *("PROD-1%20", "%20PROD-1", "PROD-1%0A", "PROD-1%00", "PROD-%C3%89", "PROD-1%22", "PROD-*"),
    *("PRODUCT%23PROD-001", "COUNTER%23PRODUCT", "..%5C..", "%3Cscript%3E", f"PROD-{'A' * 33}"),
    *("undefined", "null", "0", "PROD-1'%20OR%20'1'='1", "PROD-" + "A" * 1000),
]

GZIP = {"Accept-Encoding": "gzip"}


def test_read_returns_last_write(api: ProductApi) -> None:
    product_id = api.new_product()["productId"]
    for price in range(1, 20):
        changed = api.update_product(product_id, {"price": price})
        read = api.get_product(product_id)
        assert read.body == changed.body
        assert read.headers["ETag"] == changed.headers["ETag"]


def test_read_missing_product_returns_404(api: ProductApi) -> None:
    response = api.get_product(unused_product_id())
    assert response.status == 404
    assert response.json()["type"].endswith(":product-not-found")


def test_read_deleted_product_returns_404(api: ProductApi) -> None:
    product_id = api.new_product()["productId"]
    api.delete_product(product_id)
    assert api.get_product(product_id).status == 404


@pytest.mark.parametrize("product_id", MALFORMED_IDS, ids=lambda product_id: product_id[:20])
def test_read_malformed_id_returns_400(api: ProductApi, product_id: str) -> None:
    rejected = api.get_product(product_id)
    assert rejected.status == 400
    assert rejected.error_fields() == {"productId"}


@pytest.mark.parametrize(
    "tags", ["TAG", "W/TAG", '"7", TAG', '"7",W/TAG', "*", " TAG ", '"other",TAG,"x"']
)
def test_read_with_current_etag_returns_304(api: ProductApi, tags: str) -> None:
    product_id = api.new_product()["productId"]
    tag = api.tag_of(product_id)
    response = api.get_product(product_id, {"If-None-Match": tags.replace("TAG", tag)})
    assert response.status == 304
    assert response.headers["ETag"] == tag


@pytest.mark.parametrize("tags", ['"0"', '"1"', '"11"', 'W/"2"', '"2", "3"', '""', '"x"', '"01"'])
def test_read_with_other_etag_returns_200(api: ProductApi, tags: str) -> None:
    product = api.new_product()
    response = api.get_product(product["productId"], {"If-None-Match": tags})
    assert response.status == 200
    assert response.json() == product


def test_read_accepts_tags_in_several_headers(api: ProductApi) -> None:
    product_id = api.new_product()["productId"]
    lines = [("If-None-Match", '"7"'), ("If-None-Match", api.tag_of(product_id))]
    assert api.get_product(product_id, lines).status == 304


def test_read_updated_product_with_old_etag_returns_200(api: ProductApi) -> None:
    product_id = api.new_product()["productId"]
    old = api.tag_of(product_id)
    new = api.update_product(product_id, {"price": 1}).headers["ETag"]
    assert api.get_product(product_id, {"If-None-Match": old}).status == 200
    assert api.get_product(product_id, {"If-None-Match": new}).status == 304


@pytest.mark.parametrize(
    "tags",
    [
        *("1", '"1', '1"', "'1'", '"1" "2"', 'w/"1"', "*, *", '*,"1"'),
        pytest.param(f'"{"x" * 4095}"', id="too long"),
    ],
)
def test_read_malformed_if_none_match_returns_400(api: ProductApi, tags: str) -> None:
    product_id = api.new_product()["productId"]
    rejected = api.get_product(product_id, {"If-None-Match": tags})
    assert rejected.status == 400
    assert rejected.error_fields() == {"If-None-Match"}


def test_read_with_query_parameter_returns_400(api: ProductApi) -> None:
    product_id = api.new_product()["productId"]
    rejected = api.request("GET", f"/products/{product_id}?version=1&colour=red")
    assert rejected.status == 400
    assert rejected.error_fields() == {"version", "colour"}


def test_read_missing_product_ignores_if_none_match(api: ProductApi) -> None:
    assert api.get_product(unused_product_id(), {"If-None-Match": "*"}).status == 404


def test_read_reports_path_and_header_errors_together(api: ProductApi) -> None:
    rejected = api.get_product("plan", {"If-None-Match": "1"})
    assert rejected.status == 400
    assert rejected.error_fields() == {"productId", "If-None-Match"}


def test_if_none_match_name_ignores_case(api: ProductApi) -> None:
    product_id = api.new_product()["productId"]
    tag = api.tag_of(product_id)
    for name in ("if-none-match", "IF-NONE-MATCH", "iF-nOnE-mAtCh"):
        assert api.get_product(product_id, {name: tag}).status == 304


def test_read_ignores_missing_or_wrong_key(api: ProductApi) -> None:
    product_id = api.new_product()["productId"]
    assert api.get_product(product_id).status == 200
    assert api.get_product(product_id, {"x-api-key": "wrong"}).status == 200


def test_compressed_read_has_body_and_tag_of_plain_one(api: ProductApi) -> None:
    """The gateway may compress what a function returned; the tag names the product's revision."""
    product_id = api.new_product(description="All that the plan has. " * 100)["productId"]
    plain = api.get_product(product_id)
    compressed = api.get_product(product_id, GZIP)
    assert compressed.body == plain.body
    assert compressed.headers["ETag"] == plain.headers["ETag"]


@pytest.mark.parametrize("sent", ["TAG", "W/TAG"])
def test_tag_of_compressed_read_brings_304(api: ProductApi, sent: str) -> None:
    product_id = api.new_product(description="All that the plan has. " * 100)["productId"]
    tag = api.get_product(product_id, GZIP).headers["ETag"]
    response = api.get_product(product_id, GZIP | {"If-None-Match": sent.replace("TAG", tag)})
    assert response.status == 304
    assert "Content-Encoding" not in response.headers


def test_tag_of_compressed_read_admits_one_change(api: ProductApi) -> None:
    product_id = api.new_product(description="All that the plan has. " * 100)["productId"]
    tag = {"If-Match": api.get_product(product_id, GZIP).headers["ETag"]}
    assert api.update_product(product_id, {"price": 1}, GZIP | tag).status == 200
    assert api.update_product(product_id, {"price": 2}, GZIP | tag).status == 412
