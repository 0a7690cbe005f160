"""Makes what tests send: bodies of products and ids that nobody else uses. It knows no server."""

from typing import Any
from uuid import uuid4


def product_body(**members: object) -> dict[str, Any]:
    """A body that creates a product; `members` replace or add to what it holds."""
    return {
        "name": "Basic",
        "description": "One site with up to five pages.",
        "price": 1000,
        "period": "yearly",
        "features": ["Five pages", "Contact form"],
        **members,
    }


def product_body_without(*names: str) -> dict[str, Any]:
    """A body that creates a product, less the members named."""
    return {name: value for name, value in product_body().items() if name not in names}


def unused_product_id() -> str:
    """A product id that no other test and no earlier run uses."""
    return f"PROD-T{uuid4().hex[:24].upper()}"


def unused_key() -> str:
    """An idempotency key that no other request uses."""
    return str(uuid4())
