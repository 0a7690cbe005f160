"""GET /products/{productId}: read one active product."""

from product_lambda.handlers.entry import cache_control_of_read, endpoint, product_service
from product_lambda.utils.request import HttpRequest
from product_lambda.utils.response_builder import (
    Response,
    entity_tag,
    not_modified,
    read_response,
    to_json,
)
from product_lambda.validators.combined import validate_all
from product_lambda.validators.headers import parse_if_none_match
from product_lambda.validators.path import parse_product_id
from product_lambda.validators.query import reject_query


@endpoint("get_product", "GET", "/products/{productId}")
def handler(request: HttpRequest) -> Response:
    """Return the product; the read is strongly consistent."""
    product_id, known, _ = validate_all(
        lambda: parse_product_id(request),
        lambda: parse_if_none_match(request),
        lambda: reject_query(request),
    )
    product = product_service().get_product(product_id)
    tag = entity_tag(*product.revision)
    if known.weakly_match(tag):
        return not_modified(tag, cache_control_of_read(request))
    return read_response(to_json(product.representation()), tag, cache_control_of_read(request))
