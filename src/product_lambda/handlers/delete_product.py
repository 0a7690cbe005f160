"""DELETE /products/{productId}: take a product out of the catalogue."""

from product_lambda.handlers.entry import (
    SETTINGS,
    endpoint,
    product_service,
    reject_when_read_only,
)
from product_lambda.utils.request import HttpRequest
from product_lambda.utils.response_builder import Response
from product_lambda.validators.combined import validate_all
from product_lambda.validators.headers import parse_precondition
from product_lambda.validators.path import parse_product_id


@endpoint("delete_product", "DELETE", "/products/{productId}")
def handler(request: HttpRequest) -> Response:
    """Deactivate the product; its fields stay stored."""
    reject_when_read_only()
    product_id, expected = validate_all(
        lambda: parse_product_id(request), lambda: parse_precondition(request)
    )
    if SETTINGS.change_queue_url is not None:
        from product_lambda.handlers import async_writes  # noqa: PLC0415 (only where it is on)

        accepted = async_writes.accept_deletion(
            request, product_id, expected, SETTINGS.change_queue_url
        )
        if accepted is not None:
            return accepted
    product_service().delete_product(product_id, expected, request.api_key_id)
    return Response(204)
