"""The search of the soak test: it accepts real histories of a product, and rejects changed ones."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.soak.linearizability import (
    Operation,
    find_order,
    most_concurrent,
    smallest_violation,
)
from tests.soak.product_model import (
    Create,
    Delete,
    Fields,
    Get,
    Inspect,
    ProductModel,
    ProductOperation,
    ProductState,
    Request,
    Response,
    Update,
    describe_violation,
)

MODEL = ProductModel()
PRICES = [Decimal(1), Decimal(2)]
DESCRIPTIONS = ["one", "two"]
UNUSED_PRICE = Decimal(99)
UNUSED_TAG = '"unused"'
KEYS = ["key-1", "key-2"]
FIELDS = Fields("name", "first", Decimal(5))
type Draw = Callable[[st.SearchStrategy[Any]], Any]
STEP = 100
"""The time between two requests of a random history; they overlap up to three others."""


@dataclass
class ReferenceProduct:
    """A product that executes one request at a time; it shares no code with the model."""

    version: int = 0
    fields: Fields = FIELDS
    deleted: bool = False
    key: str | None = None
    tags: list[str] = field(default_factory=list)
    first: Response | None = None

    def execute(self, request: Request) -> Response:
        if isinstance(request, Create):
            return self._create(request)
        if isinstance(request, Inspect):
            return self._stored()
        restores = isinstance(request, Update) and request.restores
        if self.version and (restores or not self.deleted):
            return self._execute_on_active(request)
        return Response(204) if self.version and isinstance(request, Delete) else NOT_FOUND

    def _stored(self) -> Response:
        if not self.version:
            return NOT_FOUND
        return Response(410 if self.deleted else 200, self.version, None, self.fields)

    def _execute_on_active(self, request: Get | Update | Delete) -> Response:
        if isinstance(request, Get):
            is_known = request.if_none_match == self.tags[-1]
            return Response(304, tag=self.tags[-1]) if is_known else self.shown(200)
        if request.if_match not in (None, self.tags[-1]):
            return Response(412)
        if isinstance(request, Delete):
            self.change(self.fields)
            self.deleted = True
            return Response(204)
        self.deleted = False
        description = request.description or self.fields.description
        self.change(Fields(self.fields.name, description, request.price or self.fields.price))
        return self.shown(200)

    def _create(self, request: Create) -> Response:
        if self.first is None:
            self.key = request.key
            self.change(request.fields)
            self.first = self.shown(201)
            return self.first
        if request.key is not None and request.key == self.key:
            return self.first._replace(replayed=True)
        return Response(409)

    def change(self, fields: Fields) -> None:
        self.version += 1
        self.fields = fields
        self.tags.append(f'"tag-{self.version}"')

    def shown(self, status: int) -> Response:
        return Response(status, self.version, self.tags[-1], self.fields)


NOT_FOUND = Response(404)


@dataclass
class History:
    """Operations on a product so far.

    Attributes:
        end: a time after all operations.
    """

    product: ReferenceProduct = field(default_factory=ReferenceProduct)
    operations: list[ProductOperation] = field(default_factory=list)
    end: int = 0

    def add(self, request: Request, response: Response | None) -> None:
        """Add an operation that overlaps no earlier one."""
        self.operations.append(Operation(0, self.end + 1, self.end + 2, request, response))
        self.end += 3

    def execute(self, request: Request) -> Response:
        """Execute a request, and add the operation."""
        response = self.product.execute(request)
        self.add(request, response)
        return response

    def execute_concurrently(self, draw: Draw, *, unknown: bool, deletes: bool) -> None:
        """Execute random requests with random overlaps, some with an unknown outcome."""
        first = self.end + 3 * STEP
        for number in range(draw(st.integers(0, 8))):
            moment = first + number * STEP
            request = draw(requests(self.product.tags, deletes=deletes))
            outcome = draw(st.sampled_from(OUTCOMES)) if unknown else "known"
            response = None if outcome == "never executed" else self.product.execute(request)
            started = moment - draw(st.integers(0, 3 * STEP - 1))
            ended = moment + draw(st.integers(0, 3 * STEP - 1))
            if outcome != "known":  # the client may stop waiting before the execution
                response = None
                ended = started + draw(st.integers(0, STEP))
            self.operations.append(Operation(number, started, ended, request, response))
            self.end = max(self.end, ended, moment)

    def has_order(self) -> bool:
        return find_order(MODEL, self.operations) is not None


OUTCOMES = ["known", "known", "known", "known", "lost", "never executed"]


def creation(key: str | None) -> Create:
    """Return a creation; each key has its own fields."""
    return Create(FIELDS._replace(name=f"name of {key}"), key)


@st.composite
def requests(draw: st.DrawFn, tags: Sequence[str], *, deletes: bool) -> Request:
    tag = draw(st.none() | st.sampled_from([*tags, UNUSED_TAG]))
    price, description = draw(st.sampled_from(PRICES)), draw(st.sampled_from(DESCRIPTIONS))
    key = draw(st.none() | st.sampled_from(KEYS))
    choices: list[Request] = [
        Get(tag),
        Get(),
        Update(price=price, if_match=tag),
        Update(price=price, if_match=tags[-1] if tags else None),
        Update(description=description, if_match=tag),
        Update(description, price),
        creation(key),
    ]
    if deletes:
        choices += [Delete(tag), Update(price=price, if_match=tag, restores=True)]
    return draw(st.sampled_from(choices))


@st.composite
def histories(draw: st.DrawFn, *, unknown: bool = True, deletes: bool = True) -> History:
    """Histories of concurrent requests to a product, which is created first."""
    history = History()
    history.execute(creation(draw(st.none() | st.sampled_from(KEYS))))
    history.execute_concurrently(draw, unknown=unknown, deletes=deletes)
    return history


@st.composite
def histories_from_nothing(draw: st.DrawFn) -> History:
    """Histories of concurrent requests; any of them may create the product."""
    history = History()
    history.execute_concurrently(draw, unknown=True, deletes=True)
    return history


active = histories(deletes=False)
active_and_known = histories(deletes=False, unknown=False)


def is_valid_order(
    order: Sequence[ProductOperation], initial: ProductState = MODEL.initial
) -> bool:
    """Return whether an order agrees with time and with all responses."""
    state: ProductState | None = initial
    for position, operation in enumerate(order):
        for later in order[position + 1 :]:
            if later.response is not None and later.ended < operation.started:
                return False
        assert state is not None
        state = MODEL.apply(state, operation.request, operation.response)
        if state is None:
            return False
    return True


def has_order_by_brute_force(history: Sequence[ProductOperation]) -> bool:
    """Try all orders, with each selection of the operations with an unknown outcome."""
    known = [each for each in history if each.response is not None]
    unknown = [each for each in history if each.response is None]
    return any(
        is_valid_order(order)
        for count in range(len(unknown) + 1)
        for selection in itertools.combinations(unknown, count)
        for order in itertools.permutations([*known, *selection])
    )


# Histories of a product that works


@given(histories_from_nothing() | histories())
def test_real_history_has_valid_order(history: History) -> None:
    order = find_order(MODEL, history.operations)

    assert order is not None
    assert is_valid_order(order)
    known = [each for each in history.operations if each.response is not None]
    assert all(each in order for each in known)
    assert smallest_violation(MODEL, history.operations) is None


@given(histories_from_nothing())
def test_final_state_of_real_history_has_order(history: History) -> None:
    history.end += 3 * STEP
    history.execute(Inspect())

    assert history.has_order()


@given(histories_from_nothing(), st.randoms(use_true_random=False))
def test_order_of_recording_does_not_matter(history: History, random: Random) -> None:
    random.shuffle(history.operations)

    assert history.has_order()


@st.composite
def small_histories(draw: st.DrawFn) -> list[ProductOperation]:
    """Return a few operations of a real history; some of their responses are exchanged."""
    history = draw(histories_from_nothing() | histories())
    operations = history.operations[:6]
    responses = [each.response for each in history.operations if each.response is not None]
    responses += [NOT_FOUND, Response(204), Response(409), Response(412)]
    return [
        (
            each._replace(response=draw(st.sampled_from(responses)))
            if each.response is not None and draw(st.integers(0, 5)) == 0
            else each
        )
        for each in operations
    ]


@given(small_histories())
def test_search_agrees_with_brute_force(history: list[ProductOperation]) -> None:
    assert (find_order(MODEL, history) is not None) == has_order_by_brute_force(history)


@given(histories_from_nothing())
def test_search_without_shortcut_finds_same_verdict(history: History) -> None:
    class WithoutShortcut(ProductModel):
        def is_too_late(self, *_: object) -> bool:
            return False

    operations = history.operations[:8]
    assert (find_order(WithoutShortcut(), operations) is None) == (
        find_order(MODEL, operations) is None
    )


# Histories of a product that breaks its contract


def rejected(history: History, data: st.DataObject) -> bool:
    """Return whether a history has no order, also when the product works again afterwards."""
    if history.has_order():
        return False
    history.end += STEP
    history.execute_concurrently(data.draw, unknown=True, deletes=True)
    return not history.has_order()


@settings(max_examples=30)
@given(active, st.data())
def test_stale_read_is_rejected(history: History, data: st.DataObject) -> None:
    old = history.execute(Get())
    history.execute(Update(price=UNUSED_PRICE))
    history.add(Get(), old)

    assert rejected(history, data)


@settings(max_examples=30)
@given(active, st.data())
def test_stale_not_modified_is_rejected(history: History, data: st.DataObject) -> None:
    old = history.execute(Get()).tag
    history.execute(Update(price=UNUSED_PRICE))
    history.add(Get(old), Response(304, tag=old))

    assert rejected(history, data)


@settings(max_examples=30)
@given(active, st.data())
def test_lost_update_is_rejected(history: History, data: st.DataObject) -> None:
    product = history.product
    version, fields, tags = product.version, product.fields, list(product.tags)
    history.execute(Update(price=UNUSED_PRICE))
    product.version, product.fields, product.tags = version, fields, tags
    history.execute(Get())

    assert rejected(history, data)


@settings(max_examples=30)
@given(active, st.data())
def test_update_lost_before_deletion_is_rejected(history: History, data: st.DataObject) -> None:
    fields = history.product.fields
    history.execute(Update("unique", UNUSED_PRICE))
    history.product.fields = fields
    history.execute(Delete())
    history.execute(Inspect())

    assert rejected(history, data)


@settings(max_examples=30)
@given(active, st.data())
def test_write_that_appears_twice_is_rejected(history: History, data: st.DataObject) -> None:
    history.execute(Update("unique", UNUSED_PRICE))
    history.product.change(history.product.fields)
    history.execute(Get())

    assert rejected(history, data)


@settings(max_examples=30)
@given(active_and_known, st.data())
def test_creation_that_appears_twice_is_rejected(history: History, data: st.DataObject) -> None:
    again = ReferenceProduct().execute(Create(FIELDS, "key-3"))
    history.add(Create(FIELDS, "key-3"), again)

    assert rejected(history, data)


@settings(max_examples=30)
@given(active, st.data())
def test_value_never_written_is_rejected(history: History, data: st.DataObject) -> None:
    shown = history.product.execute(Get())
    history.add(Get(), shown._replace(fields=FIELDS._replace(description="never written")))

    assert rejected(history, data)


@settings(max_examples=30)
@given(active, st.data(), st.integers(0, 2))
def test_deletion_that_comes_back_is_rejected(
    history: History, data: st.DataObject, changes: int
) -> None:
    history.execute(Delete())
    history.product.deleted = False
    for _ in range(changes):
        history.product.change(history.product.fields)
    history.execute(Get())

    assert rejected(history, data)


@settings(max_examples=30)
@given(active, st.data())
def test_two_updates_of_one_tag_are_rejected(history: History, data: st.DataObject) -> None:
    tag = history.execute(Get()).tag
    history.execute(Update(price=UNUSED_PRICE, if_match=tag))
    second = history.product.execute(Update(description="unique"))
    history.add(Update(description="unique", if_match=tag), second)

    assert rejected(history, data)


@settings(max_examples=30)
@given(active_and_known, st.data(), st.sampled_from([Update, Delete]))
def test_failed_precondition_of_current_tag_is_rejected(
    history: History, data: st.DataObject, request_type: Callable[..., Request]
) -> None:
    tag = history.execute(Get()).tag
    history.add(request_type(if_match=tag), Response(412))

    assert rejected(history, data)


@settings(max_examples=30)
@given(active, st.data())
def test_tag_that_changes_without_write_is_rejected(history: History, data: st.DataObject) -> None:
    history.execute(Get())
    history.product.tags[-1] = UNUSED_TAG
    history.execute(Get())

    assert rejected(history, data)


@settings(max_examples=30)
@given(active, st.data())
def test_tag_that_repeats_is_rejected(history: History, data: st.DataObject) -> None:
    tag = history.execute(Get()).tag
    history.execute(Update(price=UNUSED_PRICE))
    changed = history.product.execute(Update(description="unique"))
    history.add(Update(description="unique"), changed._replace(tag=tag))

    assert rejected(history, data)


@settings(max_examples=30)
@given(active, st.data())
def test_unexpected_status_is_rejected(history: History, data: st.DataObject) -> None:
    request = data.draw(requests(history.product.tags, deletes=True))
    history.add(request, Response(500))

    assert rejected(history, data)


CREATED = Response(201, 1, '"1"', FIELDS)
READ = Response(200, 1, '"1"', FIELDS)
CHANGED = Response(200, 2, '"2"', FIELDS._replace(price=PRICES[0]))
SET_PRICE = Update(price=PRICES[0])
GONE = Response(204)
RESTORE = Update(restores=True)
RESTORED = Response(200, 3, '"3"', FIELDS)


@pytest.mark.parametrize(
    ("steps", "accepted"),
    [
        ([(Get(), NOT_FOUND), (Create(FIELDS), CREATED), (Get(), READ)], True),
        ([(Get(), READ), (Create(FIELDS), CREATED)], False),
        ([(Create(FIELDS), CREATED), (Get(), NOT_FOUND)], False),
        ([(Create(FIELDS), Response(409))], False),
        ([(Create(FIELDS), CREATED), (Create(FIELDS), Response(409))], True),
        ([(Create(FIELDS), CREATED), (Create(FIELDS), CREATED)], False),
        ([(Create(FIELDS), CREATED), (Delete(), Response(204)), (Create(FIELDS), CREATED)], False),
        ([(Create(FIELDS, "k"), CREATED._replace(replayed=True))], False),
        ([(Create(FIELDS, "k"), None), (Create(FIELDS, "k"), CREATED)], True),
        (
            [(Create(FIELDS, "k"), None), (Create(FIELDS, "k"), CREATED._replace(replayed=True))],
            True,
        ),
        ([(Create(FIELDS, "k"), CREATED), (Create(FIELDS, "k"), CREATED)], False),
        (
            [
                (Create(FIELDS, "k"), CREATED),
                (SET_PRICE, CHANGED),
                (Create(FIELDS, "k"), CREATED._replace(replayed=True)),
            ],
            True,
        ),
        (
            [
                (Create(FIELDS, "k"), CREATED),
                (SET_PRICE, CHANGED),
                (Create(FIELDS, "k"), CHANGED._replace(status=201, replayed=True)),
            ],
            False,
        ),
        ([(Delete(), NOT_FOUND), (Create(FIELDS), CREATED)], True),
        ([(Create(FIELDS), CREATED), (Delete(), GONE), (RESTORE, RESTORED)], True),
        ([(Create(FIELDS), CREATED), (Delete(), GONE), (SET_PRICE, RESTORED)], False),
        ([(Create(FIELDS), CREATED), (Delete(), GONE), (RESTORE, NOT_FOUND)], False),
        ([(Create(FIELDS), CREATED), (Delete(), GONE), (RESTORE, None), (Get(), NOT_FOUND)], True),
        (
            [
                *[(Create(FIELDS), CREATED), (Delete(), GONE), (RESTORE, None)],
                *[(Get(), RESTORED), (Delete(), GONE), (Get(), NOT_FOUND)],
            ],
            True,
        ),
        ([(RESTORE, NOT_FOUND), (Create(FIELDS), CREATED)], True),
        ([(Delete(), Response(204)), (Create(FIELDS), CREATED)], False),
        ([(Create(FIELDS), CREATED), (Delete(), NOT_FOUND)], False),
        ([(Create(FIELDS), CREATED), (Delete('"0"'), Response(412))], True),
        ([(Create(FIELDS), CREATED), (Delete('"0"'), Response(204))], False),
        ([(Create(FIELDS), CREATED), (SET_PRICE, Response(412))], False),
        ([(Create(FIELDS), CREATED), (SET_PRICE, None), (Get(), READ)], True),
        ([(Create(FIELDS), CREATED), (SET_PRICE, None), (Get(), CHANGED)], True),
        (
            [(Create(FIELDS), CREATED), (SET_PRICE, None), (Get(), READ), (Get(), CHANGED)],
            True,
        ),
        (
            [(Create(FIELDS), CREATED), (SET_PRICE, None), (Get(), CHANGED), (Get(), READ)],
            False,
        ),
        ([(Create(FIELDS), CREATED), (Get(), CHANGED), (SET_PRICE, None)], False),
        ([(Create(FIELDS), CREATED), (Get('"1"'), Response(304, tag='"1"'))], True),
        ([(Create(FIELDS), CREATED), (Get('"1"'), READ)], False),
        ([(Create(FIELDS), CREATED), (Get(), Response(304, tag='"1"'))], False),
        ([(Create(FIELDS), CREATED), (Get(), READ._replace(tag=None))], False),
        ([(Inspect(), NOT_FOUND)], True),
        ([(Create(FIELDS), CREATED), (Inspect(), NOT_FOUND)], False),
        ([(Create(FIELDS), CREATED), (Inspect(), Response(410, 1, None, FIELDS))], False),
    ],
)
def test_sequence_of_requests_is_judged(
    steps: list[tuple[Request, Response | None]], accepted: bool  # noqa: FBT001
) -> None:
    history = History()
    for request, response in steps:
        history.add(request, response)

    assert history.has_order() == accepted


def test_operations_that_meet_at_one_moment_have_any_order() -> None:
    meeting: list[ProductOperation] = [
        Operation(1, 0, 10, Get(), READ),
        Operation(2, 10, 20, Create(FIELDS), CREATED),
    ]

    assert find_order(MODEL, meeting) is not None
    assert find_order(MODEL, [meeting[0]._replace(ended=9), meeting[1]]) is None


# The size of histories


def long_history(updates: int) -> History:
    history = History()
    history.execute(Create(FIELDS))
    for number in range(updates):
        history.execute(Update(price=Decimal(number + 1)))
    return history


def test_long_history_needs_no_recursion() -> None:
    assert long_history(3000).has_order()


@pytest.mark.timeout(60)
def test_many_unknown_outcomes_do_not_multiply() -> None:
    history = long_history(1)
    for number in range(40):
        history.add(Update(price=Decimal(1000 + number)), None)
    for number in range(100):
        history.execute(Update(price=Decimal(number + 10)))
    assert history.has_order()

    history.add(Get(), READ)

    assert not history.has_order()


# The smallest violation


@settings(max_examples=30)
@given(active, st.data())
def test_smallest_violation_has_no_order_either(history: History, data: st.DataObject) -> None:
    old = history.execute(Get())
    history.execute(Update(price=UNUSED_PRICE))
    history.add(Get(), old)
    history.execute_concurrently(data.draw, unknown=True, deletes=True)

    violation = smallest_violation(MODEL, history.operations)

    assert violation is not None
    assert find_order(MODEL, violation.history, violation.initial) is None
    assert all(each._replace(response=None) in without_responses(history) for each in violation[1])
    known = [each for each in violation.history if each.response is not None]
    assert [each.response for each in known] == [old]


def without_responses(history: History) -> list[ProductOperation]:
    return [each._replace(response=None) for each in history.operations]


def test_smallest_violation_starts_at_last_possible_state() -> None:
    history = long_history(50)
    old = history.execute(Get())
    changed = history.execute(Update(price=UNUSED_PRICE))
    history.execute(Get())
    history.add(Get(), old)
    history.execute(Update(price=UNUSED_PRICE))

    violation = smallest_violation(MODEL, history.operations)

    assert violation is not None
    assert violation.initial.version == changed.version
    assert [(each.request, each.response) for each in violation.history] == [(Get(), old)]


def test_violation_is_described_in_order_of_starts() -> None:
    history = History()
    history.execute(Create(FIELDS, "key-1"))
    history.add(Delete('"tag-1"'), None)
    history.execute(Update("Changes: aa", Decimal("9.50"), '"tag-1"'))
    history.add(Get('"tag-1"'), READ._replace(version=7))
    history.operations.reverse()
    violation = smallest_violation(MODEL, history.operations)
    assert violation is not None

    lines = describe_violation("PROD-001", violation).splitlines()

    assert lines[0] == "PROD-001 is not linearizable: no order explains these responses."
    assert lines[1] == (
        'At first: active, version 2, ETag "tag-2", price 9.50, description …Changes: aa'
    )
    assert [line.split(maxsplit=3) for line in lines[3:]] == [
        ["0", "0.000", "0.000", 'DELETE If-Match "tag-1" -> unknown outcome'],
        [
            "0",
            "0.000",
            "0.000",
            'GET If-None-Match "tag-1" -> 200, version 7, ETag "1", price 5, description …first',
        ],
    ]


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([], 0),
        ([(0, 1), (1, 2), (2, 3)], 1),
        ([(0, 9), (1, 2), (3, 4)], 2),
        ([(0, 9), (1, 5), (3, 4)], 3),
    ],
)
def test_most_concurrent_counts_overlaps(times: list[tuple[int, int]], expected: int) -> None:
    history = [Operation(0, started, ended, Get(), READ) for started, ended in times]

    assert most_concurrent(history) == expected
