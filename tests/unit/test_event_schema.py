"""The schema of change events: it is valid, agrees with the code, and only grows."""

import json
from copy import deepcopy
from decimal import Decimal
from typing import Any, get_args

import pytest
import yaml
from jsonschema import Draft202012Validator

from product_lambda.models.change import SCHEMA_VERSION, ChangeType, Write, creation, update
from product_lambda.models.product import PRODUCT_ID_PATTERN, Period
from product_lambda.repositories.event_bus import SOURCE, entry_for
from product_lambda.utils.response_builder import to_json
from product_tools.repository import REPOSITORY
from tests.support.products import product, second
from tests.support.stream_records import SCHEMA, checked_detail

SAMPLES = REPOSITORY / "schemas/examples/product-changes-1.0.json"
ASYNCAPI = yaml.safe_load((REPOSITORY / "schemas/product-events.asyncapi.yaml").read_text("utf-8"))
OPENAPI = yaml.safe_load((REPOSITORY / "openapi/product-api.yaml").read_text("utf-8"))
PUBLISHED: dict[str, dict[str, Any]] = json.loads(SAMPLES.read_text("utf-8"), parse_float=Decimal)
"""Details as version 1.0 published them, by type. A later version does not change them."""

WRITE = Write("0123456789abcdef", "2026-01-31T09:35:00.000000Z", "a1b2c3d4e5", sets_updated_at=True)


def types_in(value: object, path: str = "") -> dict[str, type]:
    """Return the type of each member of a JSON value, by path."""
    found = {path: Decimal if type(value) is int else type(value)}
    if isinstance(value, dict):
        for name, inner in value.items():
            found |= types_in(inner, f"{path}/{name}")
    return found


def test_schema_is_valid() -> None:
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("name", PUBLISHED)
def test_events_of_version_1_0_fit_schema(name: str) -> None:
    Draft202012Validator(SCHEMA).validate(PUBLISHED[name])


def test_samples_have_all_types() -> None:
    assert PUBLISHED.keys() == set(ChangeType)


@pytest.mark.parametrize("name", PUBLISHED)
def test_schema_still_has_members_of_version_1_0(name: str) -> None:
    properties = SCHEMA["properties"]
    assert PUBLISHED[name].keys() <= properties.keys()
    assert PUBLISHED[name].keys() <= set(SCHEMA["required"])
    for shown in (PUBLISHED[name]["before"], PUBLISHED[name]["after"]):
        if shown is not None:
            fields = SCHEMA["$defs"]["product"]
            assert shown.keys() <= fields["properties"].keys()
            assert shown.keys() - {"setupFee"} <= set(fields["required"])


def test_new_event_has_members_of_version_1_0() -> None:
    change = update(product(), product(price=20, version=2, updated_at=second(1)), WRITE)
    assert change is not None

    event = types_in(checked_detail(entry_for(change).detail))

    published = types_in(PUBLISHED[ChangeType.UPDATED])
    assert {path: event.get(path) for path in published} == published


@pytest.mark.parametrize("member", SCHEMA["required"])
def test_event_without_required_member_does_not_fit(member: str) -> None:
    event = deepcopy(PUBLISHED[ChangeType.UPDATED])
    del event[member]
    assert not Draft202012Validator(SCHEMA).is_valid(event)


def test_event_with_unknown_members_fits_for_consumers() -> None:
    event = deepcopy(PUBLISHED[ChangeType.UPDATED])
    event["later"] = event["after"]["later"] = 1
    event["schemaVersion"] = "1.1"
    Draft202012Validator(SCHEMA).validate(event)


def test_unknown_member_of_own_event_is_noticed() -> None:
    event = {**PUBLISHED[ChangeType.UPDATED], "later": 1}
    with pytest.raises(AssertionError):
        checked_detail(to_json(event))


def test_major_version_is_that_of_schema() -> None:
    pattern = SCHEMA["properties"]["schemaVersion"]["pattern"]
    assert pattern == rf"^{SCHEMA_VERSION.partition('.')[0]}\.[0-9]+$"


def test_product_has_fields_of_openapi_file() -> None:
    in_openapi = OPENAPI["components"]["schemas"]["Product"]
    in_events = SCHEMA["$defs"]["product"]

    assert in_events["properties"].keys() == in_openapi["properties"].keys()
    assert in_events["required"] == in_openapi["required"]
    assert SCHEMA["$defs"]["productId"]["pattern"] == PRODUCT_ID_PATTERN
    assert set(in_events["properties"]["period"]["enum"]) == set(get_args(Period))


def test_representation_has_fields_of_schema() -> None:
    shown = creation(product(), WRITE).detail()["after"]
    assert shown.keys() == SCHEMA["$defs"]["product"]["properties"].keys()


def test_asyncapi_file_has_all_types_and_schema() -> None:
    event = ASYNCAPI["components"]["schemas"]["Event"]["properties"]

    assert set(ASYNCAPI["components"]["messages"]) == set(ChangeType)
    assert set(ASYNCAPI["channels"]["productEvents"]["messages"]) == set(ChangeType)
    assert set(event["detail-type"]["enum"]) == set(ChangeType)
    assert event["source"]["const"] == SOURCE
    assert event["detail"]["$ref"] == "./product-change.schema.json"
    assert ASYNCAPI["info"]["version"] == SCHEMA_VERSION
