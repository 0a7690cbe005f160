"""The change between two states of a product."""

from decimal import Decimal

import pytest

from product_lambda.models.change import (
    ChangeType,
    ProductChange,
    Write,
    creation,
    is_change_id,
    removal,
    update,
)
from product_lambda.models.product import Product
from tests.support.products import CREATED_AT, product, second

WRITE = Write("id-1", "2026-01-31T09:35:00.000000Z", "key-of-ann", sets_updated_at=True)
OTHER_PROGRAM = WRITE._replace(sets_updated_at=False)
ALL_FIELDS = (
    "name",
    "description",
    "price",
    "setupFee",
    "currency",
    "period",
    "features",
    "active",
    "createdAt",
)


def changed(before: Product | None, after: Product, write: Write = WRITE) -> ProductChange:
    found = update(before, after, write)
    assert found is not None
    return found


def next_state(before: Product, **fields: object) -> Product:
    """Return the product after a write of the API."""
    return before._replace(version=before.version + 1, updated_at=second(1), **fields)  # type: ignore[arg-type]


def test_creation_changes_all_fields() -> None:
    change = creation(product(), WRITE)

    assert change.detail() == {
        "schemaVersion": "1.0",
        "changeId": "id-1",
        "productId": "PROD-001",
        "version": 1,
        "changedAt": CREATED_AT,
        "changedBy": "key-of-ann",
        "changedFields": list(ALL_FIELDS),
        "before": None,
        "after": product().representation(),
    }
    assert change.change_type == "ProductCreated"


def test_creation_without_fee_does_not_list_it() -> None:
    fields = creation(product(setup_fee=None), WRITE).changed_fields
    assert fields == tuple(name for name in ALL_FIELDS if name != "setupFee")


def test_update_lists_changed_fields_in_order() -> None:
    before = product()
    change = changed(before, next_state(before, price=Decimal(20), name="Pro"))

    assert change.change_type is ChangeType.UPDATED
    assert change.changed_fields == ("name", "price")
    assert change.version == 2
    assert change.changed_at == second(1)
    assert change.before == before.representation()


@pytest.mark.parametrize(("old", "new"), [(None, Decimal(5)), (Decimal(5), None)])
def test_added_and_removed_fee_are_changes(old: Decimal | None, new: Decimal | None) -> None:
    before = product(setup_fee=old)
    assert changed(before, next_state(before, setup_fee=new)).changed_fields == ("setupFee",)


def test_write_of_same_values_is_change_without_fields() -> None:
    before = product()
    change = changed(before, next_state(before))
    assert change.change_type is ChangeType.UPDATED
    assert change.changed_fields == ()


def test_write_that_api_does_not_show_is_no_change() -> None:
    assert update(product(), product(), OTHER_PROGRAM) is None


def test_deletion_and_restoration_have_types_of_their_own() -> None:
    active = product()
    deleted = next_state(active, active=False)

    assert changed(active, deleted).change_type is ChangeType.DELETED
    restored = changed(deleted, next_state(deleted, active=True, price=Decimal(1)))
    assert restored.change_type is ChangeType.RESTORED
    assert restored.changed_fields == ("price", "active")


def test_update_of_deleted_product_is_update() -> None:
    deleted = product(active=False)
    assert changed(deleted, deleted._replace(name="Pro")).change_type is ChangeType.UPDATED


def test_update_of_unreadable_item_changes_all_fields() -> None:
    change = changed(None, product(version=4))

    assert change.change_type is ChangeType.UPDATED
    assert change.changed_fields == ALL_FIELDS
    assert change.before is None
    assert change.version == 4


def test_write_of_other_program_has_time_of_stream_and_no_author() -> None:
    change = changed(product(), product(price=Decimal(20)), OTHER_PROGRAM)

    assert change.changed_at == OTHER_PROGRAM.written_at
    assert change.changed_by is None
    assert change.version == 1


def test_removal_has_last_version_and_no_author() -> None:
    change = removal(product(version=7), WRITE)

    assert change.change_type is ChangeType.REMOVED
    assert change.version == 7
    assert change.changed_at == WRITE.written_at
    assert change.changed_by is None
    assert change.changed_fields == ALL_FIELDS
    assert change.after is None


def test_change_in_second_of_last_update_is_later() -> None:
    last = product(updated_at="2026-01-31T09:35:00.999999Z")
    removed = removal(last, WRITE)
    changed_elsewhere = changed(last, last._replace(price=Decimal(20)), OTHER_PROGRAM)

    assert removed.changed_at == changed_elsewhere.changed_at == "2026-01-31T09:35:01.000000Z"


def test_repair_by_other_program_has_time_of_stream() -> None:
    assert changed(None, product(), OTHER_PROGRAM).changed_at == OTHER_PROGRAM.written_at


def test_update_at_same_time_has_time_of_stream() -> None:
    assert changed(product(), product(price=Decimal(20))).changed_at == WRITE.written_at


def test_update_to_earlier_time_is_later_than_last_update() -> None:
    last = product(updated_at=second(9))
    change = changed(last, next_state(last))

    assert change.changed_at == "2026-02-01T00:00:09.000001Z"
    assert change.changed_by == "key-of-ann"


def test_time_after_early_year_has_fixed_width() -> None:
    change = removal(
        product(updated_at="0001-01-01T00:00:00.000000Z"), WRITE._replace(written_at="")
    )
    assert change.changed_at == "0001-01-01T00:00:00.000001Z"


def test_last_time_of_calendar_has_no_later_one() -> None:
    last = product(updated_at="9999-12-31T23:59:59.999999Z")
    assert removal(last, WRITE).changed_at == last.updated_at


@pytest.mark.parametrize("text", ["a", "0123456789abcdef" * 4, "A-1"])
def test_change_id_is_accepted(text: str) -> None:
    assert is_change_id(text)


@pytest.mark.parametrize("text", ["", "a" * 65, "a/b", "a.b", "a\n", "ä", "a b"])
def test_text_that_no_object_key_can_hold_is_no_change_id(text: str) -> None:
    assert not is_change_id(text)
