"""Commands: accepted changes on their way through the queue, and what the table keeps of them."""

from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple

import simplejson

from product_lambda.models.product import ProductDraft, Revision

COMMAND_VERSION: Final = 1


type Operation = Literal["create", "update", "delete"]


class Command(NamedTuple):
    """A change that was accepted and has yet to be carried out.

    Attributes:
        command_id: unique; a repeated command has the id of the first one.
        request_id: the id of the request that was accepted, for the log.
        author: the id of the API key of that request.
        draft: the input of a creation, with its product id.
        changes: the fields of an update by their JSON names, as in `ProductStore.update`; without
            them and without a draft, the command is a deletion.
        expected: the revisions that the product may have; None allows any.
        key_hash: SHA-256 of the idempotency key of a creation, hexadecimal; None without a key.
        fingerprint: SHA-256 of that creation's request, hexadecimal; None without a key.
    """

    command_id: str
    request_id: str
    product_id: str
    author: str
    draft: ProductDraft | None = None
    changes: Mapping[str, Any] | None = None
    expected: frozenset[Revision] | None = None
    key_hash: str | None = None
    fingerprint: str | None = None

    @property
    def operation(self) -> Operation:
        """The kind of the command."""
        if self.draft is not None:
            return "create"
        return "delete" if self.changes is None else "update"

    def message(self) -> str:
        """Return the command as JSON text; `validators.commands` reads it back.

        The text is ASCII, since SQS rejects some characters that a product may contain (Amazon SQS
        API Reference, "SendMessage"). Amounts keep their digits.
        """
        document = {
            "commandVersion": COMMAND_VERSION,
            "commandId": self.command_id,
            "requestId": self.request_id,
            "operation": self.operation,
            "productId": self.product_id,
            "author": self.author,
            "draft": None if self.draft is None else _fields(self.draft),
            "changes": self.changes,
            "expected": None if self.expected is None else sorted(map(list, self.expected)),
            "keyHash": self.key_hash,
            "fingerprint": self.fingerprint,
        }
        return simplejson.dumps(document, use_decimal=True, separators=(",", ":"))


class Acceptance(NamedTuple):
    """The record of an accepted creation with an idempotency key.

    Attributes:
        key_hash: SHA-256 that stands for the key; another one than that of `IdempotencyRecord`.
        fingerprint: SHA-256 of the request, hexadecimal.
        product_id: the id that the product gets.
        request_id: the id of the first request with the key.
        command_id: the id of the command that every request with the key sends.
        expires_at: seconds since the epoch; an expired record is ignored.
    """

    key_hash: str
    fingerprint: str
    product_id: str
    request_id: str
    command_id: str
    expires_at: int


class Outcome(NamedTuple):
    """What became of a command; its record in the table makes a repetition harmless.

    Attributes:
        command_hash: SHA-256 that stands for the command's id, hexadecimal.
        problem: the last part of the problem type of a rejected command; None if the command was
            carried out.
        expires_at: seconds since the epoch, from when DynamoDB may delete the record.
    """

    command_hash: str
    product_id: str
    problem: str | None
    expires_at: int


def _fields(draft: ProductDraft) -> dict[str, Any]:
    """Return a draft as the body of the creation that it came from, with its product id."""
    return {
        "productId": draft.product_id,
        "name": draft.name,
        "description": draft.description,
        "price": draft.price,
        "setupFee": draft.setup_fee,
        "currency": draft.currency,
        "period": draft.period,
        "features": list(draft.features),
    }
