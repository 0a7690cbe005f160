"""Products in DynamoDB: the module that knows the client, the indexes and the expressions.

It holds no rules: each write is one conditional request, and exceptions say why it failed.
`command_repository.py` adds the transactions of asynchronous writes.
"""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, NamedTuple, Protocol, cast

from pydynox import DynamoDBClient, SyncTransaction
from pydynox.exceptions import (
    ConditionalCheckFailedException,
    ConnectionException,
    ProvisionedThroughputExceededException,
    PydynoxException,
    TransactionCanceledException,
    ValidationException,
)

from product_lambda.exceptions import (
    DependencyUnavailableException,
    DuplicateProductException,
    IdempotencyKeyInFlightException,
    InternalException,
    PreconditionFailedException,
    ProductNotFoundException,
    TimeUpException,
)
from product_lambda.models.product import (
    MAX_AMOUNT,
    NO_FILTERS,
    Cursor,
    IdempotencyRecord,
    Page,
    PageRequest,
    Product,
    Revision,
    name_key,
)
from product_lambda.repositories.deadline import Deadline
from product_lambda.repositories.items import (
    ACTIVE,
    COUNTER_KEY,
    INACTIVE,
    MAX_VERSION,
    Item,
    changed_attributes,
    exact_number,
    flaws_in,
    product_id_in,
    product_in,
    product_item,
    product_key,
    record_in,
    record_item,
    record_key,
    revision_in,
)
from product_lambda.utils.logger import LOGGER_NAME

_LOGGER: Final = logging.getLogger(LOGGER_NAME)
_CONNECT_SECONDS: Final = 0.5
_READ_SECONDS: Final = 1.0
_CALL_SECONDS: Final = 1.2
_INDEXES: Final = {
    "createdAt": ("ActiveProductsIndex", "createdAt"),
    "price": ("ProductsByPriceIndex", "price"),
    "name": ("ProductsByNameIndex", "nameKey"),
}
"""By the field that a list is sorted by: its index, and the index's sort key."""
_EXACT: Final = frozenset({"price", "setupFee", "version"})
_NUMBERS: Final = {"fields": _EXACT, "variants": {}, "fallback_fields": _EXACT}
"""The attributes that reads return as Decimal; of others, they return int or float."""
_MAX_QUERY_ITEMS: Final = 1000  # about as many as a response of DynamoDB holds (1 MB)
_SEARCH_RESERVE_SECONDS: Final = 0.5  # what a search leaves for its response
MAX_ATTEMPTS: Final = 20
_MAX_LOGGED_KEY: Final = 100  # characters
_TEXTS: Final = ("productId", "name", "description", "currency", "period", "createdAt")
_FALSE: Final = "attribute_not_exists(PK)"  # for an item that exists


class UnclassifiedException(Exception):
    """A 5xx, a conflict of transactions, or a response that the client cannot read."""


class AlreadyInactiveException(Exception):
    """The product is inactive, so a deletion has nothing to do."""


_THROTTLED: Final = (ProvisionedThroughputExceededException,)
TEMPORARY: Final = (*_THROTTLED, ConnectionException, UnclassifiedException)


class ClientCore(Protocol):
    """The part of the client that sends requests; each call returns its metrics last.

    The client's own type hints lack two of these methods.
    """

    def sync_get_item(  # noqa: D102
        self, table: str, key: dict[str, str], **options: Any  # noqa: ANN401
    ) -> tuple[dict[str, Any] | None, object]: ...
    def sync_query_page(  # noqa: D102
        self, table: str, key_condition_expression: str, **options: Any  # noqa: ANN401
    ) -> tuple[list[dict[str, Any]], dict[str, Any] | None, object]: ...
    def sync_put_item(  # noqa: D102
        self, table: str, item: dict[str, Any], **options: Any  # noqa: ANN401
    ) -> tuple[object, object]: ...
    def sync_update_item(  # noqa: D102
        self, table: str, key: dict[str, str], **options: Any  # noqa: ANN401
    ) -> tuple[dict[str, Any] | None, object]: ...


class ProductTable(NamedTuple):
    """The table and its client; one for each Python process.

    Attributes:
        core: the core of `client`. All calls but transactions use it, since the wrapper around it
            takes a tenth of a request's CPU time (docs/adr/0035-core-of-the-client.md).
    """

    name: str
    client: DynamoDBClient
    core: ClientCore


def open_table(name: str, region: str, endpoint_url: str | None) -> ProductTable:
    """Make a client for the table `name`; this sends nothing.

    The client never retries, since it would repeat a write whose first attempt may have succeeded.
    `Deadline.call` retries where that is safe.
    """
    # The client logs each call, with its key at DEBUG. The service logs each request once.
    logging.getLogger("pydynox").setLevel(logging.WARNING)
    client = DynamoDBClient(
        region=region,
        endpoint_url=endpoint_url,
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=_READ_SECONDS,
        max_retries=1,
    )
    core = cast("ClientCore", client._client)  # noqa: SLF001 (the version is pinned)
    return ProductTable(name, client, core)


@dataclass(slots=True)
class Update:
    """The expressions of one conditional UpdateItem.

    Attributes:
        changes: the new value of each attribute; None removes the attribute.
        conditions: all must hold.
        values: the values in `conditions`, by placeholder without its colon.
        version: the new version, as an expression.
    """

    changes: Mapping[str, Any]
    conditions: list[str]
    values: dict[str, Any]
    version: str = "if_not_exists(#version, :zero) + :one"
    attributes: set[str] = field(default_factory=set)

    def require_intact(self) -> None:
        """Add conditions that see missing attributes, wrong types and prices out of range.

        They leave out what `changes` repair. The product must be active, unless they restore it.
        """
        if "active" not in self.changes:
            self._require("#active = :is_active", "active", is_active=ACTIVE)
        for name in _TEXTS:
            if name not in self.changes:
                self._require(f"attribute_type(#{name}, :text)", name, text="S")
        if "features" not in self.changes:
            self._require("attribute_type(#features, :list)", "features", list="L")
        if "price" not in self.changes:
            self._require(
                "#price BETWEEN :lowest AND :highest",
                "price",
                lowest=Decimal("0.01"),
                highest=MAX_AMOUNT,
            )
        if "setupFee" not in self.changes:
            self._require(
                "(attribute_not_exists(#setupFee) OR #setupFee BETWEEN :free AND :highest)",
                "setupFee",
                free=0,
                highest=MAX_AMOUNT,
            )
        self._require(
            "(attribute_not_exists(#version) OR #version BETWEEN :oldest AND :newest)",
            "version",
            oldest=1,
            newest=MAX_VERSION,
        )

    def require_revision(self, expected: frozenset[Revision] | None) -> None:
        """Add a condition for `If-Match`; None allows any revision."""
        if expected is None:
            return
        alternatives: list[str] = []
        for position, revision in enumerate(sorted(expected)):
            version = f"#version = :version{position}"
            if revision.version == 0:
                version = f"(attribute_not_exists(#version) OR {version})"
            alternatives.append(f"{version} AND #updatedAt = :updated{position}")
            self.values[f"version{position}"] = revision.version
            self.values[f"updated{position}"] = revision.updated_at
        self.conditions.append(f"({' OR '.join(alternatives) or _FALSE})")

    def require_number_as_version(self) -> None:
        """Add a condition that the version can be raised."""
        self.conditions.append("(attribute_not_exists(#version) OR attribute_type(#version, :num))")
        self.values["num"] = "N"

    def replace_version(self) -> None:
        """Set the version to 1 if it is no number, so that it cannot be raised."""
        self.version = ":one"
        self.conditions.append("NOT attribute_type(#version, :number)")
        self.values["number"] = "N"

    def arguments(self, author: str, now: str, not_after: str) -> dict[str, Any]:
        """Return the arguments of UpdateItem.

        The condition on `updatedAt` protects newer changes from a write that arrives late.
        """
        written = {**self.changes, "updatedAt": now, "updatedBy": author}
        sets = [f"#{name} = :{name}" for name, value in written.items() if value is not None]
        removes = [f"#{name}" for name, value in written.items() if value is None]
        expression = f"SET {', '.join(sets)}, #version = {self.version}"
        if removes:
            expression += f" REMOVE {', '.join(removes)}"
        values = {
            **{name: value for name, value in written.items() if value is not None},
            **self.values,
            "one": 1,
            "not_after": not_after,
        }
        if ":zero" in self.version:
            values["zero"] = 0
        names = {*written, *self.attributes, "version", "active"}
        return {
            "update_expression": expression,
            "condition_expression": " AND ".join([*self.conditions, "NOT #updatedAt > :not_after"]),
            "expression_attribute_names": {f"#{name}": name for name in names},
            "expression_attribute_values": {f":{name}": value for name, value in values.items()},
        }

    def _require(self, condition: str, attribute: str, **values: object) -> None:
        self.conditions.append(condition)
        self.attributes.add(attribute)
        self.values |= values


@dataclass(slots=True)
class Change:
    """One change of a product, until its condition holds.

    Attributes:
        check: raises why the condition cannot hold for an item.
    """

    product_id: str
    update: Update
    author: str
    now: Callable[[], str]
    check: Callable[[Item], None]

    def arguments(self, stored_at: str) -> dict[str, Any]:
        """Return the arguments of UpdateItem; `stored_at` is the last known `updatedAt`, or ""."""
        moment = self.now()
        return self.update.arguments(self.author, moment, max(moment, stored_at))

    def checked(self, item: Item | None) -> str:
        """Return the `updatedAt` of the item that failed the condition.

        Raises:
            ProductNotFoundException: there is no item.
            Exception: what `check` raises.
        """
        if item is None:
            raise ProductNotFoundException(self.product_id)
        self.check(item)
        return str(item.get("updatedAt", ""))


def changed_product(
    product_id: str,
    changes: Mapping[str, Any],
    expected: frozenset[Revision] | None,
    author: str,
    now: Callable[[], str],
) -> Change:
    """Return the change that `ProductRepository.update` describes."""

    def check(item: Item) -> None:
        if item.get("active") == INACTIVE and "active" not in changes:
            raise ProductNotFoundException(product_id)
        flaws = flaws_in(item)
        for repaired in (*changes, "updatedAt"):
            flaws.pop(repaired, None)
        if flaws:
            log_unreadable(item, flaws)
            raise InternalException
        _check_revision(product_id, item, expected)

    update = Update(changed_attributes(changes), ["attribute_exists(PK)"], {})
    update.require_intact()
    update.require_revision(expected)
    return Change(product_id, update, author, now, check)


def deactivated_product(
    product_id: str,
    expected: frozenset[Revision] | None,
    author: str,
    now: Callable[[], str],
) -> Change:
    """Return the change that `ProductRepository.deactivate` describes."""

    def check(item: Item) -> None:
        if item.get("active") == INACTIVE:
            raise AlreadyInactiveException
        _check_revision(product_id, item, expected)

    # A missing attribute equals nothing, so NOT covers items without `active`.
    update = Update({"active": INACTIVE}, ["attribute_exists(PK)", "NOT #active = :active"], {})
    update.require_revision(expected)
    return Change(product_id, update, author, now, check)


class ProductRepository:
    """The products in the table, for one request.

    Every method raises DependencyUnavailableException if DynamoDB throttles, fails, sends an
    invalid response, or does not respond before the request's deadline.

    An item that breaks the rules of the API is unreadable: each encounter is logged as an error,
    lists leave it out, and the other methods raise InternalException.
    """

    def __init__(self, table: ProductTable, deadline: Deadline) -> None:
        self._table = table
        self._deadline = deadline

    def get(self, product_id: str) -> Product | None:
        """Return the active product; None if there is none. Strongly consistent.

        Raises:
            InternalException: the item is unreadable.
        """
        item = self._item(product_key(product_id))
        if item is None or item.get("active") == INACTIVE:
            return None
        return _readable(item)

    def is_taken(self, product_id: str) -> bool:
        """Return whether a product, active or not, has this id. Strongly consistent."""
        return self._item(product_key(product_id)) is not None

    def page(self, request: PageRequest) -> Page:
        """Return a page, from the index that its sort order needs.

        The index is eventually consistent with the table. The read capacity grows with the offset,
        and with the products that the filters leave out.

        Raises:
            TimeUpException: the deadline passed after a part of the products was read. A search
                with filters returns what it has found so far instead.
        """
        filters, wanted = request.filters, request.limit + 1  # one more shows whether more follow
        is_search = filters != NO_FILTERS
        skip = request.offset
        size = skip + wanted
        reached = request.cursor
        start = None if reached is None else _start_key(request, reached)
        found: list[tuple[Product, Item]] = []
        while True:
            may_stop = is_search and not skip and reached != request.cursor
            if may_stop and self._deadline.remaining() < _SEARCH_RESERVE_SECONDS:
                return _page(found, request, reached)
            try:
                items, start = self._query(request, start, size)
            except DependencyUnavailableException as late:
                if may_stop:
                    return _page(found, request, reached)
                if reached == request.cursor or self._deadline.remaining() > 0:
                    raise
                raise TimeUpException from late
            before = len(found)
            for item in filter(filters.match, items) if is_search else items:
                product = _product_or_log(item)
                if product is None:
                    continue
                if skip:
                    skip -= 1
                else:
                    found.append((product, item))
            if start is None or len(found) >= wanted:
                return _page(found, request, None)
            newest = found[-1][1] if len(found) > before else None
            reached = _cursor(start, request) or (newest and _cursor(newest, request)) or reached
            missing = skip + wanted - len(found)
            # Unreadable items, pages of 1 MB and filters make further queries necessary. A search
            # reads more each time, so that it needs few queries for few matches.
            size = min(max(missing, 2 * size if is_search else wanted), _MAX_QUERY_ITEMS)

    def advance_number(self, step: int) -> int:
        """Add `step` to the counter of product numbers and return it; each value is unique.

        Raises:
            InternalException: the counter is unreadable.
        """
        try:
            counter, _ = self._call(
                lambda: self._table.core.sync_update_item(
                    self._table.name,
                    COUNTER_KEY,
                    update_expression="ADD #number :step",
                    expression_attribute_names={"#number": "number"},
                    expression_attribute_values={":step": step},
                    return_values="UPDATED_NEW",
                ),
                TEMPORARY,  # a retry may skip a number, and gaps are allowed
            )
        except ValidationException as error:
            log_unreadable(COUNTER_KEY, {"number": "is not a number"})
            raise InternalException from error
        return int(_attributes(counter)["number"])

    def insert(self, product: Product, author: str) -> None:
        """Store a new product.

        Raises:
            DuplicateProductException: an item with its id exists; it does not change.
        """
        try:
            self._call(
                lambda: self._table.core.sync_put_item(
                    self._table.name,
                    product_item(product, author),
                    condition_expression="attribute_not_exists(PK)",
                ),
                _THROTTLED,
            )
        except ConditionalCheckFailedException:
            raise DuplicateProductException(product.product_id) from None

    def insert_once(
        self, product: Product, author: str, record: IdempotencyRecord, now: int
    ) -> None:
        """Store a new product and its idempotency record in one transaction.

        `now` is in seconds since the epoch; a record that has expired by then is replaced.

        Raises:
            DuplicateProductException: an item with the product's id exists.
            IdempotencyKeyInFlightException: a record of this key exists, or another transaction
                writes it.
        """
        try:
            self._call(lambda: self._transact_insert(product, author, record, now), TEMPORARY)
        except TransactionCanceledException as cancelled:
            self._explain(cancelled, product, record, now)

    def find_record(self, key_hash: str) -> IdempotencyRecord | None:
        """Return the record of an idempotency key, expired or not. Strongly consistent.

        Raises:
            InternalException: the item is unreadable.
        """
        item = self._item(record_key(key_hash))
        if item is None:
            return None
        try:
            return record_in(key_hash, item)
        except (ValueError, KeyError, TypeError, ArithmeticError) as error:
            log_unreadable(item, {"answer": f"holds no product ({type(error).__name__})"})
            raise InternalException from error

    def update(
        self,
        product_id: str,
        changes: Mapping[str, Any],
        expected: frozenset[Revision] | None,
        author: str,
        now: Callable[[], str],
    ) -> Product:
        """Change a product in one conditional request and return the result.

        `changes` holds fields by their names in the API; None removes a field, and `active`
        restores a deleted product. `expected` holds the revisions that the product may have; None
        allows any. `now` returns the current time.

        Raises:
            ProductNotFoundException: no active product has this id, and for a restoration: no
                product ever had it.
            PreconditionFailedException: the product has another revision.
            InternalException: the item is unreadable. Nothing has changed if a condition of
                DynamoDB can see why.
        """
        return _readable(self._write(changed_product(product_id, changes, expected, author, now)))

    def deactivate(
        self,
        product_id: str,
        expected: frozenset[Revision] | None,
        author: str,
        now: Callable[[], str],
    ) -> None:
        """Take a product out of the catalogue; an inactive product does not change.

        An unreadable item is taken out, too.

        Raises:
            ProductNotFoundException: no product ever had this id.
            PreconditionFailedException: the product is active and has another revision.
        """
        change = deactivated_product(product_id, expected, author, now)
        try:
            try:
                self._write(change)
            except ValidationException:  # the version is no number, so it cannot be raised
                change.update.replace_version()
                self._write(change)
        except AlreadyInactiveException:
            return

    def _write(self, change: Change) -> Item:
        """Send a change until its condition holds, or its check raises why it does not.

        One request is enough unless another change of the product came in between.
        """

        def send(arguments: Mapping[str, Any]) -> Item:
            changed, _ = self._call(
                lambda: self._table.core.sync_update_item(
                    self._table.name,
                    product_key(change.product_id),
                    return_values_on_condition_check_failure=True,
                    return_values="ALL_NEW",
                    **arguments,
                ),
                _THROTTLED,
            )
            return _attributes(changed)

        stored_at = ""
        for _ in range(MAX_ATTEMPTS):
            try:
                return send(change.arguments(stored_at))
            except ConditionalCheckFailedException as failed:
                item = self._current_item(change.product_id, failed)
            stored_at = change.checked(item)
        raise DependencyUnavailableException

    def _current_item(
        self, product_id: str, failed: ConditionalCheckFailedException
    ) -> Item | None:
        """Return the item that failed a condition, from the exception or by one read."""
        return getattr(failed, "item", None) or self._item(product_key(product_id))

    def _explain(
        self,
        cancelled: TransactionCanceledException,
        product: Product,
        record: IdempotencyRecord,
        now: int,
    ) -> None:
        """Raise why `insert_once` was cancelled; return if it was not, since the retry was."""
        earlier = self.find_record(record.key_hash)
        if earlier == record:  # the first attempt succeeded, but its response was lost
            return
        if earlier is not None and earlier.expires_at > now:
            raise IdempotencyKeyInFlightException from None
        if self._item(product_key(product.product_id)) is not None:
            raise DuplicateProductException(product.product_id) from None
        if "TransactionConflict" in str(cancelled):
            raise IdempotencyKeyInFlightException from None
        raise DependencyUnavailableException from cancelled

    def _transact_insert(
        self, product: Product, author: str, record: IdempotencyRecord, now: int
    ) -> None:
        with transaction_on(self._table.client) as transaction:
            transaction.put(
                self._table.name,
                record_item(record),
                condition_expression="attribute_not_exists(PK) OR expiresAt <= :now",
                expression_attribute_values={":now": now},
            )
            transaction.put(
                self._table.name,
                product_item(product, author),
                condition_expression="attribute_not_exists(PK)",
            )

    def _query(
        self, request: PageRequest, start: Item | None, size: int
    ) -> tuple[Sequence[Item], Item | None]:
        """Read one page of an index: its items, and the start key of the next page.

        A call never reads more than one page, so none goes on after the deadline.
        """
        name, sort_key = _INDEXES[request.sort.field]
        condition, names = "#active = :active", {"#active": "active"}
        limits, values = _sort_key_condition(request)
        if limits:
            condition, names = f"{condition} AND {limits}", {**names, "#sort": sort_key}
        items, last, _ = self._call(
            lambda: self._table.core.sync_query_page(
                self._table.name,
                condition,
                expression_attribute_names=names,
                expression_attribute_values={
                    ":active": INACTIVE if request.deleted else ACTIVE,
                    **values,
                },
                limit=size,
                exclusive_start_key=None if start is None else dict(start),
                scan_index_forward=request.sort.is_ascending,
                index_name=name,
                _number_schema=_NUMBERS,
            ),
            TEMPORARY,
        )
        if last is None:
            return items, None
        # The client decodes the price in a key as binary64, but in an item as Decimal. Only a
        # page without a last key is the end (Amazon DynamoDB Developer Guide, "Paginating table
        # query results"), so one before it may have no items.
        return items, {**last, sort_key: (items or [last])[-1][sort_key]}

    def _item(self, key: dict[str, str]) -> dict[str, Any] | None:
        item, _ = self._call(
            lambda: self._table.core.sync_get_item(
                self._table.name, key, consistent_read=True, _number_schema=_NUMBERS
            ),
            TEMPORARY,
        )
        return item

    def _call[T](self, operation: Callable[[], T], retry_on: tuple[type[Exception], ...]) -> T:
        try:
            return self._deadline.call(
                lambda: _classified(operation),
                timeout=_CALL_SECONDS,
                retry_on=retry_on,
            )
        except TEMPORARY as failure:
            raise DependencyUnavailableException from failure


def transaction_on(client: DynamoDBClient) -> SyncTransaction:
    """Return a transaction that the client commits once, at the end of its `with` block.

    Its token comes from the operating system. The client's own random numbers may begin again in
    each function that starts from a snapshot, and DynamoDB rejects a token that comes with another
    transaction (AWS Lambda Developer Guide, "Handling uniqueness with Lambda SnapStart").
    """
    return SyncTransaction(client, client_request_token=os.urandom(16).hex())


def _classified[T](operation: Callable[[], T]) -> T:
    """Return the result of `operation`; raise our own class where the client has only its base."""
    try:
        return operation()
    except PydynoxException as failure:
        if type(failure) is PydynoxException:
            raise UnclassifiedException from failure
        raise


def _attributes(attributes: object) -> dict[str, Any]:
    if not isinstance(attributes, dict):
        raise DependencyUnavailableException
    return attributes


def _sort_key_condition(request: PageRequest) -> tuple[str, dict[str, Any]]:
    """Return how the filters limit the sort key of a query: a condition and its values, or none."""
    _, _, lowest, highest, name = request.filters
    match request.sort.field:
        case "price" if lowest is not None and highest is not None:
            return "#sort BETWEEN :lowest AND :highest", {":lowest": lowest, ":highest": highest}
        case "price" if lowest is not None:
            return "#sort >= :lowest", {":lowest": lowest}
        case "price" if highest is not None:
            return "#sort <= :highest", {":highest": highest}
        case "name" if name is not None:
            return "begins_with(#sort, :beginning)", {":beginning": name_key(name)}
    return "", {}


def _start_key(request: PageRequest, after: Cursor) -> Item:
    """Return the key that a query starts after, always in the partition of the request."""
    _, sort_key = _INDEXES[request.sort.field]
    return {
        **product_key(after.product_id),
        "active": INACTIVE if request.deleted else ACTIVE,
        sort_key: Decimal(after.position) if sort_key == "price" else after.position,
    }


def _cursor(item: Item, request: PageRequest) -> Cursor | None:
    """Return the position of an item; None for an item that no token can name."""
    _, sort_key = _INDEXES[request.sort.field]
    product_id = product_id_in(item)
    position = item[sort_key]
    if sort_key == "price":
        position = format(exact_number(position), "f")
    if product_id is None or not request.sort.has_position(position):
        return None
    return Cursor(position, product_id)


def _page(
    found: Sequence[tuple[Product, Item]], request: PageRequest, reached: Cursor | None
) -> Page:
    """Return the page of the products found; `reached` is where a search was stopped, if it was."""
    products = tuple(product for product, _ in found[: request.limit])
    if len(found) > request.limit:
        reached = _cursor(found[request.limit - 1][1], request)
    return Page(products, reached)


def _readable(item: Item) -> Product:
    """Return the product in an item.

    Raises:
        InternalException: the item is unreadable.
    """
    product = _product_or_log(item)
    if product is None:
        raise InternalException
    return product


def _product_or_log(item: Item) -> Product | None:
    """Return the product in an item; None for an unreadable item, which is logged."""
    flaws = flaws_in(item)
    if flaws:
        log_unreadable(item, flaws)
        return None
    return product_in(item)


def _check_revision(product_id: str, item: Item, expected: frozenset[Revision] | None) -> None:
    if expected is not None and revision_in(item) not in expected:
        raise PreconditionFailedException(product_id)


def log_unreadable(item: Item, flaws: Mapping[str, str]) -> None:
    """Log an item that breaks the rules, so that an alarm is raised."""
    _LOGGER.error(
        "unreadable item",
        extra={
            "item_key": f"{item.get('PK')} {item.get('SK')}"[:_MAX_LOGGED_KEY],
            "flaws": "; ".join(f"{attribute} {flaw}" for attribute, flaw in flaws.items()),
        },
    )
