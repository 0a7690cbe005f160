"""Checks of path parameters."""

from product_lambda.exceptions import FieldError, ValidationException
from product_lambda.models.product import is_product_id
from product_lambda.utils.request import HttpRequest


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
