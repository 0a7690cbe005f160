"""The contract of every product store: in memory, on the engine, and on DynamoDB Local."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from threading import Barrier
from typing import Any, Protocol

import pytest

from product_lambda.exceptions import (
    DependencyUnavailableException,
    DuplicateProductException,
    IdempotencyKeyInFlightException,
    IdempotencyKeyReusedException,
    PreconditionFailedException,
    ProductNotFoundException,
    ProductServiceException,
)
from product_lambda.models.command import Command, Outcome
from product_lambda.models.product import (
    Cursor,
    PageRequest,
    Product,
    Revision,
    SortOrder,
)
from product_lambda.repositories.command_repository import CommandRepository
from product_lambda.repositories.deadline import Deadline
from product_lambda.repositories.items import product_in
from product_lambda.repositories.product_repository import ProductTable
from product_lambda.services.acceptance_service import AcceptanceStore
from product_lambda.services.command_service import CommandStore
from tests.integration.conftest import new_table
from tests.support.fakes import FakeProductStore
from tests.support.pages import pages_of
from tests.support.products import CREATED_AT, acceptance, command, outcome, product, record, second

LATER = "2026-03-01T00:00:00.000000Z"
BOTH_ORDERS = pytest.mark.parametrize("sort", [SortOrder.NEWEST_FIRST, SortOrder.OLDEST_FIRST])


class Store(AcceptanceStore, CommandStore, Protocol):
    """What both services of asynchronous writes need of a store, and what tests read."""

    def find_outcome(self, command_hash: str) -> Outcome | None:
        """Return the outcome of a command."""


class StoreProbe(Protocol):
    """A store, with access to what it stored."""

    @property
    def store(self) -> Store: ...

    def author_of(self, product_id: str) -> str:
        """The author of the last change."""

    def stored(self, product_id: str) -> Product:
        """Return the stored product, active or not."""

    def forget_version(self, product_id: str) -> None:
        """Remove the version, as in an item of older code."""


class FakeStoreProbe:
    def __init__(self) -> None:
        self.store = FakeProductStore()

    def author_of(self, product_id: str) -> str:
        return self.store.authors[product_id]

    def stored(self, product_id: str) -> Product:
        return self.store.products[product_id]

    def forget_version(self, product_id: str) -> None:
        unversioned = self.store.products[product_id]._replace(version=0)
        self.store.products[product_id] = unversioned


@dataclass(frozen=True)
class TableProbe:
    table: ProductTable
    store: CommandRepository

    def author_of(self, product_id: str) -> str:
        item = self.table.client.sync_get_item(self.table.name, _key(product_id))
        assert item is not None
        author: str = item["updatedBy"]
        return author

    def stored(self, product_id: str) -> Product:
        item = self.table.client.sync_get_item(
            self.table.name, _key(product_id), consistent_read=True
        )
        assert item is not None
        return product_in(item)

    def forget_version(self, product_id: str) -> None:
        self.table.client.sync_update_item(
            self.table.name,
            _key(product_id),
            update_expression="REMOVE version",
        )


def _key(product_id: str) -> dict[str, str]:
    return {"PK": f"PRODUCT#{product_id}", "SK": "METADATA"}


@pytest.fixture(params=["memory", "engine", "dynamodb_local"])
def probe(request: pytest.FixtureRequest) -> StoreProbe:
    if request.param == "memory":
        return FakeStoreProbe()
    table = new_table(request.getfixturevalue(request.param))
    return TableProbe(table, CommandRepository(table, Deadline(60)))


@pytest.fixture
def store(probe: StoreProbe) -> Store:
    return probe.store


def later() -> str:
    """Return the time of a change."""
    return LATER


def revisions(*versions: int) -> frozenset[Revision]:
    """Return revisions of a product that has not been changed."""
    return frozenset(Revision(version, CREATED_AT) for version in versions)


def fill(store: Store, count: int) -> list[Product]:
    """Insert products in the order of their numbers."""
    filled = [product(f"PROD-{n:03}", created_at=second(n)) for n in range(1, count + 1)]
    for each in filled:
        store.insert(each, "filler")
    return filled


def page_of(
    store: Store, sort: SortOrder, after: Cursor | None, limit: int, skip: int = 0
) -> list[Product]:
    """Return the products of a page."""
    return list(store.page(PageRequest(limit, sort, skip, after)).products)


def ids(products: Sequence[Product]) -> list[str]:
    return [each.product_id for each in products]


# get and insert


def test_inserted_product_is_read_back(store: Store) -> None:
    store.insert(product(), "author")
    assert store.get("PROD-001") == product()


def test_product_without_setup_fee_is_read_back(store: Store) -> None:
    store.insert(product(setup_fee=None), "author")
    assert store.get("PROD-001") == product(setup_fee=None)


def test_extreme_values_are_stored_exactly(store: Store) -> None:
    extreme = product(
        "PROD-" + "Z" * 32,
        name="é" * 200,
        description="\U0001f680" * 4000,
        price=Decimal("99999999.99"),
        setup_fee=Decimal(0),
        features=('"\\' * 100,) * 50,
    )
    store.insert(extreme, "author")
    assert store.get(extreme.product_id) == extreme


def test_get_unknown_product_returns_none(store: Store) -> None:
    assert store.get("PROD-001") is None


def test_get_inactive_product_returns_none(probe: StoreProbe) -> None:
    probe.store.insert(product(active=False), "author")
    assert probe.store.get("PROD-001") is None
    assert probe.stored("PROD-001") == product(active=False)


def test_insert_never_overwrites(store: Store) -> None:
    store.insert(product(), "author")
    with pytest.raises(DuplicateProductException) as raised:
        store.insert(product(name="another"), "other")
    assert "PROD-001" in raised.value.detail
    assert store.get("PROD-001") == product()


def test_id_of_inactive_product_stays_taken(probe: StoreProbe) -> None:
    probe.store.insert(product(active=False), "author")
    with pytest.raises(DuplicateProductException):
        probe.store.insert(product(), "other")
    assert probe.stored("PROD-001") == product(active=False)


def test_one_of_concurrent_inserts_succeeds(store: Store) -> None:
    start = Barrier(4)

    def insert(number: int) -> bool:
        start.wait()
        try:
            store.insert(product(name=f"name {number}"), "author")
        except DuplicateProductException:
            return False
        return True

    with ThreadPoolExecutor(4) as threads:
        won = list(threads.map(insert, range(4)))
    assert won.count(True) == 1
    assert store.get("PROD-001") == product(name=f"name {won.index(True)}")


def test_author_is_stored(probe: StoreProbe) -> None:
    probe.store.insert(product(), "key-of-ann")
    assert probe.author_of("PROD-001") == "key-of-ann"


def test_product_without_version_has_version_0(probe: StoreProbe) -> None:
    probe.store.insert(product(), "author")
    probe.forget_version("PROD-001")
    assert probe.store.get("PROD-001") == product(version=0)


# page


@BOTH_ORDERS
def test_empty_table_has_empty_page(store: Store, sort: SortOrder) -> None:
    assert page_of(store, sort, None, 5) == []


def test_page_is_newest_first(store: Store) -> None:
    fill(store, 3)
    page = page_of(store, SortOrder.NEWEST_FIRST, None, 5)
    assert ids(page) == ["PROD-003", "PROD-002", "PROD-001"]


def test_page_is_oldest_first_on_request(store: Store) -> None:
    fill(store, 3)
    page = page_of(store, SortOrder.OLDEST_FIRST, None, 5)
    assert ids(page) == ["PROD-001", "PROD-002", "PROD-003"]


@BOTH_ORDERS
def test_page_has_complete_products(store: Store, sort: SortOrder) -> None:
    filled = fill(store, 2)
    page = page_of(store, sort, None, 5)
    assert sorted(page, key=lambda each: each.product_id) == filled


@BOTH_ORDERS
def test_page_has_at_most_limit_products(store: Store, sort: SortOrder) -> None:
    fill(store, 4)
    assert [len(page_of(store, sort, None, limit)) for limit in (1, 3, 4, 5)] == [1, 3, 4, 4]


def test_page_shows_only_active_products(store: Store) -> None:
    fill(store, 3)
    store.deactivate("PROD-002", None, "author", later)
    store.advance_number(7)
    other = product("PROD-004", created_at=second(9))
    store.insert_once(other, "author", record(other), 1000)
    assert ids(page_of(store, SortOrder.OLDEST_FIRST, None, 9)) == [
        "PROD-001",
        "PROD-003",
        "PROD-004",
    ]


@BOTH_ORDERS
@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_consecutive_pages_show_each_product_once(store: Store, sort: SortOrder, size: int) -> None:
    expected = ids(fill(store, 7))
    if sort is SortOrder.NEWEST_FIRST:
        expected.reverse()
    assert walked(store, sort, size) == expected


@BOTH_ORDERS
def test_equal_timestamps_are_shown_once_each(store: Store, sort: SortOrder) -> None:
    tied = [product(f"PROD-{n}", created_at=CREATED_AT) for n in range(5)]
    for each in tied:
        store.insert(each, "author")
    seen = walked(store, sort, 2)
    assert sorted(seen) == ids(tied)
    assert seen == ids(page_of(store, sort, None, 9))


def walked(store: Store, sort: SortOrder, size: int) -> list[str]:
    """Return the ids on all pages; each but the last one must be full, and none empty."""
    pages = list(pages_of(store, PageRequest(size, sort, 0, None)))
    assert all(len(page.products) == size for page in pages[:-1])
    assert pages[-1].products
    return [each.product_id for page in pages for each in page.products]


@BOTH_ORDERS
def test_page_starts_after_removed_product(store: Store, sort: SortOrder) -> None:
    filled = fill(store, 5)
    store.deactivate("PROD-003", None, "author", later)
    page = page_of(store, sort, Cursor(filled[2].created_at, "PROD-003"), 9)
    assert ids(page) == (
        ["PROD-002", "PROD-001"] if sort is SortOrder.NEWEST_FIRST else ["PROD-004", "PROD-005"]
    )


@BOTH_ORDERS
def test_page_skips_products(store: Store, sort: SortOrder) -> None:
    expected = ids(fill(store, 4))
    if sort is SortOrder.NEWEST_FIRST:
        expected.reverse()
    pages = [ids(page_of(store, sort, None, 2, skip)) for skip in (0, 1, 3, 4, 5)]
    assert pages == [expected[:2], expected[1:3], expected[3:], [], []]


def test_page_skips_after_cursor(store: Store) -> None:
    first, *_ = fill(store, 4)
    after = Cursor(first.created_at, first.product_id)
    assert ids(page_of(store, SortOrder.OLDEST_FIRST, after, 1, 2)) == ["PROD-004"]


# is_taken


def test_id_of_any_product_is_taken(store: Store) -> None:
    fill(store, 2)
    store.deactivate("PROD-002", None, "author", later)
    taken = [store.is_taken(product_id) for product_id in ("PROD-001", "PROD-002", "PROD-003")]
    assert taken == [True, True, False]


# advance_number


def test_counter_adds_steps(store: Store) -> None:
    assert [store.advance_number(step) for step in (1, 1, 5, 2)] == [1, 2, 7, 9]


def test_counter_gives_each_thread_other_numbers(store: Store) -> None:
    with ThreadPoolExecutor(8) as threads:
        numbers = list(threads.map(lambda _: store.advance_number(1), range(40)))
    assert sorted(numbers) == list(range(1, 41))


# insert_once and find_record


def test_product_and_record_are_stored_together(probe: StoreProbe) -> None:
    probe.store.insert_once(product(), "key-of-ann", record(product()), 1000)
    assert probe.store.get("PROD-001") == product()
    assert probe.store.find_record("a" * 64) == record(product())
    assert probe.author_of("PROD-001") == "key-of-ann"


def test_record_keeps_original_response(store: Store) -> None:
    store.insert_once(product(), "author", record(product()), 1000)
    store.update("PROD-001", {"name": "new"}, None, "author", later)
    found = store.find_record("a" * 64)
    assert found is not None
    assert found.product == product()


def test_record_without_setup_fee_has_none(store: Store) -> None:
    free = product(setup_fee=None)
    store.insert_once(free, "author", record(free), 1000)
    assert store.find_record("a" * 64) == record(free)


def test_find_unknown_record_returns_none(store: Store) -> None:
    assert store.find_record("c" * 64) is None


def test_taken_id_leaves_no_record(store: Store) -> None:
    store.insert(product(), "author")
    with pytest.raises(DuplicateProductException, match="PROD-"):
        store.insert_once(product(name="new"), "author", record(product()), 1000)
    assert store.find_record("a" * 64) is None
    assert store.get("PROD-001") == product()


def test_valid_record_leaves_no_product(store: Store) -> None:
    store.insert_once(product(), "author", record(product()), 1000)
    second_one = product("PROD-002")
    with pytest.raises(IdempotencyKeyInFlightException):
        store.insert_once(second_one, "author", record(second_one), 1001)
    assert store.get("PROD-002") is None
    assert store.find_record("a" * 64) == record(product())


def test_valid_record_is_reported_before_taken_id(store: Store) -> None:
    store.insert_once(product(), "author", record(product()), 1000)
    again = record(product(), fingerprint="c" * 64)
    with pytest.raises(IdempotencyKeyInFlightException):
        store.insert_once(product(), "author", again, 1999)


@pytest.mark.parametrize("now", [2000, 2001, 99999])
def test_expired_record_is_replaced(store: Store, now: int) -> None:
    store.insert_once(product(), "author", record(product()), 1000)
    renewed = record(product("PROD-002"), fingerprint="c" * 64, expires_at=now + 1)
    store.insert_once(renewed.product, "author", renewed, now)
    assert store.find_record("a" * 64) == renewed
    assert store.get("PROD-002") == renewed.product


def test_expired_record_does_not_allow_taken_id(store: Store) -> None:
    store.insert_once(product(), "author", record(product()), 1000)
    again = record(product(), expires_at=9000)
    with pytest.raises(DuplicateProductException):
        store.insert_once(product(), "author", again, 2000)
    assert store.find_record("a" * 64) == record(product())


def test_one_of_concurrent_inserts_with_one_key_succeeds(store: Store) -> None:
    start = Barrier(4)

    def insert(number: int) -> bool:
        own = product(f"PROD-{number}")
        start.wait()
        try:
            store.insert_once(own, "author", record(own), 1000)
        except IdempotencyKeyInFlightException:
            return False
        return True

    with ThreadPoolExecutor(4) as threads:
        won = list(threads.map(insert, range(4)))
    assert won.count(True) == 1
    winner = product(f"PROD-{won.index(True)}")
    assert page_of(store, SortOrder.OLDEST_FIRST, None, 9) == [winner]
    assert store.find_record("a" * 64) == record(winner)


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


@pytest.mark.parametrize(("changes", "fields"), CHANGES)
def test_update_changes_only_given_fields(
    store: Store, changes: dict[str, Any], fields: dict[str, Any]
) -> None:
    store.insert(product(), "author")
    changed = store.update("PROD-001", changes, None, "author", later)
    assert changed == product(**fields, version=2, updated_at=LATER)
    assert store.get("PROD-001") == changed
    assert page_of(store, SortOrder.OLDEST_FIRST, None, 9) == [changed]


def test_removing_missing_setup_fee_succeeds(store: Store) -> None:
    store.insert(product(setup_fee=None), "author")
    changed = store.update("PROD-001", {"setupFee": None}, None, "author", later)
    assert changed == product(setup_fee=None, version=2, updated_at=LATER)


def test_setup_fee_can_be_added(store: Store) -> None:
    store.insert(product(setup_fee=None), "author")
    changed = store.update("PROD-001", {"setupFee": Decimal("1.1")}, None, "author", later)
    assert changed.setup_fee == Decimal("1.1")


@pytest.mark.parametrize("expected", [None, revisions(1), revisions(9, 1)])
@pytest.mark.parametrize("before", [product(), product(active=False)])
def test_update_with_active_restores(
    probe: StoreProbe, expected: frozenset[Revision] | None, before: Product
) -> None:
    probe.store.insert(before, "key-of-ann")
    restored = probe.store.update("PROD-001", {"active": True}, expected, "key-of-bob", later)
    assert restored == product(version=2, updated_at=LATER)
    assert probe.stored("PROD-001") == restored
    assert probe.author_of("PROD-001") == "key-of-bob"
    assert page_of(probe.store, SortOrder.OLDEST_FIRST, None, 9) == [restored]


def test_restoration_changes_other_fields_too(probe: StoreProbe) -> None:
    probe.store.insert(product(active=False), "author")
    changes = {"active": True, "name": "New", "setupFee": None}
    restored = probe.store.update("PROD-001", changes, None, "author", later)
    assert restored == product(name="New", setup_fee=None, version=2, updated_at=LATER)
    assert probe.store.get("PROD-001") == restored


@pytest.mark.parametrize("expected", [revisions(), revisions(0), revisions(2)])
def test_restoration_with_other_version_fails_precondition(
    probe: StoreProbe, expected: frozenset[Revision]
) -> None:
    probe.store.insert(product(active=False), "author")
    with pytest.raises(PreconditionFailedException):
        probe.store.update("PROD-001", {"active": True}, expected, "author", later)
    assert probe.stored("PROD-001") == product(active=False)


WHOLE = {
    "name": "New",
    "description": "New",
    "price": Decimal(1),
    "setupFee": None,
    "currency": "EUR",
    "period": "monthly",
    "features": ["New"],
    "active": True,
}


@pytest.mark.parametrize("changes", [{"active": True}, WHOLE])
def test_restoration_of_missing_product_raises_not_found(
    store: Store, changes: dict[str, Any]
) -> None:
    with pytest.raises(ProductNotFoundException):
        store.update("PROD-001", changes, None, "author", later)
    assert page_of(store, SortOrder.OLDEST_FIRST, None, 9) == []


def test_one_of_concurrent_restorations_of_a_version_succeeds(store: Store) -> None:
    store.insert(product(active=False), "author")
    start = Barrier(4)

    def restore(_: int) -> bool:
        start.wait()
        try:
            store.update("PROD-001", {"active": True}, revisions(1), "author", later)
        except PreconditionFailedException:
            return False
        return True

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(restore, range(4))).count(True) == 1
    assert store.get("PROD-001") == product(version=2, updated_at=LATER)


def test_update_stores_author(probe: StoreProbe) -> None:
    probe.store.insert(product(), "key-of-ann")
    probe.store.update("PROD-001", {"name": "New"}, None, "key-of-bob", later)
    assert probe.author_of("PROD-001") == "key-of-bob"


def test_update_missing_product_raises_not_found(store: Store) -> None:
    with pytest.raises(ProductNotFoundException) as raised:
        store.update("PROD-001", {"name": "New"}, None, "author", later)
    assert "PROD-001" in raised.value.detail
    assert store.get("PROD-001") is None


@pytest.mark.parametrize("expected", [None, revisions(1), revisions(9)])
def test_update_inactive_product_raises_not_found(
    probe: StoreProbe, expected: frozenset[Revision] | None
) -> None:
    probe.store.insert(product(active=False), "author")
    with pytest.raises(ProductNotFoundException):
        probe.store.update("PROD-001", {"name": "New"}, expected, "author", later)
    assert probe.stored("PROD-001") == product(active=False)


@pytest.mark.parametrize("expected", [{3}, {1, 3}, {3, 0}, set(range(50))])
def test_update_with_expected_version_succeeds(store: Store, expected: set[int]) -> None:
    store.insert(product(version=3), "author")
    changed = store.update("PROD-001", {"name": "N"}, revisions(*expected), "author", later)
    assert changed.version == 4


@pytest.mark.parametrize("expected", [set(), {0}, {2}, {4, 30}])
def test_update_with_other_version_fails_precondition(store: Store, expected: set[int]) -> None:
    store.insert(product(version=3), "author")
    with pytest.raises(PreconditionFailedException) as raised:
        store.update("PROD-001", {"name": "N"}, revisions(*expected), "author", later)
    assert "PROD-001" in raised.value.detail
    assert store.get("PROD-001") == product(version=3)


@pytest.mark.parametrize("expected", [None, revisions(0), revisions(5, 0)])
def test_update_without_stored_version_sets_version_1(
    probe: StoreProbe, expected: frozenset[Revision] | None
) -> None:
    probe.store.insert(product(), "author")
    probe.forget_version("PROD-001")
    changed = probe.store.update("PROD-001", {"name": "N"}, expected, "author", later)
    assert changed == product(name="N", version=1, updated_at=LATER)


@pytest.mark.parametrize("expected", [set(), {1}, {2, 3}])
def test_missing_version_matches_only_version_0(probe: StoreProbe, expected: set[int]) -> None:
    probe.store.insert(product(), "author")
    probe.forget_version("PROD-001")
    with pytest.raises(PreconditionFailedException):
        probe.store.update("PROD-001", {"name": "N"}, revisions(*expected), "author", later)


def test_one_of_concurrent_updates_of_a_version_succeeds(store: Store) -> None:
    store.insert(product(), "author")
    start = Barrier(4)

    def update(number: int) -> Product | None:
        start.wait()
        try:
            return store.update(
                "PROD-001", {"name": f"name {number}"}, revisions(1), "author", later
            )
        except PreconditionFailedException:
            return None

    with ThreadPoolExecutor(4) as threads:
        done = [changed for changed in threads.map(update, range(4)) if changed]
    assert done == [store.get("PROD-001")]
    assert done[0].version == 2


# deactivate


def test_deactivation_keeps_other_fields(probe: StoreProbe) -> None:
    probe.store.insert(product(), "key-of-ann")
    probe.store.deactivate("PROD-001", None, "key-of-bob", later)
    expected = product(active=False, version=2, updated_at=LATER)
    assert probe.stored("PROD-001") == expected
    assert probe.author_of("PROD-001") == "key-of-bob"


@pytest.mark.parametrize("expected", [None, revisions(1), revisions(2), revisions()])
def test_repeated_deactivation_changes_nothing(
    probe: StoreProbe, expected: frozenset[Revision] | None
) -> None:
    probe.store.insert(product(active=False), "key-of-ann")
    probe.store.deactivate("PROD-001", expected, "key-of-bob", later)
    assert probe.stored("PROD-001") == product(active=False)
    assert probe.author_of("PROD-001") == "key-of-ann"


@pytest.mark.parametrize("expected", [None, revisions(1), revisions()])
def test_deactivate_missing_product_raises_not_found(
    store: Store, expected: frozenset[Revision] | None
) -> None:
    with pytest.raises(ProductNotFoundException) as raised:
        store.deactivate("PROD-001", expected, "author", later)
    assert "PROD-001" in raised.value.detail
    assert store.get("PROD-001") is None


@pytest.mark.parametrize("expected", [{1}, {5, 1}])
def test_deactivate_with_expected_version_succeeds(probe: StoreProbe, expected: set[int]) -> None:
    probe.store.insert(product(), "author")
    probe.store.deactivate("PROD-001", revisions(*expected), "author", later)
    assert probe.stored("PROD-001") == product(active=False, version=2, updated_at=LATER)


@pytest.mark.parametrize("expected", [set(), {0}, {2}])
def test_deactivate_with_other_version_fails_precondition(store: Store, expected: set[int]) -> None:
    store.insert(product(), "author")
    with pytest.raises(PreconditionFailedException) as raised:
        store.deactivate("PROD-001", revisions(*expected), "author", later)
    assert "PROD-001" in raised.value.detail
    assert store.get("PROD-001") == product()


def test_version_counts_concurrent_changes(
    probe: StoreProbe,
) -> None:
    probe.store.insert(product(), "author")
    start = Barrier(4)

    def write(number: int) -> int:
        start.wait()
        try:
            if number == 0:
                probe.store.deactivate("PROD-001", None, "author", later)
            else:
                probe.store.update("PROD-001", {"name": f"{number}"}, None, "author", later)
        except ProductServiceException:
            return 0
        return 1

    with ThreadPoolExecutor(4) as threads:
        done = sum(threads.map(write, range(4)))
    left = probe.stored("PROD-001")
    assert not left.active
    assert left.version == 1 + done


# accept, find_acceptance and insert_unaccepted


def test_acceptance_is_found(store: Store) -> None:
    store.accept(acceptance(), "a" * 64, 1000)
    assert store.find_acceptance("d" * 64) == acceptance()
    assert store.find_acceptance("a" * 64) is None
    assert store.get("PROD-001") is None


def test_second_acceptance_of_key_is_in_flight(store: Store) -> None:
    store.accept(acceptance(), "a" * 64, 1000)
    with pytest.raises(IdempotencyKeyInFlightException):
        store.accept(acceptance(product_id="PROD-002"), "a" * 64, 1999)
    assert store.find_acceptance("d" * 64) == acceptance()


@pytest.mark.parametrize("now", [2000, 2001])
def test_expired_acceptance_is_replaced(store: Store, now: int) -> None:
    store.accept(acceptance(), "a" * 64, 1000)
    renewed = acceptance(product_id="PROD-002", expires_at=now + 1)
    store.accept(renewed, "a" * 64, now)
    assert store.find_acceptance("d" * 64) == renewed


def test_key_of_created_product_is_not_accepted(store: Store) -> None:
    store.insert_once(product(), "author", record(product()), 1000)
    with pytest.raises(IdempotencyKeyInFlightException):
        store.accept(acceptance(), "a" * 64, 1999)
    assert store.find_acceptance("d" * 64) is None


def test_expired_record_of_key_allows_acceptance(store: Store) -> None:
    store.insert_once(product(), "author", record(product()), 1000)
    renewed = acceptance(expires_at=9000)
    store.accept(renewed, "a" * 64, 2000)
    assert store.find_acceptance("d" * 64) == renewed


def test_one_of_concurrent_acceptances_succeeds(store: Store) -> None:
    start = Barrier(4)

    def accept(number: int) -> bool:
        start.wait()
        try:
            store.accept(acceptance(product_id=f"PROD-{number}"), "a" * 64, 1000)
        except IdempotencyKeyInFlightException:
            return False
        return True

    with ThreadPoolExecutor(4) as threads:
        won = list(threads.map(accept, range(4)))
    assert won.count(True) == 1
    assert store.find_acceptance("d" * 64) == acceptance(product_id=f"PROD-{won.index(True)}")


def test_accepted_key_creates_nothing_else(store: Store) -> None:
    store.accept(acceptance(), "a" * 64, 1000)
    other = product("PROD-002")
    with pytest.raises(IdempotencyKeyInFlightException):
        store.insert_unaccepted(other, "author", record(other), "d" * 64, 1999)
    assert store.get("PROD-002") is None
    assert store.find_record("a" * 64) is None


def test_expired_acceptance_allows_creation(store: Store) -> None:
    store.accept(acceptance(), "a" * 64, 1000)
    renewed = record(product(), expires_at=9000)
    store.insert_unaccepted(product(), "author", renewed, "d" * 64, 2000)
    assert store.find_record("a" * 64) == renewed


def test_unaccepted_product_is_stored_with_record(probe: StoreProbe) -> None:
    probe.store.insert_unaccepted(product(), "key-of-ann", record(product()), "d" * 64, 1000)
    assert probe.store.get("PROD-001") == product()
    assert probe.store.find_record("a" * 64) == record(product())
    assert probe.author_of("PROD-001") == "key-of-ann"


def test_unaccepted_product_with_taken_id_is_rejected(store: Store) -> None:
    store.insert(product(), "author")
    with pytest.raises(DuplicateProductException):
        store.insert_unaccepted(product(name="N"), "author", record(product()), "d" * 64, 1000)
    assert store.find_record("a" * 64) is None


def test_unaccepted_product_replaces_expired_record(store: Store) -> None:
    store.insert_unaccepted(product(), "author", record(product(), expires_at=2000), "d" * 64, 1000)
    other = product("PROD-002")
    renewed = record(other, expires_at=9000)
    store.insert_unaccepted(other, "author", renewed, "d" * 64, 2000)
    assert store.find_record("a" * 64) == renewed


def test_taken_id_is_reported_beside_expired_acceptance(store: Store) -> None:
    store.accept(acceptance(), "a" * 64, 1000)
    store.insert(product(), "author")
    with pytest.raises(DuplicateProductException):
        store.insert_unaccepted(product(name="N"), "author", record(product()), "d" * 64, 2000)


def test_used_key_creates_no_second_product(store: Store) -> None:
    store.insert_unaccepted(product(), "author", record(product()), "d" * 64, 1000)
    other = product("PROD-002")
    with pytest.raises(IdempotencyKeyInFlightException):
        store.insert_unaccepted(other, "author", record(other), "d" * 64, 1001)
    assert store.get("PROD-002") is None


# decide and find_outcome


@pytest.mark.parametrize("problem", [None, "precondition-failed"])
def test_decided_outcome_is_found(store: Store, problem: str | None) -> None:
    assert store.decide(outcome(problem=problem)) == outcome(problem=problem)
    assert store.find_outcome("e" * 64) == outcome(problem=problem)


def test_unknown_outcome_is_none(store: Store) -> None:
    assert store.find_outcome("e" * 64) is None


def test_first_outcome_stays(store: Store) -> None:
    store.decide(outcome(problem="product-not-found"))
    later_one = outcome(expires_at=9000)
    assert store.decide(later_one) == outcome(problem="product-not-found")
    assert store.find_outcome("e" * 64) == outcome(problem="product-not-found")


# insert_by, update_by and deactivate_by


def test_command_inserts_product_and_outcome(probe: StoreProbe) -> None:
    assert probe.store.insert_by(outcome(), product(), "key-of-ann", None, 1000) == outcome()
    assert probe.stored("PROD-001") == product()
    assert probe.author_of("PROD-001") == "key-of-ann"
    assert probe.store.find_outcome("e" * 64) == outcome()


def test_repeated_insertion_returns_first_outcome(probe: StoreProbe) -> None:
    probe.store.insert_by(outcome(), product(), "key-of-ann", None, 1000)
    again = probe.store.insert_by(
        outcome(expires_at=9000), product(name="N"), "key-of-bob", None, 1000
    )
    assert again == outcome()
    assert probe.stored("PROD-001") == product()
    assert probe.author_of("PROD-001") == "key-of-ann"


def test_command_with_taken_id_leaves_no_outcome(store: Store) -> None:
    store.insert(product(), "author")
    with pytest.raises(DuplicateProductException, match="PROD-001"):
        store.insert_by(outcome(), product(name="N"), "author", record(product()), 1000)
    assert store.find_outcome("e" * 64) is None
    assert store.find_record("a" * 64) is None
    assert store.get("PROD-001") == product()


def test_command_with_key_stores_its_record(store: Store) -> None:
    store.insert_by(outcome(), product(), "author", record(product()), 1000)
    assert store.find_record("a" * 64) == record(product())


def test_command_of_created_product_has_outcome_only(probe: StoreProbe) -> None:
    probe.store.insert_once(product(), "key-of-ann", record(product()), 1000)
    later_one = record(product(created_at=LATER))
    decided = probe.store.insert_by(outcome(), later_one.product, "key-of-bob", later_one, 1001)
    assert decided == outcome() == probe.store.find_outcome("e" * 64)
    assert probe.stored("PROD-001") == product()
    assert probe.author_of("PROD-001") == "key-of-ann"
    assert probe.store.find_record("a" * 64) == record(product())


@pytest.mark.parametrize("fields", [{"fingerprint": "c" * 64}, {"created": product("PROD-002")}])
def test_command_with_used_key_is_rejected(store: Store, fields: dict[str, Any]) -> None:
    store.insert_once(product(), "author", record(product()), 1000)
    other = record(**{"created": product(), **fields})
    with pytest.raises(IdempotencyKeyReusedException):
        store.insert_by(outcome(), other.product, "author", other, 1001)
    assert store.find_outcome("e" * 64) is None
    assert store.get("PROD-002") is None


def test_command_replaces_expired_record(store: Store) -> None:
    store.insert_once(product(), "author", record(product()), 1000)
    renewed = record(product("PROD-002"), expires_at=9000)
    assert store.insert_by(outcome(), renewed.product, "author", renewed, 2000) == outcome()
    assert store.find_record("a" * 64) == renewed
    assert store.get("PROD-002") == renewed.product


def test_expired_record_is_no_earlier_creation(store: Store) -> None:
    store.insert_once(product(), "author", record(product()), 1000)
    renewed = record(product(), expires_at=9000)
    with pytest.raises(DuplicateProductException):
        store.insert_by(outcome(), product(), "author", renewed, 2000)


@pytest.mark.parametrize(("changes", "fields"), CHANGES)
def test_command_changes_only_given_fields(
    probe: StoreProbe, changes: dict[str, Any], fields: dict[str, Any]
) -> None:
    probe.store.insert(product(), "key-of-ann")
    update = command(changes=changes, author="key-of-bob")
    assert probe.store.update_by(outcome(), update, later) == outcome()
    assert probe.stored("PROD-001") == product(**fields, version=2, updated_at=LATER)
    assert probe.author_of("PROD-001") == "key-of-bob"
    assert probe.store.find_outcome("e" * 64) == outcome()


def test_command_restores_product(store: Store) -> None:
    store.insert(product(active=False), "author")
    store.update_by(outcome(), command(changes={"active": True}), later)
    assert store.get("PROD-001") == product(version=2, updated_at=LATER)


def test_repeated_update_changes_nothing(probe: StoreProbe) -> None:
    probe.store.insert(product(), "author")
    probe.store.update_by(outcome(), command(changes={"name": "A"}), later)
    probe.store.update("PROD-001", {"name": "B"}, None, "author", later)
    again = outcome(expires_at=9000)
    assert probe.store.update_by(again, command(changes={"name": "A"}), later) == outcome()
    assert probe.stored("PROD-001") == product(name="B", version=3, updated_at=LATER)


def test_rejected_update_stays_rejected(probe: StoreProbe) -> None:
    probe.store.insert(product(), "author")
    probe.store.decide(outcome(problem="product-not-found"))
    decided = probe.store.update_by(outcome(), command(changes={"name": "A"}), later)
    assert decided == outcome(problem="product-not-found")
    assert probe.stored("PROD-001") == product()


@pytest.mark.parametrize("changes", [{"name": "N"}, {"active": True}])
def test_update_of_missing_product_leaves_no_outcome(store: Store, changes: dict[str, Any]) -> None:
    with pytest.raises(ProductNotFoundException):
        store.update_by(outcome(), command(changes=changes), later)
    assert store.find_outcome("e" * 64) is None


def test_update_of_inactive_product_leaves_no_outcome(probe: StoreProbe) -> None:
    probe.store.insert(product(active=False), "author")
    with pytest.raises(ProductNotFoundException):
        probe.store.update_by(outcome(), command(changes={"name": "N"}), later)
    assert probe.store.find_outcome("e" * 64) is None
    assert probe.stored("PROD-001") == product(active=False)


@pytest.mark.parametrize("expected", [set(), {0}, {2}, {4, 30}])
@pytest.mark.parametrize("changes", [{"name": "N"}, None])
def test_command_for_other_version_leaves_no_outcome(
    store: Store, expected: set[int], changes: dict[str, Any] | None
) -> None:
    store.insert(product(), "author")
    other = command(changes=changes, expected=revisions(*expected))
    with pytest.raises(PreconditionFailedException):
        carry_out(store, other)
    assert store.find_outcome("e" * 64) is None
    assert store.get("PROD-001") == product()


@pytest.mark.parametrize("expected", [{1}, {9, 1}, {1, *range(50)}])
@pytest.mark.parametrize("changes", [{"name": "N"}, None])
def test_command_for_expected_version_succeeds(
    probe: StoreProbe, expected: set[int], changes: dict[str, Any] | None
) -> None:
    probe.store.insert(product(), "author")
    right = command(changes=changes, expected=revisions(*expected))
    assert carry_out(probe.store, right) == outcome()
    assert probe.stored("PROD-001").version == 2


def carry_out(store: Store, change: Command) -> Outcome:
    """Carry out an update, or a deletion."""
    if change.changes is None:
        return store.deactivate_by(outcome(), change, later)
    return store.update_by(outcome(), change, later)


def test_command_counts_from_missing_version(probe: StoreProbe) -> None:
    probe.store.insert(product(), "author")
    probe.forget_version("PROD-001")
    probe.store.update_by(outcome(), command(changes={"name": "N"}), later)
    assert probe.stored("PROD-001") == product(name="N", version=1, updated_at=LATER)


def test_command_deactivates_product(probe: StoreProbe) -> None:
    probe.store.insert(product(), "key-of-ann")
    decided = probe.store.deactivate_by(outcome(), command(author="key-of-bob"), later)
    assert decided == outcome() == probe.store.find_outcome("e" * 64)
    assert probe.stored("PROD-001") == product(active=False, version=2, updated_at=LATER)
    assert probe.author_of("PROD-001") == "key-of-bob"


@pytest.mark.parametrize(("before", "after"), [(1, 2), (None, 1)])
def test_command_deactivates_product_changed_by_faster_clock(
    probe: StoreProbe, before: int | None, after: int
) -> None:
    probe.store.insert(product(updated_at="2026-04-01T00:00:00.000000Z"), "author")
    if before is None:
        probe.forget_version("PROD-001")
    assert probe.store.deactivate_by(outcome(), command(), later) == outcome()
    assert probe.stored("PROD-001") == product(active=False, version=after, updated_at=LATER)


def test_deactivation_of_inactive_product_has_outcome(probe: StoreProbe) -> None:
    probe.store.insert(product(active=False), "author")
    assert probe.store.deactivate_by(outcome(), command(), later) == outcome()
    assert probe.stored("PROD-001") == product(active=False)
    assert probe.store.find_outcome("e" * 64) == outcome()


def test_repeated_deactivation_keeps_restored_product(probe: StoreProbe) -> None:
    probe.store.insert(product(active=False), "author")
    probe.store.deactivate_by(outcome(), command(), later)
    restored = probe.store.update("PROD-001", {"active": True}, None, "author", later)
    assert probe.store.deactivate_by(outcome(expires_at=9000), command(), later) == outcome()
    assert probe.stored("PROD-001") == restored


def test_deactivation_of_missing_product_leaves_no_outcome(store: Store) -> None:
    with pytest.raises(ProductNotFoundException):
        store.deactivate_by(outcome(), command(), later)
    assert store.find_outcome("e" * 64) is None


def test_one_of_concurrent_deliveries_changes_product(probe: StoreProbe) -> None:
    probe.store.insert(product(), "author")
    start = Barrier(4)

    def deliver(_: int) -> Outcome:
        start.wait()
        while True:
            try:
                return probe.store.update_by(outcome(), command(changes={"name": "N"}), later)
            except DependencyUnavailableException:  # transactions at the same time: SQS repeats
                continue

    with ThreadPoolExecutor(4) as threads:
        assert set(threads.map(deliver, range(4))) == {outcome()}
    assert probe.stored("PROD-001") == product(name="N", version=2, updated_at=LATER)
