"""Peer (d): FastAPI behind Mangum, with boto3."""

import logging
import time
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException, Path, Query, Response
from mangum import Mangum

from benchmarks.peers.boto3_store import Boto3Store
from benchmarks.peers.common import (
    COMMON_HEADERS,
    DEFAULT_LIMIT,
    MAX_LIMIT,
    PRODUCT_ID_PATTERN,
    CreateProduct,
    Product,
    ProductList,
    Products,
    UpdateProduct,
    digest_tag,
    log_fields,
    version_tag,
)

ProductId = Annotated[str, Path(pattern=PRODUCT_ID_PATTERN)]
Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT)]

_LOGGER = logging.getLogger("products")
_LOGGER.setLevel(logging.INFO)
_PRODUCTS = Products(Boto3Store())

app = FastAPI()


@app.get("/products/{productId}")
def get(productId: ProductId, response: Response) -> Product:  # noqa: N803 (the API's name)
    """GET /products/{productId}."""
    product = _PRODUCTS.get(productId)
    if product is None:
        raise HTTPException(404, "no such product")
    _set_headers(response, {"ETag": version_tag(product)})
    return product


@app.get("/products")
def list_page(response: Response, limit: Limit = DEFAULT_LIMIT) -> ProductList:
    """GET /products."""
    page = _PRODUCTS.page(limit)
    _set_headers(response, {"ETag": digest_tag(page.model_dump_json(by_alias=True))})
    return page


@app.post("/products", status_code=201)
def create(body: CreateProduct, response: Response) -> Product:
    """POST /products."""
    product = _PRODUCTS.create(body)
    location = f"/v1.0/products/{product.product_id}"
    headers = {"ETag": version_tag(product), "Location": location}
    _set_headers(response, {**headers, "Cache-Control": "no-store"})
    return product


@app.put("/products/{productId}")
def update(
    productId: ProductId,  # noqa: N803 (the API's name)
    body: UpdateProduct,
    response: Response,
) -> Product:
    """PUT /products/{productId}."""
    product = _PRODUCTS.update(productId, body)
    if product is None:
        raise HTTPException(404, "no such product")
    _set_headers(response, {"ETag": version_tag(product), "Cache-Control": "no-store"})
    return product


@app.delete("/products/{productId}", status_code=204)
def delete(productId: ProductId, response: Response) -> None:  # noqa: N803 (the API's name)
    """DELETE /products/{productId}."""
    if not _PRODUCTS.delete(productId):
        raise HTTPException(404, "no such product")
    _set_headers(response, {"Cache-Control": "no-store"})


def _set_headers(response: Response, headers: dict[str, str]) -> None:
    response.headers.update({**COMMON_HEADERS, **headers})


_adapter = Mangum(app, lifespan="off")


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Handle an event of API Gateway."""
    started = time.perf_counter()
    response: dict[str, Any] = _adapter(event, context)
    product_id = (event["pathParameters"] or {}).get("productId")
    route, status = event["resource"], response["statusCode"]
    fields = log_fields(event["httpMethod"], route, status, started, product_id)
    _LOGGER.info("request completed", extra=fields)
    return response
