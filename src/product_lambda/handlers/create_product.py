"""POST /products: a new product."""

from product_lambda.handlers.entry import catalogue, endpoint, refuse_when_read_only
from product_lambda.models.requests import CreateProductRequest
from product_lambda.utils.request import HttpRequest
from product_lambda.utils.response_builder import Answer, entity_tag, json_answer, to_json
from product_lambda.validators.body import body_in
from product_lambda.validators.combined import all_valid
from product_lambda.validators.headers import idempotency_key_in, require_json


@endpoint("create_product", "POST", "/products")
def handler(request: HttpRequest) -> Answer:
    """Create the product that the body describes."""
    refuse_when_read_only()
    require_json(request)
    key, wanted = all_valid(
        lambda: idempotency_key_in(request), lambda: body_in(request, CreateProductRequest)
    )
    product, replayed = catalogue().create_product(wanted.draft(), key, request.api_key_id)
    headers = {
        "ETag": entity_tag(product.version),
        "Location": f"{request.path.rstrip('/')}/{product.product_id}",
    }
    if replayed:
        headers["Idempotency-Replayed"] = "true"
    answer = json_answer(201, to_json(product.representation()), headers)
    return answer._replace(product_id=product.product_id, replayed=replayed)
