"""The page that a query asks for, and the token of the next page."""

import base64
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from product_lambda.exceptions import ValidationException
from product_lambda.models.product import Cursor, PageRequest, SortOrder, is_product_id
from product_lambda.validators.query import next_token, parse_page_request
from tests.support.events import errors_found_by, http_request
from tests.support.products import CREATED_AT

PARAMETERS = "limit, offset, nextToken, sort"
LIMIT = ("limit", "send a whole number from 1 to 100")
OFFSET = ("offset", "send a whole number from 0 to 1000")
BOTH = ("offset", "send either offset or nextToken, not both")
SORT = ("sort", "send -createdAt or createdAt")
TOKEN = ("nextToken", "send the nextToken of the page before, unchanged, or none")
OTHER_SORT = ("sort", "keep the sort of the page before")
PLACE = Cursor(CREATED_AT, "PROD-001")


def parse_query(**query: str) -> PageRequest:
    return parse({name: (value,) for name, value in query.items()})


def parse(query: Mapping[str, tuple[str, ...]]) -> PageRequest:
    return parse_page_request(http_request(query=query))


def errors_of(query: Mapping[str, tuple[str, ...]]) -> list[tuple[str, str]]:
    with pytest.raises(ValidationException) as raised:
        parse(query)
    return [(error.field, error.message) for error in raised.value.errors]


def token_of(place: str) -> str:
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def test_empty_query_is_first_50_newest() -> None:
    assert parse({}) == PageRequest(50, SortOrder.NEWEST_FIRST, 0, None)


@pytest.mark.parametrize("limit", ["1", "2", "99", "100", "007", "000100"])
def test_limit_from_1_to_100_is_accepted(limit: str) -> None:
    assert parse_query(limit=limit).limit == int(limit)


@pytest.mark.parametrize("offset", ["0", "1", "999", "1000", "0007"])
def test_offset_from_0_to_1000_is_accepted(offset: str) -> None:
    assert parse_query(offset=offset).offset == int(offset)


NO_NUMBERS = [
    "",
    "-1",
    "+1",
    "1.0",
    "1e1",
    " 1",
    "1 ",
    "1\n",
    "one",
    "٣",
    "²",
    "0x1",
    "1_0",
    "9" * 7,
]


@pytest.mark.parametrize("wrong", ["0", "101", "999999", *NO_NUMBERS])
def test_other_limit_is_rejected(wrong: str) -> None:
    assert errors_of({"limit": (wrong,)}) == [LIMIT]


@pytest.mark.parametrize("wrong", ["1001", "999999", *NO_NUMBERS])
def test_other_offset_is_rejected(wrong: str) -> None:
    assert errors_of({"offset": (wrong,)}) == [OFFSET]


@pytest.mark.parametrize("sort", list(SortOrder))
def test_both_sort_orders_are_accepted(sort: SortOrder) -> None:
    assert parse_query(sort=sort.value).sort is sort


def test_sort_orders_have_api_names() -> None:
    assert [order.value for order in SortOrder] == ["-createdAt", "createdAt"]


@pytest.mark.parametrize("wrong", ["", "name", "+createdAt", "CREATEDAT", " createdAt"])
def test_unknown_sort_order_is_rejected(wrong: str) -> None:
    assert errors_of({"sort": (wrong,)}) == [SORT]


def test_unknown_parameter_is_rejected_by_name() -> None:
    assert errors_of({"page": ("1",), "Limit": ("1",)}) == [
        ("page", f"is not a parameter; use {PARAMETERS}"),
        ("Limit", f"is not a parameter; use {PARAMETERS}"),
    ]


@pytest.mark.parametrize("name", ["limit", "offset", "sort", "nextToken"])
@pytest.mark.parametrize("values", [("1", "1"), ("1", "2", "3"), ()])
def test_repeated_parameter_is_rejected(name: str, values: tuple[str, ...]) -> None:
    assert errors_of({name: values}) == [(name, "send it once")]


def test_all_query_errors_are_reported_at_once() -> None:
    query = {"limit": "0", "offset": "-1", "sort": "x", "nextToken": "x", "page": "1"}
    assert errors_of({name: (value,) for name, value in query.items()}) == [
        ("page", f"is not a parameter; use {PARAMETERS}"),
        LIMIT,
        OFFSET,
        BOTH,
        SORT,
        TOKEN,
    ]


def test_token_with_offset_is_rejected() -> None:
    token = next_token(PLACE, SortOrder.NEWEST_FIRST)
    assert errors_of({"offset": ("0",), "nextToken": (token,)}) == [BOTH]


@pytest.mark.parametrize("sort", list(SortOrder))
def test_token_includes_its_sort_order(sort: SortOrder) -> None:
    token = next_token(PLACE, sort)
    assert parse_query(nextToken=token) == PageRequest(50, sort, 0, PLACE)
    assert parse_query(nextToken=token, sort=sort.value, limit="7") == PageRequest(
        7, sort, 0, PLACE
    )


def test_token_with_other_sort_order_is_rejected() -> None:
    token = next_token(PLACE, SortOrder.OLDEST_FIRST)
    assert errors_of({"nextToken": (token,), "sort": ("-createdAt",)}) == [OTHER_SORT]
    token = next_token(PLACE, SortOrder.NEWEST_FIRST)
    assert errors_of({"nextToken": (token,), "sort": ("createdAt",)}) == [OTHER_SORT]


@pytest.mark.parametrize(
    "forged",
    [
        "",
        "%",
        "a",
        "AAAA",
        "é",
        token_of("createdAt"),
        token_of("createdAt|x"),
        token_of(f"createdAt|{CREATED_AT}|PROD-1|x"),
        token_of(f"name|{CREATED_AT}|PROD-1"),
        token_of(f"|{CREATED_AT}|PROD-1"),
        token_of(f"createdAt|{CREATED_AT}|COUNTER#PRODUCT"),
        token_of(f"createdAt|{CREATED_AT}|PROD-1\n"),
        token_of(f"createdAt|{CREATED_AT}|prod-1"),
        token_of(f"createdAt|{CREATED_AT} |PROD-1"),
        token_of("createdAt|2026-01-31T09:30:00Z|PROD-1"),
        token_of("createdAt|2026-01-31 09:30:00.123456Z|PROD-1"),
        token_of("createdAt|٢٠٢٦-01-31T09:30:00.123456Z|PROD-1"),
        token_of("createdAt||PROD-1"),
        next_token(PLACE, SortOrder.OLDEST_FIRST) + "AAAA",
        next_token(PLACE, SortOrder.OLDEST_FIRST)[:-1],
        " " + next_token(PLACE, SortOrder.OLDEST_FIRST),
        next_token(PLACE, SortOrder.OLDEST_FIRST) + "!!!!",
    ],
)
def test_forged_token_is_rejected(forged: str) -> None:
    assert errors_of({"nextToken": (forged,)}) == [TOKEN]


def test_forged_token_does_not_hide_invalid_sort() -> None:
    assert errors_of({"nextToken": ("x",), "sort": ("x",)}) == [SORT, TOKEN]


MOMENTS = st.datetimes().map(lambda moment: moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ").zfill(27))
PRODUCT_IDS = st.from_regex(r"PROD-[A-Z0-9]([A-Z0-9-]{0,30}[A-Z0-9])?", fullmatch=True)


@given(MOMENTS, PRODUCT_IDS, st.sampled_from(SortOrder))
def test_token_returns_its_cursor(created_at: str, product_id: str, sort: SortOrder) -> None:
    place = Cursor(created_at, product_id)
    token = next_token(place, sort)
    assert parse_query(nextToken=token) == PageRequest(50, sort, 0, place)
    assert token.replace("-", "").replace("_", "").isalnum()


def test_token_with_any_last_character_returns_its_cursor() -> None:
    place = Cursor(CREATED_AT, "PROD-W")  # its base64 ends with X
    assert parse_query(nextToken=next_token(place, SortOrder.NEWEST_FIRST)).cursor == place


@given(st.text() | st.text("createdAt-|PROD0123456789:TZ.").map(token_of))
def test_any_accepted_token_names_a_valid_cursor(token: str) -> None:
    errors = errors_found_by(lambda: parse_query(nextToken=token))
    if errors is None:
        place = parse_query(nextToken=token).cursor
        assert place is not None
        assert is_product_id(place.product_id)
    else:
        assert list(errors) == [TOKEN]


@given(
    st.dictionaries(
        st.sampled_from(["limit", "offset", "sort", "nextToken"]) | st.text(),
        st.lists(st.text() | st.integers().map(str), max_size=2).map(tuple),
    )
)
def test_any_query_is_accepted_or_rejected_with_reasons(query: dict[str, tuple[str, ...]]) -> None:
    errors = errors_found_by(lambda: parse(query))
    if errors is None:
        page_request = parse(query)
        assert 1 <= page_request.limit <= 100
        assert 0 <= page_request.offset <= 1000
    else:
        assert errors
