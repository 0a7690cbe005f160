"""Which bodies of writes are accepted, and which errors are reported for the others."""

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

LINE = "send visible text of 1 to 200 characters without control or text-direction characters"
DESCRIPTION = (
    "send visible text of 1 to 4000 characters without text-direction characters or control "
    "characters other than newline and tab"
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
READ_ONLY = "is set by the service; leave it out"
NOT_JSON = [("body", "send one JSON object in UTF-8 (RFC 8259)")]
NO_OBJECT = [("body", "send a JSON object")]
ONCE = "send it once"
FIELDS = "name, description, price, setupFee, currency, period, features, active"
NO_FIELD = [("body", f"send at least one of {FIELDS}")]
ACTIVE = "send true to restore a deleted product, or leave it out; to delete a product, use DELETE"


def raw(body: object) -> bytes:
    if isinstance(body, bytes):
        return body
    return (body if isinstance(body, str) else as_json(body)).encode("utf-8", "surrogatepass")


def draft_of(body: object) -> ProductDraft:
    return parse_body(http_request(body=raw(body)), CreateProductRequest).draft()


def changes_of(body: object) -> dict[str, Any]:
    return parse_body(http_request(body=raw(body)), UpdateProductRequest).changes()


def create_errors(body: object) -> list[tuple[str, str]]:
    with pytest.raises(ValidationException) as raised:
        draft_of(body)
    return [(error.field, error.message) for error in raised.value.errors]


def update_errors(body: object) -> list[tuple[str, str]]:
    with pytest.raises(ValidationException) as raised:
        changes_of(body)
    return [(error.field, error.message) for error in raised.value.errors]


# Bodies of creations


def test_complete_body_becomes_draft() -> None:
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


def test_missing_optional_fields_get_defaults() -> None:
    draft = draft_of(product_body())
    assert (draft.product_id, draft.setup_fee, draft.currency) == (None, None, "ZAR")


def test_null_setup_fee_means_none() -> None:
    assert draft_of(product_body(setupFee=None)).setup_fee is None


def test_missing_fields_are_named_with_their_rules() -> None:
    assert create_errors({}) == [
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
def test_missing_required_field_is_rejected(name: str) -> None:
    assert [field for field, _ in create_errors(product_body_without(name))] == [name]


def test_all_body_errors_are_reported_at_once() -> None:
    errors = create_errors(
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
    assert errors == [
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
        ("active", READ_ONLY),
    ]


@pytest.mark.parametrize("name", ["active", "version", "createdAt", "updatedAt"])
def test_read_only_fields_are_rejected(name: str) -> None:
    assert create_errors(product_body(**{name: 1})) == [(name, READ_ONLY)]
    if name != "active":
        assert update_errors({"name": "New", name: 1}) == [(name, READ_ONLY)]


def test_update_accepts_active_true() -> None:
    assert changes_of({"active": True}) == {"active": True}


@pytest.mark.parametrize("value", [False, None, 1, 0, "true", "", [], {}, Decimal(1)])
def test_update_rejects_other_active_and_names_delete(value: object) -> None:
    assert update_errors({"name": "New", "active": value}) == [("active", ACTIVE)]
    assert "DELETE" in ACTIVE


def test_update_of_product_id_is_rejected() -> None:
    assert update_errors({"name": "New", "productId": "PROD-1"}) == [("productId", READ_ONLY)]


@pytest.mark.parametrize("name", ["updatedBy", "PK", "product_id", "setup_fee", "Name", "", "body"])
def test_unknown_field_is_rejected(name: str) -> None:
    assert create_errors(product_body(**{name: "x"})) == [(name, UNKNOWN)]


@pytest.mark.parametrize(
    "taken", ["PROD-1", "PROD-001", "PROD-A", "PROD-" + "A" * 32, "PROD-A--B", "PROD-0-9"]
)
def test_valid_product_id_is_accepted(taken: str) -> None:
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
def test_invalid_product_id_is_rejected(rejected: object) -> None:
    assert create_errors(product_body(productId=rejected)) == [("productId", PRODUCT_ID)]


# Text


@pytest.mark.parametrize(("field", "longest"), [("name", 200), ("description", 4000)])
def test_text_is_trimmed_before_its_length_is_checked(field: str, longest: int) -> None:
    text = "\U0001f680" * longest
    draft = draft_of(product_body(**{field: f" \t\n{text}\u2003 "}))
    assert getattr(draft, field) == text
    for wrong in (text + "x", " \n\t ", ""):
        assert [field for field, _ in create_errors(product_body(**{field: wrong}))] == [field]


def test_each_feature_is_trimmed_and_checked() -> None:
    assert draft_of(product_body(features=[" a ", "b" * 200])).features == ("a", "b" * 200)
    wrong = create_errors(product_body(features=["b" * 201, "a", "  ", None, "c\n\bd"]))
    assert wrong == [(f"features[{place}]", LINE) for place in (0, 2, 3, 4)]


def test_features_have_1_to_50_entries() -> None:
    assert draft_of(product_body(features=["a"] * 50)).features == ("a",) * 50
    for wrong in ([], ["a"] * 51, "a", {"a": 1}, None):
        assert create_errors(product_body(features=wrong)) == [("features", FEATURES)]


CONTROLS = [chr(code) for code in (*range(0x20), *range(0x7F, 0xA0))]


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: f"{ord(control):#04x}")
def test_control_characters_are_rejected(control: str) -> None:
    text = f"a{control}b"
    assert create_errors(product_body(name=text)) == [("name", LINE)]
    assert create_errors(product_body(features=[text])) == [("features[0]", LINE)]
    if control in "\n\t":
        assert draft_of(product_body(description=text)).description == text
    else:
        assert create_errors(product_body(description=text)) == [("description", DESCRIPTION)]


# Only invisible characters: joiners, variation selectors, fillers, blanks, tags.
INVISIBLE = ["\u200b", "\u200d\ufe0f", "\u2060\u00ad", "\u3164", "\u2800", "\ufeff", "\U000e0041"]
DIRECTION_CONTROLS = [chr(code) for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))]


@pytest.mark.parametrize(
    "text", [*INVISIBLE, *(f"Plan {control} one" for control in DIRECTION_CONTROLS)]
)
def test_invisible_text_and_direction_controls_are_rejected(text: str) -> None:
    assert create_errors(product_body(name=text)) == [("name", LINE)]
    assert create_errors(product_body(description=text)) == [("description", DESCRIPTION)]
    assert create_errors(product_body(features=["a", text])) == [("features[1]", LINE)]


@pytest.mark.parametrize(
    "text",
    [
        "\U0001f468\u200d\U0001f469\u200d\U0001f467",  # a family, joined
        "\u2764\ufe0f",  # a red heart: a variation selector
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",  # Persian, with a non-joiner
        "\u0915\u094d\u200d\u0937",  # Devanagari, with a joiner
        "\u05e9\u05dc\u05d5\u05dd 10 GB",  # Hebrew: right to left by itself
        "Plan\u200b",
    ],
)
def test_joiners_beside_visible_characters_are_accepted(text: str) -> None:
    assert draft_of(product_body(name=text, description=text, features=[text])).name == text


@pytest.mark.parametrize("field", ["name", "description", "currency", "period"])
@pytest.mark.parametrize("wrong", [1, Decimal("1.5"), True, None, ["a"], {"a": "b"}])
def test_text_of_another_type_is_rejected(field: str, wrong: object) -> None:
    assert [field for field, _ in create_errors(product_body(**{field: wrong}))] == [field]


@pytest.mark.parametrize("wrong", ["zar", "ZA", "ZARR", "XXX", "XAU", "", " ZAR"])
def test_unknown_currency_is_rejected(wrong: str) -> None:
    assert create_errors(product_body(currency=wrong)) == [("currency", CURRENCY)]


@pytest.mark.parametrize("currency", ["ZAR", "USD", "EUR", "JPY", "AED", "ZWG"])
def test_known_currency_is_accepted(currency: str) -> None:
    assert draft_of(product_body(currency=currency)).currency == currency


@pytest.mark.parametrize("wrong", ["Monthly", "weekly", "", "once_off", " yearly"])
def test_unknown_period_is_rejected(wrong: str) -> None:
    assert create_errors(product_body(period=wrong)) == [("period", PERIOD)]


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
def test_amount_keeps_value_in_shortest_form(sent: str, kept: str) -> None:
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
def test_invalid_amount_is_rejected(wrong: str) -> None:
    body = as_json(product_body()).replace("1000", f'{wrong}, "setupFee": {wrong}')
    assert create_errors(body) == [("price", PRICE), ("setupFee", SETUP_FEE)]


@pytest.mark.parametrize("zero", ["0", "0.0", "-0", "-0.0", "0e5", "0e-9"])
def test_zero_is_allowed_for_setup_fee_only(zero: str) -> None:
    assert create_errors(as_json(product_body()).replace("1000", zero)) == [("price", PRICE)]
    body = as_json(product_body()).replace("1000", f'1000, "setupFee": {zero}')
    assert str(draft_of(body).setup_fee) == "0"
    assert {name: str(value) for name, value in changes_of(f'{{"setupFee":{zero}}}').items()} == {
        "setupFee": "0"
    }


def test_null_price_is_rejected() -> None:
    assert create_errors(product_body(price=None)) == [("price", PRICE)]
    assert update_errors({"price": None}) == [("price", PRICE)]


@given(amounts(), amounts(0))
def test_every_valid_amount_is_parsed_exactly(price: Decimal, setup_fee: Decimal) -> None:
    draft = draft_of(product_body(price=price, setupFee=setup_fee))
    assert (draft.price, draft.setup_fee) == (price, setup_fee)
    assert len(str(draft.price)) <= len(str(price))
    assert "E" not in f"{draft.price}{draft.setup_fee}"


# Bodies of changes


def test_update_holds_only_given_fields() -> None:
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
def test_update_keeps_value_equal_to_default(default: dict[str, str]) -> None:
    assert changes_of(default) == default


def test_empty_update_is_rejected() -> None:
    assert update_errors({}) == NO_FIELD


def test_all_update_errors_are_reported_at_once() -> None:
    errors = update_errors(
        {"name": "", "description": "", "price": "1", "setupFee": False, "currency": 1}
        | {"period": None, "features": [""], "id": 1}
    )
    assert errors == [
        ("name", LINE),
        ("description", DESCRIPTION),
        ("price", PRICE),
        ("setupFee", SETUP_FEE),
        ("currency", CURRENCY),
        ("period", PERIOD),
        ("features[0]", LINE),
        ("id", UNKNOWN),
    ]


# Bodies that are not a JSON object


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
def test_invalid_json_is_rejected(body: bytes | str) -> None:
    assert create_errors(body) == NOT_JSON
    assert update_errors(body) == NOT_JSON


def test_undecodable_body_is_rejected() -> None:
    with pytest.raises(ValidationException) as raised:
        parse_body(http_request(body=None), CreateProductRequest)
    assert [tuple(error) for error in raised.value.errors] == NOT_JSON


@pytest.mark.parametrize("body", ["[]", "1", "1.5", '"text"', "null", "true", '[{"a":1,"a":2}]'])
def test_json_that_is_no_object_is_rejected(body: str) -> None:
    assert create_errors(body) == NO_OBJECT


def test_repeated_field_is_rejected_by_name() -> None:
    whole = as_json(product_body())
    assert create_errors(whole.replace('{"name"', '{"name": "a", "name"')) == [("name", ONCE)]
    assert update_errors('{"price": 1, "price": 1, "x": 1, "x": 2, "name": "a"}') == [
        ("price", ONCE),
        ("x", ONCE),
        ("x", UNKNOWN),
    ]


def test_repeated_names_in_inner_objects_are_ignored() -> None:
    body = '{"name": {"a": 1, "a": 2}, "price": {"a": 1, "a": 2}}'
    assert update_errors(body) == [("name", LINE), ("price", PRICE)]


def test_body_of_256_kib_is_accepted_and_larger_rejected() -> None:
    whole = raw(product_body())
    padded = whole + b" " * (256 * 1024 - len(whole))
    assert draft_of(padded).name == "Basic"
    with pytest.raises(PayloadTooLargeException) as raised:
        draft_of(padded + b" ")
    assert raised.value.detail == "Send at most 256 KiB."


# Random bodies

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.decimals(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
NAMES = st.sampled_from([*product_body(), "productId", "setupFee", "currency", "active", "x"])


@given(st.one_of(JSON, st.dictionaries(NAMES, JSON)))
def test_any_json_is_accepted_or_rejected_with_reasons(document: object) -> None:
    body = raw(simplejson.dumps(document, use_decimal=True, allow_nan=True))
    for model in (CreateProductRequest, UpdateProductRequest):
        require_verdict(body, model)


@given(st.binary() | st.text().map(raw))
@example(b"\xef\xbb\xbf{}")
@example(b'{"a": 1' + b"0" * 5000 + b"}")
@example(b'{"a": "\\ud83d\\ude80"}')
def test_any_bytes_are_accepted_or_rejected_with_reasons(body: bytes) -> None:
    for model in (CreateProductRequest, UpdateProductRequest):
        require_verdict(body, model)


def require_verdict(
    body: bytes, model: type[CreateProductRequest] | type[UpdateProductRequest]
) -> None:
    errors = errors_found_by(lambda: parse_body(http_request(body=body), model))
    assert errors is None or (errors and all(message for _, message in errors))


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
def test_any_valid_body_is_parsed_unchanged(body: dict[str, Any]) -> None:
    draft = draft_of(body)
    assert draft.name == body["name"]
    assert draft.description == body["description"]
    assert draft.price == body["price"]
    assert draft.period == body["period"]
    assert draft.features == tuple(body["features"])
    assert draft.setup_fee == body.get("setupFee")
    assert draft.currency == body.get("currency", "ZAR")
    assert changes_of(body) == body
