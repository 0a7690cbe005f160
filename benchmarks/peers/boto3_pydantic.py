"""Peer (a): plain handlers with boto3's resource; Pydantic models in every operation."""

import json
import logging
import re
import time
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ValidationError

from benchmarks.peers.boto3_store import Boto3Store
from benchmarks.peers.common import (
    COMMON_HEADERS,
    DEFAULT_LIMIT,
    MAX_LIMIT,
    PRODUCT_ID_PATTERN,
    CreateProduct,
    Products,
    UpdateProduct,
    digest_tag,
    log_fields,
    version_tag,
)

_LOGGER = logging.getLogger("products")
_LOGGER.setLevel(logging.INFO)
_PRODUCTS = Products(Boto3Store())
_PRODUCT_ID = re.compile(PRODUCT_ID_PATTERN)

type Event = dict[str, Any]
type Response = dict[str, Any]
type Handler = Callable[[Event, object], Response]


def _logged(operation: Handler) -> Handler:
    def handler(event: Event, context: object) -> Response:
        started = time.perf_counter()
        response = operation(event, context)
        product_id = (event["pathParameters"] or {}).get("productId")
        fields = log_fields(
            operation.__name__, event["resource"], response["statusCode"], started, product_id
        )
        _LOGGER.info("request completed", extra=fields)
        return response

    return handler


@_logged
def get(event: Event, _context: object) -> Response:
    """GET /products/{productId}."""
    product_id = event["pathParameters"]["productId"]
    if not _PRODUCT_ID.match(product_id):
        return _problem(400, "not a product id")
    product = _PRODUCTS.get(product_id)
    if product is None:
        return _problem(404, "no such product")
    return _json(200, product.model_dump_json(by_alias=True), {"ETag": version_tag(product)})


@_logged
def list_page(event: Event, _context: object) -> Response:
    """GET /products."""
    query = event["queryStringParameters"] or {}
    limit = int(query.get("limit", DEFAULT_LIMIT))
    if not 1 <= limit <= MAX_LIMIT:
        return _problem(400, "not a limit")
    body = _PRODUCTS.page(limit).model_dump_json(by_alias=True)
    return _json(200, body, {"ETag": digest_tag(body)})


@_logged
def create(event: Event, _context: object) -> Response:
    """POST /products."""
    body = _body(event, CreateProduct)
    if body is None:
        return _problem(400, "not a product")
    product = _PRODUCTS.create(body)
    headers = {
        "ETag": version_tag(product),
        "Location": f"/v1.0/products/{product.product_id}",
        "Cache-Control": "no-store",
    }
    return _json(201, product.model_dump_json(by_alias=True), headers)


@_logged
def update(event: Event, _context: object) -> Response:
    """PUT /products/{productId}."""
    body = _body(event, UpdateProduct)
    if body is None:
        return _problem(400, "not a change")
    product = _PRODUCTS.update(event["pathParameters"]["productId"], body)
    if product is None:
        return _problem(404, "no such product")
    headers = {"ETag": version_tag(product), "Cache-Control": "no-store"}
    return _json(200, product.model_dump_json(by_alias=True), headers)


@_logged
def delete(event: Event, _context: object) -> Response:
    """DELETE /products/{productId}."""
    if not _PRODUCTS.delete(event["pathParameters"]["productId"]):
        return _problem(404, "no such product")
    return _response(204, "", {"Cache-Control": "no-store"})


def _body[Body: BaseModel](event: Event, model: type[Body]) -> Body | None:
    try:
        return model.model_validate_json(event["body"])
    except ValidationError:
        return None


def _problem(status: int, detail: str) -> Response:
    body = json.dumps({"status": status, "detail": detail})
    return _response(status, body, {"Content-Type": "application/problem+json"})


def _json(status: int, body: str, headers: dict[str, str]) -> Response:
    return _response(status, body, {"Content-Type": "application/json", **headers})


def _response(status: int, body: str, headers: dict[str, str]) -> Response:
    return {
        "statusCode": status,
        "headers": {**COMMON_HEADERS, **headers},
        "body": body,
        "isBase64Encoded": False,
    }
