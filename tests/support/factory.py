"""Bodies of requests, and ids that no other test uses."""

from typing import Any
from uuid import uuid4


def product_body(**fields: object) -> dict[str, Any]:
    """Return a body that creates a product; `fields` replace or extend its defaults."""
    return {
        "name": "Basic",
        "description": "One site with up to five pages.",
        "price": 1000,
        "period": "yearly",
        "features": ["Five pages", "Contact form"],
        **fields,
    }


def product_body_without(*names: str) -> dict[str, Any]:
    """Return a body that creates a product, without the named fields."""
    return {name: value for name, value in product_body().items() if name not in names}


def unused_product_id() -> str:
    """Return a product id that no other test and no earlier run uses."""
    return f"PROD-T{uuid4().hex[:24].upper()}"


def unused_key() -> str:
    """Return an idempotency key that no other request uses."""
    return str(uuid4())
