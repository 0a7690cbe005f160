"""Runs several checks of one request and reports the faults of all of them together."""

from collections.abc import Callable

from product_lambda.exceptions import FieldError, ValidationException


def validate_all[A, B](first: Callable[[], A], second: Callable[[], B]) -> tuple[A, B]:
    """Return both results; for more than two checks, nest the calls.

    Raises:
        ValidationException: with the faults of both checks, in order.
    """
    try:
        result = first()
    except ValidationException as failure:
        raise ValidationException([*failure.errors, *_faults_of(second)]) from None
    return result, second()


def _faults_of(check: Callable[[], object]) -> tuple[FieldError, ...]:
    try:
        check()
    except ValidationException as failure:
        return failure.errors
    return ()
