"""The changes in records of the table's stream, made by hand."""

import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tests.support.profiles  # noqa: F401 (registers the Hypothesis profile)
from product_lambda.models.change import ChangeType, ProductChange
from product_lambda.models.product import Product
from product_lambda.repositories.event_bus import entry_for
from product_lambda.repositories.stream_records import (
    UnreadableRecordException,
    change_in,
    item_key,
)
from tests.support.products import amounts, lines, periods, product, second
from tests.support.raw_items import FLAWED_ATTRIBUTES, raw_product
from tests.support.stream_records import AUTHOR, checked_detail, image, record

IMAGE = image(product())
LATER = image(product(version=2, updated_at=second(1)))
IN_STREAM = "2026-01-31T09:35:00.000000Z"


def change(old: Any, new: Any, **fields: Any) -> ProductChange:
    found = change_in(record(old, new, **fields))
    assert found is not None
    return found


def reason(read: object) -> str:
    with pytest.raises(UnreadableRecordException) as unreadable:
        change_in(read)
    return str(unreadable.value)


def change_or_reason(read: object) -> ProductChange | str | None:
    try:
        return change_in(read)
    except UnreadableRecordException as unreadable:
        return str(unreadable)


def test_new_item_is_creation() -> None:
    found = change(None, IMAGE, eventID="id-7")

    assert found.change_type is ChangeType.CREATED
    assert found.change_id == "id-7"
    assert found.changed_by == AUTHOR
    assert found.after == product().representation()


def test_changed_item_is_update() -> None:
    new = {**LATER, "price": {"N": "20"}, "updatedBy": {"S": "key-of-bob"}}
    found = change(IMAGE, new, eventID="id-8")

    assert found.change_id == "id-8"
    assert found.change_type is ChangeType.UPDATED
    assert found.changed_fields == ("price",)
    assert found.changed_by == "key-of-bob"
    assert found.changed_at == second(1)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [("true", "false", ChangeType.DELETED), ("false", "true", ChangeType.RESTORED)],
)
def test_changed_active_is_deletion_or_restoration(
    before: str, after: str, expected: ChangeType
) -> None:
    found = change({**IMAGE, "active": {"S": before}}, {**LATER, "active": {"S": after}})
    assert found.change_type is expected


def test_removed_item_is_removal() -> None:
    found = change(IMAGE, None, eventID="id-9")

    assert found.change_type is ChangeType.REMOVED
    assert found.change_id == "id-9"
    assert found.changed_at == IN_STREAM
    assert found.changed_by is None


def test_amount_with_trailing_zero_is_no_change() -> None:
    old = {**IMAGE, "price": {"N": "95.50"}}
    assert change_in(record(old, {**old, "price": {"N": "95.5"}})) is None


def test_write_of_attribute_that_api_hides_is_no_change() -> None:
    new = {**IMAGE, "nameKey": {"S": "other"}, "updatedBy": {"S": "other"}}
    assert change_in(record(IMAGE, new)) is None


def test_write_that_leaves_updated_at_is_by_other_program() -> None:
    found = change(IMAGE, {**IMAGE, "price": {"N": "20"}})

    assert found.changed_at == IN_STREAM
    assert found.changed_by is None


def test_item_without_author_has_none() -> None:
    item = {name: value for name, value in IMAGE.items() if name != "updatedBy"}
    assert change(None, item).changed_by is None


@pytest.mark.parametrize("author", ["x", "x" * 128])
def test_author_of_one_to_128_characters_is_kept(author: str) -> None:
    assert change(None, {**IMAGE, "updatedBy": {"S": author}}).changed_by == author


@pytest.mark.parametrize("author", [{"N": "1"}, {"S": ""}, {"S": "x" * 129}])
def test_invalid_author_counts_as_none(author: dict[str, str]) -> None:
    assert change(None, {**IMAGE, "updatedBy": author}).changed_by is None


def test_item_without_version_has_version_zero() -> None:
    item = {name: value for name, value in IMAGE.items() if name != "version"}
    found = change(item, {**LATER, "version": {"N": "1"}})
    assert found.before is not None
    assert found.before["version"] == 0
    assert found.version == 1


@pytest.mark.parametrize("attributes", FLAWED_ATTRIBUTES.values(), ids=FLAWED_ATTRIBUTES)
def test_unreadable_item_is_repaired_by_update(attributes: dict[str, Any]) -> None:
    unreadable = raw_product("PROD-001", **attributes)
    found = change(unreadable, raw_product("PROD-001", updatedAt={"S": second(1)}))

    assert found.change_type is ChangeType.UPDATED
    assert found.before is None
    assert "price" in found.changed_fields


@pytest.mark.parametrize("attributes", FLAWED_ATTRIBUTES.values(), ids=FLAWED_ATTRIBUTES)
def test_unreadable_image_has_reason(attributes: dict[str, Any]) -> None:
    readable, unreadable = raw_product("PROD-001"), raw_product("PROD-001", **attributes)
    [attribute] = attributes

    for old, new in ((None, unreadable), (readable, unreadable), (unreadable, None)):
        assert attribute in reason(record(old, new))


def test_old_image_of_unknown_form_counts_as_unreadable() -> None:
    assert change({**IMAGE, "extra": {"X": "1"}}, LATER).before is None
    assert change(IMAGE, LATER, OldImage=None).before is None


@pytest.mark.parametrize(
    "key",
    [
        {"PK": {"S": "COUNTER#PRODUCT"}, "SK": {"S": "METADATA"}},
        {"PK": {"S": "PRODUCT#PROD-001"}, "SK": {"S": "PRICES"}},
        {"PK": {"S": "ORDER#1"}, "SK": {"S": "METADATA"}},
        {"PK": {"B": "AAAA"}, "SK": {"S": "METADATA"}},
        {"id": {"N": "1"}},
    ],
    ids=["counter", "other sort key", "other item", "binary", "other table"],
)
def test_record_of_other_item_holds_no_change(key: dict[str, Any]) -> None:
    assert change_in(record(None, {**key, "number": {"N": "7"}}, Keys=key)) is None


def test_expired_idempotency_record_holds_no_change() -> None:
    item = {
        "PK": {"S": f"IDEMPOTENCY#{'a' * 64}"},
        "SK": {"S": "METADATA"},
        "expiresAt": {"N": "1769852000"},
    }
    by_ttl = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}

    assert change_in(record(item, None, userIdentity=by_ttl)) is None


def test_id_that_no_product_can_have_is_unreadable() -> None:
    assert "productId" in reason(record(None, raw_product("no id")))


NO_NAME = "eventName is not INSERT, MODIFY or REMOVE"
NO_NUMBER = "ApproximateCreationDateTime is no number"
NO_TIME = "ApproximateCreationDateTime is no time"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"eventID": None}, "eventID is no id"),
        ({"eventID": "../../other"}, "eventID is no id"),
        ({"eventID": 5}, "eventID is no id"),
        ({"eventName": "TRUNCATE"}, NO_NAME),
        ({"eventName": None}, NO_NAME),
        ({"NewImage": None}, "NewImage is no object"),
        ({"NewImage": []}, "NewImage is no object"),
        ({"Keys": None}, "Keys is no object"),
        ({"ApproximateCreationDateTime": None}, NO_NUMBER),
        ({"ApproximateCreationDateTime": True}, NO_NUMBER),
        ({"ApproximateCreationDateTime": 1e300}, NO_TIME),
        ({"ApproximateCreationDateTime": 1e15}, NO_TIME),
        ({"ApproximateCreationDateTime": float("nan")}, NO_TIME),
    ],
)
def test_incomplete_record_has_reason(fields: dict[str, Any], expected: str) -> None:
    assert reason(record(IMAGE, LATER, **fields)) == expected


def test_removal_without_old_image_has_reason() -> None:
    assert reason(record(IMAGE, None, OldImage=None)) == "OldImage is no object"


def test_creation_without_image_has_reason() -> None:
    assert reason(record(None, IMAGE, NewImage=None)) == "NewImage is no object"


def test_reason_names_all_flaws() -> None:
    unreadable = raw_product("PROD-001", price=None, currency={"S": "XXX"})
    assert (
        reason(record(None, unreadable))
        == "price is missing; currency is not an ISO 4217 currency code"
    )


@pytest.mark.parametrize(
    ("read", "part"),
    [
        (None, "the record"),
        ("text", "the record"),
        ([], "the record"),
        ({}, "dynamodb"),
        ({"dynamodb": []}, "dynamodb"),
        ({"dynamodb": {}}, "Keys"),
    ],
)
def test_value_that_is_no_record_has_reason(read: object, part: str) -> None:
    assert reason(read) == f"{part} is no object"
    assert item_key(read) == ""


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "has no type"),
        ({}, "has no type"),
        ({"S": "a", "N": "1"}, "has no type"),
        ({"X": "1"}, "has the unknown type X"),
        ({"Y" * 11: "1"}, "has the unknown type YYYYYYYYYY"),
        ({"S": 1}, "is not of its type S"),
        ({"N": 1}, "is not of its type N"),
        ({"N": "one"}, "is not of its type N"),
        ({"N": "NaN"}, "is not of its type N"),
        ({"N": "Infinity"}, "is not of its type N"),
        ({"BOOL": "true"}, "is not of its type BOOL"),
        ({"B": "*"}, "is not of its type B"),
        ({"B": "AAAA*"}, "is not of its type B"),
        ({"L": "text"}, "is not of its type L"),
        ({"M": []}, "is not of its type M"),
        ({"SS": [1]}, "is not of its type SS"),
        ({"NS": ["x"]}, "is not of its type NS"),
        ({"BS": ["*"]}, "is not of its type BS"),
    ],
    ids=repr,
)
def test_attribute_of_unknown_form_is_unreadable(value: Any, expected: str) -> None:
    assert reason(record(None, {**IMAGE, "extra": value})) == f"an attribute {expected}"


@pytest.mark.parametrize(
    "value",
    [
        {"B": "AAAA"},
        {"BOOL": False},
        {"NULL": True},
        {"M": {"a": {"L": [{"N": "1e-130"}]}}},
        {"SS": ["a", "b"]},
        {"NS": ["1", "2.50"]},
        {"BS": ["AAAA"]},
    ],
    ids=repr,
)
def test_further_attribute_of_any_type_is_ignored(value: dict[str, Any]) -> None:
    assert change(None, {**IMAGE, "extra": value}).after == product().representation()


def test_fraction_of_a_second_is_kept() -> None:
    found = change(IMAGE, None, ApproximateCreationDateTime=1769852100.25)
    assert found.changed_at == "2026-01-31T09:35:00.250000Z"


@pytest.fixture
def _tokyo() -> Iterator[None]:
    """The time zone of a machine that does not have UTC."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("_tokyo")
def test_time_of_stream_is_utc_everywhere() -> None:
    assert change(IMAGE, None).changed_at == IN_STREAM


def test_key_in_log_is_shortened() -> None:
    assert item_key(record(None, IMAGE)) == "PRODUCT#PROD-001 METADATA"
    assert len(item_key(record(None, raw_product("X" * 1000)))) == 100


@st.composite
def products(draw: st.DrawFn) -> Product:
    return product(
        name=draw(lines()),
        price=draw(amounts()),
        setup_fee=draw(st.none() | amounts(0)),
        period=draw(periods()),
        features=tuple(draw(st.lists(lines(), min_size=1, max_size=5))),
        active=draw(st.booleans()),
        version=draw(st.integers(1, 10**15 - 2)),
    )


@given(products(), products())
def test_event_holds_both_products_exactly(before: Product, after: Product) -> None:
    after = after._replace(version=before.version + 1, updated_at=second(1))
    found = change(image(before), image(after))

    detail = checked_detail(entry_for(found).detail)

    for fields, original in ((detail["before"], before), (detail["after"], after)):
        assert fields == original.representation()
        assert isinstance(fields["price"], (int, Decimal))
    listed = {
        name
        for name in {**before.representation(), **after.representation()}
        if before.representation().get(name) != after.representation().get(name)
    }
    assert set(detail["changedFields"]) == listed - {"version", "updatedAt"}


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["S", "N", "L", "M", "BOOL", "x"]), inner, max_size=2),
    max_leaves=8,
)


@given(st.sampled_from(sorted(IMAGE)), JSON, st.sampled_from(["NewImage", "OldImage"]))
def test_damaged_image_makes_change_or_reason(name: str, value: Any, damaged: str) -> None:
    whole = record(IMAGE, LATER)
    whole["dynamodb"][damaged] = {**whole["dynamodb"][damaged], name: value}
    found = change_or_reason(whole)
    if isinstance(found, ProductChange):
        checked_detail(entry_for(found).detail)


@given(
    st.sampled_from(["eventID", "eventName", "dynamodb", "Keys", "NewImage"]) | st.text(max_size=3),
    JSON,
)
def test_damaged_record_makes_change_or_reason(name: str, value: Any) -> None:
    whole = record(IMAGE, LATER)
    (whole["dynamodb"] if name in whole["dynamodb"] else whole)[name] = value
    found = change_or_reason(whole)
    assert not isinstance(found, ProductChange) or found.product_id == "PROD-001"
