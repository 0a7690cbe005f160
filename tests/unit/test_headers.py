"""What the headers and the path of a request may hold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from product_lambda.exceptions import (
    FieldError,
    UnsupportedMediaTypeException,
    ValidationException,
)
from product_lambda.validators.combined import validate_all
from product_lambda.validators.headers import (
    EntityTags,
    parse_idempotency_key,
    parse_if_match,
    parse_if_none_match,
    require_json,
)
from product_lambda.validators.path import parse_product_id
from tests.support.events import errors_found_by, http_request

TAGS = 'send * or up to 50 entity tags, such as "3"'


def expected_by(value: str) -> frozenset[int] | None:
    return parse_if_match(http_request(headers={"if-match": value}))


def known_by(value: str) -> EntityTags:
    return parse_if_none_match(http_request(headers={"if-none-match": value}))


# If-Match


def test_without_if_match_any_version_will_do() -> None:
    assert parse_if_match(http_request()) is None


@pytest.mark.parametrize("matches_any", ["*", " *", "*\t "])
def test_an_if_match_of_a_star_accepts_any_version(matches_any: str) -> None:
    assert expected_by(matches_any) is None


@pytest.mark.parametrize(
    ("value", "versions"),
    [
        ('"3"', {3}),
        ('"0"', {0}),
        (' "3" ', {3}),
        ('"3","4"', {3, 4}),
        ('"3" ,\t"12", "3"', {3, 12}),
        (',, "3" , ,"4",', {3, 4}),
        ('"999999999999999"', {999_999_999_999_999}),
        ('W/"3"', set()),
        ('W/"3", "4"', {4}),
        ('"03"', set()),
        ('"-3"', set()),
        ('"3.0"', set()),
        ('"three"', set()),
        ('""', set()),
        ('"*"', set()),
        ('"1000000000000000"', set()),
        ('"a,b", "5"', {5}),
        ('"\xe9\xff", "5"', {5}),
        ('"!#~"', set()),
    ],
)
def test_if_match_names_versions_by_strong_tags(value: str, versions: set[int]) -> None:
    assert expected_by(value) == frozenset(versions)


MALFORMED = [
    "",
    " ",
    ",",
    "3",
    '"3',
    '3"',
    "'3'",
    'w/"3"',
    "W/3",
    '"3" "4"',
    '"3";',
    '*, "3"',
    "**",
    "X*",
    "*X",
]
MALFORMED += ["*\x0b", "\xa0*"]
MALFORMED += ['"3", *', '" "', '"a\x7fb"', '"a\tb"', '"Ā"', '"3"\n', 'W/ "3"', '"a"b"']


@pytest.mark.parametrize("value", MALFORMED)
def test_a_malformed_list_of_tags_is_refused(value: str) -> None:
    for check, name in ((expected_by, "If-Match"), (known_by, "If-None-Match")):
        with pytest.raises(ValidationException) as raised:
            check(value)
        assert raised.value.errors == ((name, TAGS),)


def test_there_are_at_most_50_tags() -> None:
    fifty = ", ".join(f'"{version}"' for version in range(50))
    assert expected_by(fifty) == frozenset(range(50))
    with pytest.raises(ValidationException):
        expected_by(fifty + ', "50"')


def test_a_hostile_list_of_tags_is_judged_at_once() -> None:
    for hostile in ("," * 100_000 + "x", '"' * 100_000 + "x", (" " * 300 + ",") * 300 + "x"):
        with pytest.raises(ValidationException):
            expected_by(hostile)


# If-None-Match


def test_without_if_none_match_no_tag_is_known() -> None:
    known = parse_if_none_match(http_request())
    assert known.tags == frozenset()
    assert not known.matches_any
    assert not known.weakly_match('"1"')


@pytest.mark.parametrize("value", ['"1"', 'W/"1"', '"0", "1"', "*", " * ", ', W/"1" ,'])
def test_a_known_tag_matches_weakly(value: str) -> None:
    assert known_by(value).weakly_match('"1"')


@pytest.mark.parametrize(
    "value", ['"2"', '"01"', 'W/"2"', '"W/1"', '""', '"*"', '"1 "'.replace(" ", "!")]
)
def test_another_tag_does_not_match(value: str) -> None:
    assert not known_by(value).weakly_match('"1"')


@given(st.text() | st.text(' *,"W/3\t'))
def test_any_text_is_a_list_of_tags_or_refused(value: str) -> None:
    for check in (expected_by, known_by):
        faults = errors_found_by(lambda check=check: check(value))  # type: ignore[misc]
        assert faults is None or [message for _, message in faults] == [TAGS]


# Idempotency-Key


def test_without_an_idempotency_key_there_is_none() -> None:
    assert parse_idempotency_key(http_request()) is None


@pytest.mark.parametrize("key", ["a", "!", "~", "a" * 255, '"quoted"', "a,b"])
def test_a_key_is_1_to_255_visible_characters(key: str) -> None:
    assert parse_idempotency_key(http_request(headers={"idempotency-key": key})) == key


@pytest.mark.parametrize("key", ["", " ", "a b", "a" * 256, "é", "a\x7f", "a\n", "\x1f", "a, a"])
def test_another_key_is_refused(key: str) -> None:
    with pytest.raises(ValidationException) as raised:
        parse_idempotency_key(http_request(headers={"idempotency-key": key}))
    message = "send 1 to 255 visible ASCII characters, once"
    assert raised.value.errors == (("Idempotency-Key", message),)


# Content-Type


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "Application/JSON",
        "application/json;charset=utf-8",
        "application/json ; charset=utf-8",
        "application/json;",
        "application/json\t;x",
    ],
)
def test_json_is_declared_as_such(content_type: str) -> None:
    require_json(http_request(headers={"content-type": content_type}))


def test_an_undeclared_body_is_taken_for_json() -> None:
    require_json(http_request())


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "application/jsonp",
        "application/json5",
        "application/problem+json",
        "text/json",
        "application/json, application/json",
        "xapplication/json",
        "application/ json",
    ],
)
def test_a_body_declared_as_something_else_is_refused(content_type: str) -> None:
    with pytest.raises(UnsupportedMediaTypeException) as raised:
        require_json(http_request(headers={"content-type": content_type}))
    assert raised.value.detail == "Send Content-Type: application/json."


# Path


@pytest.mark.parametrize("product_id", ["PROD-1", "PROD-" + "Z" * 32, "PROD-A-B"])
def test_a_product_id_in_the_path_is_taken(product_id: str) -> None:
    request = http_request(path_parameters={"productId": product_id})
    assert parse_product_id(request) == product_id


@pytest.mark.parametrize(
    "path",
    [{}, {"id": "PROD-1"}]
    + [
        {"productId": wrong}
        for wrong in (
            "",
            "PROD-",
            "prod-1",
            "PROD-1\n",
            " PROD-1",
            "PROD--1",
            "PROD-1-",
            "PROD-É",
            "PROD-" + "A" * 33,
            "x" * 10000,
            "PRODUCT#PROD-1",
            "^PROD-1$",
        )
    ],
)
def test_another_path_is_refused(path: dict[str, str]) -> None:
    with pytest.raises(ValidationException) as raised:
        parse_product_id(http_request(path_parameters=path))
    assert raised.value.errors == (("productId", "use an id such as PROD-001 in the path"),)


# Checks together


def fault(name: str) -> object:
    raise ValidationException([FieldError(name, "1"), FieldError(name, "2")])


def test_two_valid_checks_give_both_results() -> None:
    assert validate_all(lambda: 1, lambda: "a") == (1, "a")


def test_the_faults_of_two_checks_come_together_in_order() -> None:
    with pytest.raises(ValidationException) as raised:
        validate_all(lambda: fault("a"), lambda: fault("b"))
    assert raised.value.errors == (("a", "1"), ("a", "2"), ("b", "1"), ("b", "2"))


def test_the_faults_of_either_check_are_told() -> None:
    with pytest.raises(ValidationException) as raised:
        validate_all(lambda: fault("a"), lambda: 1)
    assert raised.value.errors == (("a", "1"), ("a", "2"))
    with pytest.raises(ValidationException) as raised:
        validate_all(lambda: 1, lambda: fault("b"))
    assert raised.value.errors == (("b", "1"), ("b", "2"))
