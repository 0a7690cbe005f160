"""What bodies of writes are taken, and what a client is told of those that are not."""

from decimal import Decimal
from typing import Any

import pytest
import simplejson
from hypothesis import example, given
from hypothesis import strategies as st

from product_lambda.exceptions import PayloadTooLargeException, ValidationException
from product_lambda.models.product import ProductDraft
from product_lambda.models.requests import CreateProductRequest, UpdateProductRequest
from product_lambda.validators.body import parse_body
from tests.support.events import as_json, errors_found_by, http_request
from tests.support.factory import product_body, product_body_without
from tests.support.products import amounts, lines, periods

LINE = "send text of 1 to 200 characters without control characters"
DESCRIPTION = (
    "send text of 1 to 4000 characters without control characters other than newline and tab"
)
PRICE = "send a number above 0, at most 99999999.99, with at most 2 decimals"
SETUP_FEE = "send a number from 0 to 99999999.99 with at most 2 decimals, or null for no set-up fee"
CURRENCY = "send an ISO 4217 currency code in upper case, such as ZAR"
PERIOD = "send monthly, yearly or once-off"
FEATURES = "send a list of 1 to 50 texts, each of 1 to 200 characters"
PRODUCT_ID = (
    "send PROD- and up to 32 upper-case letters, digits and inner hyphens, such as PROD-001"
)
UNKNOWN = "is not a field of a product; leave it out"
SET_BY_US = "is set by the service; leave it out"
NOT_JSON = [("body", "send one JSON object in UTF-8 (RFC 8259)")]
NO_OBJECT = [("body", "send a JSON object")]
ONCE = "send it once"
NO_MEMBER = [
    ("body", "send at least one of name, description, price, setupFee, currency, period, features")
]


def raw(body: object) -> bytes:
    if isinstance(body, bytes):
        return body
    return (body if isinstance(body, str) else as_json(body)).encode("utf-8", "surrogatepass")


def draft_of(body: object) -> ProductDraft:
    return parse_body(http_request(body=raw(body)), CreateProductRequest).draft()


def changes_of(body: object) -> dict[str, Any]:
    return parse_body(http_request(body=raw(body)), UpdateProductRequest).changes()


def faults_of_create(body: object) -> list[tuple[str, str]]:
    with pytest.raises(ValidationException) as raised:
        draft_of(body)
    return [(error.field, error.message) for error in raised.value.errors]


def faults_of_update(body: object) -> list[tuple[str, str]]:
    with pytest.raises(ValidationException) as raised:
        changes_of(body)
    return [(error.field, error.message) for error in raised.value.errors]


# Bodies of creations


def test_a_whole_body_becomes_a_draft() -> None:
    whole = {
        "productId": "PROD-X",
        "name": "Basic",
        "description": "One site.",
        "price": Decimal("19.90"),
        "setupFee": 1500,
        "currency": "USD",
        "period": "once-off",
        "features": ["One", "Two"],
    }
    draft = draft_of(whole)
    assert draft == ProductDraft(
        name="Basic",
        description="One site.",
        price=Decimal("19.9"),
        setup_fee=Decimal(1500),
        currency="USD",
        period="once-off",
        features=("One", "Two"),
        product_id="PROD-X",
    )
    assert str(draft.price) == "19.9"


def test_what_is_left_out_has_its_default() -> None:
    draft = draft_of(product_body())
    assert (draft.product_id, draft.setup_fee, draft.currency) == (None, None, "ZAR")


def test_a_setup_fee_of_null_is_none() -> None:
    assert draft_of(product_body(setupFee=None)).setup_fee is None


def test_every_missing_member_is_named_with_its_rule() -> None:
    assert faults_of_create({}) == [
        (name, f"is required; {rule}")
        for name, rule in [
            ("name", LINE),
            ("description", DESCRIPTION),
            ("price", PRICE),
            ("period", PERIOD),
            ("features", FEATURES),
        ]
    ]


@pytest.mark.parametrize("name", ["name", "description", "price", "period", "features"])
def test_a_required_member_is_required(name: str) -> None:
    assert [field for field, _ in faults_of_create(product_body_without(name))] == [name]


def test_every_fault_is_told_at_once() -> None:
    faults = faults_of_create(
        {
            "productId": "prod-1",
            "name": "",
            "description": "\a",
            "price": 0,
            "setupFee": -1,
            "currency": "zar",
            "period": "weekly",
            "features": ["", "fine", 3],
            "colour": "red",
            "active": True,
        }
    )
    assert faults == [
        ("productId", PRODUCT_ID),
        ("name", LINE),
        ("description", DESCRIPTION),
        ("price", PRICE),
        ("setupFee", SETUP_FEE),
        ("currency", CURRENCY),
        ("period", PERIOD),
        ("features[0]", LINE),
        ("features[2]", LINE),
        ("colour", UNKNOWN),
        ("active", SET_BY_US),
    ]


@pytest.mark.parametrize("name", ["active", "version", "createdAt", "updatedAt"])
def test_what_the_service_sets_is_refused_as_such(name: str) -> None:
    assert faults_of_create(product_body(**{name: 1})) == [(name, SET_BY_US)]
    assert faults_of_update({"name": "New", name: 1}) == [(name, SET_BY_US)]


def test_the_id_cannot_be_changed() -> None:
    assert faults_of_update({"name": "New", "productId": "PROD-1"}) == [("productId", SET_BY_US)]


@pytest.mark.parametrize("name", ["updatedBy", "PK", "product_id", "setup_fee", "Name", "", "body"])
def test_a_member_that_no_product_has_is_refused(name: str) -> None:
    assert faults_of_create(product_body(**{name: "x"})) == [(name, UNKNOWN)]


@pytest.mark.parametrize(
    "taken", ["PROD-1", "PROD-001", "PROD-A", "PROD-" + "A" * 32, "PROD-A--B", "PROD-0-9"]
)
def test_a_product_id_of_the_right_form_is_taken(taken: str) -> None:
    assert draft_of(product_body(productId=taken)).product_id == taken


@pytest.mark.parametrize(
    "rejected",
    [
        "",
        "PROD-",
        "PROD--A",
        "PROD-A-",
        "PROD-a",
        "prod-1",
        "PROD-" + "A" * 33,
        "PROD-1\n",
        " PROD-1",
        "PROD-É",
        "PROD-\u0661",
        1,
        None,
        True,
        ["PROD-1"],
    ],
)
def test_another_product_id_is_refused(rejected: object) -> None:
    assert faults_of_create(product_body(productId=rejected)) == [("productId", PRODUCT_ID)]


# Text


@pytest.mark.parametrize(("member", "longest"), [("name", 200), ("description", 4000)])
def test_text_is_trimmed_before_it_is_measured(member: str, longest: int) -> None:
    text = "\U0001f680" * longest
    draft = draft_of(product_body(**{member: f" \t\n{text}\u2003 "}))
    assert getattr(draft, member) == text
    for wrong in (text + "x", " \n\t ", ""):
        assert [field for field, _ in faults_of_create(product_body(**{member: wrong}))] == [member]


def test_features_are_trimmed_and_measured_each() -> None:
    assert draft_of(product_body(features=[" a ", "b" * 200])).features == ("a", "b" * 200)
    wrong = faults_of_create(product_body(features=["b" * 201, "a", "  ", None, "c\n\bd"]))
    assert wrong == [(f"features[{place}]", LINE) for place in (0, 2, 3, 4)]


def test_there_are_1_to_50_features() -> None:
    assert draft_of(product_body(features=["a"] * 50)).features == ("a",) * 50
    for wrong in ([], ["a"] * 51, "a", {"a": 1}, None):
        assert faults_of_create(product_body(features=wrong)) == [("features", FEATURES)]


CONTROLS = [chr(code) for code in (*range(0x20), *range(0x7F, 0xA0))]


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: f"{ord(control):#04x}")
def test_control_characters_inside_text_are_refused(control: str) -> None:
    text = f"a{control}b"
    assert faults_of_create(product_body(name=text)) == [("name", LINE)]
    assert faults_of_create(product_body(features=[text])) == [("features[0]", LINE)]
    if control in "\n\t":
        assert draft_of(product_body(description=text)).description == text
    else:
        assert faults_of_create(product_body(description=text)) == [("description", DESCRIPTION)]


@pytest.mark.parametrize("member", ["name", "description", "currency", "period"])
@pytest.mark.parametrize("wrong", [1, Decimal("1.5"), True, None, ["a"], {"a": "b"}])
def test_nothing_else_is_taken_for_text(member: str, wrong: object) -> None:
    assert [field for field, _ in faults_of_create(product_body(**{member: wrong}))] == [member]


@pytest.mark.parametrize("wrong", ["zar", "ZA", "ZARR", "XXX", "XAU", "", " ZAR"])
def test_a_currency_is_a_code_of_money_in_use(wrong: str) -> None:
    assert faults_of_create(product_body(currency=wrong)) == [("currency", CURRENCY)]


@pytest.mark.parametrize("currency", ["ZAR", "USD", "EUR", "JPY", "AED", "ZWG"])
def test_currencies_in_use_are_taken(currency: str) -> None:
    assert draft_of(product_body(currency=currency)).currency == currency


@pytest.mark.parametrize("wrong", ["Monthly", "weekly", "", "once_off", " yearly"])
def test_another_period_is_refused(wrong: str) -> None:
    assert faults_of_create(product_body(period=wrong)) == [("period", PERIOD)]


# Money


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("0.01", "0.01"),
        ("99999999.99", "99999999.99"),
        ("95", "95"),
        ("95.0", "95"),
        ("19.90", "19.9"),
        ("19.990000", "19.99"),
        ("1000", "1000"),
        ("1E+3", "1000"),
        ("1e3", "1000"),
        ("1999e-2", "19.99"),
        ("9999999999E-2", "99999999.99"),
        ("100000000e-1", "10000000"),
    ],
)
def test_an_amount_keeps_its_value_in_its_shortest_form(sent: str, kept: str) -> None:
    body = as_json(product_body()).replace("1000", f'{sent}, "setupFee": {sent}')
    draft = draft_of(body)
    assert (str(draft.price), str(draft.setup_fee)) == (kept, kept)


@pytest.mark.parametrize(
    "wrong",
    [
        "100000000",
        "99999999.991",
        "99999999.999",
        "0.001",
        "0.011",
        "19.999",
        "1e9",
        "1e-3",
        "1e300",
        "1e999999",
        "-1e999999",
        "1e-999999",
        "9" * 400,
        "-0.01",
        "-1",
        "-99999999.99",
        "true",
        "false",
        '"19.99"',
        "[1]",
        "{}",
        '""',
    ],
)
def test_another_amount_is_refused(wrong: str) -> None:
    body = as_json(product_body()).replace("1000", f'{wrong}, "setupFee": {wrong}')
    assert faults_of_create(body) == [("price", PRICE), ("setupFee", SETUP_FEE)]


@pytest.mark.parametrize("zero", ["0", "0.0", "-0", "-0.0", "0e5", "0e-9"])
def test_a_price_is_above_zero_and_a_setup_fee_may_be_zero(zero: str) -> None:
    assert faults_of_create(as_json(product_body()).replace("1000", zero)) == [("price", PRICE)]
    body = as_json(product_body()).replace("1000", f'1000, "setupFee": {zero}')
    assert str(draft_of(body).setup_fee) == "0"
    assert {name: str(value) for name, value in changes_of(f'{{"setupFee":{zero}}}').items()} == {
        "setupFee": "0"
    }


def test_a_price_is_not_null() -> None:
    assert faults_of_create(product_body(price=None)) == [("price", PRICE)]
    assert faults_of_update({"price": None}) == [("price", PRICE)]


@given(amounts(), amounts(0))
def test_every_amount_survives_the_body(price: Decimal, setup_fee: Decimal) -> None:
    draft = draft_of(product_body(price=price, setupFee=setup_fee))
    assert (draft.price, draft.setup_fee) == (price, setup_fee)
    assert len(str(draft.price)) <= len(str(price))
    assert "E" not in f"{draft.price}{draft.setup_fee}"


# Bodies of changes


def test_an_update_holds_just_what_was_given() -> None:
    assert changes_of({"name": " New ", "setupFee": None}) == {"name": "New", "setupFee": None}
    whole = {
        "name": "N",
        "description": "D",
        "price": Decimal("1.5"),
        "setupFee": Decimal(0),
        "currency": "USD",
        "period": "monthly",
        "features": ["F"],
    }
    assert changes_of(whole) == whole


@pytest.mark.parametrize("default", [{"currency": "ZAR"}, {"period": "monthly"}])
def test_a_given_value_that_equals_a_default_is_given(default: dict[str, str]) -> None:
    assert changes_of(default) == default


def test_an_update_of_nothing_is_refused() -> None:
    assert faults_of_update({}) == NO_MEMBER


def test_an_update_tells_every_fault_at_once() -> None:
    faults = faults_of_update(
        {"name": "", "description": "", "price": "1", "setupFee": False, "currency": 1}
        | {"period": None, "features": [""], "id": 1}
    )
    assert faults == [
        ("name", LINE),
        ("description", DESCRIPTION),
        ("price", PRICE),
        ("setupFee", SETUP_FEE),
        ("currency", CURRENCY),
        ("period", PERIOD),
        ("features[0]", LINE),
        ("id", UNKNOWN),
    ]


# What is not a JSON object


@pytest.mark.parametrize(
    "body",
    [
        "",
        " ",
        "{",
        '{"name": "x"',
        "nul",
        "{'a': 1}",
        '{"a": NaN}',
        '{"a": Infinity}',
        "{} {}",
        '{"a": -Infinity}',
        '{"a": 01}',
        '{"a": 1,}',
        '{"a": "\t"}',
        '{"a": "\\x"}',
        "\x00",
        "NaN",
        '{"a": 1e99999999999999999999}',
        '{"name": "\\ud800"}',
        '{"\\udfff": 1}',
        "[" * 100000,
        '{"a":' * 50000,
        b"\xff\xfe{\x00}\x00",
        b'{"name": "\xc3"}',
        b'{"name": "\xed\xa0\x80"}',
    ],
    ids=lambda body: repr(body)[:30],
)
def test_what_is_no_json_is_told_so(body: bytes | str) -> None:
    assert faults_of_create(body) == NOT_JSON
    assert faults_of_update(body) == NOT_JSON


def test_a_body_that_the_gateway_could_not_hand_over_is_told_so() -> None:
    with pytest.raises(ValidationException) as raised:
        parse_body(http_request(body=None), CreateProductRequest)
    assert [tuple(error) for error in raised.value.errors] == NOT_JSON


@pytest.mark.parametrize("body", ["[]", "1", "1.5", '"text"', "null", "true", '[{"a":1,"a":2}]'])
def test_json_that_is_no_object_is_told_so(body: str) -> None:
    assert faults_of_create(body) == NO_OBJECT


def test_a_member_given_twice_is_refused_by_name() -> None:
    whole = as_json(product_body())
    assert faults_of_create(whole.replace('{"name"', '{"name": "a", "name"')) == [("name", ONCE)]
    assert faults_of_update('{"price": 1, "price": 1, "x": 1, "x": 2, "name": "a"}') == [
        ("price", ONCE),
        ("x", ONCE),
        ("x", UNKNOWN),
    ]


def test_only_members_of_the_body_itself_count_as_repeated() -> None:
    body = '{"name": {"a": 1, "a": 2}, "price": {"a": 1, "a": 2}}'
    assert faults_of_update(body) == [("name", LINE), ("price", PRICE)]


def test_a_body_may_be_256_kib_and_no_larger() -> None:
    whole = raw(product_body())
    padded = whole + b" " * (256 * 1024 - len(whole))
    assert draft_of(padded).name == "Basic"
    with pytest.raises(PayloadTooLargeException) as raised:
        draft_of(padded + b" ")
    assert raised.value.detail == "Send at most 256 KiB."


# Any body at all

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.decimals(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
NAMES = st.sampled_from([*product_body(), "productId", "setupFee", "currency", "active", "x"])


@given(st.one_of(JSON, st.dictionaries(NAMES, JSON)))
def test_any_json_is_taken_or_refused_with_reasons(document: object) -> None:
    body = raw(simplejson.dumps(document, use_decimal=True, allow_nan=True))
    for model in (CreateProductRequest, UpdateProductRequest):
        require_verdict(body, model)


@given(st.binary() | st.text().map(raw))
@example(b"\xef\xbb\xbf{}")
@example(b'{"a": 1' + b"0" * 5000 + b"}")
@example(b'{"a": "\\ud83d\\ude80"}')
def test_any_bytes_are_taken_or_refused_with_reasons(body: bytes) -> None:
    for model in (CreateProductRequest, UpdateProductRequest):
        require_verdict(body, model)


def require_verdict(
    body: bytes, model: type[CreateProductRequest] | type[UpdateProductRequest]
) -> None:
    faults = errors_found_by(lambda: parse_body(http_request(body=body), model))
    assert faults is None or (faults and all(message for _, message in faults))


@given(
    st.fixed_dictionaries(
        {
            "name": lines(),
            "description": lines(4000),
            "price": amounts(),
            "period": periods(),
            "features": st.lists(lines(), min_size=1, max_size=50),
        },
        optional={"setupFee": amounts(0) | st.none(), "currency": st.sampled_from(["ZAR", "EUR"])},
    )
)
def test_any_valid_body_becomes_what_it_says(body: dict[str, Any]) -> None:
    draft = draft_of(body)
    assert draft.name == body["name"]
    assert draft.description == body["description"]
    assert draft.price == body["price"]
    assert draft.period == body["period"]
    assert draft.features == tuple(body["features"])
    assert draft.setup_fee == body.get("setupFee")
    assert draft.currency == body.get("currency", "ZAR")
    assert changes_of(body) == body
