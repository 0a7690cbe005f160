"""Runs all checks of one request and reports their validation errors together."""

from collections.abc import Callable
from typing import Any, overload

from product_lambda.exceptions import FieldError, ValidationException


@overload
def validate_all[A, B](first: Callable[[], A], second: Callable[[], B], /) -> tuple[A, B]: ...


@overload
def validate_all[A, B, C](
    first: Callable[[], A], second: Callable[[], B], third: Callable[[], C], /
) -> tuple[A, B, C]: ...


def validate_all(*checks: Callable[[], Any]) -> tuple[Any, ...]:
    """Return the result of every check.

    Raises:
        ValidationException: with the errors of all checks, in their order.
    """
    results: list[Any] = []
    errors: list[FieldError] = []
    for check in checks:
        try:
            results.append(check())
        except ValidationException as invalid:
            errors += invalid.errors
    if errors:
        raise ValidationException(errors)
    return tuple(results)
