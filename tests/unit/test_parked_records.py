"""The messages with records that cannot be understood: they fit in a message of SQS."""

import json
from typing import Any

import pytest

from product_lambda.services.change_service import parked_message
from tests.support.products import product
from tests.support.raw_items import raw_product
from tests.support.stream_records import image, record

LARGEST = 262_144  # bytes; Terraform's default for a queue


def message(parked: object, reason: str = "name is missing") -> dict[str, Any]:
    text = parked_message(parked, reason)
    assert len(text.encode()) <= LARGEST
    assert text.isascii()  # SQS rejects some other characters
    found: dict[str, Any] = json.loads(text)
    return found


def test_message_holds_reason_key_and_record() -> None:
    parked = record(None, image(product(name="Größe\ufffe")))

    assert message(parked) == {
        "reason": "name is missing",
        "itemKey": "PRODUCT#PROD-001 METADATA",
        "complete": True,
        "record": parked,
    }


def test_record_of_largest_size_is_parked_whole() -> None:
    room = LARGEST - len(parked_message(record(None, raw_product("PROD-1", name={"S": ""})), "x"))
    item = raw_product("PROD-1", name={"S": "x" * room})

    assert message(record(None, item), "x")["complete"] is True


def test_larger_record_is_parked_without_images() -> None:
    item = raw_product("PROD-1", name={"S": "x" * LARGEST})
    parked = message(record(item, item, eventID="id-7"))

    assert parked["complete"] is False
    assert parked["record"]["eventID"] == "id-7"
    assert parked["record"]["dynamodb"]["Keys"] == {"PK": item["PK"], "SK": item["SK"]}
    assert not {"NewImage", "OldImage"} & parked["record"]["dynamodb"].keys()


@pytest.mark.parametrize(
    "parked",
    [
        {"x": "x" * LARGEST},
        {"x": "x" * LARGEST, "dynamodb": {"Keys": {}}},
        ["x" * LARGEST],
        "x" * LARGEST,
    ],
    ids=["no images", "images", "list", "text"],
)
def test_record_that_is_too_large_without_images_is_left_out(parked: object) -> None:
    assert message(parked)["record"] is None


def test_long_reason_and_key_are_shortened() -> None:
    parked = message(record(None, raw_product("😀" * 1000)), "😀" * 100_000)

    assert len(parked["reason"]) == 2000
    assert len(parked["itemKey"]) == 100
