"""Checks of the headers and the path of a request."""

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from product_lambda.exceptions import (
    FieldError,
    UnsupportedMediaTypeException,
    ValidationException,
)
from product_lambda.models.product import Revision
from product_lambda.utils.response_builder import entity_tag
from product_lambda.validators.combined import validate_all
from product_lambda.validators.headers import (
    EntityTags,
    parse_idempotency_key,
    parse_if_none_match,
    parse_precondition,
    require_json,
)
from product_lambda.validators.path import parse_product_id
from tests.support.events import errors_found_by, http_request

TAGS = 'send * or up to 50 entity tags, such as "3-20260131093000123456"'


def expected_by(value: str) -> frozenset[Revision] | None:
    return parse_precondition(http_request(headers={"if-match": value}))


def known_by(value: str) -> EntityTags:
    return parse_if_none_match(http_request(headers={"if-none-match": value}))


# If-Match


def test_missing_if_match_accepts_any_version() -> None:
    assert parse_precondition(http_request()) is None


@pytest.mark.parametrize("matches_any", ["*", " *", "*\t "])
def test_if_match_star_accepts_any_version(matches_any: str) -> None:
    assert expected_by(matches_any) is None


AT = "20260131093000123456"
MOMENT = "2026-01-31T09:30:00.123456Z"


@pytest.mark.parametrize(
    ("value", "versions"),
    [
        (f'"3-{AT}"', {3}),
        (f'"0-{AT}"', {0}),
        (f' "3-{AT}" ', {3}),
        (f'"3-{AT}","4-{AT}"', {3, 4}),
        (f'"3-{AT}" ,\t"12-{AT}", "3-{AT}"', {3, 12}),
        (f',, "3-{AT}" , ,"4-{AT}",', {3, 4}),
        (f'"999999999999999-{AT}"', {999_999_999_999_999}),
        (f'W/"3-{AT}"', set()),
        (f'W/"3-{AT}", "4-{AT}"', {4}),
        (f'"03-{AT}"', set()),
        (f'"-3-{AT}"', set()),
        (f'"3.0-{AT}"', set()),
        (f'"three-{AT}"', set()),
        (f'"3-{AT}0"', set()),
        (f'"3-{AT[:-1]}"', set()),
        (f'"3-{AT[:-1]}x"', set()),
        ('"3"', set()),
        ('""', set()),
        ('"*"', set()),
        (f'"1000000000000000-{AT}"', set()),
        (f'"a,b", "5-{AT}"', {5}),
        (f'"\xe9\xff", "5-{AT}"', {5}),
        ('"!#~"', set()),
    ],
)
def test_if_match_reads_revisions_from_strong_tags(value: str, versions: set[int]) -> None:
    assert expected_by(value) == frozenset({Revision(version, MOMENT) for version in versions})


@given(st.integers(0, 10**15 - 1), st.datetimes(datetime(1000, 1, 1)))  # noqa: DTZ001 (UTC below)
def test_if_match_reads_every_tag_of_a_product(version: int, moment: datetime) -> None:
    updated_at = moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    assert expected_by(entity_tag(version, updated_at)) == frozenset(
        {Revision(version, updated_at)}
    )


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
def test_malformed_tag_list_is_rejected(value: str) -> None:
    for check, name in ((expected_by, "If-Match"), (known_by, "If-None-Match")):
        with pytest.raises(ValidationException) as raised:
            check(value)
        assert raised.value.errors == ((name, TAGS),)


def test_more_than_50_tags_are_rejected() -> None:
    fifty = ", ".join(f'"{version}-{AT}"' for version in range(50))
    assert expected_by(fifty) == frozenset({Revision(version, MOMENT) for version in range(50)})
    with pytest.raises(ValidationException):
        expected_by(fifty + ', "50"')


def test_more_than_4096_characters_of_tags_are_rejected() -> None:
    longest = f'"{"x" * 4094}"'
    assert known_by(longest).weakly_match(longest)
    with pytest.raises(ValidationException):
        known_by(longest + " ")


def test_hostile_tag_list_is_checked_quickly() -> None:
    for hostile in ("," * 4095 + "x", '"' * 4095 + "x", (" " * 62 + ",") * 65):
        with pytest.raises(ValidationException):
            expected_by(hostile)


# If-None-Match


def test_missing_if_none_match_matches_no_tag() -> None:
    known = parse_if_none_match(http_request())
    assert known.tags == frozenset()
    assert not known.matches_any
    assert not known.weakly_match('"1"')


@pytest.mark.parametrize("value", ['"1"', 'W/"1"', '"0", "1"', "*", " * ", ', W/"1" ,'])
def test_if_none_match_compares_weakly(value: str) -> None:
    assert known_by(value).weakly_match('"1"')


@pytest.mark.parametrize(
    "value", ['"2"', '"01"', 'W/"2"', '"W/1"', '""', '"*"', '"1 "'.replace(" ", "!")]
)
def test_other_tag_does_not_match(value: str) -> None:
    assert not known_by(value).weakly_match('"1"')


@given(st.text() | st.text(' *,"W/3\t'))
def test_any_text_is_parsed_or_rejected_as_tags(value: str) -> None:
    for check in (expected_by, known_by):
        errors = errors_found_by(lambda check=check: check(value))  # type: ignore[misc]
        assert errors is None or [message for _, message in errors] == [TAGS]


def test_if_none_match_star_allows_no_revision() -> None:
    assert parse_precondition(http_request(headers={"if-none-match": "*"})) == frozenset()
    assert parse_precondition(http_request(headers={"if-none-match": '"3"'})) is None


def test_errors_of_both_preconditions_are_combined() -> None:
    request = http_request(headers={"if-match": "3", "if-none-match": "4"})
    assert errors_found_by(lambda: parse_precondition(request)) == (
        ("If-Match", TAGS),
        ("If-None-Match", TAGS),
    )


# Idempotency-Key


def test_missing_idempotency_key_is_none() -> None:
    assert parse_idempotency_key(http_request()) is None


@pytest.mark.parametrize("key", ["a", "!", "~", "a" * 255, '"quoted"', "a,b"])
def test_valid_idempotency_key_is_accepted(key: str) -> None:
    assert parse_idempotency_key(http_request(headers={"idempotency-key": key})) == key


@pytest.mark.parametrize("key", ["", " ", "a b", "a" * 256, "é", "a\x7f", "a\n", "\x1f", "a, a"])
def test_invalid_idempotency_key_is_rejected(key: str) -> None:
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
def test_json_content_type_is_accepted(content_type: str) -> None:
    require_json(http_request(headers={"content-type": content_type}))


def test_missing_content_type_is_accepted() -> None:
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
def test_other_content_type_is_rejected(content_type: str) -> None:
    with pytest.raises(UnsupportedMediaTypeException) as raised:
        require_json(http_request(headers={"content-type": content_type}))
    assert raised.value.detail == "Send Content-Type: application/json, without a Content-Encoding."


@pytest.mark.parametrize("coding", ["identity", " Identity ", ""])
def test_uncompressed_body_is_accepted(coding: str) -> None:
    require_json(http_request(headers={"content-encoding": coding}))


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate, gzip", "identity, gzip", "x"])
def test_compressed_body_is_rejected(coding: str) -> None:
    with pytest.raises(UnsupportedMediaTypeException):
        require_json(http_request(headers={"content-encoding": coding}))


# Path


@pytest.mark.parametrize("product_id", ["PROD-1", "PROD-" + "Z" * 32, "PROD-A-B"])
def test_valid_product_id_in_path_is_returned(product_id: str) -> None:
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
def test_invalid_product_id_in_path_is_rejected(path: dict[str, str]) -> None:
    with pytest.raises(ValidationException) as raised:
        parse_product_id(http_request(path_parameters=path))
    assert raised.value.errors == (("productId", "use an id such as PROD-001 in the path"),)


# Combined checks


def failing_check(name: str) -> object:
    raise ValidationException([FieldError(name, "1"), FieldError(name, "2")])


def test_valid_checks_return_all_results() -> None:
    assert validate_all(lambda: 1, lambda: "a") == (1, "a")


def test_errors_of_all_checks_are_combined_in_order() -> None:
    with pytest.raises(ValidationException) as raised:
        validate_all(lambda: failing_check("a"), lambda: failing_check("b"))
    assert raised.value.errors == (("a", "1"), ("a", "2"), ("b", "1"), ("b", "2"))


def test_errors_of_one_check_are_reported() -> None:
    with pytest.raises(ValidationException) as raised:
        validate_all(lambda: failing_check("a"), lambda: 1)
    assert raised.value.errors == (("a", "1"), ("a", "2"))
    with pytest.raises(ValidationException) as raised:
        validate_all(lambda: 1, lambda: failing_check("b"))
    assert raised.value.errors == (("b", "1"), ("b", "2"))
