"""The records of asynchronous writes, and changes that happen once, by their command's id.

Each write of a command is one transaction with the record of its outcome. The conditions are those
of `ProductRepository`.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from pydynox import SyncTransaction
from pydynox.exceptions import ConditionalCheckFailedException, TransactionCanceledException

from product_lambda.exceptions import (
    DependencyUnavailableException,
    DuplicateProductException,
    IdempotencyKeyInFlightException,
    IdempotencyKeyReusedException,
    InternalException,
)
from product_lambda.models.command import Acceptance, Command, Outcome
from product_lambda.models.product import IdempotencyRecord, Product
from product_lambda.repositories.command_items import (
    acceptance_in,
    acceptance_item,
    outcome_in,
    outcome_item,
)
from product_lambda.repositories.items import (
    Item,
    is_number,
    product_item,
    product_key,
    record_item,
    record_key,
)
from product_lambda.repositories.product_repository import (
    MAX_ATTEMPTS,
    TEMPORARY,
    AlreadyInactiveException,
    Change,
    ProductRepository,
    UnclassifiedException,
    changed_product,
    deactivated_product,
    log_unreadable,
    transaction_on,
)

_NEW: Final = "attribute_not_exists(PK)"
_NEW_OR_EXPIRED: Final = f"{_NEW} OR expiresAt <= :now"

type Write = Callable[[SyncTransaction], None]
"""Adds actions to a transaction."""


class _VersionIsNoNumberException(Exception):
    """The version of the product is no number, so it cannot be raised."""


class CommandRepository(ProductRepository):
    """The products and the records of asynchronous writes, for one request or one command.

    The methods that end in `_by` carry a command out, together with the record of its outcome. They
    return the outcome that the table has afterwards: the given one, or that of an earlier delivery
    of the same command; then nothing else has changed. An outcome counts even after it has expired:
    no queue keeps a message for so long.
    """

    def find_acceptance(self, key_hash: str) -> Acceptance | None:
        """Return the acceptance record of a hash, expired or not. Strongly consistent.

        Raises:
            InternalException: the item is unreadable.
        """
        return self._find(key_hash, acceptance_in)

    def accept(self, acceptance: Acceptance, record_hash: str, now: int) -> None:
        """Store an acceptance record, unless the product has been created.

        Args:
            acceptance: the new record, which replaces an expired one.
            record_hash: the hash of the idempotency record of a creation with the same key.
            now: seconds since the epoch.

        Raises:
            IdempotencyKeyInFlightException: one of both records exists, or another transaction
                writes it.
        """

        def write(transaction: SyncTransaction) -> None:
            transaction.put(
                self._table.name,
                acceptance_item(acceptance),
                condition_expression=_NEW_OR_EXPIRED,
                expression_attribute_values={":now": now},
            )
            self._require_no_record(transaction, record_hash, now)

        try:
            self._transact(write)
        except TransactionCanceledException as cancelled:
            # If the response of the first attempt was lost, the retry is cancelled.
            if self.find_acceptance(acceptance.key_hash) == acceptance:
                return
            if _is_throttled(cancelled):
                raise DependencyUnavailableException from cancelled
            raise IdempotencyKeyInFlightException from None

    def insert_unaccepted(
        self, product: Product, author: str, record: IdempotencyRecord, accepted_hash: str, now: int
    ) -> None:
        """Store a new product as `insert_once` does, unless there is an acceptance record.

        Raises:
            DuplicateProductException: an item with the product's id exists.
            IdempotencyKeyInFlightException: a record of the key exists, or another transaction
                writes it.
        """

        def write(transaction: SyncTransaction) -> None:
            self._put_product(transaction, product, author)
            self._put_record(transaction, record, now)
            self._require_no_record(transaction, accepted_hash, now)

        try:
            self._transact(write)
        except TransactionCanceledException as cancelled:
            accepted = self.find_acceptance(accepted_hash)
            if accepted is not None and accepted.expires_at > now:
                raise IdempotencyKeyInFlightException from None
            self._explain(cancelled, product, record, now)

    def find_outcome(self, command_hash: str) -> Outcome | None:
        """Return the outcome of a command. Strongly consistent.

        Raises:
            InternalException: the item is unreadable.
        """
        return self._find(command_hash, outcome_in)

    def decide(self, outcome: Outcome) -> Outcome:
        """Store the outcome of a command that writes nothing else; return the command's outcome."""
        try:
            self._call(
                lambda: self._table.core.sync_put_item(
                    self._table.name, outcome_item(outcome), condition_expression=_NEW
                ),
                TEMPORARY,  # a retry finds its own outcome
            )
        except ConditionalCheckFailedException:
            return self._outcome_of(outcome)
        return outcome

    def insert_by(
        self,
        outcome: Outcome,
        product: Product,
        author: str,
        record: IdempotencyRecord | None,
        now: int,
    ) -> Outcome:
        """Store a new product, and its idempotency record if the command has a key.

        If a synchronous request with the key has created the product, nothing is written but the
        outcome. `now` is in seconds since the epoch; a record that has expired by then is replaced.

        Raises:
            DuplicateProductException: an item with the product's id exists.
            IdempotencyKeyReusedException: the key belongs to another creation.
        """

        def write(transaction: SyncTransaction) -> None:
            self._put_product(transaction, product, author)
            if record is not None:
                self._put_record(transaction, record, now)

        try:
            return self._write_by(outcome, write)
        except TransactionCanceledException as cancelled:
            earlier = None if record is None else self.find_record(record.key_hash)
            if record is not None and earlier is not None and earlier.expires_at > now:
                if (earlier.fingerprint, earlier.product.product_id) != (
                    record.fingerprint,
                    product.product_id,
                ):
                    raise IdempotencyKeyReusedException from None
                return self.decide(outcome)
            if self._item(product_key(product.product_id)) is not None:
                raise DuplicateProductException(product.product_id) from None
            raise DependencyUnavailableException from cancelled

    def update_by(self, outcome: Outcome, command: Command, now: Callable[[], str]) -> Outcome:
        """Change a product as `update` does.

        Raises:
            ProductNotFoundException, PreconditionFailedException, InternalException: as `update`.
        """
        return self._change_by(
            outcome,
            changed_product(
                command.product_id, command.changes or {}, command.expected, command.author, now
            ),
        )

    def deactivate_by(self, outcome: Outcome, command: Command, now: Callable[[], str]) -> Outcome:
        """Take a product out of the catalogue as `deactivate` does.

        Raises:
            ProductNotFoundException, PreconditionFailedException: as `deactivate`.
        """

        def deactivation() -> Change:
            return deactivated_product(command.product_id, command.expected, command.author, now)

        def check(item: Item) -> None:
            rising.check(item)
            if not is_number(item.get("version", 0)):
                raise _VersionIsNoNumberException

        rising, replacing = deactivation(), deactivation()
        # Whether and how a transaction reports a version that cannot be raised depends on the
        # engine, so a condition sees it first.
        rising.update.require_number_as_version()
        replacing.update.replace_version()
        try:
            try:
                return self._change_by(outcome, replace(rising, check=check))
            except _VersionIsNoNumberException:
                return self._change_by(outcome, replacing)
        except AlreadyInactiveException:
            return self.decide(outcome)

    def _change_by(self, outcome: Outcome, change: Change) -> Outcome:
        """Send a change with an outcome until it succeeds, or its check raises why it cannot."""
        stored_at = ""
        for _ in range(MAX_ATTEMPTS):
            arguments = change.arguments(stored_at)

            def write(transaction: SyncTransaction, arguments: dict[str, Any] = arguments) -> None:
                transaction.update(self._table.name, product_key(change.product_id), **arguments)

            try:
                return self._write_by(outcome, write)
            except TransactionCanceledException:
                item = self._item(product_key(change.product_id))
            stored_at = change.checked(item)
        raise DependencyUnavailableException

    def _write_by(self, outcome: Outcome, write: Write) -> Outcome:
        """Write together with an outcome; return the outcome of the command.

        Raises:
            TransactionCanceledException: the command has no outcome, so another condition failed.
        """

        def transact() -> None:
            try:
                with transaction_on(self._table.client) as transaction:
                    transaction.put(
                        self._table.name, outcome_item(outcome), condition_expression=_NEW
                    )
                    write(transaction)
            except TransactionCanceledException as cancelled:
                if _has_failed_condition(cancelled):
                    raise
                # A conflict with another transaction, or throttling: a retry helps.
                raise UnclassifiedException from cancelled

        try:
            # A retry after a lost response is cancelled, and finds the outcome.
            self._call(transact, TEMPORARY)
        except TransactionCanceledException:
            earlier = self.find_outcome(outcome.command_hash)
            if earlier is None:
                raise
            return earlier
        return outcome

    def _put_product(self, transaction: SyncTransaction, product: Product, author: str) -> None:
        transaction.put(self._table.name, product_item(product, author), condition_expression=_NEW)

    def _put_record(
        self, transaction: SyncTransaction, record: IdempotencyRecord, now: int
    ) -> None:
        transaction.put(
            self._table.name,
            record_item(record),
            condition_expression=_NEW_OR_EXPIRED,
            expression_attribute_values={":now": now},
        )

    def _require_no_record(self, transaction: SyncTransaction, key_hash: str, now: int) -> None:
        transaction.condition_check(
            self._table.name,
            record_key(key_hash),
            _NEW_OR_EXPIRED,
            expression_attribute_values={":now": now},
        )

    def _transact(self, write: Write) -> None:
        def transact() -> None:
            with transaction_on(self._table.client) as transaction:
                write(transaction)

        # A retry after a lost response is cancelled, and finds the records of the first attempt.
        self._call(transact, TEMPORARY)

    def _outcome_of(self, outcome: Outcome) -> Outcome:
        earlier = self.find_outcome(outcome.command_hash)
        if earlier is None:
            raise DependencyUnavailableException
        return earlier

    def _find[T](self, key_hash: str, read: Callable[[str, Item], T]) -> T | None:
        item = self._item(record_key(key_hash))
        if item is None:
            return None
        try:
            return read(key_hash, item)
        except (ValueError, KeyError, TypeError) as error:
            log_unreadable(item, {"record": f"is not readable ({type(error).__name__})"})
            raise InternalException from error


def _has_failed_condition(cancelled: TransactionCanceledException) -> bool:
    """Return whether a condition failed (Amazon DynamoDB API Reference, "TransactWriteItems")."""
    return "ConditionalCheckFailed" in str(cancelled)


def _is_throttled(cancelled: TransactionCanceledException) -> bool:
    """Return whether neither a condition nor another transaction is the reason."""
    return not _has_failed_condition(cancelled) and "TransactionConflict" not in str(cancelled)
