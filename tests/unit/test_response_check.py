"""The check of responses: methods that a path does not have, and amounts of money."""

import json
from contextlib import nullcontext
from decimal import Decimal
from typing import Any

import pytest
from urllib3 import HTTPHeaderDict

from product_lambda.utils.response_builder import to_json
from tests.support.products import product
from tests.support.response_check import ApiResponse, check_response

HEADERS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": (
        "ETag, Location, Retry-After, X-Request-Id, Idempotency-Replayed"
    ),
    "Cache-Control": "no-store",
    "Content-Type": "application/problem+json",
    "X-Content-Type-Options": "nosniff",
    "X-Request-Id": "1",
    "Allow": "GET, POST, OPTIONS",
}
PROBLEM = {
    "type": "tag:kimmyai.io,2026:method-not-allowed",
    "title": "The method is not allowed",
    "status": 405,
    "detail": "Use one of the methods in Allow.",
    "instance": "1",
}
ROUTE_NOT_FOUND = {
    **PROBLEM,
    "type": "tag:kimmyai.io,2026:route-not-found",
    "title": "No such route",
    "status": 404,
}


def response(
    method: str = "PATCH",
    path: str = "/products",
    problem: dict[str, Any] = PROBLEM,
    headers: dict[str, str] | None = None,
) -> ApiResponse:
    return ApiResponse(
        method,
        path,
        problem["status"],
        HTTPHeaderDict({**HEADERS, **(headers or {})}),
        b"" if method == "HEAD" else json.dumps(problem).encode(),
    )


@pytest.mark.parametrize("method", ["PATCH", "PUT", "DELETE", "HEAD"])
def test_405_with_methods_of_path_passes(method: str) -> None:
    check_response(response(method))
    if method in {"PATCH", "HEAD"}:
        allow = {"Allow": "DELETE, GET, PUT, OPTIONS"}
        check_response(response(method, "/products/PROD-1", headers=allow))


def test_405_of_emulator_passes() -> None:
    problem = {**PROBLEM, "instance": "$context.requestId"}
    check_response(response(problem=problem, headers={"X-Request-Id": "context.requestId"}))


@pytest.mark.parametrize(
    ("allow", "path"),
    [
        ("", "/products"),
        ("GET, POST", "/products"),
        ("GET, PUT, POST, OPTIONS", "/products"),
        ("GET,POST,OPTIONS", "/products"),
        ("GET, POST, OPTIONS", "/products/PROD-1"),
    ],
)
def test_405_with_other_methods_fails(allow: str, path: str) -> None:
    with pytest.raises(AssertionError, match=r"^Allow: "):
        check_response(response(path=path, headers={"Allow": allow}))


def test_404_for_method_of_known_path_fails() -> None:
    with pytest.raises(AssertionError, match="must be 405"):
        check_response(response(problem=ROUTE_NOT_FOUND))


def test_405_for_unknown_path_fails() -> None:
    with pytest.raises(AssertionError, match="must be not found"):
        check_response(response(path="/nowhere"))
    check_response(response(path="/nowhere", problem=ROUTE_NOT_FOUND))


def test_405_with_body_for_head_fails() -> None:
    with_body = ApiResponse("HEAD", "/products", 405, HTTPHeaderDict(HEADERS), b"{}")
    with pytest.raises(AssertionError, match="the body is not empty"):
        check_response(with_body)


def test_unevaluated_request_id_fails_for_other_status() -> None:
    problem = {**ROUTE_NOT_FOUND, "instance": "$context.requestId"}
    headers = {"X-Request-Id": "context.requestId"}
    with pytest.raises(AssertionError, match="instance differs"):
        check_response(response(path="/nowhere", problem=problem, headers=headers))


@pytest.mark.parametrize("field", ["price", "setupFee"])
@pytest.mark.parametrize(("amount", "is_valid"), [("19.99", True), ("19.999", False)])
def test_amount_has_at_most_two_decimals(field: str, amount: str, *, is_valid: bool) -> None:
    headers = {
        **HEADERS,
        "Cache-Control": "no-cache",
        "Vary": "Accept-Encoding",
        "Content-Type": "application/json",
        "ETag": '"1"',
    }
    body = to_json(product().representation() | {field: Decimal(amount)}).encode()
    received = ApiResponse("GET", "/products/PROD-1", 200, HTTPHeaderDict(headers), body)
    expected = nullcontext() if is_valid else pytest.raises(AssertionError, match="amount")
    with expected:
        check_response(received)
