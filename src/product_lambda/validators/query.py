"""Checks of query parameters, and the opaque token that names a place in the list."""

import base64
import re
from typing import Final

from product_lambda.exceptions import FieldError, ValidationException
from product_lambda.models.product import Cursor, PageRequest, SortOrder
from product_lambda.utils.request import HttpRequest
from product_lambda.validators.path import is_product_id

MAX_LIMIT: Final = 100
DEFAULT_LIMIT: Final = 50
MAX_OFFSET: Final = 1000
_PARAMETERS: Final = ("limit", "offset", "nextToken", "sort")
_NUMBER: Final = re.compile("[0-9]{1,6}")
_TIMESTAMP: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")


def parse_page_request(request: HttpRequest) -> PageRequest:
    """Return which part of the list the query asks for.

    Raises:
        ValidationException: with every fault of the query.
    """
    faults: list[FieldError] = []
    given: dict[str, str] = {}
    for name, values in request.query.items():
        if name not in _PARAMETERS:
            faults.append(FieldError(name, f"is not a parameter; use {', '.join(_PARAMETERS)}"))
        elif len(values) != 1:
            faults.append(FieldError(name, "send it once"))
        else:
            given[name] = values[0]
    limit = _whole_number(given, "limit", 1, MAX_LIMIT, DEFAULT_LIMIT, faults)
    offset = _whole_number(given, "offset", 0, MAX_OFFSET, 0, faults)
    if "offset" in given and "nextToken" in given:
        faults.append(FieldError("offset", "send either offset or nextToken, not both"))
    sort, cursor = _place(given, faults)
    if faults:
        raise ValidationException(faults)
    return PageRequest(limit, sort, offset, cursor)


def next_token(cursor: Cursor, sort: SortOrder) -> str:
    """Return the opaque token for the page after `cursor`.

    It names a place, never a key: the start key is built from it on the server, always in the
    partition of the active products, so that no token leads anywhere else.
    """
    place = f"{sort}|{cursor.created_at}|{cursor.product_id}"
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def _whole_number(  # noqa: PLR0913, PLR0917 (one rule, spelled out)
    given: dict[str, str],
    name: str,
    lowest: int,
    highest: int,
    default: int,
    faults: list[FieldError],
) -> int:
    text = given.get(name, str(default))
    if _NUMBER.fullmatch(text) and lowest <= int(text) <= highest:
        return int(text)
    faults.append(FieldError(name, f"send a whole number from {lowest} to {highest}"))
    return default


def _place(given: dict[str, str], faults: list[FieldError]) -> tuple[SortOrder, Cursor | None]:
    """The order, and where in it the page starts: a token remembers the order it was made in."""
    sort = SortOrder.NEWEST_FIRST
    if "sort" in given:
        try:
            sort = SortOrder(given["sort"])
        except ValueError:
            faults.append(FieldError("sort", f"send {' or '.join(SortOrder)}"))
    if "nextToken" not in given:
        return sort, None
    named = _place_named_by(given["nextToken"])
    if named is None:
        faults.append(
            FieldError("nextToken", "send the nextToken of the page before, unchanged, or none")
        )
        return sort, None
    if given.get("sort", named[0]) != named[0]:
        faults.append(FieldError("sort", "keep the sort of the page before"))
    return named


def _place_named_by(token: str) -> tuple[SortOrder, Cursor] | None:
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        sort, created_at, product_id = raw.decode("ascii").split("|")
        order = SortOrder(sort)
    except ValueError:
        return None
    if _TIMESTAMP.fullmatch(created_at) and is_product_id(product_id):
        return order, Cursor(created_at, product_id)
    return None
