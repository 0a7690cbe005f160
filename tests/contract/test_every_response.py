"""Rules for all operations: API keys, routes, CORS and headers.

`tests.support.response_check` checks the other rules on every response.
"""

import http.client
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest

from tests.support.factory import product_body, unused_key, unused_product_id
from tests.support.product_api import ProductApi
from tests.support.response_check import ApiResponse

ORIGIN = "https://portal.example"
PATHS = {"/products": {"GET", "POST"}, "/products/PROD-001": {"GET", "PUT", "DELETE"}}
# The methods of API Gateway. OPTIONS is a preflight on every path.
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
OTHER_METHODS = [
    (method, path) for path in PATHS for method in METHODS if method not in PATHS[path]
]
REQUEST_HEADERS = {"content-type", "x-api-key", "if-match", "if-none-match", "idempotency-key"}

REQUESTS_BY_STATUS: dict[str, Callable[[ProductApi], ApiResponse]] = {
    "200": lambda api: api.list_products({"Origin": ORIGIN}),
    "304": lambda api: api.get_product(
        api.new_product()["productId"], {"Origin": ORIGIN, "If-None-Match": "*"}
    ),
    "201": lambda api: api.create_product(product_body(), {"Origin": ORIGIN}),
    "204": lambda api: api.delete_product(api.new_product()["productId"], {"Origin": ORIGIN}),
    "400": lambda api: api.create_product({}, {"Origin": ORIGIN}),
    "403": lambda api: api.request("POST", "/products", headers={"Origin": ORIGIN}),
    "404": lambda api: api.get_product(unused_product_id(), {"Origin": ORIGIN}),
    "404 route": lambda api: api.request("GET", "/nowhere", headers={"Origin": ORIGIN}),
    "405": lambda api: api.request("PATCH", "/products", headers={"Origin": ORIGIN}),
    "409": lambda api: api.create_product(
        product_body(productId=api.new_product()["productId"]), {"Origin": ORIGIN}
    ),
    "412": lambda api: api.update_product(
        api.new_product()["productId"], {"price": 1}, {"Origin": ORIGIN, "If-Match": '"9"'}
    ),
    "413": lambda api: api.create_product(b" " * 300_000, {"Origin": ORIGIN}),
    "415": lambda api: api.create_product({}, {"Origin": ORIGIN, "Content-Type": "text/plain"}),
}


@pytest.mark.parametrize("status", REQUESTS_BY_STATUS)
def test_browser_script_may_read_response(api: ProductApi, status: str) -> None:
    response = REQUESTS_BY_STATUS[status](api)
    assert response.status == int(status[:3])
    allowed = response.headers["Access-Control-Allow-Origin"]
    assert allowed == "*" or allowed.startswith("http")
    assert "," not in allowed


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_preflight_needs_no_key(api: ProductApi, path: str, method: str) -> None:
    headers = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": ", ".join(sorted(REQUEST_HEADERS)),
    }
    response = api.request("OPTIONS", path, headers=headers)
    assert response.status in {200, 204}
    assert _names(response, "Access-Control-Allow-Methods") - {"options"} == {
        allowed.lower() for allowed in PATHS[path]
    }
    assert _names(response, "Access-Control-Allow-Headers") >= REQUEST_HEADERS


def _names(response: ApiResponse, header: str) -> set[str]:
    return {name.strip().lower() for name in response.headers[header].split(",")}


@pytest.mark.parametrize(
    "key", [None, "", "wrong", "wrong-but-as-long-as-a-real-key-would-be-0123456789"]
)
@pytest.mark.parametrize(
    ("method", "target"),
    [("POST", "/products"), ("PUT", "/products/PROD-001"), ("DELETE", "/products/PROD-001")],
)
def test_write_without_valid_key_returns_403(
    api: ProductApi, method: str, target: str, key: str | None
) -> None:
    headers = {"Content-Type": "application/json"} | ({} if key is None else {"x-api-key": key})
    rejected = api.request(method, target, headers=headers, body=b"{}")
    assert rejected.status == 403
    assert rejected.json()["type"].endswith(":forbidden")
    assert "x-api-key" in rejected.json()["detail"]


def test_forbidden_write_changes_nothing(api: ProductApi) -> None:
    product = api.new_product()
    target = f"/products/{product['productId']}"
    assert api.request("PUT", target, body=b'{"price": 1}').status == 403
    assert api.request("DELETE", target).status == 403
    assert api.get_product(product["productId"]).json() == product


def test_key_in_query_is_ignored(api: ProductApi) -> None:
    assert api.request("DELETE", f"/products/PROD-1?x-api-key={api.api_key}").status == 403


def test_key_is_checked_before_request(api: ProductApi) -> None:
    assert api.request("DELETE", "/products/plan").status == 403
    assert api.request("POST", "/products", body=b" " * 300_000).status == 403


@pytest.mark.parametrize("name", ["x-api-key", "X-API-KEY", "X-Api-Key"])
def test_key_header_name_ignores_case(api: ProductApi, name: str) -> None:
    response = api.request("DELETE", "/products/PROD-NEVER", headers={name: api.api_key})
    assert response.status == 404


@pytest.mark.parametrize("name", ["idempotency-key", "IDEMPOTENCY-KEY"])
def test_header_names_of_writes_ignore_case(api: ProductApi, name: str) -> None:
    key = {name: unused_key()}
    product = api.create_product(product_body(), key).json()
    assert api.create_product(product_body(), key).headers["Idempotency-Replayed"] == "true"
    target = f"/products/{product['productId']}"
    assert api.write("PUT", target, {"price": 1}, {"IF-MATCH": '"7"'}).status == 412
    assert api.write("PUT", target, {"price": 1}, {"CONTENT-TYPE": "text/plain"}).status == 415


@pytest.mark.parametrize(
    ("method", "target"),
    [
        *(("GET", "/"), ("GET", "/product"), ("GET", "/Products"), ("GET", "/productsPROD-001")),
        *(("GET", "/products/PROD-001/features"), ("POST", "/nowhere"), ("DELETE", "/")),
        *(("PATCH", "/nowhere"), ("PATCH", "/products/PROD-001/features")),
    ],
)
def test_unknown_path_returns_404(api: ProductApi, method: str, target: str) -> None:
    for headers in ({}, {"x-api-key": api.api_key}):
        response = api.request(method, target, headers=headers)
        assert response.status == 404
        assert response.json()["type"].endswith(":route-not-found")


def test_head_of_unknown_path_returns_404(api: ProductApi) -> None:
    assert api.request("HEAD", "/nowhere").status == 404


@pytest.mark.parametrize(("method", "path"), OTHER_METHODS)
def test_other_method_returns_405_with_allow(api: ProductApi, method: str, path: str) -> None:
    for headers in ({}, {"x-api-key": api.api_key}, {"x-api-key": "wrong"}):
        response = api.request(method, path, headers=headers)
        assert response.status == 405
        assert set(response.headers["Allow"].split(", ")) == PATHS[path] | {"OPTIONS"}
        if method == "HEAD":
            assert response.body == b""
        else:
            problem = response.json()
            assert problem["type"] == "tag:kimmyai.io,2026:method-not-allowed"
            assert problem["title"] == "The method is not allowed"
            assert problem["detail"] == "Use one of the methods in Allow."


@pytest.mark.parametrize(
    "content_type",
    [
        *("application/json", "application/json; charset=utf-8", "application/merge-patch+json"),
        *("application/json-patch+json", "application/x-www-form-urlencoded", "text/plain"),
        *("multipart/form-data; boundary=b", "application/octet-stream", "application/xml"),
    ],
)
@pytest.mark.parametrize("body", [b"", b'{"price": 1}', b'{"statusCode": 200}', b"\xff", b"{"])
def test_other_method_with_body_returns_405(
    api: ProductApi, content_type: str, body: bytes
) -> None:
    headers = {"Content-Type": content_type, "Accept": "application/json"}
    response = api.request("PATCH", "/products/PROD-001", headers=headers, body=body)
    assert response.status == 405


def test_request_with_only_host_header_returns_200(api: ProductApi) -> None:
    # http.client sends only the request line and Host.
    url = urlsplit(api.base_url)
    assert url.hostname
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=30)
    connection.putrequest("GET", f"{url.path}/products?limit=1", skip_accept_encoding=True)
    connection.endheaders()
    response = connection.getresponse()
    assert response.status == 200
    assert response.getheader("Content-Type") == "application/json"
    connection.close()


def test_cookies_and_authorization_are_ignored(api: ProductApi) -> None:
    headers = {"Cookie": "session=1", "Authorization": "Bearer x"}
    response = api.list_products(headers, limit=1)
    assert response.status == 200
    assert "Set-Cookie" not in response.headers
    assert "Access-Control-Allow-Credentials" not in response.headers


@pytest.mark.parametrize("request_id", ["mine", "../../etc/passwd", "x" * 500])
def test_request_id_of_caller_is_ignored(api: ProductApi, request_id: str) -> None:
    response = api.list_products({"X-Request-Id": request_id}, limit=1)
    assert response.headers["X-Request-Id"] != request_id
