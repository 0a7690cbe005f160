"""What the functions share: settings, events to requests, exceptions to responses, one log line."""

import os
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final

from product_lambda.exceptions import (
    InternalException,
    ProductServiceException,
    ReadOnlyException,
)
from product_lambda.models.product import is_product_id
from product_lambda.repositories.deadline import Deadline
from product_lambda.repositories.product_repository import ProductRepository, open_table
from product_lambda.services.product_service import ProductService
from product_lambda.utils.logger import configure_logging
from product_lambda.utils.request import HttpRequest, parse_event
from product_lambda.utils.response_builder import (
    GatewayResponse,
    Response,
    edge_cache_control,
    gateway_response,
    problem_response,
)
from product_lambda.utils.settings import load_settings

# Callers get a response within 3 seconds; the rest is for work outside the calls to DynamoDB.
_DEADLINE_SECONDS: Final = 2.5

# Read at import, so that wrong settings fail the start and not the first request.
SETTINGS = load_settings(os.environ)
LOGGER = configure_logging(SETTINGS.log_level)
TABLE = open_table(SETTINGS.table_name, SETTINGS.aws_region, SETTINGS.aws_endpoint_url)

type Handler = Callable[[Mapping[str, object], object], GatewayResponse]


def product_service() -> ProductService:
    """Return the service for one request; the request's deadline starts now."""
    return ProductService(ProductRepository(TABLE, request_deadline()), utc_now)


def request_deadline() -> Deadline:
    """Return the deadline of one request, which starts now."""
    return Deadline(_DEADLINE_SECONDS)


def utc_now() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(UTC)


def cache_control_of_read(request: HttpRequest) -> str:
    """Return the `Cache-Control` of a read that succeeds."""
    seconds = SETTINGS.edge_cache_seconds
    if seconds is None:
        return SETTINGS.read_cache_control
    return edge_cache_control(seconds, has_key="x-api-key" in request.headers)


def reject_when_read_only() -> None:
    """Raise ReadOnlyException where operators have switched writes off."""
    if SETTINGS.read_only:
        raise ReadOnlyException


def endpoint(
    operation: str, method: str, route: str
) -> Callable[[Callable[[HttpRequest], Response]], Handler]:
    """Turn a function from request to response into a Lambda handler.

    Only here do exceptions become problem documents. Each request writes one "request completed"
    line to the log.
    """

    def decorate(respond: Callable[[HttpRequest], Response]) -> Handler:
        def handler(event: Mapping[str, object], _context: object) -> GatewayResponse:
            started = time.perf_counter()
            request = parse_event(event)
            response = _respond(respond, request)
            LOGGER.info(
                "request completed",
                extra={
                    "operation": operation,
                    "method": method,
                    "route": route,
                    "status": response.status,
                    "duration_ms": round((time.perf_counter() - started) * 1000, 1),
                    "product_id": response.product_id or _product_id(request),
                    "request_id": request.request_id,
                    "replayed": response.replayed,
                    "restored": response.restored,
                },
            )
            return gateway_response(
                response,
                request.request_id,
                request.headers.get("origin"),
                SETTINGS.cors_allowed_origins,
            )

        return handler

    return decorate


def _product_id(request: HttpRequest) -> str | None:
    """Return the product id in the path; only well-formed ids are logged."""
    product_id = request.path_parameters.get("productId", "")
    return product_id if is_product_id(product_id) else None


def _respond(respond: Callable[[HttpRequest], Response], request: HttpRequest) -> Response:
    try:
        return respond(request)
    except ProductServiceException as known:
        error = known
    except Exception as unexpected:  # noqa: BLE001 (the edge: it gets a response and is logged)
        error = InternalException()
        error.__cause__ = unexpected
    if error.status >= InternalException.status and not isinstance(error, ReadOnlyException):
        LOGGER.error("request failed", exc_info=error, extra={"request_id": request.request_id})
    return problem_response(error, request.request_id)
