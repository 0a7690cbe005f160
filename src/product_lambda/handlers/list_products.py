"""GET /products: a page of the active products."""

import hashlib

from product_lambda.handlers.entry import SETTINGS, endpoint, product_service
from product_lambda.utils.request import HttpRequest
from product_lambda.utils.response_builder import Response, json_response, not_modified, to_json
from product_lambda.validators.combined import validate_all
from product_lambda.validators.headers import parse_if_none_match
from product_lambda.validators.query import next_token, parse_page_request


@endpoint("list_products", "GET", "/products")
def handler(request: HttpRequest) -> Response:
    """Answer with the page that the query asks for; its entity tag is a digest of the body."""
    wanted, known = validate_all(
        lambda: parse_page_request(request), lambda: parse_if_none_match(request)
    )
    page = product_service().list_products(wanted)
    next_cursor = page.next_cursor
    document: dict[str, object] = {
        "products": [product.representation() for product in page.products],
        "count": len(page.products),
        "limit": wanted.limit,
        "moreAvailable": next_cursor is not None,
        "nextToken": next_cursor and next_token(next_cursor, wanted.sort),
    }
    if wanted.cursor is None:
        document["offset"] = wanted.offset
    body = to_json(document)
    tag = f'"{hashlib.sha256(body.encode()).hexdigest()[:32]}"'
    if known.weakly_match(tag):
        return not_modified(tag, SETTINGS.read_cache_control)
    return json_response(200, body, {"ETag": tag, "Cache-Control": SETTINGS.read_cache_control})
