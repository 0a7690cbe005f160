"""Random commands of several products, with failures and repeats, against a plain model."""

import itertools
import logging
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from types import ModuleType
from typing import Any, NamedTuple
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local.engine import REGION
from product_lambda.models.command import Command
from product_lambda.models.product import ProductDraft
from product_lambda.repositories.command_repository import CommandRepository
from product_lambda.repositories.deadline import Deadline
from product_lambda.repositories.items import product_in, product_key
from product_lambda.repositories.product_repository import ProductTable, open_table
from tests.support import faulty_dynamodb as faults
from tests.support.command_batches import Context, batch_of, failed_in, message
from tests.support.events import Functions
from tests.support.factory import product_body
from tests.support.faulty_dynamodb import Fault, FaultyDynamoDB, faulty_dynamodb
from tests.support.products import amounts, command, draft
from tests.support.queues import EngineQueue

ASYNC = {"Prefer": "respond-async"}
IS_LOST = (False, True)
"""Whether Lambda loses the response of the function, so that the queue delivers the batch again."""
NOBODY = frozenset[Any]()  # revisions that no product has
FAULTS: dict[str, Fault] = {
    "none": faults.pass_on,
    "lost": faults.reset,
    "throttled": faults.error_response("ThrottlingException"),
    "conflict": faults.cancelled_transaction("None", "TransactionConflict"),
    "response lost": faults.after_execution(faults.reset),
}


class State(NamedTuple):
    """What the model knows of a product."""

    name: str
    price: Decimal
    active: bool = True
    version: int = 1


@dataclass
class Model:
    """What each product must be after commands in their order.

    Attributes:
        products: by product id.
        rejected: the ids of the commands that the rules reject, with their problems.
    """

    products: dict[str, State] = field(default_factory=dict)
    rejected: dict[str, str] = field(default_factory=dict)

    def apply(self, due: Command) -> None:
        problem = self._problem(due)
        if problem is not None:
            self.rejected[due.command_id] = problem
            return
        if due.draft is not None:
            state = State(due.draft.name, due.draft.price)
        else:
            state = self.products[due.product_id]
            if due.changes is not None:
                changed = {name: value for name, value in due.changes.items() if name != "active"}
                state = state._replace(**changed, active=True, version=state.version + 1)
            elif state.active:
                state = state._replace(active=False, version=state.version + 1)
        self.products[due.product_id] = state

    def _problem(self, due: Command) -> str | None:
        known = self.products.get(due.product_id)
        if due.draft is not None:
            return "duplicate-product" if known else None
        if known is None:
            return "product-not-found"
        if due.changes is not None and not known.active and "active" not in due.changes:
            return "product-not-found"
        is_void = due.changes is None and not known.active
        return "precondition-failed" if due.expected is not None and not is_void else None


class FifoQueue:
    """A FIFO queue of SQS: a message waits until the earlier ones of its group are deleted."""

    def __init__(self, commands: list[Command]) -> None:
        self.waiting = list(commands)

    def receive(self, count: int) -> list[Command]:
        return self.waiting[:count]

    def delete(self, command_ids: set[str]) -> None:
        self.waiting = [each for each in self.waiting if each.command_id not in command_ids]


def draft_of(product_id: str, name: str, price: Decimal) -> ProductDraft:
    return draft(product_id=product_id, name=name, price=price)


RESTORED = st.just(value=True)
CHANGES = st.fixed_dictionaries(
    {"name": st.sampled_from("ABC")}, optional={"price": amounts(), "active": RESTORED}
)
STEPS = st.tuples(
    st.integers(0, 2),  # the product
    st.one_of(
        st.tuples(st.just("create"), st.sampled_from("XYZ"), amounts()),
        st.tuples(st.just("update"), CHANGES, st.sampled_from([None, None, NOBODY])),
        st.tuples(st.just("delete"), st.none(), st.sampled_from([None, None, NOBODY])),
    ),
)


def commands_of(steps: list[Any], run: str) -> list[Command]:
    commands = []
    for number, (product, (operation, first, second)) in enumerate(steps):
        product_id = f"PROD-{run}-{product}"
        fields: dict[str, Any] = {"command_id": f"{run}-{number}", "product_id": product_id}
        if operation == "create":
            fields["draft"] = draft_of(product_id, first, second)
        else:
            fields |= {"changes": first, "expected": second}
        commands.append(command(**fields))
    return commands


@pytest.fixture
def proxy(
    engine: str,
    product_creator: ModuleType,
    shared_table: ProductTable,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[FaultyDynamoDB]:
    """A faulty server between the function and the shared table."""
    with faulty_dynamodb(engine) as server:
        through = open_table(shared_table.name, REGION, server.endpoint_url)
        monkeypatch.setattr(product_creator, "TABLE", through)
        yield server


class Function:
    """The function behind a faulty server, with its log."""

    def __init__(
        self,
        module: ModuleType,
        proxy: FaultyDynamoDB,
        table: ProductTable,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        self._module = module
        self._proxy = proxy
        self._table = table
        self._caplog = caplog

    def fail_next(self, failures: list[str]) -> None:
        """Inject faults into the next transactions, in their order."""
        sent = self._proxy.count("TransactWriteItems")
        for number, name in enumerate(failures, start=sent + 1):
            self._proxy.fail("TransactWriteItems", FAULTS[name], nth=number)

    def deliver(self, commands: list[Command]) -> set[str]:
        """Give the function a batch, and return the ids of the messages that failed."""
        return set(failed_in(self._module.handler(batch_of(commands), Context())))

    def outcomes(self) -> list[dict[str, Any]]:
        """Return the lines of the commands with an outcome, and forget them."""
        found = [
            vars(record)
            for record in self._caplog.records
            if record.message in {"command carried out", "command rejected"}
        ]
        self._caplog.clear()
        return found

    def products(self, commands: list[Command]) -> dict[str, State]:
        """Return the products of commands, in the form of the model."""
        repository = CommandRepository(self._table, Deadline(60))
        found = {}
        for product_id in {due.product_id for due in commands}:
            item = repository._item(product_key(product_id))
            if item is not None:
                product = product_in(item)
                found[product_id] = State(
                    product.name, product.price, product.active, product.version
                )
        return found


@pytest.fixture
def function(
    product_creator: ModuleType,
    proxy: FaultyDynamoDB,
    shared_table: ProductTable,
    caplog: pytest.LogCaptureFixture,
) -> Function:
    caplog.set_level(logging.INFO, "product_lambda")
    return Function(product_creator, proxy, shared_table, caplog)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    st.lists(STEPS, min_size=1, max_size=12),
    st.lists(st.sampled_from(list(FAULTS)), max_size=12),
    st.lists(st.tuples(st.integers(1, 10), st.sampled_from(IS_LOST)), max_size=8),
)
def test_commands_with_failures_end_as_in_the_model(
    function: Function,
    steps: list[Any],
    failures: list[str],
    receptions: list[tuple[int, bool]],
) -> None:
    commands = commands_of(steps, uuid4().hex[:12].upper())
    function.outcomes()
    function.fail_next(failures)
    queue = FifoQueue(commands)
    for size, is_lost in itertools.chain(receptions, itertools.repeat((10, IS_LOST[0]), 40)):
        if not queue.waiting:
            break
        batch = queue.receive(size)
        failed = function.deliver(batch)
        if not is_lost:
            queue.delete({each.command_id for each in batch} - failed)
    assert queue.waiting == []

    model = Model()
    for due in commands:
        model.apply(due)
    assert function.products(commands) == model.products
    lines = function.outcomes()
    rejected = {line["command_id"]: line["problem"] for line in lines if "problem" in line}
    assert rejected == model.rejected
    require_order(commands, lines)

    # Operators may send the messages again, in their order.
    function.fail_next(["none"] * len(failures))
    assert function.deliver(commands) == set()
    assert function.products(commands) == model.products


def require_order(commands: list[Command], lines: list[dict[str, Any]]) -> None:
    """Check that the commands of each product got their outcomes in the order of the queue."""
    due: dict[str, list[str]] = defaultdict(list)
    done: dict[str, list[str]] = defaultdict(list)
    for each in commands:
        due[each.product_id].append(each.command_id)
    for line in lines:
        if line["command_id"] not in done[line["product_id"]]:
            done[line["product_id"]].append(line["command_id"])
    assert done == due


# From the request to the table

type Amounts = tuple[Decimal, Decimal | None]
"""A price and a set-up fee."""
AMOUNTS = st.tuples(amounts(), st.none() | amounts(0))


@pytest.fixture
def stored_amounts(
    table: ProductTable, raw_item: Callable[[ProductTable, str], dict[str, Any]]
) -> Callable[[str], Amounts]:
    """A function that reads the amounts of a product as DynamoDB has them."""

    def read(product_id: str) -> Amounts:
        item = raw_item(table, f"PRODUCT#{product_id}")
        setup_fee = item.get("setupFee")
        return Decimal(item["price"]["N"]), setup_fee and Decimal(setup_fee["N"])

    return read


@pytest.fixture
def drain(
    change_queue: EngineQueue,
    product_creator: ModuleType,
    table: ProductTable,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[int], None]:
    """A function that carries out the next messages of the real queue."""
    monkeypatch.setattr(product_creator, "TABLE", table)

    def drain(count: int) -> None:
        if not count:
            return
        records = [
            message(found["MessageId"], found["Attributes"]["MessageGroupId"], found["Body"])
            for found in change_queue.received(count)
        ]
        assert failed_in(product_creator.handler({"Records": records}, Context())) == []

    return drain


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(AMOUNTS, AMOUNTS)
def test_amounts_reach_the_table_exactly(
    async_functions: Functions,
    drain: Callable[[int], None],
    stored_amounts: Callable[[str], Amounts],
    first: Amounts,
    second: Amounts,
) -> None:
    body = product_body(price=first[0], setupFee=first[1])
    product_id = async_functions.create(body, ASYNC).json()["productId"]
    drain(1)
    assert stored_amounts(product_id) == first
    changes = {"price": second[0], "setupFee": second[1]}
    assert async_functions.update(product_id, changes, ASYNC).status == 202
    drain(1)
    assert stored_amounts(product_id) == second
    shown = async_functions.get(product_id).json()
    assert (shown["price"], shown.get("setupFee")) == second


def test_synchronous_repetition_replays_accepted_creation(
    async_functions: Functions, drain: Callable[[int], None]
) -> None:
    keyed = {"Idempotency-Key": "a-key"}
    accepted = async_functions.create(product_body(), {**ASYNC, **keyed})
    drain(1)
    repeated = async_functions.create(product_body(), keyed)
    assert repeated.status == 201
    assert repeated.headers["Idempotency-Replayed"] == "true"
    assert repeated.json()["productId"] == accepted.json()["productId"] == "PROD-001"


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(st.sampled_from(["accept", "create", "carry out"]), min_size=1, max_size=6))
def test_any_mix_of_requests_with_one_key_makes_one_product(
    async_functions: Functions, drain: Callable[[int], None], actions: list[str]
) -> None:
    key = {"Idempotency-Key": uuid4().hex}
    names: set[str] = set()
    body = product_body(name=uuid4().hex)
    waiting = sent = 0
    for action in actions:
        if action == "carry out":
            drain(waiting)
            waiting = 0
            continue
        response = async_functions.create(body, {**ASYNC, **key} if action == "accept" else key)
        assert response.status in {201, 202}
        names.add(response.json()["productId"])
        if response.status == 202 and not sent:
            # The queue takes a repeated command for the same message.
            waiting = sent = 1
    drain(waiting)
    made = [
        product["productId"]
        for product in async_functions.list(limit=100, name=body["name"]).json()["products"]
    ]
    assert set(made) == names
    assert len(made) == min(1, len(names))
