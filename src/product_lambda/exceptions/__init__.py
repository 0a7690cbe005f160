"""Every fault that the API answers with, each with its HTTP status and its RFC 9457 problem type.

Nothing here formats an answer: `handlers.entry` maps these once, at the edge.
"""

from collections.abc import Iterable
from typing import ClassVar, NamedTuple


class FieldError(NamedTuple):
    """One fault of a request: where it is and what to send instead."""

    field: str
    message: str


class ProductServiceException(Exception):
    """Base of all faults with an answer of their own.

    `detail` is shown to the caller, so it must not name anything internal;
    what operators need goes into the exception's cause.
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
    """The request is malformed; `errors` holds every fault found in it."""

    status = 400
    problem = "validation-error"
    title = "The request is not valid"

    def __init__(self, errors: Iterable[FieldError]) -> None:
        super().__init__("Correct the fields listed under errors and send it again.", errors)


class ProductNotFoundException(ProductServiceException):
    """No product has this id, or it is no longer active."""

    status = 404
    problem = "product-not-found"
    title = "No such product"

    def __init__(self, product_id: str) -> None:
        super().__init__(f"There is no active product {product_id}.")


class DuplicateProductException(ProductServiceException):
    """The product id is taken, by an active product or by a deleted one."""

    status = 409
    problem = "duplicate-product"
    title = "The product id is taken"

    def __init__(self, product_id: str) -> None:
        super().__init__(
            f"The id {product_id} is or was in use; choose another or leave productId out."
        )


class IdempotencyKeyInFlightException(ProductServiceException):
    """Another request is writing with the same idempotency key at this moment."""

    status = 409
    problem = "idempotency-key-in-flight"
    title = "The same request is being carried out"
    retry_after = 1

    def __init__(self) -> None:
        super().__init__(
            "A request with this Idempotency-Key is in progress; send it again in a second."
        )


class PreconditionFailedException(ProductServiceException):
    """`If-Match` names another version than the stored one (RFC 9110, section 13.1.1)."""

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
    """The body is declared as something other than JSON."""

    status = 415
    problem = "unsupported-media-type"
    title = "The body must be JSON"

    def __init__(self) -> None:
        super().__init__("Send Content-Type: application/json.")


class IdempotencyKeyReusedException(ProductServiceException):
    """The idempotency key was used before, with another body."""

    status = 422
    problem = "idempotency-key-reused"
    title = "The idempotency key belongs to another request"

    def __init__(self) -> None:
        super().__init__(
            "Use a new Idempotency-Key for a new product.",
            [FieldError("Idempotency-Key", "was used with another body; send a new key")],
        )


class DependencyUnavailableException(ProductServiceException):
    """DynamoDB throttles, is unreachable, is slow or answers nonsense."""

    status = 503
    problem = "service-unavailable"
    title = "The service is unavailable for the moment"
    retry_after = 1

    def __init__(self) -> None:
        super().__init__("Nothing was lost on our side; send the request again in a second.")


class ReadOnlyException(ProductServiceException):
    """Operators have switched writing off, during a migration or a recovery."""

    status = 503
    problem = "read-only"
    title = "The catalogue is read-only for the moment"
    retry_after = 60

    def __init__(self) -> None:
        super().__init__("Reading works; send the change again when maintenance is over.")


class InternalException(ProductServiceException):
    """A fault of this service; its cause is in the log under the request id."""

    status = 500
    problem = "internal-error"
    title = "The service has made a mistake"

    def __init__(self) -> None:
        super().__init__("Report the value of instance to the team that runs this API.")
