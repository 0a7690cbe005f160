"""The edge that the five functions share: configuration, translation, faults, the log line."""

import gc
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
from product_lambda.repositories.deadline import Deadline
from product_lambda.repositories.product_repository import ProductRepository, open_table
from product_lambda.services.product_service import ProductService
from product_lambda.utils.logger import configure_logging
from product_lambda.utils.request import HttpRequest, parse_event
from product_lambda.utils.response_builder import (
    GatewayResponse,
    Response,
    gateway_response,
    problem_response,
)
from product_lambda.utils.settings import settings_from
from product_lambda.validators.path import is_product_id

# Callers hear within 3 seconds; the rest is for what a request costs beside its calls.
_DEADLINE_SECONDS: Final = 2.5

# At import, so that a wrong configuration fails the start and not the first request.
SETTINGS = settings_from(os.environ)
LOGGER = configure_logging(SETTINGS.log_level)
TABLE = open_table(SETTINGS.table_name, SETTINGS.aws_region, SETTINGS.aws_endpoint_url)

type Handler = Callable[[Mapping[str, object], object], GatewayResponse]


def product_service() -> ProductService:
    """The operations on the catalogue, for one request: its time starts now."""
    return ProductService(
        ProductRepository(TABLE, Deadline(_DEADLINE_SECONDS)), lambda: datetime.now(UTC)
    )


def reject_when_read_only() -> None:
    """Raise ReadOnlyException where operators have switched writing off."""
    if SETTINGS.read_only:
        raise ReadOnlyException


def endpoint(
    operation: str, method: str, route: str
) -> Callable[[Callable[[HttpRequest], Response]], Handler]:
    """Make a Lambda handler of a function that answers an HTTP request.

    Every exception becomes a problem document here, and nowhere else. Each request leaves one
    "request completed" line in the log.
    """
    gc.freeze()
    gc.enable()

    def decorate(answer_to: Callable[[HttpRequest], Response]) -> Handler:
        def handler(event: Mapping[str, object], _context: object) -> GatewayResponse:
            started = time.perf_counter()
            request = parse_event(event)
            response = _answered(answer_to, request)
            LOGGER.info(
                "request completed",
                extra={
                    "operation": operation,
                    "method": method,
                    "route": route,
                    "status": response.status,
                    "duration_ms": round((time.perf_counter() - started) * 1000, 1),
                    "product_id": response.product_id or _product_named_in(request),
                    "request_id": request.request_id,
                    "replayed": response.replayed,
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


def _product_named_in(request: HttpRequest) -> str | None:
    """The id in the path; what is none stays out of the log, whatever length or characters."""
    named = request.path_parameters.get("productId", "")
    return named if is_product_id(named) else None


def _answered(answer_to: Callable[[HttpRequest], Response], request: HttpRequest) -> Response:
    try:
        return answer_to(request)
    except ProductServiceException as known:
        fault = known
    except Exception as unforeseen:  # noqa: BLE001 (the edge: it is answered and logged)
        fault = InternalException()
        fault.__cause__ = unforeseen
    if fault.status >= InternalException.status and not isinstance(fault, ReadOnlyException):
        LOGGER.error("request failed", exc_info=fault, extra={"request_id": request.request_id})
    return problem_response(fault, request.request_id)
