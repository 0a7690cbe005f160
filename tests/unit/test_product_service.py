"""The rules of the catalogue: ids, timestamps, versions, pages and idempotency."""

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
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


class Shop:
    """A service, with its catalogue and a clock that stands still."""

    def __init__(self, catalogue: FakeProductStore | None = None) -> None:
        self.catalogue = catalogue or FakeProductStore()
        self.now = START
        self.service = ProductService(self.catalogue, lambda: self.now)

    def create(self, key: str | None = None, **members: Any) -> Creation:
        return self.service.create_product(draft(**members), key, "key-of-ann")

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
def shop() -> Shop:
    return Shop()


# Creating


def test_a_new_product_is_active_in_version_1_and_of_this_moment(shop: Shop) -> None:
    created = shop.create(price=Decimal("19.9"), setup_fee=Decimal(5))
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
    assert shop.catalogue.products == {"PROD-001": expected}
    assert shop.catalogue.authors == {"PROD-001": "key-of-ann"}


def test_a_moment_has_a_fixed_width(shop: Shop) -> None:
    shop.now = datetime(2026, 2, 3, 4, 5, 6, 0, UTC)
    assert shop.create().product.created_at == "2026-02-03T04:05:06.000000Z"


def test_ids_are_given_in_sequence_with_at_least_three_digits(shop: Shop) -> None:
    assert [shop.create().product.product_id for _ in range(2)] == ["PROD-001", "PROD-002"]
    shop.catalogue.number = 998
    assert [shop.create().product.product_id for _ in range(2)] == ["PROD-999", "PROD-1000"]


def test_an_id_that_is_asked_for_is_given(shop: Shop) -> None:
    assert shop.create(product_id="PROD-X").product.product_id == "PROD-X"
    assert shop.catalogue.number == 0


def test_an_id_that_is_taken_is_not_given_again(shop: Shop) -> None:
    shop.create(product_id="PROD-X")
    with pytest.raises(DuplicateProductException):
        shop.create(product_id="PROD-X", name="another")
    shop.service.delete_product("PROD-X", None, "ann")
    with pytest.raises(DuplicateProductException):
        shop.create(product_id="PROD-X")


class Counting(FakeProductStore):
    """Takes note of what it is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[int] = []
        self.limits: list[int] = []

    def page(self, sort: SortOrder, after: Cursor | None, limit: int) -> list[Product]:
        self.limits.append(limit)
        return super().page(sort, after, limit)

    def advance_number(self, step: int) -> int:
        self.steps.append(step)
        return super().advance_number(step)


@pytest.mark.parametrize("key", [None, "key"])
@pytest.mark.parametrize("taken", [0, 1, 2, 3, 4, 7, 8, 100, 5000])
def test_taken_numbers_are_leapt_over_by_doubling_steps(taken: int, key: str | None) -> None:
    catalogue = Counting()
    for number in range(1, taken + 1):
        catalogue.insert(product(f"PROD-{number:03}"), "importer")
    created = Shop(catalogue).create(key).product
    assert catalogue.steps == [2**attempt for attempt in range(len(catalogue.steps))]
    assert len(catalogue.steps) <= 13
    assert created.product_id == f"PROD-{2 ** len(catalogue.steps) - 1:03}"
    assert len(catalogue.products) == taken + 1


def test_the_next_id_follows_the_leap_without_another(shop: Shop) -> None:
    for number in range(1, 6):
        shop.create(product_id=f"PROD-{number:03}")
    assert [shop.create().product.product_id for _ in range(2)] == ["PROD-007", "PROD-008"]


def test_each_attempt_has_its_own_moment() -> None:
    catalogue = FakeProductStore()
    catalogue.insert(product("PROD-001"), "importer")
    ticks = iter(range(100))
    service = ProductService(catalogue, lambda: START + timedelta(seconds=next(ticks)))
    created = service.create_product(draft(), None, "ann").product
    assert created.created_at == created.updated_at == "2026-01-31T09:30:01.123456Z"


# Creating with an idempotency key


def test_the_same_key_and_draft_give_the_same_product(shop: Shop) -> None:
    first = shop.create("key")
    assert not first.replayed
    shop.now += timedelta(hours=1)
    assert shop.create("key") == Creation(first.product, replayed=True)
    assert list(shop.catalogue.products) == ["PROD-001"]
    assert shop.catalogue.authors == {"PROD-001": "key-of-ann"}


def test_a_replay_shows_what_was_answered_then(shop: Shop) -> None:
    first = shop.create("key").product
    shop.service.update_product(first.product_id, {"name": "New"}, None, "ann")
    assert shop.create("key").product == first
    shop.service.delete_product(first.product_id, None, "ann")
    assert shop.create("key").product == first


def test_other_keys_create_other_products(shop: Shop) -> None:
    assert shop.create("a").product.product_id != shop.create("b").product.product_id
    assert not shop.create(None).replayed


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
def test_a_key_is_not_taken_for_another_draft(shop: Shop, other: dict[str, Any]) -> None:
    shop.create("key")
    with pytest.raises(IdempotencyKeyReusedException):
        shop.create("key", **other)
    assert list(shop.catalogue.products) == ["PROD-001"]


def test_the_same_draft_is_known_however_its_numbers_were_spelt(shop: Shop) -> None:
    first = shop.create("key", price=Decimal("19.9"), setup_fee=Decimal(1000))
    again = shop.create("key", price=Decimal("19.9"), setup_fee=Decimal(1000))
    assert again == Creation(first.product, replayed=True)


def test_the_key_itself_is_not_stored(shop: Shop) -> None:
    shop.create("secret-of-the-client")
    (stored,) = shop.catalogue.records.values()
    assert stored.key_hash == hashlib.sha256(b"secret-of-the-client").hexdigest()
    assert len(stored.fingerprint) == 64
    assert int(stored.fingerprint, 16) >= 0
    assert "secret" not in repr(stored)


def test_a_key_is_remembered_for_24_hours(shop: Shop) -> None:
    first = shop.create("key").product
    (stored,) = shop.catalogue.records.values()
    assert stored.expires_at == int(START.timestamp()) + 24 * 60 * 60
    shop.now = START + timedelta(hours=24, seconds=-1)
    assert shop.create("key") == Creation(first, replayed=True)
    shop.now = START + timedelta(hours=24)
    renewed = shop.create("key", name="Other")
    assert not renewed.replayed
    assert renewed.product.product_id == "PROD-002"
    assert shop.create("key", name="Other") == Creation(renewed.product, replayed=True)


def test_a_taken_id_with_a_key_leaves_the_key_free(shop: Shop) -> None:
    shop.create(product_id="PROD-X")
    with pytest.raises(DuplicateProductException):
        shop.create("key", product_id="PROD-X", name="another")
    assert shop.create("key", product_id="PROD-Y").product.product_id == "PROD-Y"


def test_one_key_in_many_hands_creates_one_product(shop: Shop) -> None:
    with ThreadPoolExecutor(8) as threads:
        created = list(threads.map(lambda _: shop.create("key"), range(16)))
    assert len({each.product for each in created}) == 1
    assert [each.replayed for each in created].count(False) == 1
    assert len(shop.catalogue.products) == 1


class Overtaken(FakeProductStore):
    """Somebody else uses the key between the look at the record and the transaction."""

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


def test_a_race_that_another_request_has_won_is_replayed() -> None:
    winner = product("PROD-W")
    shop = Shop(Overtaken(lambda record: record._replace(product=winner)))
    assert shop.create("key") == Creation(winner, replayed=True)


def test_a_race_that_another_draft_has_won_is_a_reused_key() -> None:
    shop = Shop(Overtaken(lambda record: record._replace(fingerprint="f" * 64)))
    with pytest.raises(IdempotencyKeyReusedException):
        shop.create("key")


def test_a_race_that_is_not_decided_is_told_so() -> None:
    shop = Shop(Overtaken(lambda _: None))
    with pytest.raises(IdempotencyKeyInFlightException):
        shop.create("key")


def test_a_race_against_a_record_of_long_ago_is_told_so() -> None:
    shop = Shop(Overtaken(lambda record: record._replace(expires_at=0)))
    with pytest.raises(IdempotencyKeyInFlightException):
        shop.create("key")


# Reading


def test_an_active_product_is_read(shop: Shop) -> None:
    created = shop.create().product
    assert shop.service.get_product("PROD-001") == created


def test_what_is_not_there_or_not_active_is_not_found(shop: Shop) -> None:
    shop.create()
    shop.service.delete_product("PROD-001", None, "ann")
    for product_id in ("PROD-001", "PROD-404"):
        with pytest.raises(ProductNotFoundException) as raised:
            shop.service.get_product(product_id)
        assert raised.value.detail == f"There is no active product {product_id}."


# Listing


@pytest.fixture
def five(shop: Shop) -> Shop:
    for number in range(1, 6):
        shop.catalogue.insert(product(f"PROD-{number}", created_at=second(number)), "filler")
    return shop


def ids(page: Page) -> list[str]:
    return [each.product_id for each in page.products]


def place(number: int) -> Cursor:
    return Cursor(second(number), f"PROD-{number}")


def test_a_page_tells_where_the_next_one_starts(five: Shop) -> None:
    page = five.page(limit=2)
    assert (ids(page), page.next_cursor) == (["PROD-1", "PROD-2"], place(2))
    page = five.page(limit=2, cursor=page.next_cursor)
    assert (ids(page), page.next_cursor) == (["PROD-3", "PROD-4"], place(4))
    page = five.page(limit=2, cursor=page.next_cursor)
    assert (ids(page), page.next_cursor) == (["PROD-5"], None)
    assert five.page(limit=3).next_cursor == place(3)


@pytest.mark.parametrize(("limit", "more"), [(4, True), (5, False), (6, False)])
def test_whether_more_follows_is_exact(five: Shop, limit: int, more: bool) -> None:  # noqa: FBT001
    assert (five.page(limit=limit).next_cursor is not None) is more


def test_a_page_reads_one_product_more_than_it_shows() -> None:
    catalogue = Counting()
    Shop(catalogue).page(limit=7)
    assert catalogue.limits == [8]


def test_an_empty_catalogue_is_one_empty_page(shop: Shop) -> None:
    assert shop.page() == Page((), None)
    assert shop.page(offset=3) == Page((), None)


@pytest.mark.parametrize(
    ("offset", "found", "next_cursor"),
    [
        (0, ["PROD-1", "PROD-2"], place(2)),
        (1, ["PROD-2", "PROD-3"], place(3)),
        (3, ["PROD-4", "PROD-5"], None),
        (4, ["PROD-5"], None),
        (5, [], None),
        (6, [], None),
        (1000, [], None),
    ],
)
def test_an_offset_skips_products(
    five: Shop, offset: int, found: list[str], next_cursor: Cursor | None
) -> None:
    page = five.page(offset=offset)
    assert (ids(page), page.next_cursor) == (found, next_cursor)


def test_the_newest_come_first_in_the_other_order(five: Shop) -> None:
    page = five.page(sort=NEWEST, offset=1)
    assert (ids(page), page.next_cursor) == (["PROD-4", "PROD-3"], place(3))


# Changing and deleting


def test_a_change_is_of_this_moment_and_by_its_author(shop: Shop) -> None:
    created = shop.create().product
    shop.now += timedelta(seconds=1)
    changed = shop.service.update_product("PROD-001", {"name": "New"}, None, "key-of-bob")
    assert changed == replace(
        created, name="New", version=2, updated_at="2026-01-31T09:30:01.123456Z"
    )
    assert shop.catalogue.authors == {"PROD-001": "key-of-bob"}


def test_a_change_is_bound_to_the_expected_version(shop: Shop) -> None:
    shop.create()
    with pytest.raises(PreconditionFailedException):
        shop.service.update_product("PROD-001", {"name": "New"}, frozenset({2}), "ann")
    changed = shop.service.update_product("PROD-001", {"name": "New"}, frozenset({1}), "ann")
    assert changed.version == 2


def test_a_deletion_is_of_this_moment_and_by_its_author(shop: Shop) -> None:
    created = shop.create().product
    shop.now += timedelta(seconds=1)
    shop.service.delete_product("PROD-001", frozenset({1}), "key-of-bob")
    assert shop.catalogue.products["PROD-001"] == replace(
        created, active=False, version=2, updated_at="2026-01-31T09:30:01.123456Z"
    )
    assert shop.catalogue.authors == {"PROD-001": "key-of-bob"}


def test_a_deletion_is_bound_to_the_expected_version(shop: Shop) -> None:
    shop.create()
    with pytest.raises(PreconditionFailedException):
        shop.service.delete_product("PROD-001", frozenset({2}), "ann")
    assert shop.service.get_product("PROD-001").active


def test_what_was_deleted_is_not_changed(shop: Shop) -> None:
    shop.create()
    shop.service.delete_product("PROD-001", None, "ann")
    shop.service.delete_product("PROD-001", None, "ann")
    with pytest.raises(ProductNotFoundException):
        shop.service.update_product("PROD-001", {"name": "New"}, None, "ann")
    with pytest.raises(ProductNotFoundException):
        shop.service.delete_product("PROD-404", None, "ann")
