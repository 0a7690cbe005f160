"""The OpenAPI file by itself: it is valid, complete, and its examples are true."""

from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from openapi_spec_validator import OpenAPIV30SpecValidator

from tests.contract.judge import OPENAPI_FILE, faults, openapi_document, resolved
from tests.contract.product_api import ProductApi
from tests.factory import unused_product_id

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
    assert set(OPERATIONS) == {
        "GET /products",
        "POST /products",
        "GET /products/{productId}",
        "PUT /products/{productId}",
        "DELETE /products/{productId}",
    }


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
        assert ("Retry-After" in headers) == (status in {"429", "503"})


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
