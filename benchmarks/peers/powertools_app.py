"""Peers (b) and (c): the resolver of Powertools with validation, its logger and its metrics."""

import time
from typing import Annotated, Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response, content_types
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.event_handler.openapi.params import Path, Query
from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from benchmarks.peers.common import (
    COMMON_HEADERS,
    DEFAULT_LIMIT,
    MAX_LIMIT,
    PRODUCT_ID_PATTERN,
    CreateProduct,
    Product,
    ProductList,
    Products,
    ProductStore,
    UpdateProduct,
    digest_tag,
    log_fields,
    version_tag,
)

ProductId = Annotated[str, Path(pattern=PRODUCT_ID_PATTERN)]
Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT)]


class PowertoolsApplication:
    """The application on a store; `handler` is its Lambda handler."""

    def __init__(self, store: ProductStore) -> None:
        self._products = Products(store)
        self._metrics = Metrics()
        app = APIGatewayRestResolver(enable_validation=True)
        app.get("/products/<productId>")(self.get)
        app.get("/products")(self.list_page)
        app.post("/products")(self.create)
        app.put("/products/<productId>")(self.update)
        app.delete("/products/<productId>")(self.delete)

        logger = Logger()

        def resolve(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
            started = time.perf_counter()
            response: dict[str, Any] = app.resolve(event, context)
            product_id = (event["pathParameters"] or {}).get("productId")
            route, status = event["resource"], response["statusCode"]
            logger.info(
                "request completed",
                extra=log_fields(event["httpMethod"], route, status, started, product_id),
            )
            return response

        logged = logger.inject_lambda_context(
            resolve, correlation_id_path=correlation_paths.API_GATEWAY_REST
        )
        self.handler = self._metrics.log_metrics(logged, capture_cold_start_metric=True)

    def get(self, productId: ProductId) -> Response[Product]:  # noqa: N803 (the API's name)
        """GET /products/{productId}."""
        product = self._products.get(productId)
        if product is None:
            raise NotFoundError("no such product")
        return self._respond(200, product, {"ETag": version_tag(product)})

    def list_page(self, limit: Limit = DEFAULT_LIMIT) -> Response[ProductList]:
        """GET /products."""
        page = self._products.page(limit)
        return self._respond(200, page, {"ETag": digest_tag(page.model_dump_json(by_alias=True))})

    def create(self, body: CreateProduct) -> Response[Product]:
        """POST /products."""
        product = self._products.create(body)
        location = f"/v1.0/products/{product.product_id}"
        headers = {"ETag": version_tag(product), "Location": location}
        return self._respond(201, product, {**headers, "Cache-Control": "no-store"})

    def update(
        self,
        productId: ProductId,  # noqa: N803 (the API's name)
        body: UpdateProduct,
    ) -> Response[Product]:
        """PUT /products/{productId}."""
        product = self._products.update(productId, body)
        if product is None:
            raise NotFoundError("no such product")
        headers = {"ETag": version_tag(product), "Cache-Control": "no-store"}
        return self._respond(200, product, headers)

    def delete(self, productId: ProductId) -> Response[None]:  # noqa: N803 (the API's name)
        """DELETE /products/{productId}."""
        if not self._products.delete(productId):
            raise NotFoundError("no such product")
        self._metrics.add_metric(name="Requests", unit=MetricUnit.Count, value=1)
        return Response(204, None, None, {**COMMON_HEADERS, "Cache-Control": "no-store"})

    def _respond[Body](self, status: int, body: Body, headers: dict[str, str]) -> Response[Body]:
        self._metrics.add_metric(name="Requests", unit=MetricUnit.Count, value=1)
        return Response(status, content_types.APPLICATION_JSON, body, {**COMMON_HEADERS, **headers})
