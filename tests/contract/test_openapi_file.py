"""The OpenAPI file: it is valid and complete, and its examples agree with the service."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml
from openapi_spec_validator import OpenAPIV31SpecValidator

from product_lambda.exceptions import (
    DependencyUnavailableException,
    IdempotencyKeyInFlightException,
    InternalException,
    ProductServiceException,
    ReadOnlyException,
)
from product_lambda.models.product import SortOrder
from product_tools.functions import ROUTES
from tests.support.factory import (
    product_body,
    product_body_without,
    unused_key,
    unused_product_id,
)
from tests.support.product_api import ProductApi
from tests.support.response_check import (
    OPENAPI_FILE,
    ApiResponse,
    openapi_document,
    problem_examples,
    resolved,
    schema_errors,
)

DOCUMENT = openapi_document()
OPERATIONS: dict[str, dict[str, Any]] = {
    f"{method.upper()} {path}": operation
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
    if method != "parameters"
}
COMMON_HEADERS = {
    "Access-Control-Allow-Origin",
    "Access-Control-Expose-Headers",
    "Cache-Control",
    "X-Content-Type-Options",
    "X-Request-Id",
}


def _contents() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each request and response body that the file describes."""
    for name, operation in OPERATIONS.items():
        bodies = {"request": operation.get("requestBody", {}), **operation["responses"]}
        for status, body in bodies.items():
            for media_type, content in resolved(body).get("content", {}).items():
                yield f"{name} {status} {media_type}", content


CONTENTS = dict(_contents())


def test_openapi_file_is_valid() -> None:
    OpenAPIV31SpecValidator(yaml.safe_load(OPENAPI_FILE.read_bytes())).validate()


def test_openapi_file_has_each_operation() -> None:
    assert set(OPERATIONS) == {f"{route.method} {route.path}" for route in ROUTES.values()}


def test_generated_clients_get_names_of_sort_orders() -> None:
    schema = DOCUMENT["components"]["parameters"]["Sort"]["schema"]
    names = dict(zip(schema["x-enum-varnames"], schema["enum"], strict=True))
    assert names == {order.name: order.value for order in SortOrder}


def test_operations_need_key_as_their_routes() -> None:
    with_key = {f"{route.method} {route.path}" for route in ROUTES.values() if route.needs_key}
    for name, operation in OPERATIONS.items():
        secured = operation.get("security", DOCUMENT["security"]) == [{"ApiKeyAuth": []}]
        assert secured == (name in with_key)
        assert secured == ("403" in operation["responses"])


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_response_lists_its_headers(name: str) -> None:
    for status, response in OPERATIONS[name]["responses"].items():
        headers = resolved(response)["headers"]
        assert set(headers) >= COMMON_HEADERS
        assert ("Retry-After" in headers) == (status in {"409", "429", "503"})


@pytest.mark.parametrize("name", CONTENTS)
def test_body_examples_match_schema(name: str) -> None:
    examples = CONTENTS[name]["examples"]
    assert examples
    for example in examples.values():
        assert not schema_errors(resolved(example)["value"], CONTENTS[name]["schema"])


@pytest.mark.parametrize("kind", ["parameters", "headers"])
def test_parameter_and_header_examples_match_schema(kind: str) -> None:
    for part in DOCUMENT["components"][kind].values():
        if "example" in part:
            assert not schema_errors(part["example"], part["schema"])


def test_example_requests_succeed(api: ProductApi) -> None:
    create = CONTENTS["POST /products request application/json"]["examples"]
    update = CONTENTS["PUT /products/{productId} request application/json"]["examples"]
    for example in create.values():
        created = api.create_product({**example["value"], "productId": unused_product_id()})
        assert created.status == 201
        for change in update.values():
            changed = api.update_product(created.json()["productId"], change["value"])
            assert changed.status == 200


def _create_taken_id(api: ProductApi) -> ApiResponse:
    return api.create_product(product_body(productId=api.new_product()["productId"]))


def _update_old_version(api: ProductApi) -> ApiResponse:
    product_id = api.new_product()["productId"]
    return api.update_product(product_id, {"price": 1}, {"If-Match": '"7"'})


def _reuse_key(api: ProductApi) -> ApiResponse:
    key = {"Idempotency-Key": unused_key()}
    api.create_product(product_body(price=1), key)
    return api.create_product(product_body(price=2), key)


REQUESTS_BY_EXAMPLE: dict[str, Callable[[ProductApi], ApiResponse]] = {
    "parameters": lambda api: api.list_products(limit=0, colour="red"),
    "productId": lambda api: api.get_product("prod-002"),
    "fields": lambda api: api.create_product({**product_body_without("name"), "version": 1}),
    "forbidden": lambda api: api.request("POST", "/products"),
    "productNotFound": lambda api: api.get_product(unused_product_id()),
    "duplicateProduct": _create_taken_id,
    "preconditionFailed": _update_old_version,
    "payloadTooLarge": lambda api: api.create_product(b" " * 300_000),
    "unsupportedMediaType": lambda api: api.create_product({}, {"Content-Type": "application/xml"}),
    "idempotencyKeyReused": _reuse_key,
}
EXCEPTIONS_BY_EXAMPLE: dict[str, ProductServiceException] = {
    "idempotencyKeyInFlight": IdempotencyKeyInFlightException(),
    "internalError": InternalException(),
    "serviceUnavailable": DependencyUnavailableException(),
    "readOnly": ReadOnlyException(),
}
ANY_ID = re.compile(r"PROD-[A-Z0-9-]+")


@pytest.mark.parametrize("name", REQUESTS_BY_EXAMPLE)
def test_error_example_equals_response(api: ProductApi, name: str) -> None:
    example = {**problem_examples()[name], "instance": ""}
    problem = {**REQUESTS_BY_EXAMPLE[name](api).json(), "instance": ""}
    for document in (example, problem):
        document["detail"] = ANY_ID.sub("PROD-002", document["detail"])
    assert problem == example


@pytest.mark.parametrize("name", EXCEPTIONS_BY_EXAMPLE)
def test_rare_error_example_equals_exception(name: str) -> None:
    example, error = problem_examples()[name], EXCEPTIONS_BY_EXAMPLE[name]
    assert example["type"].endswith(f":{error.problem}")
    assert (example["status"], example["title"]) == (error.status, error.title)
    assert example["detail"] == error.detail


def test_every_error_example_is_compared() -> None:
    # Only the gateway of a deployed stack throttles.
    assert set(problem_examples()) == {*REQUESTS_BY_EXAMPLE, *EXCEPTIONS_BY_EXAMPLE, "throttled"}
