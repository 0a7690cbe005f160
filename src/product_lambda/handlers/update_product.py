"""PUT /products/{productId}: change or restore a product."""

from product_lambda.handlers.entry import (
    SETTINGS,
    endpoint,
    product_service,
    reject_when_read_only,
)
from product_lambda.models.requests import UpdateProductRequest
from product_lambda.utils.request import HttpRequest
from product_lambda.utils.response_builder import Response, entity_tag, json_response, to_json
from product_lambda.validators.body import parse_body
from product_lambda.validators.combined import validate_all
from product_lambda.validators.headers import parse_precondition, require_json
from product_lambda.validators.path import parse_product_id


@endpoint("update_product", "PUT", "/products/{productId}")
def handler(request: HttpRequest) -> Response:
    """Change the fields in the body and keep the others; `active` restores a deleted product."""
    reject_when_read_only()
    require_json(request)
    product_id, expected, body = validate_all(
        lambda: parse_product_id(request),
        lambda: parse_precondition(request),
        lambda: parse_body(request, UpdateProductRequest),
    )
    changes = body.changes()
    if SETTINGS.change_queue_url is not None:
        from product_lambda.handlers import async_writes  # noqa: PLC0415 (only where it is on)

        accepted = async_writes.accept_update(
            request, product_id, changes, expected, SETTINGS.change_queue_url
        )
        if accepted is not None:
            return accepted
    product = product_service().update_product(product_id, changes, expected, request.api_key_id)
    response = json_response(
        200, to_json(product.representation()), {"ETag": entity_tag(*product.revision)}
    )
    return response._replace(restored="active" in changes)
