"""The rules of the catalogue: ids, timestamps, versions, pages and idempotency."""

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from product_lambda.exceptions import (
    DuplicateProductException,
    IdempotencyKeyInFlightException,
    IdempotencyKeyReusedException,
    PreconditionFailedException,
    ProductNotFoundException,
    TimeUpException,
    ValidationException,
)
from product_lambda.models.product import (
    Cursor,
    IdempotencyRecord,
    Page,
    PageRequest,
    Product,
    SortOrder,
)
from product_lambda.services.product_service import Creation, ProductService
from tests.support.fakes import FakeProductStore
from tests.support.products import CREATED_AT, draft, product, second

START = datetime(2026, 1, 31, 9, 30, 0, 123456, UTC)
NEWEST, OLDEST = SortOrder.NEWEST_FIRST, SortOrder.OLDEST_FIRST


class Setup:
    """A service with its store and a clock that does not move."""

    def __init__(self, store: FakeProductStore | None = None) -> None:
        self.store = store or FakeProductStore()
        self.now = START
        self.service = ProductService(self.store, lambda: self.now)

    def create(self, key: str | None = None, **fields: Any) -> Creation:
        return self.service.create_product(draft(**fields), key, "key-of-ann")

    def page(
        self,
        *,
        limit: int = 2,
        sort: SortOrder = OLDEST,
        offset: int = 0,
        cursor: Cursor | None = None,
    ) -> Page:
        return self.service.list_products(PageRequest(limit, sort, offset, cursor))


@pytest.fixture
def setup() -> Setup:
    return Setup()


# Creating


def test_new_product_is_active_in_version_1(setup: Setup) -> None:
    created = setup.create(price=Decimal("19.9"), setup_fee=Decimal(5))
    expected = Product(
        product_id="PROD-001",
        name="Basic",
        description="One site with up to five pages.",
        price=Decimal("19.9"),
        setup_fee=Decimal(5),
        currency="ZAR",
        period="yearly",
        features=("Five pages",),
        active=True,
        version=1,
        created_at=CREATED_AT,
        updated_at=CREATED_AT,
    )
    assert created == Creation(expected, replayed=False)
    assert setup.store.products == {"PROD-001": expected}
    assert setup.store.authors == {"PROD-001": "key-of-ann"}


def test_timestamp_has_fixed_width(setup: Setup) -> None:
    setup.now = datetime(2026, 2, 3, 4, 5, 6, 0, UTC)
    assert setup.create().product.created_at == "2026-02-03T04:05:06.000000Z"


def test_ids_are_sequential_with_three_digits(setup: Setup) -> None:
    assert [setup.create().product.product_id for _ in range(2)] == ["PROD-001", "PROD-002"]
    setup.store.number = 998
    assert [setup.create().product.product_id for _ in range(2)] == ["PROD-999", "PROD-1000"]


def test_requested_id_is_used(setup: Setup) -> None:
    assert setup.create(product_id="PROD-X").product.product_id == "PROD-X"
    assert setup.store.number == 0


def test_taken_id_is_rejected(setup: Setup) -> None:
    setup.create(product_id="PROD-X")
    with pytest.raises(DuplicateProductException):
        setup.create(product_id="PROD-X", name="another")
    setup.service.delete_product("PROD-X", None, "ann")
    with pytest.raises(DuplicateProductException):
        setup.create(product_id="PROD-X")


class CountingStore(FakeProductStore):
    """A store that records the calls."""

    def __init__(self) -> None:
        super().__init__()
        self.advances = 0
        self.reads = 0

    def advance_number(self, step: int) -> int:
        self.advances += 1
        return super().advance_number(step)

    def is_taken(self, product_id: str) -> bool:
        self.reads += 1
        return super().is_taken(product_id)


class RacingStore(FakeProductStore):
    """A store in which another writer takes each number that was read as free."""

    def is_taken(self, product_id: str) -> bool:
        is_taken = super().is_taken(product_id)
        if not is_taken and len(self.products) < 2:
            self.insert(product(product_id), "other writer")
        return is_taken


@pytest.mark.parametrize("key", [None, "key"])
@pytest.mark.parametrize("taken", [0, 1, 2, 3, 4, 5, 7, 8, 100, 5000])
def test_number_after_imported_products_is_the_next(taken: int, key: str | None) -> None:
    store = CountingStore()
    for number in range(1, taken + 1):
        store.insert(product(f"PROD-{number:03}"), "importer")
    created = Setup(store).create(key).product
    assert created.product_id == f"PROD-{taken + 1:03}"
    assert store.advances == (2 if taken else 1)
    assert store.reads <= 2 * taken.bit_length()
    assert len(store.products) == taken + 1


def test_deleted_products_keep_their_numbers(setup: Setup) -> None:
    for number in range(1, 6):
        setup.create(product_id=f"PROD-{number:03}")
        setup.service.delete_product(f"PROD-{number:03}", None, "ann")
    assert [setup.create().product.product_id for _ in range(2)] == ["PROD-006", "PROD-007"]


def test_gap_among_imported_numbers_is_skipped(setup: Setup) -> None:
    for number in (1, 2, 3, 5, 6, 9):
        setup.create(product_id=f"PROD-{number:03}")
    assert [setup.create().product.product_id for _ in range(2)] == ["PROD-010", "PROD-011"]


def test_number_taken_by_a_race_is_skipped() -> None:
    store = RacingStore()
    store.insert(product("PROD-001"), "importer")
    assert Setup(store).create().product.product_id == "PROD-003"


def test_each_attempt_has_its_own_timestamp() -> None:
    store = FakeProductStore()
    store.insert(product("PROD-001"), "importer")
    ticks = iter(range(100))
    service = ProductService(store, lambda: START + timedelta(seconds=next(ticks)))
    created = service.create_product(draft(), None, "ann").product
    assert created.created_at == created.updated_at == "2026-01-31T09:30:01.123456Z"


# Creating with an idempotency key


def test_same_key_and_draft_return_same_product(setup: Setup) -> None:
    first = setup.create("key")
    assert not first.replayed
    setup.now += timedelta(hours=1)
    assert setup.create("key") == Creation(first.product, replayed=True)
    assert list(setup.store.products) == ["PROD-001"]
    assert setup.store.authors == {"PROD-001": "key-of-ann"}


def test_replay_returns_product_as_created(setup: Setup) -> None:
    first = setup.create("key").product
    setup.service.update_product(first.product_id, {"name": "New"}, None, "ann")
    assert setup.create("key").product == first
    setup.service.delete_product(first.product_id, None, "ann")
    assert setup.create("key").product == first


def test_other_keys_create_other_products(setup: Setup) -> None:
    assert setup.create("a").product.product_id != setup.create("b").product.product_id
    assert not setup.create(None).replayed


OTHERS = [
    {"name": "Other"},
    {"description": "Other"},
    {"price": Decimal("20.99")},
    {"setup_fee": Decimal(0)},
    {"currency": "USD"},
    {"period": "monthly"},
    {"features": ("Other",)},
    {"features": ("Five", "pages")},
    {"product_id": "PROD-X"},
]


@pytest.mark.parametrize("other", OTHERS)
def test_reused_key_with_other_draft_is_rejected(setup: Setup, other: dict[str, Any]) -> None:
    setup.create("key")
    with pytest.raises(IdempotencyKeyReusedException):
        setup.create("key", **other)
    assert list(setup.store.products) == ["PROD-001"]


def test_fingerprint_ignores_number_notation(setup: Setup) -> None:
    first = setup.create("key", price=Decimal("19.9"), setup_fee=Decimal(1000))
    again = setup.create("key", price=Decimal("19.9"), setup_fee=Decimal(1000))
    assert again == Creation(first.product, replayed=True)


def test_key_is_stored_as_hash(setup: Setup) -> None:
    setup.create("secret-of-the-client")
    (stored,) = setup.store.records.values()
    assert stored.key_hash == hashlib.sha256(b"secret-of-the-client").hexdigest()
    assert len(stored.fingerprint) == 64
    assert int(stored.fingerprint, 16) >= 0
    assert "secret" not in repr(stored)


def test_key_expires_after_24_hours(setup: Setup) -> None:
    first = setup.create("key").product
    (stored,) = setup.store.records.values()
    assert stored.expires_at == int(START.timestamp()) + 24 * 60 * 60
    setup.now = START + timedelta(hours=24, seconds=-1)
    assert setup.create("key") == Creation(first, replayed=True)
    setup.now = START + timedelta(hours=24)
    renewed = setup.create("key", name="Other")
    assert not renewed.replayed
    assert renewed.product.product_id == "PROD-002"
    assert setup.create("key", name="Other") == Creation(renewed.product, replayed=True)


def test_taken_id_leaves_key_unused(setup: Setup) -> None:
    setup.create(product_id="PROD-X")
    with pytest.raises(DuplicateProductException):
        setup.create("key", product_id="PROD-X", name="another")
    assert setup.create("key", product_id="PROD-Y").product.product_id == "PROD-Y"


def test_concurrent_requests_with_one_key_create_one_product(setup: Setup) -> None:
    with ThreadPoolExecutor(8) as threads:
        created = list(threads.map(lambda _: setup.create("key"), range(16)))
    assert len({each.product for each in created}) == 1
    assert [each.replayed for each in created].count(False) == 1
    assert len(setup.store.products) == 1


class Overtaken(FakeProductStore):
    """A store in which another request uses the key just before the transaction."""

    def __init__(self, meanwhile: Callable[[IdempotencyRecord], IdempotencyRecord | None]) -> None:
        super().__init__()
        self._meanwhile = meanwhile

    def insert_once(
        self,
        product: Product,  # noqa: ARG002 (the interface)
        author: str,  # noqa: ARG002
        record: IdempotencyRecord,
        now: int,  # noqa: ARG002
    ) -> None:
        overtaking = self._meanwhile(record)
        if overtaking:
            self.records[record.key_hash] = overtaking
        raise IdempotencyKeyInFlightException


def test_lost_race_is_replayed() -> None:
    winner = product("PROD-W")
    setup = Setup(Overtaken(lambda record: record._replace(product=winner)))
    assert setup.create("key") == Creation(winner, replayed=True)


def test_lost_race_with_other_draft_is_key_reuse() -> None:
    setup = Setup(Overtaken(lambda record: record._replace(fingerprint="f" * 64)))
    with pytest.raises(IdempotencyKeyReusedException):
        setup.create("key")


def test_undecided_race_raises_key_in_flight() -> None:
    setup = Setup(Overtaken(lambda _: None))
    with pytest.raises(IdempotencyKeyInFlightException):
        setup.create("key")


def test_race_with_expired_record_raises_key_in_flight() -> None:
    setup = Setup(Overtaken(lambda record: record._replace(expires_at=0)))
    with pytest.raises(IdempotencyKeyInFlightException):
        setup.create("key")


# Reading


def test_get_returns_active_product(setup: Setup) -> None:
    created = setup.create().product
    assert setup.service.get_product("PROD-001") == created


def test_get_missing_or_inactive_product_raises_not_found(setup: Setup) -> None:
    setup.create()
    setup.service.delete_product("PROD-001", None, "ann")
    for product_id in ("PROD-001", "PROD-404"):
        with pytest.raises(ProductNotFoundException) as raised:
            setup.service.get_product(product_id)
        assert raised.value.detail == f"There is no active product {product_id}."


# Listing


@pytest.fixture
def five_products(setup: Setup) -> Setup:
    for number in range(1, 6):
        setup.store.insert(product(f"PROD-{number}", created_at=second(number)), "filler")
    return setup


def ids(page: Page) -> list[str]:
    return [each.product_id for each in page.products]


def cursor_of(number: int) -> Cursor:
    return Cursor(second(number), f"PROD-{number}")


def test_page_has_cursor_of_next_page(five_products: Setup) -> None:
    page = five_products.page(limit=2)
    assert (ids(page), page.next_cursor) == (["PROD-1", "PROD-2"], cursor_of(2))
    page = five_products.page(limit=2, cursor=page.next_cursor)
    assert (ids(page), page.next_cursor) == (["PROD-3", "PROD-4"], cursor_of(4))
    page = five_products.page(limit=2, cursor=page.next_cursor)
    assert (ids(page), page.next_cursor) == (["PROD-5"], None)
    assert five_products.page(limit=3).next_cursor == cursor_of(3)


@pytest.mark.parametrize(("limit", "more"), [(4, True), (5, False), (6, False)])
def test_more_available_is_exact(
    five_products: Setup, limit: int, more: bool  # noqa: FBT001
) -> None:
    assert (five_products.page(limit=limit).next_cursor is not None) is more


def test_empty_catalogue_has_one_empty_page(setup: Setup) -> None:
    assert setup.page() == Page((), None)
    assert setup.page(offset=3) == Page((), None)


@pytest.mark.parametrize(
    ("offset", "found", "next_cursor"),
    [
        (0, ["PROD-1", "PROD-2"], cursor_of(2)),
        (1, ["PROD-2", "PROD-3"], cursor_of(3)),
        (3, ["PROD-4", "PROD-5"], None),
        (4, ["PROD-5"], None),
        (5, [], None),
        (6, [], None),
        (1000, [], None),
    ],
)
def test_offset_skips_products(
    five_products: Setup, offset: int, found: list[str], next_cursor: Cursor | None
) -> None:
    page = five_products.page(offset=offset)
    assert (ids(page), page.next_cursor) == (found, next_cursor)


def test_sort_order_reaches_store(five_products: Setup) -> None:
    page = five_products.page(sort=NEWEST, offset=1)
    assert (ids(page), page.next_cursor) == (["PROD-4", "PROD-3"], cursor_of(3))


# Changing and deleting


def test_update_has_current_time_and_author(setup: Setup) -> None:
    created = setup.create().product
    setup.now += timedelta(seconds=1)
    changed = setup.service.update_product("PROD-001", {"name": "New"}, None, "key-of-bob")
    assert changed == created._replace(
        name="New", version=2, updated_at="2026-01-31T09:30:01.123456Z"
    )
    assert setup.store.authors == {"PROD-001": "key-of-bob"}


def test_update_passes_expected_revisions(setup: Setup) -> None:
    revision = setup.create().product.revision
    other = revision._replace(version=2)
    with pytest.raises(PreconditionFailedException):
        setup.service.update_product("PROD-001", {"name": "New"}, frozenset({other}), "ann")
    changed = setup.service.update_product("PROD-001", {"name": "N"}, frozenset({revision}), "ann")
    assert changed.version == 2


def test_delete_has_current_time_and_author(setup: Setup) -> None:
    created = setup.create().product
    setup.now += timedelta(seconds=1)
    setup.service.delete_product("PROD-001", frozenset({created.revision}), "key-of-bob")
    assert setup.store.products["PROD-001"] == created._replace(
        active=False, version=2, updated_at="2026-01-31T09:30:01.123456Z"
    )
    assert setup.store.authors == {"PROD-001": "key-of-bob"}


def test_delete_passes_expected_revisions(setup: Setup) -> None:
    other = setup.create().product.revision._replace(version=2)
    with pytest.raises(PreconditionFailedException):
        setup.service.delete_product("PROD-001", frozenset({other}), "ann")
    assert setup.service.get_product("PROD-001").active


def test_update_deleted_product_raises_not_found(setup: Setup) -> None:
    setup.create()
    setup.service.delete_product("PROD-001", None, "ann")
    setup.service.delete_product("PROD-001", None, "ann")
    with pytest.raises(ProductNotFoundException):
        setup.service.update_product("PROD-001", {"name": "New"}, None, "ann")
    with pytest.raises(ProductNotFoundException):
        setup.service.delete_product("PROD-404", None, "ann")


# Long reads


class SlowStore(FakeProductStore):
    """A store that cannot read a page in time."""

    def page(self, request: PageRequest) -> Page:  # noqa: ARG002
        raise TimeUpException


def test_offset_that_takes_too_long_is_invalid() -> None:
    with pytest.raises(ValidationException) as raised:
        Setup(SlowStore()).page(offset=1)
    assert [(each.field, each.message) for each in raised.value.errors] == [
        ("offset", "takes too long to read; walk the list by nextToken instead")
    ]


def test_page_without_offset_that_is_late_is_no_invalid_request() -> None:
    with pytest.raises(TimeUpException):
        Setup(SlowStore()).page()
