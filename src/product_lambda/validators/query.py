"""Checks of query parameters, and the opaque token of a cursor."""

import base64
import re
from typing import Final

from product_lambda.exceptions import FieldError, ValidationException
from product_lambda.models.product import (
    Cursor,
    PageRequest,
    SortOrder,
    is_product_id,
    is_timestamp,
)
from product_lambda.utils.request import HttpRequest

MAX_LIMIT: Final = 100
DEFAULT_LIMIT: Final = 50
MAX_OFFSET: Final = 1000
_PARAMETERS: Final = ("limit", "offset", "nextToken", "sort")
_NUMBER: Final = re.compile("[0-9]{1,6}")


def parse_page_request(request: HttpRequest) -> PageRequest:
    """Return the page that the query asks for.

    Raises:
        ValidationException: with every error of the query.
    """
    errors: list[FieldError] = []
    parameters: dict[str, str] = {}
    for name, values in request.query.items():
        if name not in _PARAMETERS:
            errors.append(FieldError(name, f"is not a parameter; use {', '.join(_PARAMETERS)}"))
        elif len(values) != 1:
            errors.append(FieldError(name, "send it once"))
        else:
            parameters[name] = values[0]
    limit = _whole_number(parameters, "limit", 1, MAX_LIMIT, DEFAULT_LIMIT, errors)
    offset = _whole_number(parameters, "offset", 0, MAX_OFFSET, 0, errors)
    if "offset" in parameters and "nextToken" in parameters:
        errors.append(FieldError("offset", "send either offset or nextToken, not both"))
    sort, cursor = _sort_and_cursor(parameters, errors)
    if errors:
        raise ValidationException(errors)
    return PageRequest(limit, sort, offset, cursor)


def reject_query(request: HttpRequest) -> None:
    """Check that the request has no query parameter.

    Raises:
        ValidationException: it has one, such as a `version` that the response would not have.
    """
    if request.query:
        raise ValidationException(
            [FieldError(name, "is not a parameter; leave it out") for name in request.query]
        )


def next_token(cursor: Cursor, sort: SortOrder) -> str:
    """Return the opaque token for the page after `cursor`.

    A token holds no key of the table. The server builds the start key from it, always in the
    partition of the active products, so a forged token reaches nothing else.
    """
    position = f"{sort}|{cursor.created_at}|{cursor.product_id}"
    return base64.urlsafe_b64encode(position.encode()).decode().rstrip("=")


def _whole_number(  # noqa: PLR0913, PLR0917 (one rule, written in full)
    parameters: dict[str, str],
    name: str,
    lowest: int,
    highest: int,
    default: int,
    errors: list[FieldError],
) -> int:
    text = parameters.get(name, str(default))
    if _NUMBER.fullmatch(text) and lowest <= int(text) <= highest:
        return int(text)
    errors.append(FieldError(name, f"send a whole number from {lowest} to {highest}"))
    return default


def _sort_and_cursor(
    parameters: dict[str, str], errors: list[FieldError]
) -> tuple[SortOrder, Cursor | None]:
    """Return the sort order and the cursor; a token includes the sort order of its page."""
    sort = SortOrder.NEWEST_FIRST
    if "sort" in parameters:
        try:
            sort = SortOrder(parameters["sort"])
        except ValueError:
            errors.append(FieldError("sort", f"send {' or '.join(SortOrder)}"))
    if "nextToken" not in parameters:
        return sort, None
    position = _decode_token(parameters["nextToken"])
    if position is None:
        errors.append(
            FieldError("nextToken", "send the nextToken of the page before, unchanged, or none")
        )
        return sort, None
    if parameters.get("sort", position[0]) != position[0]:
        errors.append(FieldError("sort", "keep the sort of the page before"))
    return position


def _decode_token(token: str) -> tuple[SortOrder, Cursor] | None:
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        sort, created_at, product_id = raw.decode("ascii").split("|")
        order = SortOrder(sort)
    except ValueError:
        return None
    if is_timestamp(created_at) and is_product_id(product_id):
        return order, Cursor(created_at, product_id)
    return None
