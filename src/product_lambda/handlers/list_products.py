"""GET /products and GET /deleted-products: read a page of the products.

One function serves both, since both need the right to query the indexes and no other.
"""

import hashlib
from collections.abc import Mapping

from product_lambda.handlers.entry import (
    SETTINGS,
    cache_control_of_read,
    endpoint,
    product_service,
)
from product_lambda.models.product import PageRequest
from product_lambda.utils.request import HttpRequest, resource_of
from product_lambda.utils.response_builder import (
    GatewayResponse,
    Response,
    json_response,
    not_modified,
    read_response,
    to_json,
)
from product_lambda.validators.combined import validate_all
from product_lambda.validators.headers import parse_if_none_match
from product_lambda.validators.query import next_token, parse_deleted_request, parse_page_request


@endpoint("list_products", "GET", "/products")
def list_products(request: HttpRequest) -> Response:
    """Return the page that the query asks for; its entity tag is a digest of the body."""
    page_request, known = validate_all(
        lambda: parse_page_request(request, has_indexes=SETTINGS.product_indexes),
        lambda: parse_if_none_match(request),
    )
    document = _page(page_request)
    if page_request.cursor is None:
        document["offset"] = page_request.offset
    body = to_json(document)
    tag = f'"{hashlib.sha256(body.encode()).hexdigest()[:32]}"'
    if known.weakly_match(tag):
        return not_modified(tag, cache_control_of_read(request))
    return read_response(body, tag, cache_control_of_read(request))


@endpoint("list_deleted_products", "GET", "/deleted-products")
def list_deleted_products(request: HttpRequest) -> Response:
    """Return a page of the deleted products; it needs an API key, so no cache may store it."""
    return json_response(200, to_json(_page(parse_deleted_request(request))), {})


def handler(event: Mapping[str, object], context: object) -> GatewayResponse:
    """Serve a request of either route; without a known route, only active products are shown."""
    if resource_of(event) == "/deleted-products":
        return list_deleted_products(event, context)
    return list_products(event, context)


def _page(page_request: PageRequest) -> dict[str, object]:
    page = product_service().list_products(page_request)
    cursor = page.next_cursor
    return {
        "products": [product.representation() for product in page.products],
        "count": len(page.products),
        "limit": page_request.limit,
        "moreAvailable": cursor is not None,
        "nextToken": cursor and next_token(cursor, page_request),
    }
