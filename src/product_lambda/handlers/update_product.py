"""PUT /products/{productId}: a changed product."""

from product_lambda.handlers.entry import catalogue, endpoint, refuse_when_read_only
from product_lambda.models.requests import UpdateProductRequest
from product_lambda.utils.request import HttpRequest
from product_lambda.utils.response_builder import Answer, entity_tag, json_answer, to_json
from product_lambda.validators.body import body_in
from product_lambda.validators.combined import all_valid
from product_lambda.validators.headers import require_json, versions_expected_in
from product_lambda.validators.path import product_id_in


@endpoint("update_product", "PUT", "/products/{productId}")
def handler(request: HttpRequest) -> Answer:
    """Change the members that the body gives and keep the others."""
    refuse_when_read_only()
    require_json(request)
    (product_id, expected), wanted = all_valid(
        lambda: all_valid(lambda: product_id_in(request), lambda: versions_expected_in(request)),
        lambda: body_in(request, UpdateProductRequest),
    )
    product = catalogue().update_product(product_id, wanted.changes(), expected, request.api_key_id)
    return json_answer(
        200, to_json(product.representation()), {"ETag": entity_tag(product.version)}
    )
