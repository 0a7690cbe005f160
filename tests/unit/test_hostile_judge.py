"""Tests that the rules for responses to hostile input detect each violation."""

import json

import pytest

from tests.support.events import FunctionResponse
from tests.support.hostile import hostile_events, violations

PROBLEM = {"Content-Type": "application/problem+json"}


def problem(**fields: object) -> str:
    return json.dumps({"type": "t", "title": "t", "status": 400, "detail": "d", **fields})


def test_valid_problem_has_no_violations() -> None:
    assert violations(FunctionResponse(400, PROBLEM, problem())) == []


@pytest.mark.parametrize(
    ("response", "violation"),
    [
        pytest.param(FunctionResponse(500, PROBLEM, problem()), "status is 500", id="status"),
        pytest.param(
            FunctionResponse(400, {"Content-Type": "application/json"}, problem()),
            "not a problem document",
            id="content type",
        ),
        pytest.param(
            FunctionResponse(400, PROBLEM, problem(detail="a KeyError at line 3")),
            "shows an internal detail",
            id="detail",
        ),
        pytest.param(
            FunctionResponse(400, PROBLEM, problem(errors=[{"message": "PydynoxException"}])),
            "shows an internal detail",
            id="errors",
        ),
        pytest.param(
            FunctionResponse(200, {"Location": "a\r\nX: y"}, "{}"),
            "contains a line break",
            id="header",
        ),
    ],
)
def test_violation_is_reported(response: FunctionResponse, violation: str) -> None:
    assert violation in " ".join(violations(response))


def test_corpus_has_more_than_200_events() -> None:
    assert sum(1 for _ in hostile_events()) > 200
