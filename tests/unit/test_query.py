"""Which part of the list a query asks for, and the token that names the place of the next page."""

import base64
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from product_lambda.exceptions import ValidationException
from product_lambda.models.product import Cursor, PageRequest, SortOrder
from product_lambda.validators.path import is_product_id
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


def wanted_by(**query: str) -> PageRequest:
    return asked({name: (value,) for name, value in query.items()})


def asked(query: Mapping[str, tuple[str, ...]]) -> PageRequest:
    return parse_page_request(http_request(query=query))


def faults_of(query: Mapping[str, tuple[str, ...]]) -> list[tuple[str, str]]:
    with pytest.raises(ValidationException) as raised:
        asked(query)
    return [(error.field, error.message) for error in raised.value.errors]


def token_of(place: str) -> str:
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def test_nothing_asked_for_is_the_first_50_newest() -> None:
    assert asked({}) == PageRequest(50, SortOrder.NEWEST_FIRST, 0, None)


@pytest.mark.parametrize("limit", ["1", "2", "99", "100", "007", "000100"])
def test_a_limit_is_from_1_to_100(limit: str) -> None:
    assert wanted_by(limit=limit).limit == int(limit)


@pytest.mark.parametrize("offset", ["0", "1", "999", "1000", "0007"])
def test_an_offset_is_from_0_to_1000(offset: str) -> None:
    assert wanted_by(offset=offset).offset == int(offset)


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
def test_another_limit_is_refused(wrong: str) -> None:
    assert faults_of({"limit": (wrong,)}) == [LIMIT]


@pytest.mark.parametrize("wrong", ["1001", "999999", *NO_NUMBERS])
def test_another_offset_is_refused(wrong: str) -> None:
    assert faults_of({"offset": (wrong,)}) == [OFFSET]


@pytest.mark.parametrize("sort", list(SortOrder))
def test_a_list_has_two_orders(sort: SortOrder) -> None:
    assert wanted_by(sort=sort.value).sort is sort


def test_the_orders_have_the_names_of_the_api() -> None:
    assert [order.value for order in SortOrder] == ["-createdAt", "createdAt"]


@pytest.mark.parametrize("wrong", ["", "name", "+createdAt", "CREATEDAT", " createdAt"])
def test_another_order_is_refused(wrong: str) -> None:
    assert faults_of({"sort": (wrong,)}) == [SORT]


def test_a_parameter_that_is_none_is_refused_by_name() -> None:
    assert faults_of({"page": ("1",), "Limit": ("1",)}) == [
        ("page", f"is not a parameter; use {PARAMETERS}"),
        ("Limit", f"is not a parameter; use {PARAMETERS}"),
    ]


@pytest.mark.parametrize("name", ["limit", "offset", "sort", "nextToken"])
@pytest.mark.parametrize("values", [("1", "1"), ("1", "2", "3"), ()])
def test_a_parameter_is_sent_once(name: str, values: tuple[str, ...]) -> None:
    assert faults_of({name: values}) == [(name, "send it once")]


def test_every_fault_of_a_query_is_told_at_once() -> None:
    query = {"limit": "0", "offset": "-1", "sort": "x", "nextToken": "x", "page": "1"}
    assert faults_of({name: (value,) for name, value in query.items()}) == [
        ("page", f"is not a parameter; use {PARAMETERS}"),
        LIMIT,
        OFFSET,
        BOTH,
        SORT,
        TOKEN,
    ]


def test_a_token_and_an_offset_exclude_each_other() -> None:
    token = next_token(PLACE, SortOrder.NEWEST_FIRST)
    assert faults_of({"offset": ("0",), "nextToken": (token,)}) == [BOTH]


@pytest.mark.parametrize("sort", list(SortOrder))
def test_a_token_remembers_its_order(sort: SortOrder) -> None:
    token = next_token(PLACE, sort)
    assert wanted_by(nextToken=token) == PageRequest(50, sort, 0, PLACE)
    assert wanted_by(nextToken=token, sort=sort.value, limit="7") == PageRequest(7, sort, 0, PLACE)


def test_a_token_in_another_order_is_refused() -> None:
    token = next_token(PLACE, SortOrder.OLDEST_FIRST)
    assert faults_of({"nextToken": (token,), "sort": ("-createdAt",)}) == [OTHER_SORT]
    token = next_token(PLACE, SortOrder.NEWEST_FIRST)
    assert faults_of({"nextToken": (token,), "sort": ("createdAt",)}) == [OTHER_SORT]


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
def test_a_forged_token_is_refused(forged: str) -> None:
    assert faults_of({"nextToken": (forged,)}) == [TOKEN]


def test_a_forged_token_does_not_hide_a_wrong_order() -> None:
    assert faults_of({"nextToken": ("x",), "sort": ("x",)}) == [SORT, TOKEN]


MOMENTS = st.datetimes().map(lambda moment: moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ").zfill(27))
PRODUCT_IDS = st.from_regex(r"PROD-[A-Z0-9]([A-Z0-9-]{0,30}[A-Z0-9])?", fullmatch=True)


@given(MOMENTS, PRODUCT_IDS, st.sampled_from(SortOrder))
def test_a_token_leads_back_to_its_place(created_at: str, product_id: str, sort: SortOrder) -> None:
    place = Cursor(created_at, product_id)
    token = next_token(place, sort)
    assert wanted_by(nextToken=token) == PageRequest(50, sort, 0, place)
    assert token.replace("-", "").replace("_", "").isalnum()


def test_a_token_that_ends_in_any_letter_leads_back_to_its_place() -> None:
    place = Cursor(CREATED_AT, "PROD-W")  # W in the last place is an X in base64
    assert wanted_by(nextToken=next_token(place, SortOrder.NEWEST_FIRST)).cursor == place


@given(st.text() | st.text("createdAt-|PROD0123456789:TZ.").map(token_of))
def test_whatever_a_token_says_it_names_a_place_among_products(token: str) -> None:
    faults = errors_found_by(lambda: wanted_by(nextToken=token))
    if faults is None:
        place = wanted_by(nextToken=token).cursor
        assert place is not None
        assert is_product_id(place.product_id)
    else:
        assert list(faults) == [TOKEN]


@given(
    st.dictionaries(
        st.sampled_from(["limit", "offset", "sort", "nextToken"]) | st.text(),
        st.lists(st.text() | st.integers().map(str), max_size=2).map(tuple),
    )
)
def test_any_query_is_taken_or_refused_with_reasons(query: dict[str, tuple[str, ...]]) -> None:
    faults = errors_found_by(lambda: asked(query))
    if faults is None:
        wanted = asked(query)
        assert 1 <= wanted.limit <= 100
        assert 0 <= wanted.offset <= 1000
    else:
        assert faults
