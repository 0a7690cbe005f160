"""GET /products: read a page of the active products."""

import hashlib

from product_lambda.handlers.entry import SETTINGS, endpoint, product_service
from product_lambda.utils.request import HttpRequest
from product_lambda.utils.response_builder import Response, json_response, not_modified, to_json
from product_lambda.validators.combined import validate_all
from product_lambda.validators.headers import parse_if_none_match
from product_lambda.validators.query import next_token, parse_page_request


@endpoint("list_products", "GET", "/products")
def handler(request: HttpRequest) -> Response:
    """Return the page that the query asks for; its entity tag is a digest of the body."""
    page_request, known = validate_all(
        lambda: parse_page_request(request), lambda: parse_if_none_match(request)
    )
    page = product_service().list_products(page_request)
    cursor = page.next_cursor
    document: dict[str, object] = {
        "products": [product.representation() for product in page.products],
        "count": len(page.products),
        "limit": page_request.limit,
        "moreAvailable": cursor is not None,
        "nextToken": cursor and next_token(cursor, page_request.sort),
    }
    if page_request.cursor is None:
        document["offset"] = page_request.offset
    body = to_json(document)
    tag = f'"{hashlib.sha256(body.encode()).hexdigest()[:32]}"'
    if known.weakly_match(tag):
        return not_modified(tag, SETTINGS.read_cache_control)
    return json_response(200, body, {"ETag": tag, "Cache-Control": SETTINGS.read_cache_control})
