"""The page that a query asks for, and the token of the next page."""

import base64
from collections.abc import Mapping
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from product_lambda.exceptions import FieldError, ValidationException
from product_lambda.models.product import (
    NO_FILTERS,
    Cursor,
    Filters,
    PageRequest,
    SortOrder,
    is_product_id,
    name_key,
    plain_decimal,
)
from product_lambda.validators.query import (
    next_token,
    parse_deleted_request,
    parse_page_request,
    reject_query,
)
from tests.support.events import errors_found_by, http_request
from tests.support.products import CREATED_AT

PARAMETERS = "limit, offset, nextToken, sort, currency, period, minPrice, maxPrice, name"
LIMIT = ("limit", "send a whole number from 1 to 100")
OFFSET = ("offset", "send a whole number from 0 to 1000")
BOTH = ("offset", "send either offset or nextToken, not both")
SORT = ("sort", "send -createdAt, createdAt, price, -price, name, -name")
TOKEN = ("nextToken", "send the nextToken of the page before, unchanged, or none")
OTHER_SORT = ("sort", "keep the sort of the page before, or leave it out")
PLACE = Cursor(CREATED_AT, "PROD-001")


def parse_query(**query: str) -> PageRequest:
    return parse({name: (value,) for name, value in query.items()})


def parse(query: Mapping[str, tuple[str, ...]]) -> PageRequest:
    return parse_page_request(http_request(query=query), has_indexes=True)


def errors_of(query: Mapping[str, tuple[str, ...]]) -> list[tuple[str, str]]:
    with pytest.raises(ValidationException) as raised:
        parse(query)
    return [(error.field, error.message) for error in raised.value.errors]


def token_of(place: str) -> str:
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def token_at(
    place: Cursor, sort: SortOrder = SortOrder.NEWEST_FIRST, filters: Filters = NO_FILTERS
) -> str:
    return next_token(place, PageRequest(50, sort, 0, None, filters))


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
def test_sort_orders_are_accepted(sort: SortOrder) -> None:
    assert parse_query(sort=sort.value, currency="ZAR").sort is sort


def test_sort_orders_have_api_names() -> None:
    assert [(order.value, order.field, order.is_ascending) for order in SortOrder] == [
        ("-createdAt", "createdAt", False),
        ("createdAt", "createdAt", True),
        ("price", "price", True),
        ("-price", "price", False),
        ("name", "name", True),
        ("-name", "name", False),
    ]


@pytest.mark.parametrize("wrong", ["", "Name", "+createdAt", "CREATEDAT", " createdAt"])
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
    token = token_at(PLACE)
    assert errors_of({"offset": ("0",), "nextToken": (token,)}) == [BOTH]


BY_CREATION = [SortOrder.NEWEST_FIRST, SortOrder.OLDEST_FIRST]


@pytest.mark.parametrize("sort", BY_CREATION)
def test_token_includes_its_sort_order(sort: SortOrder) -> None:
    token = token_at(PLACE, sort=sort)
    assert parse_query(nextToken=token) == PageRequest(50, sort, 0, PLACE)
    assert parse_query(nextToken=token, sort=sort.value, limit="7") == PageRequest(
        7, sort, 0, PLACE
    )


def test_token_with_other_sort_order_is_rejected() -> None:
    token = token_at(PLACE, sort=SortOrder.OLDEST_FIRST)
    assert errors_of({"nextToken": (token,), "sort": ("-createdAt",)}) == [OTHER_SORT]
    token = token_at(PLACE)
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
        token_of(f"names|{CREATED_AT}|PROD-1"),
        token_of(f"|{CREATED_AT}|PROD-1"),
        token_of(f"createdAt|{CREATED_AT}|COUNTER#PRODUCT"),
        token_of(f"createdAt|{CREATED_AT}|PROD-1\n"),
        token_of(f"createdAt|{CREATED_AT}|prod-1"),
        token_of(f"createdAt|{CREATED_AT} |PROD-1"),
        token_of("createdAt|2026-01-31T09:30:00Z|PROD-1"),
        token_of("createdAt|2026-01-31 09:30:00.123456Z|PROD-1"),
        token_of("createdAt|٢٠٢٦-01-31T09:30:00.123456Z|PROD-1"),
        token_of("createdAt||PROD-1"),
        token_at(PLACE, sort=SortOrder.OLDEST_FIRST) + "AAAA",
        token_at(PLACE, sort=SortOrder.OLDEST_FIRST)[:-1],
        " " + token_at(PLACE, sort=SortOrder.OLDEST_FIRST),
        token_at(PLACE, sort=SortOrder.OLDEST_FIRST) + "!!!!",
    ],
)
def test_forged_token_is_rejected(forged: str) -> None:
    assert errors_of({"nextToken": (forged,)}) == [TOKEN]


def test_forged_token_does_not_hide_invalid_sort() -> None:
    assert errors_of({"nextToken": ("x",), "sort": ("x",)}) == [SORT, TOKEN]


MOMENTS = st.datetimes().map(lambda moment: moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ").zfill(27))
PRODUCT_IDS = st.from_regex(r"PROD-[A-Z0-9]([A-Z0-9-]{0,30}[A-Z0-9])?", fullmatch=True)


@given(MOMENTS, PRODUCT_IDS, st.sampled_from(BY_CREATION))
def test_token_returns_its_cursor(created_at: str, product_id: str, sort: SortOrder) -> None:
    place = Cursor(created_at, product_id)
    token = token_at(place, sort=sort)
    assert parse_query(nextToken=token) == PageRequest(50, sort, 0, place)
    assert token.replace("-", "").replace("_", "").isalnum()


def test_token_with_any_last_character_returns_its_cursor() -> None:
    place = Cursor(CREATED_AT, "PROD-W")  # its base64 ends with X
    assert parse_query(nextToken=token_at(place)).cursor == place


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


# Filters, and tokens with filters

CURRENCY = ("currency", "send an ISO 4217 currency code in upper case, such as ZAR")
NO_CURRENCY = ("currency", "is required with a price, since prices of one currency compare")
PERIOD = ("period", "send monthly, yearly or once-off")
AMOUNT = "send an amount from 0 to 99999999.99 with at most 2 decimals"
NAME = ("name", "send the first 1 to 200 characters of a name")


def one(**query: str) -> dict[str, tuple[str, ...]]:
    return {name: (value,) for name, value in query.items()}


def test_filters_are_parsed_exactly() -> None:
    query = {"currency": "ZAR", "period": "yearly", "minPrice": "0.10", "maxPrice": "0099.9"}
    assert parse_query(**query, name=" Ba ").filters == Filters(
        "ZAR", "yearly", Decimal("0.1"), Decimal("99.9"), "Ba"
    )


@pytest.mark.parametrize("wrong", ["", "1.001", "-1", "+1", "1e3", "NaN", "123456789", "٣", "1\n"])
@pytest.mark.parametrize("name", ["minPrice", "maxPrice"])
def test_other_amount_is_rejected(name: str, wrong: str) -> None:
    assert errors_of(one(currency="ZAR", **{name: wrong})) == [(name, AMOUNT)]


def test_name_of_200_characters_is_accepted() -> None:
    assert parse_query(name="x" * 200).filters.name == "x" * 200


@pytest.mark.parametrize("wrong", ["", " ", "x" * 201, "a\x00", "\x7f", "\x85", "\ud800"])
def test_other_name_is_rejected(wrong: str) -> None:
    assert errors_of(one(name=wrong)) == [NAME]


def test_price_needs_currency() -> None:
    for query in ({"minPrice": "1"}, {"maxPrice": "1"}, {"sort": "price"}, {"sort": "-price"}):
        assert errors_of(one(**query)) == [NO_CURRENCY]
        assert errors_of(one(**query, currency="zar")) == [CURRENCY]
        assert parse_query(**query, currency="EUR").filters.currency == "EUR"


def test_equal_price_limits_are_valid_reversed_ones_invalid() -> None:
    query = {"currency": "ZAR", "maxPrice": "2"}
    assert parse_query(**query, minPrice="2.00").filters.min_price == 2
    assert errors_of(one(**query, minPrice="2.01")) == [
        ("minPrice", "send an amount that is not above maxPrice")
    ]


def test_all_errors_of_filters_are_reported_at_once() -> None:
    query = one(currency="", period="x", minPrice="x", maxPrice="y", name="", sort="x")
    assert errors_of(query) == [
        SORT,
        CURRENCY,
        PERIOD,
        ("minPrice", AMOUNT),
        ("maxPrice", AMOUNT),
        NAME,
    ]


@pytest.mark.parametrize("sort", ["price", "-price", "name", "-name"])
def test_orders_without_indexes_are_rejected_with_reason(sort: str) -> None:
    with pytest.raises(ValidationException) as raised:
        parse_page_request(http_request(query=one(sort=sort, name="a")), has_indexes=False)
    assert raised.value.errors == (
        ("sort", "send -createdAt or createdAt; sorting by price or name is off here"),
        ("name", "leave it out; searching by name is off here"),
    )


def test_other_filters_need_no_indexes() -> None:
    query = one(currency="ZAR", period="yearly", minPrice="1", maxPrice="2", sort="createdAt")
    found = parse_page_request(http_request(query=query), has_indexes=False)
    assert found.filters == Filters("ZAR", "yearly", Decimal(1), Decimal(2))


def test_token_of_an_order_without_index_is_rejected() -> None:
    token = token_at(Cursor("basic", "PROD-1"), SortOrder.BY_NAME)
    with pytest.raises(ValidationException) as raised:
        parse_page_request(http_request(query=one(nextToken=token)), has_indexes=False)
    assert raised.value.errors == (TOKEN,)


TEXTS = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=200
).filter(lambda text: text.strip() == text)
PRICES = st.integers(0, 9_999_999_999).map(lambda cents: plain_decimal(Decimal(cents).scaleb(-2)))


@st.composite
def requests_for_pages(draw: st.DrawFn) -> PageRequest:
    """Any valid request after a cursor that its list can have."""
    sort = draw(st.sampled_from(SortOrder))
    lowest, price, highest = sorted(draw(st.tuples(PRICES, PRICES, PRICES)))
    name, rest = draw(TEXTS), draw(TEXTS)
    filters = Filters(
        "ZAR",
        draw(st.sampled_from([None, "yearly"])),
        draw(st.sampled_from([None, lowest])),
        draw(st.sampled_from([None, highest])),
        draw(st.sampled_from([None, name])),
    )
    key = name_key(name)
    position = {
        "createdAt": draw(MOMENTS),
        "price": str(price),
        "name": (
            key if draw(st.booleans()) else (key + rest).encode()[:1024].decode(errors="ignore")
        ),
    }[sort.field]
    return PageRequest(50, sort, 0, Cursor(position, draw(PRODUCT_IDS)), filters)


@given(requests_for_pages())
def test_token_returns_its_list_and_position(page_request: PageRequest) -> None:
    assert page_request.cursor
    token = next_token(page_request.cursor, page_request)
    assert parse_query(nextToken=token) == page_request
    assert len(token) <= 3072
    for sort in SortOrder:
        if sort is not page_request.sort:
            assert errors_of(one(nextToken=token, sort=sort.value)) == [OTHER_SORT]


@given(requests_for_pages(), st.integers(0, 3000), st.characters(codec="ascii"))
def test_token_with_another_character_is_other_or_rejected(
    page_request: PageRequest, place: int, character: str
) -> None:
    assert page_request.cursor
    token = next_token(page_request.cursor, page_request)
    place %= len(token)
    damaged = token[:place] + character + token[place + 1 :]
    errors = errors_found_by(lambda: parse_query(nextToken=damaged))
    if errors is None:
        found = parse_query(nextToken=damaged)
        assert found.cursor
        assert next_token(found.cursor, found) == damaged
        assert found.deleted is False
    else:
        assert list(errors) == [TOKEN]


BY_PRICE = Filters("ZAR", None, Decimal(2), Decimal(3))


@pytest.mark.parametrize(
    ("sort", "filters", "position"),
    [
        (SortOrder.CHEAPEST_FIRST, BY_PRICE, "1.99"),
        (SortOrder.CHEAPEST_FIRST, BY_PRICE, "3.01"),
        (SortOrder.CHEAPEST_FIRST, BY_PRICE, "2.50"),
        (SortOrder.CHEAPEST_FIRST, BY_PRICE, "2.505"),
        (SortOrder.CHEAPEST_FIRST, BY_PRICE, "02"),
        (SortOrder.CHEAPEST_FIRST, BY_PRICE, "2026-01-31T09:30:00.123456Z"),
        (SortOrder.CHEAPEST_FIRST, NO_FILTERS, "2"),
        (SortOrder.BY_NAME, Filters(name="B"), "B"),
        (SortOrder.BY_NAME, Filters(name="B"), "ab"),
        (SortOrder.BY_NAME, NO_FILTERS, ""),
        (SortOrder.BY_NAME, NO_FILTERS, "x" * 1025),
        (SortOrder.NEWEST_FIRST, Filters("zar"), CREATED_AT),
        (SortOrder.NEWEST_FIRST, Filters("ZAR", "weekly"), CREATED_AT),
        (SortOrder.NEWEST_FIRST, Filters("ZAR", None, Decimal(3), Decimal(2)), CREATED_AT),
        (SortOrder.NEWEST_FIRST, Filters(None, None, Decimal(3)), CREATED_AT),
        (SortOrder.NEWEST_FIRST, Filters(name=" a"), CREATED_AT),
    ],
)
def test_forged_token_of_search_is_rejected(
    sort: SortOrder, filters: Filters, position: str
) -> None:
    """DynamoDB would reject a start key outside of the query's condition."""
    token = token_at(Cursor(position, "PROD-1"), sort, filters)
    assert errors_of(one(nextToken=token)) == [TOKEN]


@pytest.mark.parametrize(
    "forged",
    [
        f"-createdAt|{CREATED_AT}|PROD-1|||||",
        f"-createdAt|{CREATED_AT}|PROD-1|ZAR||||",
        f"-createdAt|{CREATED_AT}|PROD-1|ZAR|||||x",
        f"-createdAt|{CREATED_AT}|PROD-1|ZAR|||",
        f"-createdAt|{CREATED_AT}|PROD%2D1",
        "name|%41|PROD-1",
        "name|%FF|PROD-1",
    ],
)
def test_token_has_only_one_form(forged: str) -> None:
    errors = errors_found_by(lambda: parse_query(nextToken=token_of(forged)))
    is_canonical = forged.endswith("|ZAR||||")
    assert errors == (None if is_canonical else (TOKEN,))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("currency", "EUR"), ("period", "monthly"), ("minPrice", "1"), ("maxPrice", "9.1")),
        *(("name", "B"), ("sort", "price")),
    ],
)
def test_token_with_other_choice_is_rejected_by_name(name: str, value: str) -> None:
    filters = Filters("ZAR", "yearly", None, Decimal(9), "b")
    token = token_at(PLACE, SortOrder.NEWEST_FIRST, filters)
    same = one(nextToken=token, currency="ZAR", period="yearly", maxPrice="9.0", name=" b ")
    assert parse(same).filters == filters
    assert errors_of({**same, name: (value,)}) == [
        (name, f"keep the {name} of the page before, or leave it out")
    ]


# Deleted products


def parse_deleted(**query: str) -> PageRequest:
    return parse_deleted_request(http_request(query=one(**query)))


def test_deleted_products_are_paged_by_token() -> None:
    newest = SortOrder.NEWEST_FIRST
    assert parse_deleted() == PageRequest(50, newest, 0, None, deleted=True)
    expected = PageRequest(7, newest, 0, PLACE, deleted=True)
    assert parse_deleted(limit="7", nextToken=token_at(PLACE)) == expected


@pytest.mark.parametrize(
    "token",
    [
        "x",
        token_at(PLACE, SortOrder.OLDEST_FIRST),
        token_at(PLACE, filters=Filters("ZAR")),
        token_at(Cursor("a", "PROD-1"), SortOrder.BY_NAME),
    ],
)
def test_deleted_products_reject_other_tokens(token: str) -> None:
    with pytest.raises(ValidationException) as raised:
        parse_deleted(nextToken=token)
    assert raised.value.errors == (TOKEN,)


def test_deleted_products_report_all_errors_at_once() -> None:
    with pytest.raises(ValidationException) as raised:
        parse_deleted(limit="0", nextToken="x", sort="createdAt", offset="1")
    unknown = "is not a parameter; use limit, nextToken"
    assert raised.value.errors == (("sort", unknown), ("offset", unknown), LIMIT, TOKEN)


def test_every_parameter_of_a_read_by_id_is_rejected() -> None:
    request = http_request(query={"version": ("1",), "fields": ("name",)})
    with pytest.raises(ValidationException) as raised:
        reject_query(request)
    assert raised.value.errors == (
        FieldError("version", "is not a parameter; leave it out"),
        FieldError("fields", "is not a parameter; leave it out"),
    )
