"""Loads products into a product API over HTTP, and reads its catalogue.

It never deletes: products of the API that the caller does not name stay as they are.
"""

import uuid
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from urllib.parse import quote

from product_tools.api_client import (
    DUPLICATE_PRODUCT,
    PRODUCT_NOT_FOUND,
    ApiClient,
    ApiResponse,
    ApiUnavailableError,
)
from product_tools.catalogue_file import Product, writable_fields

LARGEST_PAGE = "100"
ATTEMPTS_AGAINST_OTHER_WRITERS = 3


class Result(StrEnum):
    """The result of loading one product."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    WOULD_CREATE = "would be created"
    WOULD_UPDATE = "would be updated"
    FAILED = "failed"
    NOT_TRIED = "not tried"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A product and the result of loading it.

    Attributes:
        product: The product.
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


def load_product(api: ApiClient, product: Product) -> Outcome:
    """Create or update a product so that the API has it as given.

    Returns:
        The outcome; FAILED when the API rejects the product.

    Raises:
        ApiUnavailableError: The API sends no usable response.
    """
    try:
        # An attempt returns None when another writer changes the product between read and write.
        for _ in range(ATTEMPTS_AGAINST_OTHER_WRITERS):
            current = _read(api, product)
            outcome = _create(api, product) if current is None else _update(api, product, current)
            if outcome is not None:
                return outcome
    except _RejectedError as rejection:
        return Outcome(product, Result.FAILED, reason=str(rejection))
    return Outcome(
        product,
        Result.FAILED,
        reason="other writers keep changing it: load the file again when they have finished.",
    )


def preview_product(api: ApiClient, product: Product) -> Outcome:
    """Return the outcome that loading a product would have, without writing.

    Raises:
        ApiUnavailableError: The API sends no usable response.
    """
    try:
        current = _read(api, product)
    except _RejectedError as rejection:
        return Outcome(product, Result.FAILED, reason=str(rejection))
    if current is None:
        return Outcome(product, Result.WOULD_CREATE)
    changes = _changes(product, current)
    return Outcome(product, Result.WOULD_UPDATE if changes else Result.UNCHANGED, tuple(changes))


def read_catalogue(api: ApiClient) -> list[Product]:
    """Return all active products.

    Raises:
        ApiUnavailableError: The list could not be read to its end.
    """
    products: list[Product] = []
    query = {"limit": LARGEST_PAGE}
    while True:
        response = api.send("GET", "/products", query=query)
        page = response.field("products")
        if response.status != HTTPStatus.OK or not isinstance(page, list):
            raise ApiUnavailableError(
                f"The list of products could not be read ({response.reason()}):"
                f" check the address, {api.base_url}."
            )
        products += map(writable_fields, page)
        token = response.field("nextToken")
        if not token:
            return products
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
        body={field: value for field, value in product.items() if value is not None},
        # A new key each time: one derived from the content would replay a creation whose product
        # has been deleted since.
        headers={"idempotency-key": str(uuid.uuid4())},
    )
    if response.status == HTTPStatus.CREATED:
        return Outcome(product, Result.CREATED)
    if response.field("type") != DUPLICATE_PRODUCT:
        raise _RejectedError(response.reason())
    if _read(api, product) is None:
        raise _RejectedError(
            "it was deleted on the server, and a deleted id is never used again:"
            " give it another productId, or remove it from the file."
        )
    return None


def _update(api: ApiClient, product: Product, current: ApiResponse) -> Outcome | None:
    changes = _changes(product, current)
    if not changes:
        return Outcome(product, Result.UNCHANGED)
    etag = current.headers.get("etag", "")
    response = api.send("PUT", _path(product), body=changes, headers={"if-match": etag})
    if response.status == HTTPStatus.PRECONDITION_FAILED:
        return None
    if response.status != HTTPStatus.OK:
        raise _RejectedError(response.reason())
    return Outcome(product, Result.UPDATED, tuple(changes))


def _path(product: Product) -> str:
    return f"/products/{quote(product['productId'], safe='')}"


def _changes(product: Product, current: ApiResponse) -> dict[str, object]:
    return {field: value for field, value in product.items() if current.field(field) != value}
