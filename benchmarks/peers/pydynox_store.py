"""Stores products with pydynox, used as its documentation shows."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, Self

from pydynox import DynamoDBClient, Model, ModelConfig, set_default_client
from pydynox.attributes import (
    DecimalAttribute,
    ListAttribute,
    NumberAttribute,
    StringAttribute,
)
from pydynox.exceptions import ConditionalCheckFailedException
from pydynox.indexes import GlobalSecondaryIndex

from benchmarks.peers.common import (
    COUNTER_KEY,
    INDEX,
    SORT_KEY,
    UPDATE_CONDITION,
    Item,
    now,
    update_expression,
)

_TABLE = os.environ["TABLE_NAME"]
_CLIENT = DynamoDBClient(
    region=os.environ["AWS_REGION"],
    endpoint_url=os.environ.get("AWS_ENDPOINT_URL"),
    connect_timeout=0.5,
    read_timeout=5.0,
    max_retries=2,
)
set_default_client(_CLIENT)


class ProductItem(Model):
    """An item of the products table."""

    model_config = ModelConfig(table=_TABLE)

    PK = StringAttribute(partition_key=True)
    SK = StringAttribute(sort_key=True)
    productId = StringAttribute()  # noqa: N815 (an attribute of the table)
    name = StringAttribute()
    description = StringAttribute()
    price = DecimalAttribute()
    setupFee = DecimalAttribute()  # noqa: N815 (an attribute of the table)
    currency = StringAttribute()
    period = StringAttribute()
    features = ListAttribute()
    active = StringAttribute()
    version = NumberAttribute()
    createdAt = StringAttribute()  # noqa: N815 (an attribute of the table)
    updatedAt = StringAttribute()  # noqa: N815 (an attribute of the table)
    updatedBy = StringAttribute()  # noqa: N815 (an attribute of the table)
    active_products = GlobalSecondaryIndex[Self](INDEX, "active", "createdAt")


class PydynoxStore:
    """A `ProductStore` on pydynox."""

    def get(self, product_id: str) -> Item | None:
        """Return an item with a strongly consistent read; None when it is missing."""
        found = ProductItem.sync_get(consistent_read=True, PK=f"PRODUCT#{product_id}", SK=SORT_KEY)
        return None if found is None else found.to_dict()

    def page(self, limit: int) -> Sequence[Item]:
        """Return the items of the newest active products."""
        index: GlobalSecondaryIndex[ProductItem] = ProductItem.active_products  # type: ignore[misc]
        found = index.sync_query(
            partition_key="true", limit=limit, page_size=limit, scan_index_forward=False
        )
        return [product.to_dict() for product in found]

    def next_number(self) -> int:
        """Increment the counter of products and return it."""
        counted = _CLIENT.sync_update_item(
            _TABLE,
            COUNTER_KEY,
            update_expression="ADD #number :step",
            expression_attribute_names={"#number": "number"},
            expression_attribute_values={":step": 1},
            return_values="UPDATED_NEW",
        )
        return int(_attributes(counted)["number"])

    def insert(self, item: Item) -> None:
        """Put an item unless its key exists."""
        _CLIENT.sync_put_item(_TABLE, item, condition_expression="attribute_not_exists(PK)")

    def update(self, product_id: str, changes: Mapping[str, Any]) -> Item | None:
        """Update an active product and return its item; None when there is none."""
        expression, names, values = update_expression(changes)
        try:
            return _attributes(
                _CLIENT.sync_update_item(
                    _TABLE,
                    _key(product_id),
                    update_expression=expression,
                    condition_expression=UPDATE_CONDITION,
                    expression_attribute_names=names,
                    expression_attribute_values=values,
                    return_values="ALL_NEW",
                )
            )
        except ConditionalCheckFailedException:
            return None

    def deactivate(self, product_id: str) -> bool:
        """Make a product inactive; return False when it is missing."""
        if self.update(product_id, {"active": "false", "updatedAt": now()}) is not None:
            return True
        return self.get(product_id) is not None


def _attributes(returned: object) -> Item:
    if not isinstance(returned, dict):
        raise TypeError("the table returned no attributes")
    return returned


def _key(product_id: str) -> dict[str, str]:
    return {"PK": f"PRODUCT#{product_id}", "SK": SORT_KEY}
