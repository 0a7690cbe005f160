"""Checks of query parameters, and the opaque token of a cursor."""

import base64
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial
from typing import Final, NamedTuple
from urllib.parse import unquote

from product_lambda.exceptions import FieldError, ValidationException
from product_lambda.models.currency import CURRENCIES
from product_lambda.models.product import (
    MAX_LINE,
    PERIODS,
    Cursor,
    Filters,
    PageRequest,
    SortOrder,
    is_product_id,
    name_key,
    plain_decimal,
)
from product_lambda.utils.request import HttpRequest

MAX_LIMIT: Final = 100
DEFAULT_LIMIT: Final = 50
MAX_OFFSET: Final = 1000
_DEFAULT_SORT: Final = SortOrder.NEWEST_FIRST
_FILTERS: Final = ("currency", "period", "minPrice", "maxPrice", "name")
_PARAMETERS: Final = ("limit", "offset", "nextToken", "sort", *_FILTERS)
_DELETED_PARAMETERS: Final = ("limit", "nextToken")
_NUMBER: Final = re.compile("[0-9]{1,6}")
_AMOUNT: Final = re.compile(r"[0-9]{1,8}(\.[0-9]{1,2})?")
# No name has a control character; a lone surrogate has no UTF-8.
_NO_NAME: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_ESCAPED: Final = str.maketrans({"|": "%7C", "%": "%25"})
_INVALID_TOKEN: Final = FieldError(
    "nextToken", "send the nextToken of the page before, unchanged, or none"
)


type _Reader = tuple[Callable[[str], str | None], str]
"""How to read a choice into its only form, and the rule that an invalid value breaks."""


class _Token(NamedTuple):
    """What a token names: the sort and the filters of its list, and a position in it."""

    kept: Mapping[str, str]
    cursor: Cursor


def parse_page_request(request: HttpRequest, *, has_indexes: bool) -> PageRequest:
    """Return the page that the query asks for.

    `has_indexes` tells whether the table has the indexes by price and by name.

    Raises:
        ValidationException: with every error of the query.
    """
    errors: list[FieldError] = []
    parameters = _single_values(request, _PARAMETERS, errors)
    limit = _whole_number(parameters, "limit", 1, MAX_LIMIT, DEFAULT_LIMIT, errors)
    offset = _whole_number(parameters, "offset", 0, MAX_OFFSET, 0, errors)
    if "offset" in parameters and "nextToken" in parameters:
        errors.append(FieldError("offset", "send either offset or nextToken, not both"))
    chosen = _choices(parameters, errors, has_indexes=has_indexes)
    token = _token(parameters, errors, has_indexes=has_indexes)
    if token:
        errors += [
            FieldError(name, f"keep the {name} of the page before, or leave it out")
            for name, value in chosen.items()
            if token.kept.get(name) != value
        ]
        chosen = {**token.kept}
    else:
        errors += _contradictions(chosen, parameters)
    if errors:
        raise ValidationException(errors)
    sort = SortOrder(chosen.get("sort", _DEFAULT_SORT))
    return PageRequest(limit, sort, offset, token and token.cursor, _filters(chosen))


def parse_deleted_request(request: HttpRequest) -> PageRequest:
    """Return the page of deleted products that the query asks for, newest first.

    Raises:
        ValidationException: with every error of the query.
    """
    errors: list[FieldError] = []
    parameters = _single_values(request, _DELETED_PARAMETERS, errors)
    limit = _whole_number(parameters, "limit", 1, MAX_LIMIT, DEFAULT_LIMIT, errors)
    token = _token(parameters, errors, has_indexes=False)
    if token and token.kept != {"sort": _DEFAULT_SORT}:
        errors.append(_INVALID_TOKEN)
    if errors:
        raise ValidationException(errors)
    return PageRequest(limit, _DEFAULT_SORT, 0, token and token.cursor, deleted=True)


def reject_query(request: HttpRequest) -> None:
    """Check that the request has no query parameter.

    Raises:
        ValidationException: it has one, such as a `version` that the response would not have.
    """
    if request.query:
        raise ValidationException(
            [FieldError(name, "is not a parameter; leave it out") for name in request.query]
        )


def next_token(cursor: Cursor, page_request: PageRequest) -> str:
    """Return the opaque token for the page after `cursor`.

    A token holds no key of the table. The server builds the start key from it, always in the
    partition of the list, so a forged token reaches nothing else.
    """
    filters = page_request.filters
    parts = [page_request.sort.value, cursor.position, cursor.product_id]
    if any(value is not None for value in filters):
        parts += ["" if value is None else str(value) for value in filters]
    return _encoded(parts)


def _encoded(parts: list[str]) -> str:
    text = "|".join(part.translate(_ESCAPED) for part in parts)
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _single_values(
    request: HttpRequest, known: tuple[str, ...], errors: list[FieldError]
) -> dict[str, str]:
    """Return the value of each parameter that is known and sent once."""
    parameters: dict[str, str] = {}
    for name, values in request.query.items():
        if name not in known:
            errors.append(FieldError(name, f"is not a parameter; use {', '.join(known)}"))
        elif len(values) != 1:
            errors.append(FieldError(name, "send it once"))
        else:
            parameters[name] = values[0]
    return parameters


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


def _choices(
    parameters: Mapping[str, str], errors: list[FieldError], *, has_indexes: bool
) -> dict[str, str]:
    """Return the sort and the filters of a query, each in its only form."""
    chosen: dict[str, str] = {}
    for name, (read, rule) in (_READERS if has_indexes else _READERS_WITHOUT_INDEXES).items():
        if name in parameters:
            value = read(parameters[name])
            if value is None:
                errors.append(FieldError(name, rule))
            else:
                chosen[name] = value
    return chosen


def _contradictions(chosen: Mapping[str, str], sent: Mapping[str, str]) -> list[FieldError]:
    """Return what is wrong with valid values together; `sent` has the invalid ones too."""
    errors: list[FieldError] = []
    by_price = SortOrder(chosen.get("sort", _DEFAULT_SORT)).field == "price"
    if (by_price or "minPrice" in chosen or "maxPrice" in chosen) and "currency" not in sent:
        errors.append(
            FieldError("currency", "is required with a price, since prices of one currency compare")
        )
    lowest, highest = _filters(chosen)[2:4]
    if lowest is not None and highest is not None and lowest > highest:
        errors.append(FieldError("minPrice", "send an amount that is not above maxPrice"))
    return errors


def _filters(chosen: Mapping[str, str]) -> Filters:
    return Filters(
        currency=chosen.get("currency"),
        period=chosen.get("period"),
        min_price=Decimal(chosen["minPrice"]) if "minPrice" in chosen else None,
        max_price=Decimal(chosen["maxPrice"]) if "maxPrice" in chosen else None,
        name=chosen.get("name"),
    )


def _token(
    parameters: Mapping[str, str], errors: list[FieldError], *, has_indexes: bool
) -> _Token | None:
    """Return the token of a query; None if there is none or it is invalid."""
    if "nextToken" not in parameters:
        return None
    token = _decoded(parameters["nextToken"], has_indexes=has_indexes)
    if token is None:
        errors.append(_INVALID_TOKEN)
    return token


def _decoded(text: str, *, has_indexes: bool) -> _Token | None:
    try:
        # Decoding is lenient, since the comparison below accepts one form only.
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_")
        parts = [unquote(part) for part in raw.decode().split("|")]
        sort, position, product_id, *filters = parts
    except ValueError:
        return None
    if filters and (len(filters) != len(_FILTERS) or not any(filters)):
        return None
    values = zip(("sort", *_FILTERS), (sort, *filters), strict=False)
    sent = {name: value for name, value in values if value}
    errors: list[FieldError] = []
    kept = _choices(sent, errors, has_indexes=has_indexes)
    # A token has one form, so whatever differs from it in one character is forged or damaged.
    if errors or kept != sent or "sort" not in kept or _encoded(parts) != text:
        return None
    if _contradictions(kept, kept) or not is_product_id(product_id):
        return None
    if not _is_reachable(position, kept):
        return None
    return _Token(kept, Cursor(position, product_id))


def _is_reachable(position: str, kept: Mapping[str, str]) -> bool:
    """Return whether a list with these choices can have the position.

    DynamoDB rejects a start key outside of the condition of a query.
    """
    sort, filters = SortOrder(kept["sort"]), _filters(kept)
    if not sort.has_position(position):
        return False
    match sort.field:
        case "price":
            prices = Filters(min_price=filters.min_price, max_price=filters.max_price)
            return prices.match({"price": Decimal(position)})
        case "name":
            return position.startswith(name_key(filters.name or ""))
    return True


def _read_amount(text: str) -> str | None:
    return str(plain_decimal(Decimal(text))) if _AMOUNT.fullmatch(text) else None


def _read_name(text: str) -> str | None:
    name = text.strip()
    return name if 0 < len(name) <= MAX_LINE and not _NO_NAME.search(name) else None


def _read_one_of(allowed: frozenset[str], text: str) -> str | None:
    return text if text in allowed else None


def _nothing(_text: str) -> None:
    return None


_AMOUNT_RULE: Final = "send an amount from 0 to 99999999.99 with at most 2 decimals"
_ORDERS_WITHOUT_INDEXES: Final = (SortOrder.NEWEST_FIRST, SortOrder.OLDEST_FIRST)
_READERS: Final[Mapping[str, _Reader]] = {
    "sort": (partial(_read_one_of, frozenset(SortOrder)), f"send {', '.join(SortOrder)}"),
    "currency": (
        partial(_read_one_of, CURRENCIES),
        "send an ISO 4217 currency code in upper case, such as ZAR",
    ),
    "period": (partial(_read_one_of, PERIODS), "send monthly, yearly or once-off"),
    "minPrice": (_read_amount, _AMOUNT_RULE),
    "maxPrice": (_read_amount, _AMOUNT_RULE),
    "name": (_read_name, f"send the first 1 to {MAX_LINE} characters of a name"),
}
_READERS_WITHOUT_INDEXES: Final[Mapping[str, _Reader]] = {
    **_READERS,
    "sort": (
        partial(_read_one_of, frozenset(_ORDERS_WITHOUT_INDEXES)),
        f"send {' or '.join(_ORDERS_WITHOUT_INDEXES)}; sorting by price or name is off here",
    ),
    "name": (_nothing, "leave it out; searching by name is off here"),
}
