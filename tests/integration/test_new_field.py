"""Every writable field of a product is kept by creation, change, list, export and load.

The test takes the fields from the request models; a new field needs only two values here.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

import catalogue
from product_lambda.models.requests import CreateProductRequest, UpdateProductRequest
from product_lambda.validators.commands import parse_command
from tests.support.factory import unused_key
from tests.support.local_process import KEY, local_server
from tests.support.product_api import ProductApi
from tests.support.products import command

GUIDE = 'the section "Add a field" of CONTRIBUTING.md lists every file that must know a field'
FORMATS = (".yaml", ".json", ".csv")  # of the files that export writes and load reads
FIXED_FIELDS = {"productId"}  # a change never contains them
STATE_FIELDS = {"active"}  # a restoration, which is no value of a catalogue
# For each field, by its JSON name: the value that creates the product, and the changed value.
VALUES: Mapping[str, tuple[object, object]] = {
    "productId": ("PROD-EVERY-FIELD", "PROD-EVERY-FIELD"),
    "name": ("Every field", "Every field, changed"),
    "description": ("Two lines:\n\tthe second.", "One line."),
    "price": (Decimal("19.99"), Decimal("0.07")),
    "setupFee": (Decimal("1500.5"), Decimal("0.1")),
    "currency": ("NAD", "EUR"),
    "period": ("once-off", "yearly"),
    "features": (["One domain"], ["Two | domains", "Five mailboxes"]),
}

pytestmark = pytest.mark.usefixtures("script_environment")


@pytest.fixture
def source(tmp_path: Path) -> Iterator[ProductApi]:
    """The API that the product is created in."""
    with local_server(tmp_path / "source") as server:
        yield ProductApi(f"{server.address}/v1.0", KEY)


@pytest.fixture
def destination(tmp_path: Path) -> Iterator[ProductApi]:
    """An empty API with its own table, to load the catalogue into."""
    with local_server(tmp_path / "destination") as server:
        yield ProductApi(f"{server.address}/v1.0", KEY)


def writable_fields(model: type[BaseModel]) -> dict[str, object]:
    """Return the default of each field that a request body may contain, by its JSON name."""
    fields = {str(field.alias): field.default for field in model.model_fields.values()}
    return {name: default for name, default in fields.items() if name not in STATE_FIELDS}


def body_of(model: type[BaseModel], position: int) -> dict[str, Any]:
    """Return a request body with a value for every field; `position` selects from `VALUES`."""
    body = {}
    for field, default in writable_fields(model).items():
        if field not in VALUES:
            pytest.fail(
                f"{model.__name__} has the field {field}, and this test has no values for it: add"
                f" two values that differ from its default to VALUES; {GUIDE}."
            )
        body[field] = VALUES[field][position]
        assert body[field] != default
    return body


def check(step: str, product: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Fail with the names of the fields that a product has lost."""
    lost = [field for field, value in expected.items() if product.get(field) != value]
    if lost:
        pytest.fail(f"{step} lost {', '.join(lost)} or gave another value: {GUIDE}.")


def run(api: ProductApi, command: str, path: Path) -> None:
    access = ["--base-url", api.base_url, "--api-key", api.api_key]
    assert catalogue.main([command, *access, str(path)]) == 0


def test_change_takes_every_field_of_creation_but_the_id() -> None:
    missing = writable_fields(CreateProductRequest).keys() - writable_fields(UpdateProductRequest)

    assert missing == FIXED_FIELDS, f"UpdateProductRequest lacks a field; {GUIDE}."


def test_every_field_survives_the_queue() -> None:
    """Where writes may be accepted for later, a command has the fields of the request."""
    creation = CreateProductRequest.model_validate(body_of(CreateProductRequest, 0)).draft()
    sent = command(product_id=creation.product_id, draft=creation)
    assert parse_command(sent.message()).draft == creation, f"a creation lost a field; {GUIDE}."

    changes = UpdateProductRequest.model_validate(body_of(UpdateProductRequest, 1)).changes()
    sent = command(changes=changes)
    assert parse_command(sent.message()).changes == changes, f"a change lost a field; {GUIDE}."


def test_every_field_survives_change_export_and_load(
    source: ProductApi, destination: ProductApi, tmp_path: Path
) -> None:
    created = body_of(CreateProductRequest, 0)
    changes = body_of(UpdateProductRequest, 1)
    changed = created | changes
    product_id = created["productId"]

    headers = {"Idempotency-Key": unused_key()}
    for step in ("The creation", "The repeated creation"):
        response = source.create_product(created, headers)
        assert response.status == 201, response
        check(step, response.json(), created)
    check("The read after the creation", source.get_product(product_id).json(), created)

    response = source.update_product(product_id, changes)
    assert response.status == 200, response
    check("The change", response.json(), changed)
    check("The read after the change", source.get_product(product_id).json(), changed)
    [listed] = source.list_products().json()["products"]
    check("The list", listed, changed)

    for ending in FORMATS:
        export, second_export = tmp_path / f"first{ending}", tmp_path / f"second{ending}"
        run(source, "export", export)
        run(destination, "load", export)
        step = f"Export and load of {ending}"
        check(step, destination.get_product(product_id).json(), changed)
        run(destination, "export", second_export)
        assert second_export.read_bytes() == export.read_bytes()
        # The load of the next format must change every field.
        destination.update_product(product_id, body_of(UpdateProductRequest, 0))
