"""Sends random requests to the service and to a model of plain dictionaries.

The model predicts each response; it knows nothing about the implementation of the service.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from product_lambda.exceptions import (
    DuplicateProductException,
    IdempotencyKeyReusedException,
    PreconditionFailedException,
    ProductNotFoundException,
    ProductServiceException,
)
from product_lambda.models.product import (
    Filters,
    PageRequest,
    Product,
    ProductDraft,
    Revision,
    SortOrder,
)
from product_lambda.services.product_service import Creation, ProductService, ProductStore
from tests.support.pages import listed, pages_of
from tests.support.products import draft

IDS = st.sampled_from([*(f"PROD-{number:03}" for number in range(1, 9)), "PROD-X", "PROD-Y"])
DRAFTS = st.builds(
    draft,
    product_id=st.none() | IDS,
    name=st.sampled_from(["Basic", "Standard"]),
    price=st.sampled_from([Decimal("19.99"), Decimal(1000)]),
    currency=st.sampled_from(["ZAR", "EUR"]),
    setup_fee=st.sampled_from([None, Decimal(0), Decimal("0.01")]),
)
CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["Premium", "Enterprise"]),
        "price": st.sampled_from([Decimal("0.01"), Decimal("99999999.99")]),
        "setupFee": st.sampled_from([None, Decimal(5), Decimal("0.3")]),
        "features": st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=3),
        "active": st.sampled_from([True]),
    },
).filter(len)
FILTERS = st.builds(
    Filters,
    currency=st.sampled_from([None, "ZAR", "EUR"]),
    period=st.sampled_from([None, "yearly", "monthly"]),
    min_price=st.sampled_from([None, Decimal(0), Decimal("19.99"), Decimal(20)]),
    max_price=st.sampled_from([None, Decimal("19.99"), Decimal(1000)]),
    name=st.sampled_from([None, "b", "BASIC", "Pre", "x"]),
).filter(lambda filters: (filters.min_price or 0) <= (filters.max_price or Decimal("Infinity")))
ORDERS: dict[str, Callable[[Product], Any]] = {
    "createdAt": lambda product: product.created_at,
    "price": lambda product: product.price,
    "name": lambda product: product.name.lower(),
}
EXPECTED = st.none() | st.frozensets(st.integers(0, 4), max_size=3)
KEYS = st.none() | st.sampled_from(["key-1", "key-2"])
NAMES = {
    **{name: name for name in ("name", "price", "features", "active")},
    "setupFee": "setup_fee",
}


@dataclass
class KeyRecord:
    """The model of an idempotency record."""

    draft: ProductDraft
    product: Product
    until: datetime


class CatalogueMachine(RuleBasedStateMachine):
    """One service and its model; both start with an empty catalogue."""

    def __init__(self) -> None:
        super().__init__()
        self.moment = datetime(2026, 1, 31, tzinfo=UTC)
        self.service = ProductService(self.empty_store(), lambda: self.moment)
        self.products: dict[str, Product] = {}
        self.keys: dict[str, KeyRecord] = {}
        self.number = 0

    def empty_store(self) -> ProductStore:
        """Return the store of the service."""
        raise NotImplementedError

    def tick(self) -> str:
        """Advance the clock by a second, so that no two products have the same timestamp."""
        self.moment += timedelta(seconds=1)
        return self.moment.strftime("%Y-%m-%dT%H:%M:%S.000000Z")

    @rule(draft=DRAFTS, key=KEYS)
    def create(self, draft: ProductDraft, key: str | None) -> None:
        now = self.tick()
        response = outcome(lambda: self.service.create_product(draft, key, "author"))
        earlier = self.keys.get(key) if key else None
        if earlier and self.moment < earlier.until:
            if earlier.draft == draft:
                assert response == (earlier.product, True)
            else:
                assert response is IdempotencyKeyReusedException
            return
        product_id = draft.product_id or self.numbered_id(response)
        if product_id in self.products:
            assert response is DuplicateProductException
            return
        created = Product(
            product_id=product_id,
            name=draft.name,
            description=draft.description,
            price=draft.price,
            setup_fee=draft.setup_fee,
            currency=draft.currency,
            period=draft.period,
            features=draft.features,
            active=True,
            version=1,
            created_at=now,
            updated_at=now,
        )
        assert response == (created, False)
        self.products[product_id] = created
        if key:
            self.keys[key] = KeyRecord(draft, created, self.moment + timedelta(hours=24))

    def numbered_id(self, response: object) -> str:
        """Return the id that the service gave: the next number, or the next after a taken one."""
        assert isinstance(response, Creation), response
        product_id = response.product.product_id
        number = int(product_id.removeprefix("PROD-"))
        assert number > self.number
        assert number == self.number + 1 or f"PROD-{number - 1:03}" in self.products
        self.number = number
        return product_id

    @rule(product_id=IDS, changes=CHANGES, expected=EXPECTED)
    def update(
        self, product_id: str, changes: dict[str, Any], expected: frozenset[int] | None
    ) -> None:
        now = self.tick()
        revisions = self.revisions(product_id, expected)
        response = outcome(
            lambda: self.service.update_product(product_id, changes, revisions, "author")
        )
        product = self.products.get(product_id)
        if product is None or not (product.active or "active" in changes):
            assert response is ProductNotFoundException
        elif expected is not None and product.version not in expected:
            assert response is PreconditionFailedException
        else:
            fields: dict[str, Any] = {NAMES[name]: value for name, value in changes.items()}
            if "features" in fields:
                fields["features"] = tuple(fields["features"])
            changed = product._replace(**fields, version=product.version + 1, updated_at=now)
            assert response == changed
            self.products[product_id] = changed

    @rule(product_id=IDS, expected=EXPECTED)
    def delete(self, product_id: str, expected: frozenset[int] | None) -> None:
        now = self.tick()
        revisions = self.revisions(product_id, expected)
        response = outcome(lambda: self.service.delete_product(product_id, revisions, "author"))
        product = self.products.get(product_id)
        if product is None:
            assert response is ProductNotFoundException
        elif product.active and expected is not None and product.version not in expected:
            assert response is PreconditionFailedException
        else:
            assert response is None
            if product.active:
                self.products[product_id] = product._replace(
                    active=False, version=product.version + 1, updated_at=now
                )

    def revisions(
        self, product_id: str, versions: frozenset[int] | None
    ) -> frozenset[Revision] | None:
        """Return revisions of a product as they are now, with the given versions."""
        product = self.products.get(product_id)
        updated_at = product.updated_at if product else "2026-01-31T00:00:00.000000Z"
        if versions is None:
            return None
        return frozenset(Revision(version, updated_at) for version in versions)

    @rule(product_id=IDS)
    def get(self, product_id: str) -> None:
        response = outcome(lambda: self.service.get_product(product_id))
        product = self.products.get(product_id)
        if product is None or not product.active:
            assert response is ProductNotFoundException
        else:
            assert response == product

    @rule(
        sort=st.sampled_from(SortOrder),
        filters=FILTERS,
        limit=st.integers(1, 4),
        offset=st.integers(0, 6),
    )
    def walk(self, sort: SortOrder, filters: Filters, limit: int, offset: int) -> None:
        """Read from an offset to the end, page by page."""
        request = PageRequest(limit, sort, offset, None, filters)
        pages = list(pages_of(Listing(self.service), request))
        found = [product for page in pages for product in page.products]
        assert all(len(page.products) == limit for page in pages[:-1])
        everything = listed(Listing(self.service), request._replace(offset=0, limit=100))
        assert found == everything[offset:]
        matching = [product for product in self.products.values() if is_match(product, filters)]
        assert sorted(everything, key=by_id) == sorted(matching, key=by_id)
        values = [ORDERS[sort.field](product) for product in everything]
        assert values == sorted(values, reverse=sort.startswith("-"))

    @rule(limit=st.integers(1, 4))
    def walk_deleted(self, limit: int) -> None:
        request = PageRequest(limit, SortOrder.NEWEST_FIRST, 0, None, deleted=True)
        found = listed(Listing(self.service), request)
        deleted = [product for product in self.products.values() if not product.active]
        assert found == sorted(deleted, key=lambda product: product.created_at, reverse=True)

    @rule(hours=st.integers(1, 23))
    def wait(self, hours: int) -> None:
        self.moment += timedelta(hours=hours)

    @invariant()
    def the_list_is_the_models(self) -> None:
        everything = PageRequest(100, SortOrder.OLDEST_FIRST, 0, None)
        found = self.service.list_products(everything)
        assert list(found.products) == self.active(SortOrder.OLDEST_FIRST)
        assert found.next_cursor is None

    def active(self, sort: SortOrder) -> list[Product]:
        """Return the list of the model."""
        return sorted(
            (product for product in self.products.values() if product.active),
            key=lambda product: product.created_at,
            reverse=sort is SortOrder.NEWEST_FIRST,
        )


class Listing:
    """The list of a service, for `tests.support.pages`."""

    def __init__(self, service: ProductService) -> None:
        self.page = service.list_products


def is_match(product: Product, filters: Filters) -> bool:
    """Return whether the list with these filters shows a product."""
    return (
        product.active
        and filters.currency in {None, product.currency}
        and filters.period in {None, product.period}
        and (filters.min_price is None or filters.min_price <= product.price)
        and (filters.max_price is None or product.price <= filters.max_price)
        and product.name.lower().startswith((filters.name or "").lower())
    )


def by_id(product: Product) -> str:
    """The order for comparisons without an order."""
    return product.product_id


def outcome(request: Callable[[], object]) -> object:
    """Return the result of a request, or the class of its exception."""
    try:
        return request()
    except ProductServiceException as error:
        return type(error)
