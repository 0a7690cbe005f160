"""Clients of the soak test: they send random requests in parallel and record each operation.

They follow the contract of the API: they retry what was not confirmed, unless a record of the
unknown outcome is enough.
"""

import collections
import random
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from http import HTTPStatus
from typing import Any, Final, NamedTuple
from uuid import UUID

from tests.soak.linearizability import Operation
from tests.soak.product_model import (
    Create,
    Delete,
    Fields,
    Get,
    ProductOperation,
    Request,
    Response,
    Update,
)
from tests.support.events import FunctionResponse, Functions

_SHARED_PRODUCTS: Final = 6  # so few that several clients use the same product at once
_REPEATED_CREATIONS: Final = 3
_RESTORED_SHARE: Final = 0.5  # of the deleted products
_MAX_DESCRIPTION: Final = 4000
_MARKER_LENGTH: Final = 13  # with the space before it
_MAX_CENTS: Final = 9_999_999_999
_MAX_ATTEMPTS: Final = 200  # for one operation; one attempt in seven fails
_MAX_PAUSE_SECONDS: Final = 0.02
_MAX_RESPONSE_SECONDS: Final = 3  # promised by the contract
_NANOSECONDS: Final = 1_000_000_000
_IN_PROGRESS: Final = "idempotency-key-in-flight"
_EXPECTED_STATUSES: Final[Mapping[str, Collection[int]]] = {
    "list": {HTTPStatus.OK},
    "get": {HTTPStatus.OK, HTTPStatus.NOT_MODIFIED, HTTPStatus.NOT_FOUND},
    "create": {HTTPStatus.CREATED, HTTPStatus.CONFLICT},
    "update": {HTTPStatus.OK, HTTPStatus.NOT_FOUND, HTTPStatus.PRECONDITION_FAILED},
    "delete": {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_FOUND, HTTPStatus.PRECONDITION_FAILED},
}


class ContractViolation(Exception):
    """The service broke its contract; the message says how."""


@dataclass(slots=True)
class ProductRecord:
    """The knowledge of the clients about one product.

    A change of the description appends a unique marker to it.

    Attributes:
        exists: whether a client knows that it has been created.
        confirmed: the markers of confirmed changes; the description must contain them all.
        uncertain: the markers of changes that were in progress when the product was deleted.
        deleted: whether a client has started to delete the product.
        prices: the number of confirmed changes without a marker: of the price, and two for each
            restoration with the deletion that follows it.
        uncertain_prices: the number of changes without a marker whose outcome is unknown.
    """

    exists: bool = True
    confirmed: set[str] = field(default_factory=set)
    uncertain: set[str] = field(default_factory=set)
    deleted: bool = False
    prices: int = 0
    uncertain_prices: int = 0


@dataclass(slots=True)
class ClientRecords:
    """The knowledge of all clients together.

    Attributes:
        products: the record of each product, by its id.
        histories: all operations on each product, by its id.
        statuses: how often each operation got each status.
        replays: the number of create responses that were replays.
        contested: the number of the id that all clients use next, before its product exists.
    """

    products: dict[str, ProductRecord] = field(default_factory=dict)
    histories: dict[str, list[ProductOperation]] = field(default_factory=dict)
    statuses: collections.Counter[str] = field(default_factory=collections.Counter)
    replays: int = 0
    contested: int = 1
    lock: threading.Lock = field(default_factory=threading.Lock)

    def record_of(self, product_id: str) -> ProductRecord:
        """Return the record of a product, which may not exist yet; the caller holds the lock."""
        return self.products.setdefault(product_id, ProductRecord(exists=False))

    def add_operations(self, product_id: str, operations: Iterable[ProductOperation]) -> None:
        """Add operations to the history of a product."""
        with self.lock:
            self.histories.setdefault(product_id, []).extend(operations)


class _Exchange(NamedTuple):
    """A request and its response; None if the outcome is unknown."""

    started: int
    ended: int
    response: FunctionResponse | None


class Client:
    """One client, which records all its operations on products."""

    def __init__(
        self,
        number: int,
        functions: Functions,
        records: ClientRecords,
        seed: int,
        max_seconds: float,
    ) -> None:
        self._number = number
        self._functions = functions
        self._records = records
        self._random = random.Random(seed)  # noqa: S311 (no secret)
        self._max_seconds = max_seconds
        self._tags: dict[str, str] = {}
        self._created: list[tuple[str, dict[str, Any], Create]] = []
        self._recorded = 0

    def run(self, operations: int) -> None:
        """Send random requests until at least `operations` of them are recorded.

        Raises:
            ContractViolation: a response breaks the contract.
        """
        actions: dict[Callable[[], None], int] = {
            self._create: 3,
            self._repeat_creation: 3,
            self._create_with_id: 4,
            self._append_marker: 23,
            self._set_price: 27,
            self._get: 32,
            self._list: 6,
            self._delete: 5,
        }
        while self._recorded < operations:
            action = self._random.choices(list(actions), list(actions.values()))[0]
            action()

    def _create(self) -> None:
        """Create a product with an idempotency key; the service gives the id."""
        key = self._unique_text()
        body = self._new_body(key)
        request = Create(Fields.of(body), key)
        attempts: list[ProductOperation] = []
        for _ in self._attempts("create"):
            sent = self._send(
                "create", lambda: self._functions.create(body, {"Idempotency-Key": key})
            )
            attempts.append(self._operation(request, sent))
            if sent.response is None:
                continue
            if sent.response.status != HTTPStatus.CREATED:
                raise ContractViolation(f"create returned {sent.response.body} for a new id.")
            product_id = sent.response.json()["productId"]
            with self._records.lock:
                self._records.replays += "Idempotency-Replayed" in sent.response.headers
                if product_id in self._records.products:
                    raise ContractViolation(f"The id {product_id} was assigned twice.")
                self._records.products[product_id] = ProductRecord()
            self._records.add_operations(product_id, attempts)
            self._created.append((product_id, body, request))
            return

    def _repeat_creation(self) -> None:
        """Repeat one of the client's last creations with its idempotency key."""
        if not self._created:
            return
        product_id, body, request = self._random.choice(self._created[-_REPEATED_CREATIONS:])
        response = self._known_outcome(
            "create",
            product_id,
            request,
            lambda: self._functions.create(body, _header("Idempotency-Key", request.key)),
        )
        with self._records.lock:
            self._records.replays += "Idempotency-Replayed" in response.headers

    def _create_with_id(self) -> None:
        """Create a product with an id that other clients use too, or that is taken already."""
        number = self._records.contested
        known = self._newest_products()
        taken = self._random.choice(known) if known and self._random.random() < 1 / 3 else None
        product_id = taken or _contested_id(number)
        body = self._new_body(self._unique_text()) | {"productId": product_id}
        self._known_outcome(
            "create",
            product_id,
            Create(Fields.of(body)),
            lambda: self._functions.create(body),
        )
        with self._records.lock:
            self._records.record_of(product_id).exists = True
            if taken is None:
                self._records.contested = max(self._records.contested, number + 1)

    def _append_marker(self) -> None:
        """Append a marker to a description, so that a lost or repeated change stays visible."""
        product_id = self._active_product()
        if product_id is None:
            return
        marker = f"{self._random.getrandbits(48):012x}"
        record = self._records.products[product_id]
        attempted = False
        for _ in self._attempts("update"):
            current = self._known_outcome(
                "get", product_id, Get(), lambda: self._functions.get(product_id)
            )
            if current.status == HTTPStatus.NOT_FOUND:
                if attempted:
                    with self._records.lock:
                        record.uncertain.add(marker)
                return
            description = current.json()["description"]
            if marker in description:
                with self._records.lock:
                    record.confirmed.add(marker)
                return
            if len(description) + _MARKER_LENGTH > _MAX_DESCRIPTION:
                return
            attempted = True
            response = self._update(
                product_id,
                Update(description=f"{description} {marker}", if_match=current.headers["ETag"]),
            )
            if response is not None and response.status == HTTPStatus.OK:
                with self._records.lock:
                    record.confirmed.add(marker)
                return

    def _set_price(self) -> None:
        """Set a price in one attempt: with the last tag that this client saw, or without one.

        The product may not exist yet.
        """
        product_id = self._random.choice(
            [*self._active_products(), _contested_id(self._records.contested)]
        )
        response = self._update(
            product_id, Update(price=self._new_price(), if_match=self._tag_or_none(product_id))
        )
        with self._records.lock:
            record = self._records.record_of(product_id)
            if response is None:
                record.uncertain_prices += 1
            elif response.status == HTTPStatus.OK:
                record.prices += 1

    def _get(self) -> None:
        """Read a product, which may be deleted or not yet created."""
        product_id = self._random.choice(
            [*self._newest_products(), _contested_id(self._records.contested)]
        )
        tag = self._tag_or_none(product_id)
        self._known_outcome(
            "get",
            product_id,
            Get(tag),
            lambda: self._functions.get(product_id, _header("If-None-Match", tag)),
        )

    def _list(self) -> None:
        for _ in self._attempts("list"):
            response = self._send("list", lambda: self._functions.list(limit=20)).response
            if response is not None:
                ids = [product["productId"] for product in response.json()["products"]]
                if len(ids) != len(set(ids)):
                    raise ContractViolation("A page contains a product twice.")
                return

    def _delete(self) -> None:
        """Delete a product; some are restored and deleted again.

        If the last tag that this client saw does not match, the deletion has no tag.
        """
        product_id = self._active_product()
        if product_id is None:
            return
        with self._records.lock:
            self._records.products[product_id].deleted = True  # other clients may now get a 404
        self._delete_one(product_id)
        if self._random.random() < _RESTORED_SHARE:
            self._restore(product_id)
            self._delete_one(product_id)

    def _restore(self, product_id: str) -> None:
        """Restore a product, in as many attempts as a known outcome needs.

        A deletion of an active product follows; it is a change, and ends attempts that come late.
        """
        for _ in self._attempts("restore"):
            response = self._update(product_id, Update(restores=True))
            with self._records.lock:
                record = self._records.record_of(product_id)
                if response is None:
                    record.uncertain_prices += 1
                else:
                    record.prices += 2
                    return

    def _delete_one(self, product_id: str) -> None:
        for tag in (self._tag_or_none(product_id), None):
            response = self._known_outcome(
                "delete",
                product_id,
                Delete(tag),
                partial(self._functions.delete, product_id, _header("If-Match", tag)),
            )
            if response.status != HTTPStatus.PRECONDITION_FAILED:
                return

    def _update(self, product_id: str, update: Update) -> FunctionResponse | None:
        """Send one update; return None if its outcome is unknown."""
        changes = {"description": update.description, "price": update.price}
        return self._attempt(
            "update",
            product_id,
            update,
            lambda: self._functions.update(
                product_id,
                {name: value for name, value in changes.items() if value is not None}
                | ({"active": True} if update.restores else {}),
                _header("If-Match", update.if_match),
            ),
        )

    def _known_outcome(
        self,
        operation: str,
        product_id: str,
        request: Request,
        call: Callable[[], FunctionResponse],
    ) -> FunctionResponse:
        """Repeat a request until its outcome is known."""
        for _ in self._attempts(operation):
            response = self._attempt(operation, product_id, request, call)
            if response is not None:
                return response
        raise AssertionError("unreachable: the attempts end with an exception")

    def _attempts(self, operation: str) -> Iterator[None]:
        """Yield once for each attempt, with a random pause before each retry."""
        for attempt in range(_MAX_ATTEMPTS):
            if attempt:
                time.sleep(self._random.uniform(0, _MAX_PAUSE_SECONDS))
            yield
        raise ContractViolation(f"{operation} did not succeed in {_MAX_ATTEMPTS} attempts.")

    def _attempt(
        self,
        operation: str,
        product_id: str,
        request: Request,
        call: Callable[[], FunctionResponse],
    ) -> FunctionResponse | None:
        """Send a request once and record it; return None if its outcome is unknown."""
        sent = self._send(operation, call)
        self._records.add_operations(product_id, [self._operation(request, sent)])
        response = sent.response
        if response is not None and "ETag" in response.headers:
            self._tags[product_id] = response.headers["ETag"]
        if response is not None and response.status in {HTTPStatus.OK, HTTPStatus.CREATED}:
            shown = response.json()["productId"]
            if shown != product_id:
                raise ContractViolation(f"{operation} of {product_id} returned {shown}.")
        return response

    def _operation(self, request: Request, sent: _Exchange) -> ProductOperation:
        self._recorded += 1
        shown = None if sent.response is None else Response.of(sent.response)
        return Operation(self._number, sent.started, sent.ended, request, shown)

    def _send(self, operation: str, call: Callable[[], FunctionResponse]) -> _Exchange:
        started = time.monotonic_ns()
        response = call()
        ended = time.monotonic_ns()
        with self._records.lock:
            self._records.statuses[f"{operation} {response.status}"] += 1
        seconds = (ended - started) / _NANOSECONDS
        if seconds > self._max_seconds:
            raise ContractViolation(f"{operation} took {seconds:.1f} seconds.")
        if response.status == HTTPStatus.SERVICE_UNAVAILABLE or (
            response.status == HTTPStatus.CONFLICT and response.problem() == _IN_PROGRESS
        ):
            return _Exchange(started, ended, None)
        if response.status not in _EXPECTED_STATUSES[operation]:
            raise ContractViolation(f"{operation} returned {response.status}: {response.body}")
        return _Exchange(started, ended, response)

    def _newest_products(self) -> list[str]:
        """Return the newest products, deleted or not."""
        with self._records.lock:
            existing = [name for name, each in self._records.products.items() if each.exists]
        return existing[-_SHARED_PRODUCTS:]

    def _active_products(self) -> list[str]:
        """Return the newest products that no client has started to delete."""
        with self._records.lock:
            products = self._records.products.items()
            active = [name for name, each in products if each.exists and not each.deleted]
        return active[-_SHARED_PRODUCTS:]

    def _active_product(self) -> str | None:
        active = self._active_products()
        return self._random.choice(active) if active else None

    def _tag_or_none(self, product_id: str) -> str | None:
        """Return the last tag that this client saw, in every second call."""
        return self._tags.get(product_id) if self._random.random() < 1 / 2 else None

    def _new_body(self, name: str) -> dict[str, Any]:
        return {
            "name": name,
            "description": "Changes:",
            "price": self._new_price(),
            "period": "yearly",
            "features": ["One"],
        }

    def _new_price(self) -> Decimal:
        return Decimal(self._random.randint(1, _MAX_CENTS)).scaleb(-2)

    def _unique_text(self) -> str:
        return str(UUID(int=self._random.getrandbits(128), version=4))


def _contested_id(number: int) -> str:
    return f"PROD-C{number:05}"


def _header(name: str, value: str | None) -> dict[str, str]:
    return {name: value} if value else {}


def soak(
    functions: Functions,
    operations: int,
    clients: int,
    seed: int,
    max_seconds: float = _MAX_RESPONSE_SECONDS,
) -> ClientRecords:
    """Run clients in parallel until at least `operations` are recorded; return their records.

    Raises:
        ContractViolation: a response breaks the contract, or took longer than `max_seconds`.
    """
    records = ClientRecords()
    share = -(-operations // clients)
    with ThreadPoolExecutor(clients) as pool:
        futures = [
            pool.submit(Client(number, functions, records, seed + number, max_seconds).run, share)
            for number in range(1, clients + 1)
        ]
        for future in futures:
            future.result()
    return records
