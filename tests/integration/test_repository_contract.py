"""What every catalogue promises, whether in memory, on the embedded engine or on AWS's own."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from decimal import Decimal
from threading import Barrier
from typing import Any, Protocol

import pytest

from product_lambda.exceptions import (
    DuplicateProductException,
    IdempotencyKeyInFlightException,
    PreconditionFailedException,
    ProductNotFoundException,
    ProductServiceException,
)
from product_lambda.models.product import Cursor, IdempotencyRecord, Product, SortOrder
from product_lambda.repositories.deadline import Deadline
from product_lambda.repositories.product_repository import ProductRepository, ProductTable
from product_lambda.services.product_service import ProductStore
from tests.integration.conftest import new_table
from tests.support.fakes import FakeProductStore
from tests.support.products import CREATED_AT, product, second

LATER = "2026-03-01T00:00:00.000000Z"
BOTH_ORDERS = pytest.mark.parametrize("sort", list(SortOrder))


class Shelf(Protocol):
    """A catalogue, and a look behind it."""

    @property
    def catalogue(self) -> ProductStore: ...

    def author_of(self, product_id: str) -> str:
        """Who wrote the product last."""

    def forget_version(self, product_id: str) -> None:
        """Make the product one that older code wrote."""


class FakeShelf:
    def __init__(self) -> None:
        self.catalogue = FakeProductStore()

    def author_of(self, product_id: str) -> str:
        return self.catalogue.authors[product_id]

    def forget_version(self, product_id: str) -> None:
        unversioned = replace(self.catalogue.products[product_id], version=0)
        self.catalogue.products[product_id] = unversioned


@dataclass(frozen=True)
class TableShelf:
    table: ProductTable
    catalogue: ProductRepository

    def author_of(self, product_id: str) -> str:
        item = self.table.client.sync_get_item(self.table.name, _key(product_id))
        assert item is not None
        author: str = item["updatedBy"]
        return author

    def forget_version(self, product_id: str) -> None:
        self.table.client.sync_update_item(
            self.table.name,
            _key(product_id),
            update_expression="REMOVE version",
        )


def _key(product_id: str) -> dict[str, str]:
    return {"PK": f"PRODUCT#{product_id}", "SK": "METADATA"}


@pytest.fixture(params=["memory", "engine", "dynamodb_local"])
def shelf(request: pytest.FixtureRequest) -> Shelf:
    if request.param == "memory":
        return FakeShelf()
    table = new_table(request.getfixturevalue(request.param))
    return TableShelf(table, ProductRepository(table, Deadline(60)))


@pytest.fixture
def catalogue(shelf: Shelf) -> ProductStore:
    return shelf.catalogue


def record_of(stored: Product, **members: Any) -> IdempotencyRecord:
    return IdempotencyRecord(
        **{
            "key_hash": "a" * 64,
            "fingerprint": "b" * 64,
            "product": stored,
            "expires_at": 2000,
            **members,
        }
    )


def fill(catalogue: ProductStore, count: int) -> list[Product]:
    """Insert products whose creation follows their numbers."""
    filled = [product(f"PROD-{n:03}", created_at=second(n)) for n in range(1, count + 1)]
    for each in filled:
        catalogue.insert(each, "filler")
    return filled


def ids(products: list[Product]) -> list[str]:
    return [each.product_id for each in products]


# get and insert


def test_a_product_is_read_as_it_was_inserted(catalogue: ProductStore) -> None:
    catalogue.insert(product(), "author")
    assert catalogue.get("PROD-001") == product()


def test_a_product_without_setup_fee_has_none(catalogue: ProductStore) -> None:
    catalogue.insert(product(setup_fee=None), "author")
    assert catalogue.get("PROD-001") == product(setup_fee=None)


def test_every_member_keeps_its_extremes(catalogue: ProductStore) -> None:
    extreme = product(
        "PROD-" + "Z" * 32,
        name="é" * 200,
        description="\U0001f680" * 4000,
        price=Decimal("99999999.99"),
        setup_fee=Decimal(0),
        features=('"\\' * 100,) * 50,
    )
    catalogue.insert(extreme, "author")
    assert catalogue.get(extreme.product_id) == extreme


def test_what_was_never_stored_is_not_there(catalogue: ProductStore) -> None:
    assert catalogue.get("PROD-001") is None


def test_an_inactive_product_is_still_read(catalogue: ProductStore) -> None:
    catalogue.insert(product(active=False), "author")
    assert catalogue.get("PROD-001") == product(active=False)


def test_an_insert_never_overwrites(catalogue: ProductStore) -> None:
    catalogue.insert(product(), "author")
    with pytest.raises(DuplicateProductException) as raised:
        catalogue.insert(product(name="another"), "other")
    assert "PROD-001" in raised.value.detail
    assert catalogue.get("PROD-001") == product()


def test_the_id_of_an_inactive_product_stays_taken(catalogue: ProductStore) -> None:
    catalogue.insert(product(active=False), "author")
    with pytest.raises(DuplicateProductException):
        catalogue.insert(product(), "other")
    assert catalogue.get("PROD-001") == product(active=False)


def test_of_racing_inserts_exactly_one_wins(catalogue: ProductStore) -> None:
    start = Barrier(4)

    def insert(number: int) -> bool:
        start.wait()
        try:
            catalogue.insert(product(name=f"name {number}"), "author")
        except DuplicateProductException:
            return False
        return True

    with ThreadPoolExecutor(4) as threads:
        won = list(threads.map(insert, range(4)))
    assert won.count(True) == 1
    assert catalogue.get("PROD-001") == product(name=f"name {won.index(True)}")


def test_the_author_is_stored(shelf: Shelf) -> None:
    shelf.catalogue.insert(product(), "key-of-ann")
    assert shelf.author_of("PROD-001") == "key-of-ann"


def test_a_product_without_version_has_version_0(shelf: Shelf) -> None:
    shelf.catalogue.insert(product(), "author")
    shelf.forget_version("PROD-001")
    assert shelf.catalogue.get("PROD-001") == product(version=0)


# page and cursor_at


@BOTH_ORDERS
def test_an_empty_catalogue_has_an_empty_page(catalogue: ProductStore, sort: SortOrder) -> None:
    assert catalogue.page(sort, None, 5) == []


def test_the_newest_come_first(catalogue: ProductStore) -> None:
    fill(catalogue, 3)
    page = catalogue.page(SortOrder.NEWEST_FIRST, None, 5)
    assert ids(page) == ["PROD-003", "PROD-002", "PROD-001"]


def test_the_oldest_come_first_when_asked(catalogue: ProductStore) -> None:
    fill(catalogue, 3)
    page = catalogue.page(SortOrder.OLDEST_FIRST, None, 5)
    assert ids(page) == ["PROD-001", "PROD-002", "PROD-003"]


@BOTH_ORDERS
def test_a_page_holds_whole_products(catalogue: ProductStore, sort: SortOrder) -> None:
    filled = fill(catalogue, 2)
    page = catalogue.page(sort, None, 5)
    assert sorted(page, key=lambda each: each.product_id) == filled


@BOTH_ORDERS
def test_a_page_has_at_most_as_many_as_asked(catalogue: ProductStore, sort: SortOrder) -> None:
    fill(catalogue, 4)
    assert [len(catalogue.page(sort, None, limit)) for limit in (1, 3, 4, 5)] == [1, 3, 4, 4]


def test_inactive_products_and_other_items_are_on_no_page(catalogue: ProductStore) -> None:
    fill(catalogue, 3)
    catalogue.deactivate("PROD-002", None, "author", LATER)
    catalogue.advance_number(7)
    other = product("PROD-004", created_at=second(9))
    catalogue.insert_once(other, "author", record_of(other), 1000)
    assert ids(catalogue.page(SortOrder.OLDEST_FIRST, None, 9)) == [
        "PROD-001",
        "PROD-003",
        "PROD-004",
    ]


@BOTH_ORDERS
@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_pages_after_one_another_show_each_product_once(
    catalogue: ProductStore, sort: SortOrder, size: int
) -> None:
    expected = ids(fill(catalogue, 7))
    if sort is SortOrder.NEWEST_FIRST:
        expected.reverse()
    assert walked(catalogue, sort, size) == expected


@BOTH_ORDERS
def test_products_of_the_same_moment_are_shown_once_each(
    catalogue: ProductStore, sort: SortOrder
) -> None:
    tied = [product(f"PROD-{n}", created_at=CREATED_AT) for n in range(5)]
    for each in tied:
        catalogue.insert(each, "author")
    seen = walked(catalogue, sort, 2)
    assert sorted(seen) == ids(tied)
    assert seen == ids(catalogue.page(sort, None, 9))


def walked(catalogue: ProductStore, sort: SortOrder, size: int) -> list[str]:
    """The ids on all pages."""
    seen: list[str] = []
    after: Cursor | None = None
    while page := catalogue.page(sort, after, size):
        seen += ids(page)
        after = Cursor(page[-1].created_at, page[-1].product_id)
    return seen


@BOTH_ORDERS
def test_a_page_starts_after_a_product_that_has_gone(
    catalogue: ProductStore, sort: SortOrder
) -> None:
    filled = fill(catalogue, 5)
    catalogue.deactivate("PROD-003", None, "author", LATER)
    page = catalogue.page(sort, Cursor(filled[2].created_at, "PROD-003"), 9)
    assert ids(page) == (
        ["PROD-002", "PROD-001"] if sort is SortOrder.NEWEST_FIRST else ["PROD-004", "PROD-005"]
    )


@BOTH_ORDERS
def test_the_cursor_at_an_offset_names_the_last_product_skipped(
    catalogue: ProductStore, sort: SortOrder
) -> None:
    filled = fill(catalogue, 4)
    if sort is SortOrder.NEWEST_FIRST:
        filled.reverse()
    cursors = [catalogue.cursor_at(sort, offset) for offset in (1, 3, 4, 5)]
    assert cursors == [
        Cursor(filled[0].created_at, filled[0].product_id),
        Cursor(filled[2].created_at, filled[2].product_id),
        Cursor(filled[3].created_at, filled[3].product_id),
        None,
    ]


# advance_number


def test_numbers_start_at_the_step_and_add_up(catalogue: ProductStore) -> None:
    assert [catalogue.advance_number(step) for step in (1, 1, 5, 2)] == [1, 2, 7, 9]


def test_no_number_is_given_twice_to_threads(catalogue: ProductStore) -> None:
    with ThreadPoolExecutor(8) as threads:
        numbers = list(threads.map(lambda _: catalogue.advance_number(1), range(40)))
    assert sorted(numbers) == list(range(1, 41))


# insert_once and find_record


def test_a_product_and_its_record_are_stored_together(shelf: Shelf) -> None:
    shelf.catalogue.insert_once(product(), "key-of-ann", record_of(product()), 1000)
    assert shelf.catalogue.get("PROD-001") == product()
    assert shelf.catalogue.find_record("a" * 64) == record_of(product())
    assert shelf.author_of("PROD-001") == "key-of-ann"


def test_a_record_keeps_the_answer_of_then(catalogue: ProductStore) -> None:
    catalogue.insert_once(product(), "author", record_of(product()), 1000)
    catalogue.update("PROD-001", {"name": "new"}, None, "author", LATER)
    found = catalogue.find_record("a" * 64)
    assert found is not None
    assert found.product == product()


def test_a_record_without_setup_fee_has_none(catalogue: ProductStore) -> None:
    free = product(setup_fee=None)
    catalogue.insert_once(free, "author", record_of(free), 1000)
    assert catalogue.find_record("a" * 64) == record_of(free)


def test_an_unknown_record_is_none(catalogue: ProductStore) -> None:
    assert catalogue.find_record("c" * 64) is None


def test_a_taken_id_leaves_no_record(catalogue: ProductStore) -> None:
    catalogue.insert(product(), "author")
    with pytest.raises(DuplicateProductException, match="PROD-"):
        catalogue.insert_once(product(name="new"), "author", record_of(product()), 1000)
    assert catalogue.find_record("a" * 64) is None
    assert catalogue.get("PROD-001") == product()


def test_a_live_record_leaves_no_product(catalogue: ProductStore) -> None:
    catalogue.insert_once(product(), "author", record_of(product()), 1000)
    second_one = product("PROD-002")
    with pytest.raises(IdempotencyKeyInFlightException):
        catalogue.insert_once(second_one, "author", record_of(second_one), 1001)
    assert catalogue.get("PROD-002") is None
    assert catalogue.find_record("a" * 64) == record_of(product())


def test_a_live_record_is_told_before_a_taken_id(catalogue: ProductStore) -> None:
    catalogue.insert_once(product(), "author", record_of(product()), 1000)
    again = record_of(product(), fingerprint="c" * 64)
    with pytest.raises(IdempotencyKeyInFlightException):
        catalogue.insert_once(product(), "author", again, 1999)


@pytest.mark.parametrize("now", [2000, 2001, 99999])
def test_an_expired_record_is_replaced(catalogue: ProductStore, now: int) -> None:
    catalogue.insert_once(product(), "author", record_of(product()), 1000)
    renewed = record_of(product("PROD-002"), fingerprint="c" * 64, expires_at=now + 1)
    catalogue.insert_once(renewed.product, "author", renewed, now)
    assert catalogue.find_record("a" * 64) == renewed
    assert catalogue.get("PROD-002") == renewed.product


def test_an_expired_record_does_not_excuse_a_taken_id(catalogue: ProductStore) -> None:
    catalogue.insert_once(product(), "author", record_of(product()), 1000)
    again = record_of(product(), expires_at=9000)
    with pytest.raises(DuplicateProductException):
        catalogue.insert_once(product(), "author", again, 2000)
    assert catalogue.find_record("a" * 64) == record_of(product())


def test_of_racing_inserts_with_one_key_exactly_one_wins(catalogue: ProductStore) -> None:
    start = Barrier(4)

    def insert(number: int) -> bool:
        own = product(f"PROD-{number}")
        start.wait()
        try:
            catalogue.insert_once(own, "author", record_of(own), 1000)
        except IdempotencyKeyInFlightException:
            return False
        return True

    with ThreadPoolExecutor(4) as threads:
        won = list(threads.map(insert, range(4)))
    assert won.count(True) == 1
    winner = product(f"PROD-{won.index(True)}")
    assert catalogue.page(SortOrder.OLDEST_FIRST, None, 9) == [winner]
    assert catalogue.find_record("a" * 64) == record_of(winner)


# update

CHANGES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"name": "New"}, {"name": "New"}),
    ({"description": "New\ntext"}, {"description": "New\ntext"}),
    ({"price": Decimal("0.01")}, {"price": Decimal("0.01")}),
    ({"price": Decimal(1000)}, {"price": Decimal(1000)}),
    ({"price": Decimal("99999999.99")}, {"price": Decimal("99999999.99")}),
    ({"setupFee": Decimal("2.5")}, {"setup_fee": Decimal("2.5")}),
    ({"setupFee": Decimal(0)}, {"setup_fee": Decimal(0)}),
    ({"setupFee": None}, {"setup_fee": None}),
    ({"currency": "USD"}, {"currency": "USD"}),
    ({"period": "once-off"}, {"period": "once-off"}),
    ({"features": ["One"]}, {"features": ("One",)}),
    (
        {"name": "New", "setupFee": None, "price": Decimal(7)},
        {"name": "New", "setup_fee": None, "price": Decimal(7)},
    ),
]


@pytest.mark.parametrize(("changes", "members"), CHANGES)
def test_an_update_changes_what_is_given_and_keeps_the_rest(
    catalogue: ProductStore, changes: dict[str, Any], members: dict[str, Any]
) -> None:
    catalogue.insert(product(), "author")
    changed = catalogue.update("PROD-001", changes, None, "author", LATER)
    assert changed == product(**members, version=2, updated_at=LATER)
    assert catalogue.get("PROD-001") == changed
    assert catalogue.page(SortOrder.OLDEST_FIRST, None, 9) == [changed]


def test_removing_a_setup_fee_that_is_not_there_is_no_fault(catalogue: ProductStore) -> None:
    catalogue.insert(product(setup_fee=None), "author")
    changed = catalogue.update("PROD-001", {"setupFee": None}, None, "author", LATER)
    assert changed == product(setup_fee=None, version=2, updated_at=LATER)


def test_a_setup_fee_can_be_added(catalogue: ProductStore) -> None:
    catalogue.insert(product(setup_fee=None), "author")
    changed = catalogue.update("PROD-001", {"setupFee": Decimal("1.1")}, None, "author", LATER)
    assert changed.setup_fee == Decimal("1.1")


def test_an_update_stores_its_author(shelf: Shelf) -> None:
    shelf.catalogue.insert(product(), "key-of-ann")
    shelf.catalogue.update("PROD-001", {"name": "New"}, None, "key-of-bob", LATER)
    assert shelf.author_of("PROD-001") == "key-of-bob"


def test_what_was_never_stored_is_not_updated(catalogue: ProductStore) -> None:
    with pytest.raises(ProductNotFoundException) as raised:
        catalogue.update("PROD-001", {"name": "New"}, None, "author", LATER)
    assert "PROD-001" in raised.value.detail
    assert catalogue.get("PROD-001") is None


@pytest.mark.parametrize("expected", [None, frozenset({1}), frozenset({9})])
def test_an_inactive_product_is_not_updated(
    catalogue: ProductStore, expected: frozenset[int] | None
) -> None:
    catalogue.insert(product(active=False), "author")
    with pytest.raises(ProductNotFoundException):
        catalogue.update("PROD-001", {"name": "New"}, expected, "author", LATER)
    assert catalogue.get("PROD-001") == product(active=False)


@pytest.mark.parametrize("expected", [{3}, {1, 3}, {3, 0}, set(range(50))])
def test_an_update_with_the_version_among_the_expected_is_done(
    catalogue: ProductStore, expected: set[int]
) -> None:
    catalogue.insert(product(version=3), "author")
    changed = catalogue.update("PROD-001", {"name": "N"}, frozenset(expected), "author", LATER)
    assert changed.version == 4


@pytest.mark.parametrize("expected", [set(), {0}, {2}, {4, 30}])
def test_an_update_with_another_version_is_refused(
    catalogue: ProductStore, expected: set[int]
) -> None:
    catalogue.insert(product(version=3), "author")
    with pytest.raises(PreconditionFailedException) as raised:
        catalogue.update("PROD-001", {"name": "N"}, frozenset(expected), "author", LATER)
    assert "PROD-001" in raised.value.detail
    assert catalogue.get("PROD-001") == product(version=3)


@pytest.mark.parametrize("expected", [None, frozenset({0}), frozenset({5, 0})])
def test_a_product_without_version_is_updated_to_version_1(
    shelf: Shelf, expected: frozenset[int] | None
) -> None:
    shelf.catalogue.insert(product(), "author")
    shelf.forget_version("PROD-001")
    changed = shelf.catalogue.update("PROD-001", {"name": "N"}, expected, "author", LATER)
    assert changed == product(name="N", version=1, updated_at=LATER)


@pytest.mark.parametrize("expected", [set(), {1}, {2, 3}])
def test_a_product_without_version_has_no_other_version(shelf: Shelf, expected: set[int]) -> None:
    shelf.catalogue.insert(product(), "author")
    shelf.forget_version("PROD-001")
    with pytest.raises(PreconditionFailedException):
        shelf.catalogue.update("PROD-001", {"name": "N"}, frozenset(expected), "author", LATER)


def test_of_racing_updates_of_one_version_exactly_one_is_done(catalogue: ProductStore) -> None:
    catalogue.insert(product(), "author")
    start = Barrier(4)

    def update(number: int) -> Product | None:
        start.wait()
        try:
            return catalogue.update(
                "PROD-001", {"name": f"name {number}"}, frozenset({1}), "author", LATER
            )
        except PreconditionFailedException:
            return None

    with ThreadPoolExecutor(4) as threads:
        done = [changed for changed in threads.map(update, range(4)) if changed]
    assert done == [catalogue.get("PROD-001")]
    assert done[0].version == 2


# deactivate


def test_a_deactivated_product_keeps_everything_else(shelf: Shelf) -> None:
    shelf.catalogue.insert(product(), "key-of-ann")
    shelf.catalogue.deactivate("PROD-001", None, "key-of-bob", LATER)
    expected = product(active=False, version=2, updated_at=LATER)
    assert shelf.catalogue.get("PROD-001") == expected
    assert shelf.author_of("PROD-001") == "key-of-bob"


@pytest.mark.parametrize("expected", [None, frozenset({1}), frozenset({2}), frozenset[int]()])
def test_deactivating_again_changes_nothing(shelf: Shelf, expected: frozenset[int] | None) -> None:
    shelf.catalogue.insert(product(active=False), "key-of-ann")
    shelf.catalogue.deactivate("PROD-001", expected, "key-of-bob", LATER)
    assert shelf.catalogue.get("PROD-001") == product(active=False)
    assert shelf.author_of("PROD-001") == "key-of-ann"


@pytest.mark.parametrize("expected", [None, frozenset({1}), frozenset[int]()])
def test_what_was_never_stored_is_not_deactivated(
    catalogue: ProductStore, expected: frozenset[int] | None
) -> None:
    with pytest.raises(ProductNotFoundException) as raised:
        catalogue.deactivate("PROD-001", expected, "author", LATER)
    assert "PROD-001" in raised.value.detail
    assert catalogue.get("PROD-001") is None


@pytest.mark.parametrize("expected", [{1}, {5, 1}])
def test_a_product_of_an_expected_version_is_deactivated(
    catalogue: ProductStore, expected: set[int]
) -> None:
    catalogue.insert(product(), "author")
    catalogue.deactivate("PROD-001", frozenset(expected), "author", LATER)
    assert catalogue.get("PROD-001") == product(active=False, version=2, updated_at=LATER)


@pytest.mark.parametrize("expected", [set(), {0}, {2}])
def test_a_product_of_another_version_is_not_deactivated(
    catalogue: ProductStore, expected: set[int]
) -> None:
    catalogue.insert(product(), "author")
    with pytest.raises(PreconditionFailedException) as raised:
        catalogue.deactivate("PROD-001", frozenset(expected), "author", LATER)
    assert "PROD-001" in raised.value.detail
    assert catalogue.get("PROD-001") == product()


def test_of_racing_deactivations_and_updates_the_versions_tell_how_many_were_done(
    catalogue: ProductStore,
) -> None:
    catalogue.insert(product(), "author")
    start = Barrier(4)

    def write(number: int) -> int:
        start.wait()
        try:
            if number == 0:
                catalogue.deactivate("PROD-001", None, "author", LATER)
            else:
                catalogue.update("PROD-001", {"name": f"{number}"}, None, "author", LATER)
        except ProductServiceException:
            return 0
        return 1

    with ThreadPoolExecutor(4) as threads:
        done = sum(threads.map(write, range(4)))
    left = catalogue.get("PROD-001")
    assert left is not None
    assert not left.active
    assert left.version == 1 + done
