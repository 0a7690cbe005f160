"""GET /products/{productId}: one active product."""

from product_lambda.handlers.entry import SETTINGS, catalogue, endpoint
from product_lambda.utils.request import HttpRequest
from product_lambda.utils.response_builder import (
    Answer,
    entity_tag,
    json_answer,
    not_modified,
    to_json,
)
from product_lambda.validators.combined import all_valid
from product_lambda.validators.headers import tags_known_in
from product_lambda.validators.path import product_id_in


@endpoint("get_product", "GET", "/products/{productId}")
def handler(request: HttpRequest) -> Answer:
    """Answer with the product as the last write left it."""
    product_id, known = all_valid(lambda: product_id_in(request), lambda: tags_known_in(request))
    product = catalogue().get_product(product_id)
    tag = entity_tag(product.version)
    if known.weakly_match(tag):
        return not_modified(tag, SETTINGS.read_cache_control)
    return json_answer(
        200,
        to_json(product.representation()),
        {"ETag": tag, "Cache-Control": SETTINGS.read_cache_control},
    )
