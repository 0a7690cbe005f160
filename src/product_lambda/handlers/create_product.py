"""POST /products: create a product."""

from product_lambda.handlers.entry import endpoint, product_service, reject_when_read_only
from product_lambda.models.requests import CreateProductRequest
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
    product, replayed = product_service().create_product(body.draft(), key, request.api_key_id)
    headers = {
        "ETag": entity_tag(*product.revision),
        "Location": f"{request.path.rstrip('/')}/{product.product_id}",
    }
    if replayed:
        headers["Idempotency-Replayed"] = "true"
    response = json_response(201, to_json(product.representation()), headers)
    return response._replace(product_id=product.product_id, replayed=replayed)
