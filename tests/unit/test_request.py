"""Parsing of API Gateway events, valid or not."""

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from product_lambda.utils.request import HttpRequest, parse_event, resource_of
from tests.support.events import API_KEY_ID, REQUEST_ID, gateway_event


def test_event_becomes_request() -> None:
    event = gateway_event(
        product_id="PROD-1", body="{}", headers={"If-Match": '"1"'}, query={"limit": 5}
    )
    assert parse_event(event) == HttpRequest(
        request_id=REQUEST_ID,
        api_key_id=API_KEY_ID,
        path="/v1.0/products/PROD-1",
        path_parameters={"productId": "PROD-1"},
        query={"limit": ("5",)},
        headers={"x-api-key": "the-value-of-the-api-key", "if-match": '"1"'},
        body=b"{}",
    )


@pytest.mark.parametrize("event", [{}, None, [], "text", 1])
def test_empty_event_becomes_empty_request(event: Any) -> None:
    assert parse_event(event) == HttpRequest("unknown", "unknown", "/products", {}, {}, {}, b"")


@pytest.mark.parametrize("wrong", [None, "", 5, [], {}, True])
def test_fields_of_wrong_type_count_as_missing(wrong: object) -> None:
    names = ["pathParameters", "queryStringParameters", "multiValueQueryStringParameters"]
    names += ["headers", "multiValueHeaders", "requestContext", "body", "isBase64Encoded"]
    request = parse_event(dict.fromkeys(names, wrong))
    assert request == HttpRequest("unknown", "unknown", "/products", {}, {}, {}, b"")


@pytest.mark.parametrize("wrong", [None, "", 5, [], {}])
def test_ids_of_wrong_type_are_unknown(wrong: object) -> None:
    request = parse_event({"requestContext": {"requestId": wrong, "identity": {"apiKeyId": wrong}}})
    assert (request.request_id, request.api_key_id) == ("unknown", "unknown")
    assert parse_event({"requestContext": {"identity": wrong}}).api_key_id == "unknown"


def test_path_parameters_of_wrong_type_are_dropped() -> None:
    request = parse_event({"pathParameters": {"a": 1, "b": None, "c": "d"}})
    assert request.path_parameters == {"c": "d"}


# Headers


def test_header_names_are_lower_case() -> None:
    assert parse_event({"headers": {"IF-Match": "a"}}).headers == {"if-match": "a"}


def test_repeated_headers_are_joined() -> None:
    event = {"multiValueHeaders": {"If-Match": ['"1"', '"2"']}, "headers": {"If-Match": '"2"'}}
    assert parse_event(event).headers == {"if-match": '"1", "2"'}


def test_header_names_are_joined_ignoring_case() -> None:
    event = {"multiValueHeaders": {"If-Match": ["a", "b"], "if-match": ["c"], "X": ["d"]}}
    assert parse_event(event).headers == {"if-match": "a, b, c", "x": "d"}
    event = {"headers": {"If-Match": "a", "IF-MATCH": "b"}}  # type: ignore[dict-item]
    assert parse_event(event).headers == {"if-match": "a, b"}


def test_single_value_headers_are_used_as_fallback() -> None:
    absences: list[dict[str, object]] = [{}, {"multiValueHeaders": None}, {"multiValueHeaders": {}}]
    for absent in absences:
        assert parse_event({**absent, "headers": {"A": "b", "C": 1}}).headers == {"a": "b"}


def test_header_values_of_wrong_type_are_dropped() -> None:
    event = {"multiValueHeaders": {"A": [1, "b", None, "c"], "D": "e"}, "headers": {"F": "g"}}
    assert parse_event(event).headers == {"a": "b, c"}


# Query


def test_all_parameter_values_keep_their_order() -> None:
    event = {
        "multiValueQueryStringParameters": {"limit": ["2", "1"], "sort": ["x"]},
        "queryStringParameters": {"limit": "1"},
    }
    assert parse_event(event).query == {"limit": ("2", "1"), "sort": ("x",)}


def test_single_value_parameters_are_used_as_fallback() -> None:
    event = {"queryStringParameters": {"limit": "1", "x": None}}
    assert parse_event(event).query == {"limit": ("1",)}


def test_parameter_names_keep_case() -> None:
    assert parse_event({"queryStringParameters": {"Limit": "1"}}).query == {"Limit": ("1",)}


# Body


def test_body_is_utf_8_bytes() -> None:
    assert parse_event({"body": "é\U0001f680"}).body == "é\U0001f680".encode()
    assert parse_event({"body": "e30=", "isBase64Encoded": False}).body == b"e30="


@given(st.binary())
def test_base64_body_is_decoded(body: bytes) -> None:
    event = {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}
    assert parse_event(event).body == body


@pytest.mark.parametrize("broken", ["a", "e30", "%%%%", "é", "e30=\n", "e3 0=", "\ud800"])
def test_invalid_base64_body_is_none(broken: str) -> None:
    assert parse_event({"body": broken, "isBase64Encoded": True}).body is None


def test_lone_surrogate_reaches_json_parser() -> None:
    assert parse_event({"body": "\ud800"}).body == b"\xed\xa0\x80"


# Resource


def test_resource_is_path_of_gateway() -> None:
    assert resource_of({"resource": "/deleted-products"}) == "/deleted-products"


@pytest.mark.parametrize("event", [{}, {"resource": 5}, {"resource": None}, None, []])
def test_missing_resource_is_empty(event: Any) -> None:
    assert resource_of(event) == ""


# Random events

TEXT = st.text(st.characters(codec=None))
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=10,
)
FIELDS = [*gateway_event(), "path", "stageVariables"]


@given(st.one_of(ANYTHING, st.dictionaries(st.sampled_from(FIELDS), ANYTHING)))
def test_any_event_becomes_request(event: Any) -> None:
    request = parse_event(event)
    assert request.request_id
    assert request.api_key_id
    assert all(name == name.lower() for name in request.headers)
    assert all(isinstance(value, str) for value in request.headers.values())
    assert all(isinstance(values, tuple) for values in request.query.values())
