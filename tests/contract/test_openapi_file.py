"""The OpenAPI file by itself: it is valid, complete, and its examples are true."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml
from openapi_spec_validator import OpenAPIV30SpecValidator

from product_lambda.exceptions import (
    DependencyUnavailableException,
    IdempotencyKeyInFlightException,
    InternalException,
    ProductServiceException,
    ReadOnlyException,
)
from product_tools.functions import ROUTES
from tests.support.factory import (
    product_body,
    product_body_without,
    unused_key,
    unused_product_id,
)
from tests.support.judge import (
    OPENAPI_FILE,
    ApiResponse,
    faults,
    openapi_document,
    problem_examples,
    resolved,
)
from tests.support.product_api import ProductApi

DOCUMENT = openapi_document()
OPERATIONS: dict[str, dict[str, Any]] = {
    f"{method.upper()} {path}": operation
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
    if method != "parameters"
}
ON_EVERY_ANSWER = {
    "Access-Control-Allow-Origin",
    "Access-Control-Expose-Headers",
    "Cache-Control",
    "X-Content-Type-Options",
    "X-Request-Id",
}


def _contents() -> Iterator[tuple[str, dict[str, Any]]]:
    """Each body that the file describes: of requests, of answers."""
    for name, operation in OPERATIONS.items():
        bodies = {"request": operation.get("requestBody", {}), **operation["responses"]}
        for status, body in bodies.items():
            for media_type, content in resolved(body).get("content", {}).items():
                yield f"{name} {status} {media_type}", content


CONTENTS = dict(_contents())


def test_the_file_is_valid() -> None:
    OpenAPIV30SpecValidator(yaml.safe_load(OPENAPI_FILE.read_bytes())).validate()


def test_the_file_describes_the_five_operations() -> None:
    assert set(OPERATIONS) == {f"{method} {path}" for method, path in ROUTES.values()}


def test_only_writes_ask_for_a_key() -> None:
    for name, operation in OPERATIONS.items():
        secured = operation.get("security", DOCUMENT["security"]) == [{"ApiKeyAuth": []}]
        assert secured == (not name.startswith("GET"))
        assert secured == ("403" in operation["responses"])


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_answer_names_its_headers(name: str) -> None:
    for status, response in OPERATIONS[name]["responses"].items():
        headers = resolved(response)["headers"]
        assert set(headers) >= ON_EVERY_ANSWER
        assert ("Retry-After" in headers) == (status in {"409", "429", "503"})


@pytest.mark.parametrize("name", CONTENTS)
def test_each_body_has_examples_that_fit_its_schema(name: str) -> None:
    examples = CONTENTS[name]["examples"]
    assert examples
    for example in examples.values():
        assert not faults(resolved(example)["value"], CONTENTS[name]["schema"])


@pytest.mark.parametrize("kind", ["parameters", "headers"])
def test_the_example_of_each_parameter_and_header_fits_its_schema(kind: str) -> None:
    for part in DOCUMENT["components"][kind].values():
        if "example" in part:
            assert not faults(part["example"], part["schema"])


def test_the_requests_of_the_examples_succeed(api: ProductApi) -> None:
    create = CONTENTS["POST /products request application/json"]["examples"]
    update = CONTENTS["PUT /products/{productId} request application/json"]["examples"]
    for example in create.values():
        created = api.create_product({**example["value"], "productId": unused_product_id()})
        assert created.status == 201
        for change in update.values():
            changed = api.update_product(created.json()["productId"], change["value"])
            assert changed.status == 200


def _taken(api: ProductApi) -> ApiResponse:
    return api.create_product(product_body(productId=api.new_product()["productId"]))


def _stale(api: ProductApi) -> ApiResponse:
    product_id = api.new_product()["productId"]
    return api.update_product(product_id, {"price": 1}, {"If-Match": '"7"'})


def _reused(api: ProductApi) -> ApiResponse:
    key = {"Idempotency-Key": unused_key()}
    api.create_product(product_body(price=1), key)
    return api.create_product(product_body(price=2), key)


PROVOKED: dict[str, Callable[[ProductApi], ApiResponse]] = {
    "parameters": lambda api: api.list_products(limit=0, colour="red"),
    "productId": lambda api: api.get_product("prod-002"),
    "fields": lambda api: api.create_product({**product_body_without("name"), "version": 1}),
    "forbidden": lambda api: api.request("POST", "/products"),
    "productNotFound": lambda api: api.get_product(unused_product_id()),
    "duplicateProduct": _taken,
    "preconditionFailed": _stale,
    "payloadTooLarge": lambda api: api.create_product(b" " * 300_000),
    "unsupportedMediaType": lambda api: api.create_product({}, {"Content-Type": "application/xml"}),
    "idempotencyKeyReused": _reused,
}
NOT_PROVOKED: dict[str, ProductServiceException] = {
    "idempotencyKeyInFlight": IdempotencyKeyInFlightException(),
    "internalError": InternalException(),
    "serviceUnavailable": DependencyUnavailableException(),
    "readOnly": ReadOnlyException(),
}
ANY_ID = re.compile(r"PROD-[A-Z0-9-]+")


@pytest.mark.parametrize("name", PROVOKED)
def test_an_example_of_an_error_is_what_the_api_answers(api: ProductApi, name: str) -> None:
    shown = {**problem_examples()[name], "instance": ""}
    answered = {**PROVOKED[name](api).json(), "instance": ""}
    for problem in (shown, answered):
        problem["detail"] = ANY_ID.sub("PROD-002", problem["detail"])
    assert answered == shown


@pytest.mark.parametrize("name", NOT_PROVOKED)
def test_an_example_of_a_rare_error_is_what_the_service_says(name: str) -> None:
    shown, said = problem_examples()[name], NOT_PROVOKED[name]
    assert shown["type"].endswith(f":{said.problem}")
    assert (shown["status"], shown["title"]) == (said.status, said.title)
    assert shown["detail"] == said.detail


def test_each_example_of_an_error_is_held_against_the_service() -> None:
    # What throttles is the gateway, on a deployed stack alone.
    assert set(problem_examples()) == {*PROVOKED, *NOT_PROVOKED, "throttled"}
