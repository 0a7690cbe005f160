"""DELETE /products/{productId}: a product taken out of the catalogue."""

from product_lambda.handlers.entry import catalogue, endpoint, refuse_when_read_only
from product_lambda.utils.request import HttpRequest
from product_lambda.utils.response_builder import Answer
from product_lambda.validators.combined import all_valid
from product_lambda.validators.headers import versions_expected_in
from product_lambda.validators.path import product_id_in


@endpoint("delete_product", "DELETE", "/products/{productId}")
def handler(request: HttpRequest) -> Answer:
    """Deactivate the product; what it was stays stored."""
    refuse_when_read_only()
    product_id, expected = all_valid(
        lambda: product_id_in(request), lambda: versions_expected_in(request)
    )
    catalogue().delete_product(product_id, expected, request.api_key_id)
    return Answer(204)
