"""Checks responses of the API against the OpenAPI file and against the rules for all responses.

It sends nothing.
"""

import base64
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs

import yaml
from openapi_schema_validator import OAS31Validator, oas31_format_checker
from pydantic import TypeAdapter, ValidationError
from urllib3 import HTTPHeaderDict

from product_lambda.models.requests import Price, SetupFee
from tests.support.leaks import INTERNAL_DETAIL

OPENAPI_FILE: Final = Path(__file__).parents[2] / "openapi/product-api.yaml"

UNEVALUATED_REQUEST_ID: Final = "context.requestId"
"""The X-Request-Id of a 405 on the emulator, whose mock integrations evaluate no expressions."""

_PRICE: Final = TypeAdapter[Decimal](Price)
_SETUP_FEE: Final = TypeAdapter[Decimal | None](SetupFee | None)
_EXPOSED: Final = {"etag", "location", "retry-after", "x-request-id", "idempotency-replayed"}


FILTERS = frozenset({"currency", "period", "minPrice", "maxPrice", "name"})
"""The parameters that make a list a search, whose pages may be short."""


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """A response of the API to `method` on `path`, which starts after the base URL."""

    method: str
    path: str
    status: int
    headers: HTTPHeaderDict
    body: bytes
    query: str = ""

    def is_search(self) -> bool:
        """Return whether the request has filters, in its parameters or in its token."""
        parameters = parse_qs(self.query)
        token = parameters.get("nextToken", [""])[0]
        in_token = base64.urlsafe_b64decode(f"{token}==").count(b"|") > 2
        return in_token or not parameters.keys().isdisjoint(FILTERS)

    def json(self) -> dict[str, Any]:
        """Return the JSON document of the body, with fractional numbers as Decimal."""
        document: dict[str, Any] = json.loads(
            self.body.decode("utf-8"), parse_float=Decimal, object_pairs_hook=_object
        )
        return document

    def error_fields(self) -> set[str]:
        """Return the fields, parameters and headers that a 400 or 422 lists under `errors`."""
        return {error["field"] for error in self.json()["errors"]}


class _ExactNumbers(yaml.CSafeLoader):
    """Loads fractional YAML numbers as Decimal, so that 19.99 equals a response's 19.99."""


def _exact(_: yaml.CSafeLoader, number: yaml.ScalarNode) -> Decimal:
    return Decimal(number.value)


_ExactNumbers.add_constructor("tag:yaml.org,2002:float", _exact)


def openapi_document() -> dict[str, Any]:
    """Return the OpenAPI file, with fractional numbers as Decimal."""
    document: dict[str, Any] = yaml.load(OPENAPI_FILE.read_bytes(), _ExactNumbers)  # noqa: S506
    return document


_DOCUMENT: Final = openapi_document()


def resolved(part: dict[str, Any]) -> dict[str, Any]:
    """Return the target of a `$ref` into the file's components; anything else unchanged."""
    if "$ref" not in part:
        return part
    _, section, name = part["$ref"].removeprefix("#/").split("/")
    target: dict[str, Any] = _DOCUMENT["components"][section][name]
    return target


def problem_examples() -> dict[str, dict[str, Any]]:
    """Return the file's example problem documents, by the name of the example."""
    media_type = "application/problem+json"
    return {
        name: example["value"]
        for response in _DOCUMENT["components"]["responses"].values()
        for name, example in response.get("content", {})
        .get(media_type, {})
        .get("examples", {})
        .items()
    }


def schema_errors(instance: object, schema: dict[str, Any]) -> list[str]:
    """Validate a value against a schema of the file, and return the errors."""
    validator = OAS31Validator(
        {"allOf": [schema], "components": _DOCUMENT["components"]},
        format_checker=oas31_format_checker,
    )
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(instance)]


# The status and title of each problem type. The file's examples cover all types except those of an
# unknown route and method, because the file describes only known ones.
_PROBLEMS: Final = {
    "tag:kimmyai.io,2026:route-not-found": (404, "No such route"),
    "tag:kimmyai.io,2026:method-not-allowed": (405, "The method is not allowed"),
    **{
        example["type"]: (example["status"], example["title"])
        for example in problem_examples().values()
    },
}


def check_response(response: ApiResponse) -> None:
    """Check a response.

    Raises:
        AssertionError: it breaks a rule; the message has the rule and the response.
    """
    __tracebackhide__ = True
    try:
        _check(response)
    except AssertionError as error:
        raise AssertionError(f"{error}\nin the response {response}") from None


def _check(response: ApiResponse) -> None:
    _check_common_headers(response)
    if response.method == "OPTIONS" and response.status < 300:
        return
    if response.status in {204, 304} or response.method == "HEAD":
        assert response.body == b"", "the body is not empty"
    if response.status >= 400:
        _check_problem(response)
    methods = _methods_of(response.path)
    if not methods:
        assert response.status == 404, "a path outside the OpenAPI file must be not found"
        return
    if response.method not in methods:
        _check_method_not_allowed(response, methods.keys())
        return
    described = methods[response.method]["responses"].get(str(response.status))
    assert described, f"the OpenAPI file has no {response.status} for this operation"
    _check_description(response, resolved(described))
    if response.status in {200, 201}:
        _check_success(response)


def _methods_of(path: str) -> dict[str, dict[str, Any]]:
    """Return the operations of a path, by method; none for an unknown path."""
    for template, item in _DOCUMENT["paths"].items():
        if re.fullmatch(template.replace("{productId}", "[^/]+"), path):
            return {key.upper(): operation for key, operation in item.items() if key in _METHODS}
    return {}


_METHODS: Final = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}
"""The fields of a Path Item Object in OpenAPI 3.1 that are operations."""


def _check_method_not_allowed(response: ApiResponse, methods: Iterable[str]) -> None:
    """Check 405 and `Allow` (RFC 9110, section 15.5.6)."""
    assert response.status == 405, "a method outside the OpenAPI file must be 405"
    allowed = response.headers.get("Allow", "").split(", ")
    assert sorted(allowed) == sorted({*methods, "OPTIONS"}), f"Allow: {allowed}"


def _check_common_headers(response: ApiResponse) -> None:
    headers = response.headers
    assert headers.get("Access-Control-Allow-Origin"), "Access-Control-Allow-Origin is missing"
    exposed = headers.get("Access-Control-Expose-Headers", "")
    expected = {*_EXPOSED, "preference-applied"} if response.status == 202 else _EXPOSED
    assert {name.strip().lower() for name in exposed.split(",")} == expected, f"exposes {exposed}"
    # No function runs for a preflight on a deployed stack, and an emulated gateway's mock
    # integration returns only constants, so it has no request id.
    assert headers.get("X-Request-Id") or response.method == "OPTIONS", "X-Request-Id is missing"
    assert headers.get("X-Content-Type-Options") == "nosniff", "nosniff is missing"
    caching = headers.get("Cache-Control", "")
    is_public = response.path != "/deleted-products"
    if response.method == "GET" and response.status in {200, 304} and is_public:
        is_known = caching in {"no-cache", "private, no-cache"} or "max-age" in caching
        assert is_known, f"a read with Cache-Control {caching}"
        assert "Accept-Encoding" in headers.get("Vary", ""), "Vary without Accept-Encoding"
    elif response.method != "OPTIONS":
        assert caching == "no-store", f"Cache-Control {caching}"


def _check_problem(response: ApiResponse) -> None:
    """Check a problem document (RFC 9457), and that it leaks no internal details."""
    if response.method == "HEAD":
        return
    content_type = response.headers.get("Content-Type")
    assert content_type == "application/problem+json", "not a problem document"
    problem = response.json()
    assert problem["type"] in _PROBLEMS, f"an unknown type {problem['type']}"
    status, title = _PROBLEMS[problem["type"]]
    assert problem["status"] == status == response.status, "the type has another status"
    # RFC 9457, section 3.1.3: the title is the same on each occurrence of the type.
    assert problem["title"] == title, f"the title of this type is {title}"
    request_id = response.headers["X-Request-Id"]
    if response.status == 405 and request_id == UNEVALUATED_REQUEST_ID:
        request_id = f"${UNEVALUATED_REQUEST_ID}"
    assert problem["instance"] == request_id, "instance differs from X-Request-Id"
    assert ("errors" in problem) == (response.status in {400, 422}), "errors belong to 400 and 422"
    errors = [(error["field"], error["message"]) for error in problem.get("errors", [])]
    assert len(set(errors)) == len(errors), "an error is repeated"
    texts = "\n".join([problem["title"], problem["detail"], *(message for _, message in errors)])
    assert not (leak := INTERNAL_DETAIL.search(texts)), f"leaks an internal detail: {leak}"
    assert response.status != 500, "an internal error"
    waiting_helps = response.status in {429, 503} or problem["type"].endswith("-in-flight")
    assert waiting_helps == ("Retry-After" in response.headers), "Retry-After"


def _check_description(response: ApiResponse, described: dict[str, Any]) -> None:
    for name, part in described.get("headers", {}).items():
        header = resolved(part)
        if name in response.headers:
            assert not (
                errors := schema_errors(response.headers[name], header["schema"])
            ), f"{name}: {errors}"
        else:
            assert not header.get("required"), f"the header {name} is missing"
    if "content" not in described:
        # API Gateway gives every response a content type: this one, if the function sets none.
        content_type = response.headers.get("Content-Type", "application/json")
        assert content_type == "application/json", "a Content-Type without content"
        return
    content_type = response.headers.get("Content-Type", "")
    assert content_type in described["content"], f"Content-Type {content_type}"
    errors = schema_errors(response.json(), described["content"][content_type]["schema"])
    assert not errors, f"differs from the OpenAPI file: {errors}"


def _check_success(response: ApiResponse) -> None:
    document = response.json()
    if response.method == "GET" and response.path in {"/products", "/deleted-products"}:
        assert document["count"] == len(document["products"]) <= document["limit"], "count"
        assert document["moreAvailable"] == (document["nextToken"] is not None), "moreAvailable"
        full = document["count"] == document["limit"]
        may_be_short = not document["moreAvailable"] or response.is_search()
        assert full or may_be_short, "a page before the last is not full"
        for product in document["products"]:
            _check_product(product, is_active=response.path == "/products")
        return
    _check_product(document, is_active=True)
    if response.status == 201:
        location = response.headers["Location"]
        assert location.endswith(f"/products/{document['productId']}"), "Location"


def _check_product(product: dict[str, Any], *, is_active: bool) -> None:
    """Check the rules of a product that the schema has not, such as at most two decimals."""
    assert product["active"] is is_active, "an inactive product, or an active one"
    try:
        _PRICE.validate_python(product["price"])
        _SETUP_FEE.validate_python(product.get("setupFee"))
    except ValidationError as invalid:
        raise AssertionError(f"an invalid amount in {product}") from invalid


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    assert len(fields) == len(pairs), "a field is repeated"
    return fields
