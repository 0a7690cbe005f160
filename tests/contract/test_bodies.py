"""Request bodies as bytes: encodings, content types, sizes and invalid JSON."""

from collections.abc import Iterator

import pytest
import simplejson

from tests.support.factory import product_body, product_body_without, unused_product_id
from tests.support.product_api import ProductApi

LIMIT = 256 * 1024
NOT_A_JSON_OBJECT: dict[str, bytes] = {
    "empty": b"",
    "blank": b" \r\n\t",
    "truncated": b'{"name": "Bas',
    "trailing comma": b'{"name": "Basic",}',
    "trailing text": b"{} {}",
    "single quotes": b"{'name': 'Basic'}",
    "comment": b'{"name": "Basic" /* why */}',
    "form": b"name=Basic&price=1",
    "xml": b"<product/>",
    "null": b"null",
    "array": b"[]",
    "array of objects": b'[{"name": "Basic"}]',
    "string": b'"Basic"',
    "number": b"1",
    "true": b"true",
    "NaN": b"NaN",
    "NaN inside": b'{"price": NaN}',
    "Infinity inside": b'{"price": Infinity}',
    "-Infinity inside": b'{"price": -Infinity}',
    "Latin-1": '{"name": "Überall"}'.encode("latin-1"),
    "UTF-16": '{"name": "Basic"}'.encode("utf-16"),
    "broken UTF-8": b'{"name": "\xff\xfe"}',
    "overlong UTF-8": b'{"name": "\xc0\xaf"}',
    "raw surrogate": b'{"name": "\xed\xa0\x80"}',
    "NUL": b"\x00",
    "deep arrays": b"[" * 100_000,
    "deep objects": b'{"name":' * 30_000,
    "deep and closed": b'{"name":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
}


@pytest.mark.parametrize("body", NOT_A_JSON_OBJECT.values(), ids=NOT_A_JSON_OBJECT)
def test_body_that_is_no_json_object_returns_400(api: ProductApi, body: bytes) -> None:
    product = api.new_product()
    responses = [api.create_product(body), api.update_product(product["productId"], body)]
    assert [response.status for response in responses] == [400, 400]
    assert api.get_product(product["productId"]).json() == product


@pytest.mark.parametrize("surrogate", [r"\ud800", r"\udfff", r"\udc00\ud800"])
@pytest.mark.parametrize("field", ["name", "description", "features"])
def test_lone_surrogate_in_text_returns_400(api: ProductApi, field: str, surrogate: str) -> None:
    value = f'["{surrogate}"]' if field == "features" else f'"a{surrogate}b"'
    rest = simplejson.dumps(product_body_without(field))
    rejected = api.create_product(f'{rest[:-1]}, "{field}": {value}}}'.encode())
    assert rejected.status == 400


def test_lone_surrogate_in_field_name_returns_400(api: ProductApi) -> None:
    assert api.create_product(rb'{"\ud800": 1}').status == 400


def test_repeated_field_returns_400_with_its_name(api: ProductApi) -> None:
    body = simplejson.dumps(product_body())[:-1] + ', "price": 1}'
    rejected = api.create_product(body.encode())
    assert rejected.status == 400
    assert rejected.error_fields() == {"price"}


def test_text_of_any_language_is_kept(api: ProductApi) -> None:
    text = "Überraschung — naïve façade, ilungelo, 製品, עברית, 🎉👩‍💻"
    for escaped in (True, False):
        body = simplejson.dumps(product_body(name=text), ensure_ascii=escaped).encode("utf-8")
        created = api.create_product(body)
        assert created.json()["name"] == text
        assert api.get_product(created.json()["productId"]).json()["name"] == text


def test_text_like_markup_or_query_is_kept(api: ProductApi) -> None:
    text = "<script>alert(1)</script> '; DROP TABLE x; -- ${jndi:ldap://x} {{7*7}} %s \\ \""
    assert api.new_product(name=text)["name"] == text


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        "application/json;charset=UTF-8",
        "Application/JSON",
    ],
)
def test_json_content_type_is_accepted(api: ProductApi, content_type: str) -> None:
    assert api.create_product(product_body(), {"Content-Type": content_type}).status == 201


def test_missing_content_type_is_accepted(api: ProductApi) -> None:
    body = simplejson.dumps(product_body()).encode()
    created = api.request("POST", "/products", headers={"x-api-key": api.api_key}, body=body)
    assert created.status == 201


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "text/json",
        "application/xml",
        "application/jsonp",
        "application/json-patch+json",
        "application/merge-patch+json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/octet-stream",
        "json",
        "*/*",
    ],
)
def test_other_content_type_returns_415(api: ProductApi, content_type: str) -> None:
    product_id = unused_product_id()
    declared = {"Content-Type": content_type}
    rejected = api.create_product(product_body(productId=product_id), declared)
    assert rejected.status == 415
    assert "application/json" in rejected.json()["detail"]
    assert api.get_product(product_id).status == 404
    known = api.new_product()["productId"]
    assert api.update_product(known, {"price": 1}, declared).status == 415


@pytest.mark.parametrize("size", [LIMIT - 1, LIMIT])
def test_body_of_256_kib_is_accepted(api: ProductApi, size: int) -> None:
    body = simplejson.dumps(product_body()).encode()
    assert api.create_product(body.ljust(size)).status == 201


@pytest.mark.parametrize("size", [LIMIT + 1, LIMIT + 50_000])
def test_body_over_256_kib_returns_413(api: ProductApi, size: int) -> None:
    body = simplejson.dumps(product_body()).encode()
    rejected = api.create_product(body.ljust(size))
    assert rejected.status == 413
    product_id = api.new_product()["productId"]
    assert api.update_product(product_id, b'{"price": 1}'.ljust(size)).status == 413


def test_body_size_is_counted_in_bytes(api: ProductApi) -> None:
    body = simplejson.dumps(product_body(description="€" * 90_000), ensure_ascii=False).encode()
    assert len(body) > LIMIT
    assert api.create_product(body).status == 413


def test_chunked_body_is_accepted(api: ProductApi) -> None:
    def chunks() -> Iterator[bytes]:
        text = simplejson.dumps(product_body(name="In chunks")).encode()
        yield from (text[start : start + 20] for start in range(0, len(text), 20))

    headers = {"x-api-key": api.api_key, "Content-Type": "application/json"}
    created = api.request("POST", "/products", headers=headers, body=chunks())
    assert created.status == 201
    assert created.json()["name"] == "In chunks"
