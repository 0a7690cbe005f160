"""Common headers of responses, problem documents, and money in JSON."""

import json
from decimal import Decimal

import pytest
from hypothesis import given

from product_lambda import exceptions
from product_lambda.exceptions import (
    DependencyUnavailableException,
    DuplicateProductException,
    FieldError,
    IdempotencyKeyInFlightException,
    IdempotencyKeyReusedException,
    InternalException,
    PayloadTooLargeException,
    PreconditionFailedException,
    ProductNotFoundException,
    ProductServiceException,
    ReadOnlyException,
    UnsupportedMediaTypeException,
    ValidationException,
)
from product_lambda.utils.response_builder import (
    Response,
    edge_cache_control,
    entity_tag,
    gateway_response,
    json_response,
    not_modified,
    problem_response,
    read_response,
    to_json,
)
from tests.support.products import amounts

PROBLEMS: list[tuple[ProductServiceException, dict[str, object], str | None]] = [
    (
        ValidationException([FieldError("price", "send a number")]),
        {
            "type": "tag:kimmyai.io,2026:validation-error",
            "title": "The request is not valid",
            "status": 400,
            "detail": "Correct the fields listed under errors and send it again.",
            "errors": [{"field": "price", "message": "send a number"}],
        },
        None,
    ),
    (
        ProductNotFoundException("PROD-1"),
        {
            "type": "tag:kimmyai.io,2026:product-not-found",
            "title": "No such product",
            "status": 404,
            "detail": "There is no active product PROD-1.",
        },
        None,
    ),
    (
        DuplicateProductException("PROD-1"),
        {
            "type": "tag:kimmyai.io,2026:duplicate-product",
            "title": "The product id is taken",
            "status": 409,
            "detail": "The id PROD-1 is or was in use; choose another or leave productId out.",
        },
        None,
    ),
    (
        IdempotencyKeyInFlightException(),
        {
            "type": "tag:kimmyai.io,2026:idempotency-key-in-flight",
            "title": "A request with this key is in progress",
            "status": 409,
            "detail": "A request with this Idempotency-Key is in progress; "
            "send it again in a second.",
        },
        "1",
    ),
    (
        PreconditionFailedException("PROD-1"),
        {
            "type": "tag:kimmyai.io,2026:precondition-failed",
            "title": "The product has changed",
            "status": 412,
            "detail": "PROD-1 has another version than If-Match names; read it again, "
            "then repeat the change with its current ETag.",
        },
        None,
    ),
    (
        PayloadTooLargeException("Send at most 256 KiB."),
        {
            "type": "tag:kimmyai.io,2026:payload-too-large",
            "title": "The body is too large",
            "status": 413,
            "detail": "Send at most 256 KiB.",
        },
        None,
    ),
    (
        UnsupportedMediaTypeException(),
        {
            "type": "tag:kimmyai.io,2026:unsupported-media-type",
            "title": "The body must be JSON",
            "status": 415,
            "detail": "Send Content-Type: application/json, without a Content-Encoding.",
        },
        None,
    ),
    (
        IdempotencyKeyReusedException(),
        {
            "type": "tag:kimmyai.io,2026:idempotency-key-reused",
            "title": "The idempotency key belongs to another request",
            "status": 422,
            "detail": "Use a new Idempotency-Key for a new product.",
            "errors": [
                {
                    "field": "Idempotency-Key",
                    "message": "was used with another body; send a new key",
                }
            ],
        },
        None,
    ),
    (
        InternalException(),
        {
            "type": "tag:kimmyai.io,2026:internal-error",
            "title": "Internal error",
            "status": 500,
            "detail": "Report the value of instance to the team that runs this API.",
        },
        None,
    ),
    (
        DependencyUnavailableException(),
        {
            "type": "tag:kimmyai.io,2026:service-unavailable",
            "title": "The service is temporarily unavailable",
            "status": 503,
            "detail": "Send a read again. A change may have been made: read the product, "
            "or repeat the change with If-Match or its Idempotency-Key.",
        },
        "1",
    ),
    (
        ReadOnlyException(),
        {
            "type": "tag:kimmyai.io,2026:read-only",
            "title": "The catalogue is temporarily read-only",
            "status": 503,
            "detail": "Reads work; send the change again after the maintenance.",
        },
        "60",
    ),
]


@pytest.mark.parametrize(
    ("error", "document", "retry_after"), PROBLEMS, ids=[type(row[0]).__name__ for row in PROBLEMS]
)
def test_exception_becomes_problem_document(
    error: ProductServiceException, document: dict[str, object], retry_after: str | None
) -> None:
    response = problem_response(error, "request-1")
    assert json.loads(response.body) == {**document, "instance": "request-1"}
    assert response.status == document["status"]
    expected = {"Content-Type": "application/problem+json"}
    if retry_after:
        expected["Retry-After"] = retry_after
    assert response.headers == expected
    assert str(error) == document["detail"]


def test_each_exception_has_its_own_problem_type() -> None:
    classes = [
        kind
        for kind in vars(exceptions).values()
        if isinstance(kind, type) and issubclass(kind, ProductServiceException)
    ]
    shown = {type(row[0]) for row in PROBLEMS}
    # Callers need not know why the service is unavailable.
    assert set(classes) - {ProductServiceException, exceptions.TimeUpException} == shown
    assert len({kind.problem for kind in shown}) == len(shown)


def test_json_response_keeps_other_headers() -> None:
    assert json_response(201, "{}", {"ETag": '"1"'}) == Response(
        201, "{}", {"Content-Type": "application/json", "ETag": '"1"'}, None, replayed=False
    )


def test_response_is_empty_by_default() -> None:
    assert Response(204) == Response(204, "", {}, None, replayed=False)


def test_entity_tag_has_version_and_time_of_change() -> None:
    assert entity_tag(17, "2026-01-31T09:30:00.123456Z") == '"17-20260131093000123456"'


def test_long_list_of_errors_is_cut() -> None:
    errors = [FieldError("x" * 1000, f"message {number}") for number in range(1000)]
    response = problem_response(ValidationException(errors), "request-1")
    document = json.loads(response.body)
    assert document["errors"] == [
        {"field": "x" * 100, "message": f"message {number}"} for number in range(100)
    ]
    detail = ValidationException(errors).detail
    assert document["detail"] == f"{detail} 900 more errors are not listed."
    assert len(response.body) < 16_000


def test_field_name_without_utf8_is_replaced() -> None:
    response = problem_response(ValidationException([FieldError("\ud800", "m")]), "request-1")
    assert json.loads(response.body)["errors"] == [{"field": "?", "message": "m"}]


def test_list_of_100_errors_is_complete() -> None:
    errors = [FieldError("x", f"message {number}") for number in range(100)]
    document = json.loads(problem_response(ValidationException(errors), "request-1").body)
    assert len(document["errors"]) == 100
    assert "not listed" not in document["detail"]


def test_not_modified_has_no_body() -> None:
    headers = {"ETag": '"1"', "Cache-Control": "max-age=5", "Vary": "Accept-Encoding"}
    assert not_modified('"1"', "max-age=5") == Response(304, "", headers)


def test_read_has_the_cache_headers_of_its_304() -> None:
    response = read_response("{}", '"1"', "max-age=5")
    assert (response.status, response.body) == (200, "{}")
    assert response.headers == {
        **not_modified('"1"', "max-age=5").headers,
        "Content-Type": "application/json",
    }


def test_only_an_edge_cache_serves_a_read_for_some_time() -> None:
    expected = "max-age=0, s-maxage=60, stale-while-revalidate=2"
    assert edge_cache_control(60, has_key=False) == expected


def test_no_shared_cache_stores_a_read_with_a_key() -> None:
    assert edge_cache_control(60, has_key=True) == "private, no-cache"


def test_vary_names_the_encoding_and_one_of_several_origins() -> None:
    response = not_modified('"1"', "no-cache")
    for origins, vary in (("*",), "Accept-Encoding"), (("a", "b"), "Accept-Encoding, Origin"):
        assert gateway_response(response, "1", None, origins)["headers"]["Vary"] == vary


def test_json_is_compact_unicode() -> None:
    assert to_json({"a": [1, True, None], "b": "é\U0001f680"}) == (
        '{"a":[1,true,null],"b":"é\U0001f680"}'
    )


@given(amounts())
def test_money_keeps_its_digits(amount: Decimal) -> None:
    assert to_json({"price": amount}) == f'{{"price":{amount}}}'


# Common headers

COMMON = {
    "Access-Control-Expose-Headers": (
        "ETag, Location, Retry-After, X-Request-Id, Idempotency-Replayed"
    ),
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Request-Id": "request-1",
}


def test_every_response_has_common_headers() -> None:
    response = gateway_response(Response(204), "request-1", None, ("https://a.example",))
    assert response == {
        "statusCode": 204,
        "headers": {**COMMON, "Access-Control-Allow-Origin": "https://a.example"},
        "body": "",
        "isBase64Encoded": False,
    }


def test_response_headers_override_common_headers() -> None:
    response = Response(200, "{}", {"ETag": '"1"', "Cache-Control": "no-cache"})
    sent = gateway_response(response, "request-1", None, ("*",))
    assert sent["headers"] == {
        **COMMON,
        "Access-Control-Allow-Origin": "*",
        "ETag": '"1"',
        "Cache-Control": "no-cache",
    }
    assert sent["body"] == "{}"


@pytest.mark.parametrize(
    ("origin", "echoed"),
    [
        ("https://b.example", "https://b.example"),
        ("https://a.example", "https://a.example"),
        ("https://evil.example", "https://a.example"),
        ("https://b.example.evil", "https://a.example"),
        ("", "https://a.example"),
        (None, "https://a.example"),
    ],
)
def test_only_allowed_origin_is_repeated(origin: str | None, echoed: str) -> None:
    allowed = ("https://a.example", "https://b.example")
    headers = gateway_response(Response(200), "request-1", origin, allowed)["headers"]
    assert headers["Access-Control-Allow-Origin"] == echoed
    assert headers["Vary"] == "Origin"


@pytest.mark.parametrize("origin", [None, "https://evil.example", "*"])
def test_single_allowed_origin_needs_no_vary(origin: str | None) -> None:
    for only in ("*", "https://a.example"):
        headers = gateway_response(Response(200), "request-1", origin, (only,))["headers"]
        assert headers["Access-Control-Allow-Origin"] == only
        assert "Vary" not in headers
