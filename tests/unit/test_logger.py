"""The log: one JSON object a line, by Lambda's own handler where there is one."""

import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from product_lambda.utils.logger import JsonFormatter, configure_logging


@contextmanager
def bare_root() -> Iterator[logging.Logger]:
    """The root logger as a new process has it, without handlers (pytest adds its own)."""
    root = logging.getLogger()
    service = logging.getLogger("product_lambda")
    handlers, level = root.handlers[:], service.level
    root.handlers.clear()
    try:
        yield root
    finally:
        root.handlers[:] = handlers
        service.setLevel(level)


def line_of(**members: Any) -> dict[str, Any]:
    record = logging.makeLogRecord({"name": "product_lambda", "levelname": "INFO", **members})
    text = JsonFormatter().format(record)
    assert "\n" not in text
    line: dict[str, Any] = json.loads(text)
    return line


def test_a_line_says_when_who_and_what() -> None:
    moment = datetime(2026, 1, 31, 9, 30, 0, 123456, UTC)
    assert line_of(created=moment.timestamp(), msg="read %s", args=("PROD-1",)) == {
        "timestamp": "2026-01-31T09:30:00.123456+00:00",
        "level": "INFO",
        "logger": "product_lambda",
        "message": "read PROD-1",
    }


def test_what_is_extra_stands_beside_the_message() -> None:
    line = line_of(msg="request completed", status=200, product_id=None, replayed=False)
    assert {name: line[name] for name in list(line)[4:]} == {
        "status": 200,
        "product_id": None,
        "replayed": False,
    }


def test_what_json_does_not_know_is_written_as_text() -> None:
    assert line_of(msg="m", moment=datetime(2026, 1, 31, tzinfo=UTC))["moment"] == (
        "2026-01-31 00:00:00+00:00"
    )


def test_what_another_handler_left_on_the_record_is_not_extra() -> None:
    line = line_of(msg="fresh", message="stale", asctime="now", taskName="task")
    assert set(line) == {"timestamp", "level", "logger", "message"}
    assert line["message"] == "fresh"


def test_lines_end_only_where_a_record_ends() -> None:
    assert line_of(msg="a\nb\u2028c")["message"] == "a\nb\u2028c"


def test_an_exception_comes_with_its_trace_and_cause() -> None:
    effect = ValueError("effect")
    effect.__cause__ = KeyError("cause")
    trace = line_of(msg="failed", exc_info=(ValueError, effect, None))["stackTrace"]
    assert "KeyError: 'cause'" in trace
    assert "ValueError: effect" in trace


def test_a_process_without_handlers_writes_json_to_stdout(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stdout = io.StringIO()
    monkeypatch.setattr("sys.stdout", stdout)
    with bare_root() as root:
        logger = configure_logging("INFO")
        assert len(root.handlers) == 1
        logger.info("hello", extra={"status": 200})
        logger.debug("not this")
    (line,) = stdout.getvalue().splitlines()
    assert json.loads(line)["message"] == "hello"
    assert json.loads(line)["status"] == 200
    assert json.loads(line)["logger"] == "product_lambda"


def test_a_handler_that_exists_is_left_alone() -> None:
    lambdas_own = logging.StreamHandler(io.StringIO())
    with bare_root() as root:
        root.addHandler(lambdas_own)
        configure_logging("INFO")
        assert root.handlers == [lambdas_own]
    assert not isinstance(lambdas_own.formatter, JsonFormatter)


@pytest.mark.parametrize("level", ["DEBUG", "WARNING"])
def test_the_level_is_the_services_own(level: str) -> None:
    with bare_root() as root:
        before = root.level
        logger = configure_logging(level)
        assert logging.getLevelName(logger.level) == level
        assert root.level == before
    assert logger.name == "product_lambda"
