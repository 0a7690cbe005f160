"""The local server's answers where a function fails, without a network."""

import asyncio
import json
import logging
from collections.abc import Mapping
from typing import Any

import pytest

from local.server import LocalServer, Message


def _ask(handler: Any) -> tuple[Message, Message]:
    """Head and body of the answer to GET /v1.0/products, where `handler` lists them."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "method": "GET",
        "raw_path": b"/v1.0/products",
        "query_string": b"",
        "headers": [],
        "client": ("127.0.0.1", 50000),
    }
    asyncio.run(LocalServer({"list_products": handler}, "key")(scope, receive, send))
    head, body = sent
    return head, body


def _crash(_event: Mapping[str, Any], _context: object) -> Mapping[str, Any]:
    raise ZeroDivisionError


@pytest.mark.parametrize(
    "handler",
    [
        _crash,
        lambda _event, _context: None,
        lambda _event, _context: {},
        lambda _event, _context: {"statusCode": "OK"},
        lambda _event, _context: {"statusCode": 200, "headers": ["ETag"]},
        lambda _event, _context: {"statusCode": 200, "body": "?", "isBase64Encoded": True},
    ],
)
def test_a_function_that_fails_is_answered_with_a_problem_and_logged(
    handler: object, caplog: pytest.LogCaptureFixture
) -> None:
    head, body = _ask(handler)
    problem = json.loads(body["body"])
    (fault,) = [record for record in caplog.records if record.levelno == logging.ERROR]

    assert head["status"] == problem["status"] == 500
    assert problem["type"] == "tag:kimmyai.io,2026:internal-error"
    assert problem["instance"] in fault.getMessage()
    assert fault.exc_info


def test_what_a_function_answers_is_sent_as_it_is() -> None:
    head, body = _ask(lambda _event, _context: {"statusCode": 201, "body": "ä"})

    assert (head["status"], body["body"]) == (201, "ä".encode())
    assert head["headers"] == [(b"Content-Length", b"2")]
