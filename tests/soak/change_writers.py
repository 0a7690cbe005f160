"""Writers that change products and note each confirmed change, for the soak of the events.

Each writer has products of its own, so it knows the version that each of its changes makes. Beside
the API, it writes items like other programs: unreadable ones, invisible changes, and removals.
"""

import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from http import HTTPStatus
from typing import Any, Final, NamedTuple

from tests.support.events import FunctionResponse, Functions
from tests.support.raw_items import raw_product

_PRODUCTS_OF_WRITER: Final = 40
_MAX_CENTS: Final = 9_999_999
_POLL_SECONDS: Final = 0.005


class WriteFailed(Exception):
    """The API did not confirm a change; the message has its response."""


class Confirmed(NamedTuple):
    """A change that was confirmed.

    Attributes:
        product_id: the product.
        version: its version after the change, or before its removal.
        kind: the type of its event.
        changed_at: the `updatedAt` that it made; empty if nobody knows it.
    """

    product_id: str
    version: int
    kind: str
    changed_at: str


@dataclass
class Ledger:
    """What all writers know.

    Attributes:
        changes: all confirmed changes.
        unreadable: the keys of all unreadable items that were written.
        invisible: how many writes changed nothing that the API shows.
    """

    changes: list[Confirmed] = field(default_factory=list)
    unreadable: set[str] = field(default_factory=set)
    invisible: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, change: Confirmed) -> None:
        """Note a confirmed change."""
        with self.lock:
            self.changes.append(change)


class Table:
    """The table, as other programs write it.

    Args:
        client: boto3's client of DynamoDB.
        name: the name of the table.
    """

    def __init__(self, client: Any, name: str) -> None:
        self._client = client
        self._name = name

    def item(self, product_id: str) -> dict[str, Any]:
        """Return the item of a product, as the last write left it."""
        found = self._client.get_item(
            TableName=self._name, Key=_key(product_id), ConsistentRead=True
        )
        item: dict[str, Any] = found["Item"]
        return item

    def put(self, item: dict[str, Any]) -> None:
        """Write an item."""
        self._client.put_item(TableName=self._name, Item=item)

    def set_note(self, product_id: str, note: str) -> None:
        """Set an attribute that the API does not show."""
        self._client.update_item(
            TableName=self._name,
            Key=_key(product_id),
            UpdateExpression="SET note = :note",
            ExpressionAttributeValues={":note": {"S": note}},
        )

    def remove(self, product_id: str) -> None:
        """Remove the item of a product."""
        self._client.delete_item(TableName=self._name, Key=_key(product_id))


class Writer:
    """One writer.

    Args:
        name: its name, which its ids contain.
        functions: the functions of the API.
        table: the table of these functions.
        ledger: where it notes its changes.
        seed: the seed of its decisions.
    """

    def __init__(
        self, name: str, functions: Functions, table: Table, ledger: Ledger, seed: int
    ) -> None:
        self._prefix = f"PROD-{name}N"
        self._functions = functions
        self._table = table
        self._ledger = ledger
        self._random = random.Random(seed)  # noqa: S311 (no secret)
        self._created = 0
        self._active: list[str] = []
        self._deleted: list[str] = []

    def run(self, changes: int, has_room: Callable[[], bool]) -> None:
        """Make a number of confirmed changes; each waits until `has_room` returns True.

        Raises:
            WriteFailed: the API does not confirm a change.
        """
        actions: dict[Callable[[], Iterator[Confirmed]], int] = {
            self._change: 60,
            self._create: 12,
            self._delete: 10,
            self._restore: 8,
            self._break: 4,
            self._touch: 3,
            self._remove: 3,
        }
        made = 0
        while made < changes:
            while not has_room():
                time.sleep(_POLL_SECONDS)
            action = self._random.choices(list(actions), list(actions.values()))[0]
            if not self._active:
                action = self._create
            for change in action():
                self._ledger.add(change)
                made += 1

    def _create(self) -> Iterator[Confirmed]:
        if len(self._active) >= _PRODUCTS_OF_WRITER:
            return
        self._created += 1
        product_id = f"{self._prefix}{self._created:05}"
        body = {
            "productId": product_id,
            "name": "Plan",
            "description": "A plan.",
            "price": self._price(),
            "period": "yearly",
            "features": ["One"],
        }
        yield self._confirmed(self._functions.create(body), "ProductCreated", HTTPStatus.CREATED)
        self._active.append(product_id)

    def _change(self) -> Iterator[Confirmed]:
        product_id = self._random.choice(self._active)
        fields = self._random.choice(
            [{"price": self._price()}, {"setupFee": self._price()}, {"name": self._name()}]
        )
        yield self._confirmed(self._functions.update(product_id, fields), "ProductUpdated")

    def _delete(self) -> Iterator[Confirmed]:
        product_id = self._take(self._active)
        response = self._functions.delete(product_id)
        if response.status != HTTPStatus.NO_CONTENT:
            raise WriteFailed(response.body)
        item = self._table.item(product_id)
        version, changed_at = int(item["version"]["N"]), item["updatedAt"]["S"]
        yield Confirmed(product_id, version, "ProductDeleted", changed_at)
        self._deleted.append(product_id)

    def _restore(self) -> Iterator[Confirmed]:
        if self._deleted:
            product_id = self._take(self._deleted)
            response = self._functions.update(product_id, {"active": True})
            yield self._confirmed(response, "ProductRestored")
            self._active.append(product_id)

    def _break(self) -> Iterator[Confirmed]:
        """Write an unreadable item, and mend it through the API."""
        self._created += 1
        product_id = f"{self._prefix}{self._created:05}"
        self._table.put(raw_product(product_id, price=None))
        with self._ledger.lock:
            self._ledger.unreadable.add(f"PRODUCT#{product_id} METADATA")
        response = self._functions.update(product_id, {"price": self._price()})
        yield self._confirmed(response, "ProductUpdated")
        self._active.append(product_id)

    def _touch(self) -> Iterator[Confirmed]:
        """Write an attribute that the API does not show; this makes no event."""
        self._table.set_note(self._random.choice(self._active), self._name())
        with self._ledger.lock:
            self._ledger.invisible += 1
        return iter(())

    def _remove(self) -> Iterator[Confirmed]:
        """Remove an item from the table; its event has the time of the stream."""
        product_id = self._take(self._active)
        version = int(self._table.item(product_id)["version"]["N"])
        self._table.remove(product_id)
        yield Confirmed(product_id, version, "ProductRemoved", "")

    def _confirmed(
        self, response: FunctionResponse, kind: str, status: HTTPStatus = HTTPStatus.OK
    ) -> Confirmed:
        if response.status != status:
            raise WriteFailed(response.body)
        product = response.json()
        return Confirmed(product["productId"], product["version"], kind, product["updatedAt"])

    def _take(self, ids: list[str]) -> str:
        return ids.pop(self._random.randrange(len(ids)))

    def _price(self) -> Decimal:
        return Decimal(self._random.randint(1, _MAX_CENTS)).scaleb(-2)

    def _name(self) -> str:
        return f"Plan {self._random.getrandbits(48):x}"


def _key(product_id: str) -> dict[str, dict[str, str]]:
    return {"PK": {"S": f"PRODUCT#{product_id}"}, "SK": {"S": "METADATA"}}
