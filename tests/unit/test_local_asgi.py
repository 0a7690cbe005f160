"""The local server's responses to valid and invalid function results, without a network."""

import asyncio
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from local.server import LocalServer, Message


def _get_with(handler: Any, path: str = "/v1.0/products") -> tuple[Message, Message]:
    """Send GET to a server with this handler of the list; return head and body."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "method": "GET",
        "raw_path": path.encode(),
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
def test_failed_function_returns_500_and_is_logged(
    handler: object, caplog: pytest.LogCaptureFixture
) -> None:
    head, body = _get_with(handler)
    problem = json.loads(body["body"])
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]

    assert head["status"] == problem["status"] == 500
    assert problem["type"] == "tag:kimmyai.io,2026:internal-error"
    assert problem["instance"] in record.getMessage()
    assert record.exc_info


def test_failed_page_returns_500_and_is_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("local.docs._OPENAPI_FILE", tmp_path / "missing.yaml")
    head, body = _get_with(_crash, "/openapi.json")
    problem = json.loads(body["body"])

    assert head["status"] == problem["status"] == 500
    assert (b"Content-Type", b"application/problem+json") in head["headers"]
    assert problem["instance"] in caplog.text


def test_function_result_is_sent_unchanged() -> None:
    head, body = _get_with(lambda _event, _context: {"statusCode": 201, "body": "ä"})

    assert (head["status"], body["body"]) == (201, "ä".encode())
    assert head["headers"] == [(b"Content-Length", b"2")]
