"""202 responses: what the three writes share where changes may be accepted for later.

The writes import this module only where `CHANGE_QUEUE_URL` is set. It imports the client of SQS
only for a request that prefers 202.
"""

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from product_lambda.handlers import entry
from product_lambda.models.command import Command
from product_lambda.models.product import ProductDraft, Revision
from product_lambda.repositories.command_repository import CommandRepository
from product_lambda.repositories.deadline import Deadline
from product_lambda.services.acceptance_service import AcceptanceService, Accepted, Author
from product_lambda.services.product_service import Creation
from product_lambda.utils.request import HttpRequest
from product_lambda.utils.response_builder import (
    EXPOSED_HEADERS,
    Response,
    json_response,
    to_json,
)
from product_lambda.validators.preferences import prefers_async

if TYPE_CHECKING:
    from product_lambda.repositories.queues import Queue


def create(
    request: HttpRequest, draft: ProductDraft, idempotency_key: str | None, queue_url: str
) -> Creation | Response:
    """Accept a creation for later if the caller prefers that, else create the product."""
    service = _service(queue_url)
    if prefers_async(request):
        accepted = service.accept_creation(draft, idempotency_key, _author(request))
        if accepted is not None:
            return _response(accepted, f"{request.path.rstrip('/')}/{accepted.product_id}")
    return service.create_product(draft, idempotency_key, request.api_key_id)


def accept_update(
    request: HttpRequest,
    product_id: str,
    changes: Mapping[str, Any],
    expected: frozenset[Revision] | None,
    queue_url: str,
) -> Response | None:
    """Accept a change for later; None if the caller does not prefer that."""
    if not prefers_async(request):
        return None
    accepted = _service(queue_url).accept_update(product_id, changes, expected, _author(request))
    return _response(accepted, request.path)


def accept_deletion(
    request: HttpRequest, product_id: str, expected: frozenset[Revision] | None, queue_url: str
) -> Response | None:
    """Accept a deletion for later; None if the caller does not prefer that."""
    if not prefers_async(request):
        return None
    accepted = _service(queue_url).accept_deletion(product_id, expected, _author(request))
    return _response(accepted, request.path)


class _LazyQueue:
    """The queue of commands; its client is imported and made for the first command."""

    def __init__(self, url: str, deadline: Deadline) -> None:
        self._url = url
        self._deadline = deadline

    def send(self, command: Command) -> None:
        from product_lambda.repositories.change_queue import ChangeQueue  # noqa: PLC0415

        ChangeQueue(_client(self._url), self._deadline).send(command)


@cache
def _client(url: str) -> "Queue":
    from product_lambda.repositories.change_queue import open_queue  # noqa: PLC0415

    return open_queue(url, entry.SETTINGS.aws_region, entry.SETTINGS.aws_endpoint_url)


def _service(queue_url: str) -> AcceptanceService:
    """Return the service for one request; the request's deadline starts now."""
    deadline = entry.request_deadline()
    return AcceptanceService(
        CommandRepository(entry.TABLE, deadline), _LazyQueue(queue_url, deadline), entry.utc_now
    )


def _author(request: HttpRequest) -> Author:
    return Author(request.api_key_id, request.request_id)


def _response(accepted: Accepted, location: str) -> Response:
    """Return 202 (RFC 9110, section 15.3.3; RFC 7240, sections 3 and 4.1)."""
    body = {"productId": accepted.product_id, "requestId": accepted.request_id}
    headers = {
        "Access-Control-Expose-Headers": f"{EXPOSED_HEADERS}, Preference-Applied",
        "Location": location,
        "Preference-Applied": "respond-async",
    }
    response = json_response(202, to_json(body), headers)
    return response._replace(product_id=accepted.product_id)
