"""The judge of answers to hostile input notices what it is there for."""

import json

import pytest

from tests.support.events import FunctionResponse
from tests.support.hostile import faults_of, hostile_events

PROBLEM = {"Content-Type": "application/problem+json"}


def problem(**members: object) -> str:
    return json.dumps({"type": "t", "title": "t", "status": 400, "detail": "d", **members})


def test_an_answer_that_helps_has_no_faults() -> None:
    assert faults_of(FunctionResponse(400, PROBLEM, problem())) == []


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (FunctionResponse(500, PROBLEM, problem()), "status is 500"),
        (
            FunctionResponse(400, {"Content-Type": "application/json"}, problem()),
            "no problem document",
        ),
        (
            FunctionResponse(400, PROBLEM, problem(detail="a KeyError at line 3")),
            "tells of the inside",
        ),
        (
            FunctionResponse(400, PROBLEM, problem(errors=[{"message": "PydynoxException"}])),
            "tells of the",
        ),
        (FunctionResponse(200, {"Location": "a\r\nX: y"}, "{}"), "could be split"),
    ],
)
def test_what_must_not_be_answered_is_noticed(reply: FunctionResponse, said: str) -> None:
    assert said in " ".join(faults_of(reply))


def test_the_corpus_holds_hundreds_of_events() -> None:
    assert sum(1 for _ in hostile_events()) > 200
