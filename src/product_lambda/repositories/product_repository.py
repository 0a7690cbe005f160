"""Products in DynamoDB: the only module that knows the table, its keys and its client.

It holds no rules: each write is one conditional request, and exceptions say why it failed.
"""

import logging
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final, NamedTuple, Self

import simplejson
from pydynox import DynamoDBClient, Model, ModelConfig, SyncTransaction
from pydynox.attributes import DecimalAttribute, StringAttribute
from pydynox.exceptions import (
    ConditionalCheckFailedException,
    ConnectionException,
    ProvisionedThroughputExceededException,
    PydynoxException,
    TransactionCanceledException,
)
from pydynox.indexes import GlobalSecondaryIndex

from product_lambda.exceptions import (
    DependencyUnavailableException,
    DuplicateProductException,
    IdempotencyKeyInFlightException,
    PreconditionFailedException,
    ProductNotFoundException,
)
from product_lambda.models.product import (
    Cursor,
    IdempotencyRecord,
    Product,
    SortOrder,
    plain_decimal,
    product_from,
)
from product_lambda.repositories.deadline import Deadline
from product_lambda.utils.response_builder import to_json

_CONNECT_SECONDS: Final = 0.5
_READ_SECONDS: Final = 1.0
_CALL_SECONDS: Final = 1.2
_SORT_KEY: Final = "METADATA"
_INDEX: Final = "ActiveProductsIndex"
_COUNTER_KEY: Final = {"PK": "COUNTER#PRODUCT", "SK": _SORT_KEY}
_NO_VERSION: Final = -1


class _UnclassifiedException(Exception):
    """A 5xx, a conflict of transactions, or a response that the client cannot read."""


_THROTTLED: Final = (ProvisionedThroughputExceededException,)
_TEMPORARY: Final = (*_THROTTLED, ConnectionException, _UnclassifiedException)


class ProductTable(NamedTuple):
    """The table and its client; one for each Python process."""

    name: str
    client: DynamoDBClient
    items: type[Model]


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

    class ProductItem(Model):
        """Reads items as dictionaries, with exact money."""

        model_config = ModelConfig(table=name, client=client, skip_hooks=True)
        PK = StringAttribute(partition_key=True)
        SK = StringAttribute(sort_key=True)
        active = StringAttribute()
        createdAt = StringAttribute()  # noqa: N815 (an attribute of the table)
        price = DecimalAttribute()
        setupFee = DecimalAttribute()  # noqa: N815 (an attribute of the table)
        active_products = GlobalSecondaryIndex[Self](_INDEX, "active", "createdAt")

        @classmethod
        def from_dict(cls, data: dict[str, Any]) -> Any:  # noqa: ANN401
            return data

    return ProductTable(name, client, ProductItem)


class ProductRepository:
    """The products in the table, for one request.

    Every method raises DependencyUnavailableException if DynamoDB throttles, fails, sends an
    invalid response, or does not respond before the request's deadline.
    """

    def __init__(self, table: ProductTable, deadline: Deadline) -> None:
        self._table = table
        self._deadline = deadline

    def get(self, product_id: str) -> Product | None:
        """Return the product, active or not; None if there is none. Strongly consistent."""
        item = self._item(_key_of(product_id))
        return None if item is None else _product(item)

    def page(self, sort: SortOrder, after: Cursor | None, limit: int) -> list[Product]:
        """Return the next `limit` active products, fewer only at the end of the list.

        The index is eventually consistent with the table.
        """
        index: GlobalSecondaryIndex[Any] = self._table.items.active_products  # type: ignore[attr-defined]
        query = lambda: list(  # noqa: E731
            index.sync_query(
                partition_key="true",
                limit=limit,
                page_size=limit,
                scan_index_forward=sort is SortOrder.OLDEST_FIRST,
                last_evaluated_key=_start_key(after),
            )
        )
        return [_product(item) for item in self._call(query, _TEMPORARY)]

    def cursor_at(self, sort: SortOrder, offset: int) -> Cursor | None:
        """Return the cursor of the active product number `offset`, counted from 1; None if none.

        The read capacity grows with `offset`.
        """
        positions = self._call(
            lambda: list(
                self._table.client.sync_query(
                    self._table.name,
                    "active = :true",
                    projection_expression="PK, createdAt",
                    expression_attribute_values={":true": "true"},
                    limit=offset,
                    page_size=offset,
                    scan_index_forward=sort is SortOrder.OLDEST_FIRST,
                    index_name=_INDEX,
                )
            ),
            _TEMPORARY,
        )
        if len(positions) < offset:
            return None
        last = positions[-1]
        return Cursor(last["createdAt"], last["PK"].removeprefix("PRODUCT#"))

    def advance_number(self, step: int) -> int:
        """Add `step` to the counter of product numbers and return it; each value is unique."""
        counter = self._call(
            lambda: self._table.client.sync_update_item(
                self._table.name,
                _COUNTER_KEY,
                update_expression="ADD #number :step",
                expression_attribute_names={"#number": "number"},
                expression_attribute_values={":step": step},
                return_values="UPDATED_NEW",
            ),
            _TEMPORARY,  # a retry may skip a number, and gaps are allowed
        )
        return int(_returned(counter)["number"])

    def insert(self, product: Product, author: str) -> None:
        """Store a new product.

        Raises:
            DuplicateProductException: an item with its id exists; it does not change.
        """
        try:
            self._call(
                lambda: self._table.client.sync_put_item(
                    self._table.name,
                    _item_of(product, author),
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
            self._call(lambda: self._transact_insert(product, author, record, now), _TEMPORARY)
        except TransactionCanceledException as cancelled:
            earlier = self.find_record(record.key_hash)
            if earlier == record:  # the first attempt succeeded, but its response was lost
                return
            if earlier is not None and earlier.expires_at > now:
                raise IdempotencyKeyInFlightException from None
            if self.get(product.product_id) is not None:
                raise DuplicateProductException(product.product_id) from None
            if "TransactionConflict" in str(cancelled):
                raise IdempotencyKeyInFlightException from None
            raise DependencyUnavailableException from cancelled

    def find_record(self, key_hash: str) -> IdempotencyRecord | None:
        """Return the record of an idempotency key, expired or not. Strongly consistent."""
        item = self._item(_record_key(key_hash))
        return None if item is None else _record(key_hash, item)

    def update(
        self,
        product_id: str,
        changes: Mapping[str, Any],
        expected: frozenset[int] | None,
        author: str,
        now: str,
    ) -> Product:
        """Change an active product in one conditional request and return the result.

        `changes` holds fields by their names in the API; None removes a field. `expected` holds
        the versions that the product may have; None allows any.

        Raises:
            ProductNotFoundException: no active product has this id.
            PreconditionFailedException: the product has another version.
        """
        try:
            return self._update(product_id, changes, expected, author, now)
        except ConditionalCheckFailedException as failed:
            current = self._current_item(product_id, failed)
            if current is None or current["active"] != "true":
                raise ProductNotFoundException(product_id) from None
            raise PreconditionFailedException(product_id) from None

    def deactivate(
        self, product_id: str, expected: frozenset[int] | None, author: str, now: str
    ) -> None:
        """Take a product out of the catalogue; an inactive product does not change.

        Raises:
            ProductNotFoundException: no product ever had this id.
            PreconditionFailedException: the product is active and has none of the expected
                versions.
        """
        try:
            self._update(product_id, {"active": "false"}, expected, author, now)
        except ConditionalCheckFailedException as failed:
            current = self._current_item(product_id, failed)
            if current is None:
                raise ProductNotFoundException(product_id) from None
            if current["active"] == "true":
                raise PreconditionFailedException(product_id) from None

    def _update(
        self,
        product_id: str,
        changes: Mapping[str, Any],
        expected: frozenset[int] | None,
        author: str,
        now: str,
    ) -> Product:
        written = {**changes, "updatedAt": now, "updatedBy": author}
        names = {f"#{name}": name for name in (*written, "version", "active")}
        values: dict[str, Any] = {
            f":{name}": value for name, value in written.items() if value is not None
        }
        sets = [f"#{name} = :{name}" for name, value in written.items() if value is not None]
        removes = [f"#{name}" for name, value in written.items() if value is None]
        expression = f"SET {', '.join(sets)}, #version = if_not_exists(#version, :zero) + :one"
        if removes:
            expression += f" REMOVE {', '.join(removes)}"
        condition = "attribute_exists(PK) AND #active = :is_active"
        if expected is not None:
            wanted = {f":v{i}": version for i, version in enumerate(expected or {_NO_VERSION})}
            values |= wanted
            condition += f" AND (#version IN ({', '.join(wanted)})"
            condition += " OR attribute_not_exists(#version))" if 0 in expected else ")"
        item = self._call(
            lambda: self._table.client.sync_update_item(
                self._table.name,
                _key_of(product_id),
                update_expression=expression,
                condition_expression=condition,
                expression_attribute_names=names,
                expression_attribute_values=values | {":zero": 0, ":one": 1, ":is_active": "true"},
                return_values_on_condition_check_failure=True,
                return_values="ALL_NEW",
            ),
            _THROTTLED,
        )
        return _product(_returned(item))

    def _current_item(
        self, product_id: str, failed: ConditionalCheckFailedException
    ) -> Mapping[str, Any] | None:
        """Return the item that failed a condition, from the exception or by one read."""
        return getattr(failed, "item", None) or self._item(_key_of(product_id))

    def _transact_insert(
        self, product: Product, author: str, record: IdempotencyRecord, now: int
    ) -> None:
        with SyncTransaction(self._table.client) as transaction:
            transaction.put(
                self._table.name,
                _record_item(record),
                condition_expression="attribute_not_exists(PK) OR expiresAt <= :now",
                expression_attribute_values={":now": now},
            )
            transaction.put(
                self._table.name,
                _item_of(product, author),
                condition_expression="attribute_not_exists(PK)",
            )

    def _item(self, key: Mapping[str, str]) -> dict[str, Any] | None:
        return self._call(
            lambda: self._table.items.sync_get(consistent_read=True, as_dict=True, **key),
            _TEMPORARY,
        )

    def _call[T](self, operation: Callable[[], T], retry_on: tuple[type[Exception], ...]) -> T:
        try:
            return self._deadline.call(
                lambda: _classified(operation),
                timeout=_CALL_SECONDS,
                retry_on=retry_on,
            )
        except _TEMPORARY as failure:
            raise DependencyUnavailableException from failure


def _classified[T](operation: Callable[[], T]) -> T:
    """Return the result of `operation`; raise our own class where the client has only its base."""
    try:
        return operation()
    except PydynoxException as failure:
        if type(failure) is PydynoxException:
            raise _UnclassifiedException from failure
        raise


def _returned(attributes: object) -> dict[str, Any]:
    if not isinstance(attributes, dict):
        raise DependencyUnavailableException
    return attributes


def _key_of(product_id: str) -> dict[str, str]:
    return {"PK": f"PRODUCT#{product_id}", "SK": _SORT_KEY}


def _record_key(key_hash: str) -> dict[str, str]:
    return {"PK": f"IDEMPOTENCY#{key_hash}", "SK": _SORT_KEY}


def _start_key(after: Cursor | None) -> dict[str, str] | None:
    if after is None:
        return None
    return {**_key_of(after.product_id), "active": "true", "createdAt": after.created_at}


def _item_of(product: Product, author: str) -> dict[str, Any]:
    return {
        **_key_of(product.product_id),
        **product.representation(),
        "active": "true" if product.active else "false",
        "updatedBy": author,
    }


def _product(item: Mapping[str, Any]) -> Product:
    return product_from(
        {
            **item,
            "active": item["active"] == "true",
            "price": _exact(item["price"]),
            "setupFee": None if item.get("setupFee") is None else _exact(item["setupFee"]),
        }
    )


def _exact(number: Decimal | float) -> Decimal:
    """Return the number as it is stored.

    Reads return Decimals. The client decodes the result of UpdateItem as binary64, whose shortest
    decimal text equals the stored number for up to 15 digits (DBL_DIG in ISO C); an amount has
    10. See docs/adr/0003-exact-money.md.
    """
    return plain_decimal(Decimal(repr(number)) if isinstance(number, float) else Decimal(number))


def _record_item(record: IdempotencyRecord) -> dict[str, Any]:
    return {
        **_record_key(record.key_hash),
        "fingerprint": record.fingerprint,
        "productId": record.product.product_id,
        "answer": to_json(record.product.representation()),
        "expiresAt": record.expires_at,
    }


def _record(key_hash: str, item: Mapping[str, Any]) -> IdempotencyRecord:
    return IdempotencyRecord(
        key_hash=key_hash,
        fingerprint=item["fingerprint"],
        product=product_from(simplejson.loads(item["answer"], use_decimal=True)),
        expires_at=int(item["expiresAt"]),
    )
