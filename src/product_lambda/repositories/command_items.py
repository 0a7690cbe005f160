"""Converts between the records of asynchronous writes and items of the table.

They share the keys of idempotency records, under hashes of their own (docs/adr/0029-acceptance.md).
"""

from typing import Any

from product_lambda.models.command import Acceptance, Outcome
from product_lambda.repositories.items import Item, record_key


def acceptance_item(acceptance: Acceptance) -> dict[str, Any]:
    """Return the item of an acceptance record."""
    return {
        **record_key(acceptance.key_hash),
        "fingerprint": acceptance.fingerprint,
        "productId": acceptance.product_id,
        "requestId": acceptance.request_id,
        "commandId": acceptance.command_id,
        "expiresAt": acceptance.expires_at,
    }


def acceptance_in(key_hash: str, item: Item) -> Acceptance:
    """Return the acceptance record in an item.

    Raises:
        ValueError, KeyError, TypeError: the item is unreadable.
    """
    return Acceptance(
        key_hash=key_hash,
        fingerprint=item["fingerprint"],
        product_id=item["productId"],
        request_id=item["requestId"],
        command_id=item["commandId"],
        expires_at=int(item["expiresAt"]),
    )


def outcome_item(outcome: Outcome) -> dict[str, Any]:
    """Return the item of an outcome; that of a rejected command has the attribute `problem`."""
    item = {
        **record_key(outcome.command_hash),
        "productId": outcome.product_id,
        "expiresAt": outcome.expires_at,
    }
    return item if outcome.problem is None else {**item, "problem": outcome.problem}


def outcome_in(command_hash: str, item: Item) -> Outcome:
    """Return the outcome in an item.

    Raises:
        ValueError, KeyError, TypeError: the item is unreadable.
    """
    return Outcome(command_hash, item["productId"], item.get("problem"), int(item["expiresAt"]))
