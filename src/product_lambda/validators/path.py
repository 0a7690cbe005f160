"""Checks of path parameters."""

import re

from product_lambda.exceptions import FieldError, ValidationException
from product_lambda.models.product import PRODUCT_ID_PATTERN
from product_lambda.utils.request import HttpRequest

_PRODUCT_ID = re.compile(PRODUCT_ID_PATTERN.removeprefix("^").removesuffix("$"))


def parse_product_id(request: HttpRequest) -> str:
    """Return the product id of the path.

    Raises:
        ValidationException: the path has no valid product id.
    """
    product_id = request.path_parameters.get("productId", "")
    if not is_product_id(product_id):
        raise ValidationException(
            [FieldError("productId", "use an id such as PROD-001 in the path")]
        )
    return product_id


def is_product_id(text: str) -> bool:
    """Return whether `text` has the form of a product id."""
    return _PRODUCT_ID.fullmatch(text) is not None
