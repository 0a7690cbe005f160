"""Factories of products and drafts, and Hypothesis strategies of their fields."""

import unicodedata
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from product_lambda.models.command import Acceptance, Command, Outcome
from product_lambda.models.product import IdempotencyRecord, Product, ProductDraft

CENTS_MAX = 9_999_999_999
BLANKS = "\u115f\u1160\u2800\u3164\uffa0"
"""Letters and a sign that show nothing."""
CREATED_AT = "2026-01-31T09:30:00.123456Z"


def product(product_id: str = "PROD-001", **fields: Any) -> Product:
    """Return a product; `fields` replace its defaults."""
    return Product(
        **{
            "product_id": product_id,
            "name": "Basic",
            "description": "One site with up to five pages.",
            "price": Decimal("19.99"),
            "setup_fee": Decimal(1500),
            "currency": "ZAR",
            "period": "yearly",
            "features": ("Five pages", "Contact form"),
            "active": True,
            "version": 1,
            "created_at": CREATED_AT,
            "updated_at": CREATED_AT,
            **fields,
        }
    )


def draft(**fields: Any) -> ProductDraft:
    """Return a draft; `fields` replace its defaults."""
    return ProductDraft(
        **{
            "name": "Basic",
            "description": "One site with up to five pages.",
            "price": Decimal("19.99"),
            "setup_fee": None,
            "currency": "ZAR",
            "period": "yearly",
            "features": ("Five pages",),
            "product_id": None,
            **fields,
        }
    )


def record(created: Product, **fields: Any) -> IdempotencyRecord:
    """Return the idempotency record of a creation; `fields` replace its defaults."""
    return IdempotencyRecord(
        **{
            "key_hash": "a" * 64,
            "fingerprint": "b" * 64,
            "product": created,
            "expires_at": 2000,
            **fields,
        }
    )


def acceptance(**fields: Any) -> Acceptance:
    """Return an acceptance record; `fields` replace its defaults."""
    return Acceptance(
        **{
            "key_hash": "d" * 64,
            "fingerprint": "b" * 64,
            "product_id": "PROD-001",
            "request_id": "request-1",
            "command_id": "command-1",
            "expires_at": 2000,
            **fields,
        }
    )


def outcome(**fields: Any) -> Outcome:
    """Return the outcome of a command that was carried out; `fields` replace its defaults."""
    return Outcome(
        **{
            "command_hash": "e" * 64,
            "product_id": "PROD-001",
            "problem": None,
            "expires_at": 3000,
            **fields,
        }
    )


def command(**fields: Any) -> Command:
    """Return a command, a deletion without a draft and changes; `fields` replace its defaults."""
    return Command(
        **{
            "command_id": "command-1",
            "request_id": "request-1",
            "product_id": "PROD-001",
            "author": "key-of-ann",
            **fields,
        }
    )


def second(number: int) -> str:
    """Return a timestamp, `number` seconds after midnight."""
    return f"2026-02-01T00:{number // 60:02}:{number % 60:02}.000000Z"


def amounts(lowest_cents: int = 1) -> st.SearchStrategy[Decimal]:
    """Valid prices, with two decimals."""
    return st.integers(lowest_cents, CENTS_MAX).map(lambda cents: Decimal(cents).scaleb(-2))


def lines(longest: int = 200) -> st.SearchStrategy[str]:
    """Valid names and features, already trimmed."""
    # Format characters include joiners and direction controls; test_body.py has examples of both.
    characters = st.characters(
        codec="utf-8", exclude_categories=["Cc", "Cf"], exclude_characters=BLANKS
    )
    return st.text(characters, min_size=1, max_size=longest).map(str.strip).filter(_is_visible)


def _is_visible(text: str) -> bool:
    return any(unicodedata.category(character)[0] in "LNPS" for character in text)


def periods() -> st.SearchStrategy[str]:
    """Valid periods."""
    return st.sampled_from(["monthly", "yearly", "once-off"])
