"""The gateway of the local server: routes, API key, preflights, events and results."""

import gzip
import json
from typing import Any

import pytest

from local.gateway import (
    SMALLEST_COMPRESSED,
    Call,
    HttpResponse,
    RequestHead,
    compressed,
    http_response,
    proxy_event,
    route,
)

_KEY = "secret"


def _head(
    method: str = "GET",
    path: str = "/v1.0/products",
    query: str = "",
    headers: tuple[tuple[str, str], ...] = (),
) -> RequestHead:
    return RequestHead("request-1", method, path, query, headers, "127.0.0.1")


def _event(head: RequestHead, body: bytes = b"") -> dict[str, Any]:
    call = route(head, _KEY)
    assert isinstance(call, Call)
    return proxy_event(head, call, body)


def _problem(head: RequestHead) -> dict[str, Any]:
    response = route(head, _KEY)
    assert not isinstance(response, Call)
    assert response["headers"]["Content-Type"] == "application/problem+json"
    problem: dict[str, Any] = json.loads(response["body"])
    assert problem["status"] == response["statusCode"]
    assert problem["instance"] == response["headers"]["X-Request-Id"] == "request-1"
    return problem


@pytest.mark.parametrize(
    ("method", "path", "operation", "resource"),
    [
        ("GET", "/v1.0/products", "list_products", "/products"),
        ("GET", "/v1.0/products/", "list_products", "/products"),
        ("POST", "/v1.0/products", "create_product", "/products"),
        ("GET", "/v1.0/products/PROD-1", "get_product", "/products/{productId}"),
        ("PUT", "/v1.0/products/PROD-1", "update_product", "/products/{productId}"),
        ("DELETE", "/v1.0/products/PROD-1/", "delete_product", "/products/{productId}"),
    ],
)
def test_route_calls_its_function(method: str, path: str, operation: str, resource: str) -> None:
    call = route(_head(method, path, headers=(("x-api-key", _KEY),)), _KEY)

    assert isinstance(call, Call)
    assert (call.operation, call.resource) == (operation, resource)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "*"),
        ("GET", "/products"),
        ("GET", "/v1.0"),
        ("GET", "/v1.0/product"),
        ("GET", "/v1.0//products"),
        ("GET", "/v1.0/products/PROD-1/prices"),
        ("HEAD", "/v1.0/orders"),
        ("PATCH", "/v1.0/products/PROD-1/prices"),
        ("OPTIONS", "/v1.0/orders"),
    ],
)
def test_unknown_path_returns_404(method: str, path: str) -> None:
    problem = _problem(_head(method, path, headers=(("x-api-key", _KEY),)))

    assert (problem["status"], problem["type"]) == (404, "tag:kimmyai.io,2026:route-not-found")


@pytest.mark.parametrize("headers", [(), (("x-api-key", _KEY),)])
@pytest.mark.parametrize(
    ("path", "other_methods", "allow"),
    [
        ("/v1.0/products", ("HEAD", "PUT", "DELETE"), "GET, POST, OPTIONS"),
        ("/v1.0/products/", ("HEAD", "PUT", "DELETE"), "GET, POST, OPTIONS"),
        ("/v1.0/products/PROD-1", ("HEAD", "POST"), "GET, PUT, DELETE, OPTIONS"),
    ],
)
def test_other_method_returns_405_with_allow(
    path: str, other_methods: tuple[str, ...], allow: str, headers: tuple[tuple[str, str], ...]
) -> None:
    for method in (*other_methods, "PATCH", "TRACE", "get", "PROPFIND"):
        head = _head(method, path, headers=headers)
        response = route(head, _KEY)

        assert not isinstance(response, Call)
        assert response["headers"]["Allow"] == allow
        preflight = route(_head("OPTIONS", path), _KEY)
        assert not isinstance(preflight, Call)
        assert preflight["headers"]["Access-Control-Allow-Methods"] == allow
        assert _problem(head) == {
            "type": "tag:kimmyai.io,2026:method-not-allowed",
            "title": "The method is not allowed",
            "status": 405,
            "detail": "Use one of the methods in Allow.",
            "instance": "request-1",
        }


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1.0/products"),
        ("PUT", "/v1.0/products/PROD-1"),
        ("DELETE", "/v1.0/products/PROD-1"),
    ],
)
@pytest.mark.parametrize("sent", [(), (("x-api-key", ""),), (("x-api-key", "sécret"),)])
def test_write_without_key_returns_403(
    method: str, path: str, sent: tuple[tuple[str, str], ...]
) -> None:
    problem = _problem(_head(method, path, headers=sent))

    assert (problem["status"], problem["type"]) == (403, "tag:kimmyai.io,2026:forbidden")


@pytest.mark.parametrize("sent", [(), (("x-api-key", ""),), (("x-api-key", "x"),)])
def test_empty_key_of_server_allows_no_write(sent: tuple[tuple[str, str], ...]) -> None:
    response = route(_head("POST", headers=sent), "")

    assert not isinstance(response, Call)
    assert response["statusCode"] == 403


@pytest.mark.parametrize(
    ("path", "methods"),
    [("/v1.0/products", {"GET", "POST"}), ("/v1.0/products/X", {"DELETE", "GET", "PUT"})],
)
def test_preflight_allows_methods_of_path(path: str, methods: set[str]) -> None:
    response = route(_head("OPTIONS", path), _KEY)

    assert not isinstance(response, Call)
    assert (response["statusCode"], response["body"]) == (204, "")
    assert set(response["headers"]["Access-Control-Allow-Methods"].split(", ")) == {
        *methods,
        "OPTIONS",
    }
    assert set(response["headers"]["Access-Control-Allow-Headers"].split(", ")) == {
        "content-type",
        "x-api-key",
        "if-match",
        "if-none-match",
        "idempotency-key",
    }
    assert response["headers"]["Access-Control-Allow-Origin"] == "*"


def test_event_contains_whole_request() -> None:
    headers = (("x-api-key", _KEY), ("user-agent", "curl"), ("accept", "*/*"))
    event = _event(_head("PUT", "/v1.0/products/PROD-1", "a=1", headers), b'{"price": 1}')
    milliseconds = event["requestContext"].pop("requestTimeEpoch")

    assert milliseconds > 1_700_000_000_000
    assert event == {
        "resource": "/products/{productId}",
        "path": "/products/PROD-1",
        "httpMethod": "PUT",
        "headers": dict(headers),
        "multiValueHeaders": {name: [value] for name, value in headers},
        "queryStringParameters": {"a": "1"},
        "multiValueQueryStringParameters": {"a": ["1"]},
        "pathParameters": {"productId": "PROD-1"},
        "stageVariables": None,
        "requestContext": {
            "requestId": "request-1",
            "stage": "v1_0",
            "resourcePath": "/products/{productId}",
            "httpMethod": "PUT",
            "path": "/v1.0/products/PROD-1",
            "protocol": "HTTP/1.1",
            "identity": {
                "sourceIp": "127.0.0.1",
                "userAgent": "curl",
                "apiKeyId": "local-key",
                "apiKey": _KEY,
            },
        },
        "body": '{"price": 1}',
        "isBase64Encoded": False,
    }


def test_missing_parts_of_request_are_null() -> None:
    event = _event(_head())

    assert event["queryStringParameters"] is None
    assert event["multiValueQueryStringParameters"] is None
    assert event["pathParameters"] is None
    assert event["body"] is None
    assert "apiKeyId" not in event["requestContext"]["identity"]


def test_last_of_several_values_is_the_single_value() -> None:
    event = _event(_head(query="sort=a&sort=b&limit=1", headers=(("accept", "x"), ("accept", "y"))))

    assert event["headers"]["accept"] == "y"
    assert event["multiValueHeaders"]["accept"] == ["x", "y"]
    assert event["queryStringParameters"] == {"sort": "b", "limit": "1"}
    assert event["multiValueQueryStringParameters"] == {"sort": ["a", "b"], "limit": ["1"]}


@pytest.mark.parametrize(
    ("query", "parameters"),
    [
        ("nextToken=a%2Fb%3D", {"nextToken": "a/b="}),
        ("a+b=c+d", {"a b": "c d"}),
        ("limit", {"limit": ""}),
        ("limit=", {"limit": ""}),
        ("=1", {"": "1"}),
        ("x=%", {"x": "%"}),
        ("x=%zz", {"x": "%zz"}),
        ("x=%ff", {"x": "\N{REPLACEMENT CHARACTER}"}),
        ("&&", None),
    ],
)
def test_query_string_is_decoded(query: str, parameters: dict[str, str] | None) -> None:
    assert _event(_head(query=query))["queryStringParameters"] == parameters


@pytest.mark.parametrize(
    ("sent", "product_id"),
    [
        ("PROD%2D1", "PROD-1"),
        ("a%2Fb", "a/b"),
        ("a+b", "a+b"),
        ("%", "%"),
        ("%ff", "\N{REPLACEMENT CHARACTER}"),
        ("%00", "\0"),
    ],
)
def test_path_parameter_is_decoded(sent: str, product_id: str) -> None:
    event = _event(_head(path=f"/v1.0/products/{sent}"))

    assert event["pathParameters"] == {"productId": product_id}
    assert event["path"] == f"/products/{sent}"


@pytest.mark.parametrize(
    ("body", "text", "is_base64"),
    [
        (b"", None, False),
        (b"{}", "{}", False),
        ("ä\0".encode(), "ä\0", False),
        (b"\xff\xfe", "//4=", True),
    ],
)
def test_body_that_is_not_utf8_is_sent_as_base64(
    body: bytes, text: str | None, *, is_base64: bool
) -> None:
    event = _event(_head("POST", headers=(("x-api-key", _KEY),)), body)

    assert (event["body"], event["isBase64Encoded"]) == (text, is_base64)


def test_result_may_have_bytes_and_repeated_headers() -> None:
    response = http_response(
        {
            "statusCode": 200,
            "headers": {"ETag": '"1"', "Vary": "Accept"},
            "multiValueHeaders": {"vary": ["Origin", "Cookie"]},
            "body": "//4=",
            "isBase64Encoded": True,
        }
    )

    assert response.headers == [("ETag", '"1"'), ("vary", "Origin"), ("vary", "Cookie")]
    assert response.body == b"\xff\xfe"


def test_result_may_have_only_a_status() -> None:
    response = http_response({"statusCode": 204})

    assert (response.status, response.headers, response.body) == (204, [], b"")


# Compression

_HEADERS = (("Content-Type", "application/json"), ("ETag", '"1-20260131093000123456"'))
_LARGE = HttpResponse(200, _HEADERS, b"a" * SMALLEST_COMPRESSED)


@pytest.mark.parametrize(
    "accepted", ["gzip", "gzip, deflate, br", "br, GZIP", "br;q=1.0, gzip;q=0.5", "gzip;q=0.001"]
)
def test_large_body_is_compressed_where_gzip_is_named(accepted: str) -> None:
    response = compressed(_LARGE, accepted)

    assert gzip.decompress(response.body) == _LARGE.body
    assert (*_HEADERS, ("Content-Encoding", "gzip")) == tuple(response.headers)
    assert response == compressed(_LARGE, accepted)


@pytest.mark.parametrize(
    "accepted", ["", "*", "identity", "br, deflate", "gzip;q=0", "gzip; q=0.000", "xgzip"]
)
def test_body_is_plain_where_gzip_is_not_accepted(accepted: str) -> None:
    assert compressed(_LARGE, accepted) == _LARGE


def test_smaller_body_is_never_compressed() -> None:
    small = HttpResponse(200, _HEADERS, _LARGE.body[1:])

    assert compressed(small, "gzip") == small
