"""Every error that the API responds with, each with its HTTP status and its RFC 9457 problem type.

Nothing here builds a response: `handlers.entry` maps these exceptions once, at the edge.
"""

from collections.abc import Iterable
from typing import ClassVar, NamedTuple


class FieldError(NamedTuple):
    """One validation error: the field, and what to send instead."""

    field: str
    message: str


class ProductServiceException(Exception):
    """Base of all errors that have a response of their own.

    The caller sees `detail`, so it must not name anything internal. What operators need goes into
    the exception's cause.
    """

    status: ClassVar[int]
    problem: ClassVar[str]
    title: ClassVar[str]
    retry_after: ClassVar[int | None] = None

    def __init__(self, detail: str, errors: Iterable[FieldError] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = tuple(errors)


class ValidationException(ProductServiceException):
    """The request is not valid; `errors` holds every validation error."""

    status = 400
    problem = "validation-error"
    title = "The request is not valid"

    def __init__(self, errors: Iterable[FieldError]) -> None:
        super().__init__("Correct the fields listed under errors and send it again.", errors)


class ProductNotFoundException(ProductServiceException):
    """No active product has this id."""

    status = 404
    problem = "product-not-found"
    title = "No such product"

    def __init__(self, product_id: str) -> None:
        super().__init__(f"There is no active product {product_id}.")


class DuplicateProductException(ProductServiceException):
    """An active or a deleted product has this id."""

    status = 409
    problem = "duplicate-product"
    title = "The product id is taken"

    def __init__(self, product_id: str) -> None:
        super().__init__(
            f"The id {product_id} is or was in use; choose another or leave productId out."
        )


class IdempotencyKeyInFlightException(ProductServiceException):
    """Another request with the same idempotency key is in progress."""

    status = 409
    problem = "idempotency-key-in-flight"
    title = "A request with this key is in progress"
    retry_after = 1

    def __init__(self) -> None:
        super().__init__(
            "A request with this Idempotency-Key is in progress; send it again in a second."
        )


class PreconditionFailedException(ProductServiceException):
    """`If-Match` does not name the stored version (RFC 9110, section 13.1.1)."""

    status = 412
    problem = "precondition-failed"
    title = "The product has changed"

    def __init__(self, product_id: str) -> None:
        super().__init__(
            f"{product_id} has another version than If-Match names; read it again, "
            "then repeat the change with its current ETag."
        )


class PayloadTooLargeException(ProductServiceException):
    """The body is larger than the API accepts."""

    status = 413
    problem = "payload-too-large"
    title = "The body is too large"


class UnsupportedMediaTypeException(ProductServiceException):
    """The body has another media type than JSON."""

    status = 415
    problem = "unsupported-media-type"
    title = "The body must be JSON"

    def __init__(self) -> None:
        super().__init__("Send Content-Type: application/json, without a Content-Encoding.")


class IdempotencyKeyReusedException(ProductServiceException):
    """An earlier request used the idempotency key with another body."""

    status = 422
    problem = "idempotency-key-reused"
    title = "The idempotency key belongs to another request"

    def __init__(self) -> None:
        super().__init__(
            "Use a new Idempotency-Key for a new product.",
            [FieldError("Idempotency-Key", "was used with another body; send a new key")],
        )


class DependencyUnavailableException(ProductServiceException):
    """DynamoDB throttles, is unreachable, is slow or sends an invalid response."""

    status = 503
    problem = "service-unavailable"
    title = "The service is temporarily unavailable"
    retry_after = 1

    def __init__(self) -> None:
        super().__init__(
            "Send a read again. A change may have been made: read the product, "
            "or repeat the change with If-Match or its Idempotency-Key."
        )


class TimeUpException(DependencyUnavailableException):
    """The deadline passed after a part of the products was read."""


class ReadOnlyException(ProductServiceException):
    """Operators have switched writes off, during a migration or a recovery."""

    status = 503
    problem = "read-only"
    title = "The catalogue is temporarily read-only"
    retry_after = 60

    def __init__(self) -> None:
        super().__init__("Reads work; send the change again after the maintenance.")


class InternalException(ProductServiceException):
    """An error of this service; the log has its cause under the request id."""

    status = 500
    problem = "internal-error"
    title = "Internal error"

    def __init__(self) -> None:
        super().__init__("Report the value of instance to the team that runs this API.")
