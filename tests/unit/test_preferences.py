"""The header Prefer (RFC 7240)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from product_lambda.utils.request import parse_event
from product_lambda.validators.preferences import prefers_async
from tests.support.events import gateway_event, http_request


def prefers(header: str) -> bool:
    return prefers_async(http_request(headers={"prefer": header}))


@pytest.mark.parametrize(
    "header",
    [
        "respond-async",
        "Respond-Async",
        "RESPOND-ASYNC",
        " respond-async\t",
        "respond-async, wait=10",
        "wait=10, respond-async",
        "return=minimal,respond-async,handling=lenient",
        ",, respond-async ,",
        "respond-async; a",
        'respond-async;a=b ; c="d, e"',
        "respond-async;",
        'respond-async=""',
        "respond-async =",
        'other="a, b\\", c", respond-async',
        'other="respond-async=no, ", respond-async',
        "respond-async, respond-async=no",
    ],
)
def test_preference_is_found(header: str) -> None:
    assert prefers(header)


@pytest.mark.parametrize(
    "header",
    [
        "",
        ",",
        "wait=10",
        "respond-sync",
        "respond-async-now",
        "x-respond-async",
        "return=respond-async",
        "other; respond-async",
        'other="a, respond-async, b"',
        "respond-async=yes",
        "respond-async=no, respond-async",
        'respond-async="x"',
    ],
)
def test_other_preferences_are_ignored(header: str) -> None:
    assert not prefers(header)


@pytest.mark.parametrize(
    "malformed",
    ["respond async", "(respond-async)", "=", "a=b=c", 'a="b', "a b", "é", "respond-async/1", '"'],
)
def test_malformed_preference_is_ignored(malformed: str) -> None:
    assert not prefers(malformed)
    assert prefers(f"{malformed}, respond-async")


def test_missing_header_is_no_preference() -> None:
    assert not prefers_async(http_request())


def test_preferences_on_several_lines_are_one_list() -> None:
    event = gateway_event()
    event["multiValueHeaders"] = {"Prefer": ["wait=10", "x", "respond-async"]}
    assert prefers_async(parse_event(event))
    event["multiValueHeaders"] = {"prefer": ["wait=10"], "PREFER": ["respond-async;x"]}
    assert prefers_async(parse_event(event))


@pytest.mark.parametrize(("spaces", "expected"), [(4082, True), (4083, False), (100_000, False)])
def test_very_long_header_is_ignored(spaces: int, expected: bool) -> None:  # noqa: FBT001
    assert prefers(" " * spaces + "respond-async,") is expected


@given(st.text(st.sampled_from('",;=\\ aé\t'), max_size=60))
def test_any_text_before_a_comma_is_harmless(text: str) -> None:
    quotes = text.count('"')
    if quotes == 0:
        assert prefers(f"{text}, respond-async")
    else:
        prefers(text)


@pytest.mark.parametrize("piece", ['"', '"\\', 'a="', ";", "a;", 'a="\\"', "a=b,"])
def test_hostile_header_is_read_in_time(piece: str) -> None:
    assert not prefers(piece * (4096 // len(piece)))
