"""POST /products: create a product."""

from product_lambda.handlers.entry import (
    SETTINGS,
    endpoint,
    product_service,
    reject_when_read_only,
)
from product_lambda.models.product import ProductDraft
from product_lambda.models.requests import CreateProductRequest
from product_lambda.services.product_service import Creation
from product_lambda.utils.request import HttpRequest
from product_lambda.utils.response_builder import Response, entity_tag, json_response, to_json
from product_lambda.validators.body import parse_body
from product_lambda.validators.combined import validate_all
from product_lambda.validators.headers import parse_idempotency_key, require_json


@endpoint("create_product", "POST", "/products")
def handler(request: HttpRequest) -> Response:
    """Create the product in the body."""
    reject_when_read_only()
    require_json(request)
    key, body = validate_all(
        lambda: parse_idempotency_key(request), lambda: parse_body(request, CreateProductRequest)
    )
    creation = _create(request, body.draft(), key)
    if isinstance(creation, Response):
        return creation
    product, replayed = creation
    headers = {
        "ETag": entity_tag(*product.revision),
        "Location": f"{request.path.rstrip('/')}/{product.product_id}",
    }
    if replayed:
        headers["Idempotency-Replayed"] = "true"
    response = json_response(201, to_json(product.representation()), headers)
    return response._replace(product_id=product.product_id, replayed=replayed)


def _create(request: HttpRequest, draft: ProductDraft, key: str | None) -> Creation | Response:
    if SETTINGS.change_queue_url is None:
        return product_service().create_product(draft, key, request.api_key_id)
    from product_lambda.handlers import async_writes  # noqa: PLC0415 (only where it is on)

    return async_writes.create(request, draft, key, SETTINGS.change_queue_url)
