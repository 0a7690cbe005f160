"""Carries out the commands that `AcceptanceService` accepted, each of them once."""

from collections.abc import Callable
from datetime import datetime
from typing import Final, Protocol

from product_lambda.exceptions import (
    InternalException,
    ProductServiceException,
)
from product_lambda.models.command import Command, Outcome
from product_lambda.models.product import IdempotencyRecord, Product, ProductDraft, timestamp_of
from product_lambda.services.product_service import (
    IDEMPOTENCY_SECONDS,
    new_product,
    sha256,
)

OUTCOME_SECONDS: Final = 30 * 24 * 60 * 60
"""How long the outcome of a command is kept: longer than a queue, its dead-letter queue and the
queue again can keep its message (4 + 14 + 4 days)."""


class CommandStore(Protocol):
    """Storage of products and outcomes; `CommandRepository` documents each method."""

    # ruff: disable[D102]
    def decide(self, outcome: Outcome) -> Outcome: ...
    def insert_by(
        self,
        outcome: Outcome,
        product: Product,
        author: str,
        record: IdempotencyRecord | None,
        now: int,
    ) -> Outcome: ...
    def update_by(self, outcome: Outcome, command: Command, now: Callable[[], str]) -> Outcome: ...
    def deactivate_by(
        self, outcome: Outcome, command: Command, now: Callable[[], str]
    ) -> Outcome: ...

    # ruff: enable[D102]


class CommandService:
    """Carries out commands under the conditions of the synchronous operations.

    `now` returns the current time in UTC.
    """

    def __init__(self, store: CommandStore, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now

    def carry_out(self, command: Command) -> Outcome:
        """Carry a command out, or reject it; a repeated command has the outcome of the first one.

        A rejection is an outcome, too: the product may change until the command is repeated, and
        the repetition would then overtake later commands.

        Raises:
            DependencyUnavailableException: the store does not respond in time; a repetition helps.
            InternalException: the stored item is unreadable.
        """
        seconds = int(self._now().timestamp())
        outcome = Outcome(
            sha256(f"command {command.command_id}"),
            command.product_id,
            None,
            seconds + OUTCOME_SECONDS,
        )
        try:
            return self._write(command, outcome, seconds)
        except ProductServiceException as rejection:
            if rejection.status >= InternalException.status:
                raise
            return self._store.decide(outcome._replace(problem=rejection.problem))

    def _write(self, command: Command, outcome: Outcome, seconds: int) -> Outcome:
        if command.draft is not None:
            return self._create(command, command.draft, outcome, seconds)
        if command.changes is not None:
            return self._store.update_by(outcome, command, self._timestamp)
        return self._store.deactivate_by(outcome, command, self._timestamp)

    def _create(
        self, command: Command, draft: ProductDraft, outcome: Outcome, seconds: int
    ) -> Outcome:
        product = new_product(draft, command.product_id, self._now())
        record = None
        if command.key_hash is not None and command.fingerprint is not None:
            record = IdempotencyRecord(
                command.key_hash, command.fingerprint, product, seconds + IDEMPOTENCY_SECONDS
            )
        return self._store.insert_by(outcome, product, command.author, record, seconds)

    def _timestamp(self) -> str:
        return timestamp_of(self._now())
