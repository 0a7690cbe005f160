"""Reads and changes the catalogue of a product API over HTTP, one product at a time.

Nothing here removes data: to retire a product is to delete it in the API, which keeps it, and to
restore it makes it active again.
"""

import uuid
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import quote

from product_tools.api_client import (
    DUPLICATE_PRODUCT,
    FORBIDDEN,
    PRODUCT_NOT_FOUND,
    ApiClient,
    ApiResponse,
    ApiUnavailableError,
)
from product_tools.catalogue_file import Product, writable_fields
from product_tools.request_rules import change_errors, creation_errors

LARGEST_PAGE = "100"
ATTEMPTS_AGAINST_OTHER_WRITERS = 3
_OTHER_WRITERS = "other writers keep changing it: run this again when they have finished."
_RETIRED_ID = (
    "it is retired there: restore it first, give it another productId,"
    " or remove it from the file."
)
_UNKNOWN_ID = "there is no such product, active or retired: check the id."


class Result(StrEnum):
    """What happened to one product, or what would happen."""

    CREATED = "created"
    UPDATED = "updated"
    RETIRED = "retired"
    RESTORED = "restored"
    UNCHANGED = "unchanged"
    ALREADY_ACTIVE = "already active"
    STAYS_RETIRED = "stays retired"
    WOULD_CREATE = "would be created"
    WOULD_UPDATE = "would be updated"
    WOULD_RETIRE = "would be retired"
    FAILED = "failed"
    NOT_TRIED = "not tried"


NO_CHANGES = frozenset({Result.UNCHANGED, Result.ALREADY_ACTIVE, Result.STAYS_RETIRED})


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result for one product.

    Attributes:
        product: The product; of one that could not be read, only the `productId`.
        result: The result.
        fields: The names of the changed fields, for an update.
        reason: The cause, for a failure.
    """

    product: Product
    result: Result
    fields: tuple[str, ...] = ()
    reason: str = ""


class _RejectedError(Exception):
    """The API rejects a product; the text is the reason."""


def active_products(api: ApiClient) -> Iterator[Product]:
    """Yield all active products.

    Raises:
        ApiUnavailableError: The list could not be read to its end.
    """
    return map(writable_fields, active_products_shown(api))


def retired_products(api: ApiClient) -> Iterator[Product]:
    """Yield all retired products, which only callers with an API key may read.

    Raises:
        ApiUnavailableError: The list could not be read to its end.
    """
    return map(writable_fields, retired_products_shown(api))


def active_products_shown(api: ApiClient) -> Iterator[dict[str, Any]]:
    """Yield all active products with all fields that the API shows.

    Raises:
        ApiUnavailableError: The list could not be read to its end.
    """
    return _listed(api, "/products", "check the address")


def retired_products_shown(api: ApiClient) -> Iterator[dict[str, Any]]:
    """Yield all retired products with all fields that the API shows.

    Raises:
        ApiUnavailableError: The list could not be read to its end.
    """
    return _listed(api, "/deleted-products", "check the address; release 1.0.0 has no such list")


def product_shown(api: ApiClient, product_id: str) -> dict[str, Any] | None:
    """Return an active product with all fields that the API shows.

    Returns:
        The product; None if it is retired, removed or unreadable.

    Raises:
        ApiUnavailableError: The API sends no usable response.
    """
    response = api.send("GET", _path({"productId": product_id}))
    if response.status == HTTPStatus.OK:
        return cast(dict[str, Any], response.body)
    if response.status in {HTTPStatus.NOT_FOUND, HTTPStatus.INTERNAL_SERVER_ERROR}:
        return None
    raise ApiUnavailableError(
        f"{api.base_url} does not show {product_id} ({response.reason()}): try again later."
    )


def load_product(api: ApiClient, product: Product) -> Outcome:
    """Create or update a product so that the API has it as given.

    Returns:
        The outcome; FAILED when the API rejects the product, or has it retired.

    Raises:
        ApiUnavailableError: The API sends no usable response, or rejects the key.
    """

    def attempt() -> Outcome | None:
        current = _read(api, product)
        if current is not None:
            return _update(api, product, current)
        created = _create(api, product)
        if created is None and _read(api, product) is None:
            raise _RejectedError(_RETIRED_ID)
        return created

    return _attempted(product, attempt)


def add_product(api: ApiClient, product: Product) -> Outcome:
    """Create a product unless the API has one with its id, active or retired, which stays as it is.

    Returns:
        The outcome; FAILED when the API rejects the product.

    Raises:
        ApiUnavailableError: The API sends no usable response, or rejects the key.
    """

    def attempt() -> Outcome | None:
        if _read(api, product) is not None:
            return Outcome(product, Result.ALREADY_ACTIVE)
        created = _create(api, product)
        if created is None and _read(api, product) is None:
            return Outcome(product, Result.STAYS_RETIRED)
        return created

    return _attempted(product, attempt)


def preview_load(api: ApiClient, product: Product, retired: Collection[str]) -> Outcome:
    """Return the outcome that `load_product` would have, without a write.

    Args:
        api: The API.
        product: The product.
        retired: The ids of the API's retired products.

    Raises:
        ApiUnavailableError: The API sends no usable response.
    """

    def attempt() -> Outcome:
        current = _read(api, product)
        if current is None and product["productId"] in retired:
            raise _RejectedError(_RETIRED_ID)
        if current is None:
            return _creation_preview(product)
        changes = _changes(product, current)
        if not changes:
            return Outcome(product, Result.UNCHANGED)
        _require_valid(change_errors(changes))
        return Outcome(product, Result.WOULD_UPDATE, tuple(changes))

    return _attempted(product, attempt)


def preview_addition(api: ApiClient, product: Product, retired: Collection[str]) -> Outcome:
    """Return the outcome that `add_product` would have, without a write.

    The arguments and errors are those of `preview_load`.
    """

    def attempt() -> Outcome:
        if _read(api, product) is not None:
            return Outcome(product, Result.ALREADY_ACTIVE)
        if product["productId"] in retired:
            return Outcome(product, Result.STAYS_RETIRED)
        return _creation_preview(product)

    return _attempted(product, attempt)


def retire_product(api: ApiClient, product: Product) -> Outcome:
    """Take a product out of the catalogue; the API keeps it for `restore_product`.

    Args:
        api: The API.
        product: The product; only its `productId` is used.

    Raises:
        ApiUnavailableError: The API sends no usable response, or rejects the key.
    """

    def attempt() -> Outcome:
        before = api.send("GET", _path(product))  # fails for an item that others damaged
        response = api.send("DELETE", _path(product))
        _require(api, response, HTTPStatus.NO_CONTENT)
        if before.field("type") == PRODUCT_NOT_FOUND:
            return Outcome(product, Result.STAYS_RETIRED)
        is_readable = before.status == HTTPStatus.OK
        return Outcome(_product_in(before) if is_readable else product, Result.RETIRED)

    return _attempted(product, attempt)


def restore_product(api: ApiClient, product: Product) -> Outcome:
    """Make a retired product active again, as it was.

    The arguments and errors are those of `retire_product`.
    """

    def attempt() -> Outcome:
        current = _read(api, product)
        if current is not None:
            return Outcome(_product_in(current), Result.ALREADY_ACTIVE)
        response = api.send("PUT", _path(product), body={"active": True})
        _require(api, response, HTTPStatus.OK)
        return Outcome(_product_in(response), Result.RESTORED)

    return _attempted(product, attempt)


def _attempted(product: Product, attempt: Callable[[], Outcome | None]) -> Outcome:
    """Return the outcome of an attempt, which is None when another writer came in between."""
    try:
        for _ in range(ATTEMPTS_AGAINST_OTHER_WRITERS):
            outcome = attempt()
            if outcome is not None:
                return outcome
    except _RejectedError as rejection:
        return Outcome(product, Result.FAILED, reason=str(rejection))
    return Outcome(product, Result.FAILED, reason=_OTHER_WRITERS)


def _listed(api: ApiClient, path: str, advice: str) -> Iterator[dict[str, Any]]:
    query = {"limit": LARGEST_PAGE}
    while True:
        response = api.send("GET", path, query=query)
        _stop_if_forbidden(api, response)
        page = response.field("products")
        if response.status != HTTPStatus.OK or not isinstance(page, list):
            raise ApiUnavailableError(
                f"{api.base_url}{path} could not be read ({response.reason()}): {advice}."
            )
        yield from page
        token = response.field("nextToken")
        if not token:
            return
        query = {"limit": LARGEST_PAGE, "nextToken": str(token)}


def _read(api: ApiClient, product: Product) -> ApiResponse | None:
    response = api.send("GET", _path(product))
    if response.field("type") == PRODUCT_NOT_FOUND:
        return None
    if response.status != HTTPStatus.OK:
        raise _RejectedError(response.reason())
    return response


def _create(api: ApiClient, product: Product) -> Outcome | None:
    response = api.send(
        "POST",
        "/products",
        body=_creation_body(product),
        # A new key each time: one derived from the content would replay a creation whose product
        # has been deleted since.
        headers={"idempotency-key": str(uuid.uuid4())},
    )
    if response.field("type") == DUPLICATE_PRODUCT:
        return None
    _require(api, response, HTTPStatus.CREATED)
    return Outcome(product, Result.CREATED)


def _update(api: ApiClient, product: Product, current: ApiResponse) -> Outcome | None:
    changes = _changes(product, current)
    if not changes:
        return Outcome(product, Result.UNCHANGED)
    etag = current.headers.get("etag", "")
    response = api.send("PUT", _path(product), body=changes, headers={"if-match": etag})
    is_deleted = response.field("type") == PRODUCT_NOT_FOUND
    if is_deleted or response.status == HTTPStatus.PRECONDITION_FAILED:
        return None
    _require(api, response, HTTPStatus.OK)
    return Outcome(product, Result.UPDATED, tuple(changes))


def _creation_preview(product: Product) -> Outcome:
    _require_valid(creation_errors(_creation_body(product)))
    return Outcome(product, Result.WOULD_CREATE)


def _require(api: ApiClient, response: ApiResponse, expected: HTTPStatus) -> None:
    if response.status != expected:
        _stop_if_forbidden(api, response)
        if response.field("type") == PRODUCT_NOT_FOUND:
            raise _RejectedError(_UNKNOWN_ID)
        raise _RejectedError(response.reason())


def _require_valid(errors: str) -> None:
    if errors:
        raise _RejectedError(errors)


def _stop_if_forbidden(api: ApiClient, response: ApiResponse) -> None:
    # API Gateway's own body has no type. The firewall's 403 has another one: it blocks one product.
    if response.status == HTTPStatus.FORBIDDEN and response.field("type") in (None, FORBIDDEN):
        raise ApiUnavailableError(
            f"{api.base_url} does not accept the API key ({response.reason()}): check API_KEY."
        )


def _creation_body(product: Product) -> dict[str, object]:
    return {field: value for field, value in product.items() if value is not None}


def _product_in(response: ApiResponse) -> Product:
    return writable_fields(cast(dict[str, Any], response.body))


def _path(product: Product) -> str:
    return f"/products/{quote(product['productId'], safe='')}"


def _changes(product: Product, current: ApiResponse) -> dict[str, object]:
    return {field: value for field, value in product.items() if current.field(field) != value}
