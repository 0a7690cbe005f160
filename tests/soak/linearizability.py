"""Searches for an order that explains the responses of concurrent operations on one object.

A history is linearizable if each operation can take effect at one moment between its start and its
end (Herlihy and Wing, "Linearizability: A Correctness Condition for Concurrent Objects", 1990).
The search is the algorithm of Wing and Gong ("Testing and Verifying Concurrent Objects", 1993) with
the cache of Lowe ("Testing for Linearizability", 2017). Objects are independent of each other, so
each is searched alone (Horn and Kroening, "Faster Linearizability Checking via
P-Compositionality", 2015). The search knows nothing about the objects: a `Model` describes them.
"""

import bisect
from collections.abc import Hashable, Iterator, Sequence
from typing import NamedTuple, Protocol


class Operation[Request, Response](NamedTuple):
    """One request of one client and its response.

    Attributes:
        client: the number of the client.
        started: when the client sent the request, in nanoseconds of a monotonic clock.
        ended: when the client had the response, or stopped waiting for it.
        response: None if the outcome is unknown. The request may then take effect at any time
            after its start, or never.
    """

    client: int
    started: int
    ended: int
    request: Request
    response: Response | None


class Model[State: Hashable, Request, Response](Protocol):
    """An object that executes one request at a time."""

    @property
    def initial(self) -> State:
        """The state before the first request."""

    def apply(self, state: State, request: Request, response: Response | None) -> State | None:
        """Return the state after a request.

        Without a response, the request may have any response. Returns None if this response is
        wrong in this state.
        """

    def is_too_late(self, state: State, request: Request, response: Response) -> bool:
        """Return whether this response is wrong in this state and in all states that can follow.

        Always False is correct, but makes the search slower.
        """

    def has_no_effect(self, request: Request, response: Response) -> bool:
        """Return whether this response shows that the request has changed nothing."""

    def state_after(
        self,
        operation: Operation[Request, Response],
        later: Sequence[Operation[Request, Response]],
    ) -> State | None:
        """Return the state that the response of an operation shows.

        Returns None if the response does not show enough for a search of the `later` operations.
        """


class Violation[State, Request, Response](NamedTuple):
    """A history without a valid order from the state `initial`."""

    initial: State
    history: list[Operation[Request, Response]]


def find_order[State: Hashable, Request, Response](
    model: Model[State, Request, Response],
    history: Sequence[Operation[Request, Response]],
    initial: State | None = None,
) -> list[Operation[Request, Response]] | None:
    """Return an order of the operations that explains all responses; None if there is none.

    An operation without a response is in the order only if it must take effect. Equal times do not
    order two operations. `initial` replaces the initial state of the model.
    """
    search = _Search(model, history)
    start = model.initial if initial is None else initial
    visited = {(0, start)}
    order: list[int] = []
    stack = [(0, start, search.next_operations(0, start))]
    while stack:
        done, _, candidates = stack[-1]
        if search.is_complete(done):
            return [search.operations[index] for index in order]
        for index, after in candidates:
            reached = (done | 1 << index, after)
            if reached not in visited:
                visited.add(reached)
                order.append(index)
                stack.append((*reached, search.next_operations(*reached)))
                break
        else:
            stack.pop()
            del order[-1:]  # the first entry of the stack has no operation
    return None


class _Search[State: Hashable, Request, Response]:
    """The operations of one history, each with a number; bit masks of numbers are sets.

    Operations with a response have the lowest numbers, in the order of their start.
    """

    def __init__(
        self,
        model: Model[State, Request, Response],
        history: Sequence[Operation[Request, Response]],
    ) -> None:
        self._model = model
        self.operations = sorted(history, key=lambda each: (each.response is None, each.started))
        self._known = sum(each.response is not None for each in history)
        self._all_known = (1 << self._known) - 1

    def is_complete(self, done: int) -> bool:
        """Return whether all operations with a response are done."""
        return done & self._all_known == self._all_known

    def next_operations(self, done: int, state: State) -> Iterator[tuple[int, State]]:
        """Yield each operation that can be the next one, and the state after it.

        An operation must wait for all operations that ended before its start. The operation that
        ends first is yielded first, and operations without a response last.
        """
        waiting, earliest_end = self._waiting(done)
        if self._is_dead_end(state, waiting):
            return
        for index in waiting:
            operation = self.operations[index]
            after = self._model.apply(state, operation.request, operation.response)
            if after is not None:
                yield index, after
        for index in range(self._known, len(self.operations)):
            operation = self.operations[index]
            if operation.started > earliest_end:
                break
            if not done >> index & 1:
                after = self._model.apply(state, operation.request, None)
                if after is not None and after != state:
                    yield index, after

    def _waiting(self, done: int) -> tuple[list[int], float]:
        """Return the operations with a response that can be the next one, and their first end."""
        found: list[int] = []
        earliest_end: float = float("inf")
        first_undone = (~done & (done + 1)).bit_length() - 1
        for index in range(first_undone, self._known):
            operation = self.operations[index]
            if operation.started > earliest_end:
                break
            if not done >> index & 1:
                found.append(index)
                earliest_end = min(earliest_end, operation.ended)
        found.sort(key=lambda index: self.operations[index].ended)
        return found, earliest_end

    def _is_dead_end(self, state: State, waiting: Sequence[int]) -> bool:
        for index in waiting:
            _, _, _, request, response = self.operations[index]
            if response is not None and self._model.is_too_late(state, request, response):
                return True
        return False


def smallest_violation[State: Hashable, Request, Response](
    model: Model[State, Request, Response], history: Sequence[Operation[Request, Response]]
) -> Violation[State, Request, Response] | None:
    """Return a small part of a history that has no valid order; None if the history has one.

    The history has no valid order because the part has none: the part ends with the first response
    that no order explains, starts at the last possible state, and lacks operations that changed
    nothing.
    """
    if find_order(model, history) is not None:
        return None
    ends = sorted(each.ended for each in history if each.response is not None)
    first_wrong = bisect.bisect_left(
        ends, True, key=lambda end: find_order(model, _until(history, end)) is None  # noqa: FBT003
    )
    part = _until(history, ends[first_wrong])
    initial, part = _from_last_state(model, part)
    for operation in list(part):
        _, _, _, request, response = operation
        if response is not None and model.has_no_effect(request, response):
            rest = [each for each in part if each is not operation]
            if find_order(model, rest, initial) is None:
                part = rest
    return Violation(initial, part)


def _until[Request, Response](
    history: Sequence[Operation[Request, Response]], moment: int
) -> list[Operation[Request, Response]]:
    """Return the history up to a moment; operations in progress have no response yet."""
    return [
        each if each.ended <= moment else each._replace(response=None)
        for each in history
        if each.started <= moment
    ]


def _from_last_state[State: Hashable, Request, Response](
    model: Model[State, Request, Response], history: Sequence[Operation[Request, Response]]
) -> tuple[State, list[Operation[Request, Response]]]:
    """Return the last known state after which no order exists, and the operations after it.

    A response shows a state for certain if no other operation with a response overlaps.
    """
    for operation in sorted(history, key=lambda each: each.started, reverse=True):
        others = [each for each in history if each is not operation]
        if operation.response is None or any(
            each.response is not None
            and each.started <= operation.ended
            and each.ended >= operation.started
            for each in others
        ):
            continue
        later = [each for each in others if each.response is None or each.started > operation.ended]
        state = model.state_after(operation, later)
        if state is not None and find_order(model, later, state) is None:
            return state, later
    return model.initial, list(history)


def most_concurrent[Request, Response](history: Sequence[Operation[Request, Response]]) -> int:
    """Return how many operations of a history were in progress at the same time, at most."""
    changes = sorted(
        [(each.started, 1) for each in history] + [(each.ended, -1) for each in history]
    )
    running = most = 0
    for _, change in changes:
        running += change
        most = max(most, running)
    return most
