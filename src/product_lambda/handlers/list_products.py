"""GET /products: a page of the active products."""

import hashlib

from product_lambda.handlers.entry import SETTINGS, catalogue, endpoint
from product_lambda.utils.request import HttpRequest
from product_lambda.utils.response_builder import Response, json_response, not_modified, to_json
from product_lambda.validators.combined import all_valid
from product_lambda.validators.headers import parse_if_none_match
from product_lambda.validators.query import next_token, parse_page_request


@endpoint("list_products", "GET", "/products")
def handler(request: HttpRequest) -> Response:
    """Answer with the page that the query asks for; its entity tag is a digest of the body."""
    wanted, known = all_valid(
        lambda: parse_page_request(request), lambda: parse_if_none_match(request)
    )
    page = catalogue().list_products(wanted)
    following = page.following
    document: dict[str, object] = {
        "products": [product.representation() for product in page.products],
        "count": len(page.products),
        "limit": wanted.limit,
        "moreAvailable": following is not None,
        "nextToken": following and next_token(following, wanted.sort),
    }
    if wanted.cursor is None:
        document["offset"] = wanted.offset
    body = to_json(document)
    tag = f'"{hashlib.sha256(body.encode()).hexdigest()[:32]}"'
    if known.weakly_match(tag):
        return not_modified(tag, SETTINGS.read_cache_control)
    return json_response(200, body, {"ETag": tag, "Cache-Control": SETTINGS.read_cache_control})
