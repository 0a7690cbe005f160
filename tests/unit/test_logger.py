"""The log: one JSON object per line, by Lambda's handler if there is one."""

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
    """The root logger without handlers, as in a new process (pytest adds its own)."""
    root = logging.getLogger()
    service = logging.getLogger("product_lambda")
    handlers, level = root.handlers[:], service.level
    root.handlers.clear()
    try:
        yield root
    finally:
        root.handlers[:] = handlers
        service.setLevel(level)


def line_of(**fields: Any) -> dict[str, Any]:
    record = logging.makeLogRecord({"name": "product_lambda", "levelname": "INFO", **fields})
    text = JsonFormatter().format(record)
    assert "\n" not in text
    line: dict[str, Any] = json.loads(text)
    return line


def test_line_has_time_level_and_logger() -> None:
    moment = datetime(2026, 1, 31, 9, 30, 0, 123456, UTC)
    assert line_of(created=moment.timestamp(), msg="read %s", args=("PROD-1",)) == {
        "timestamp": "2026-01-31T09:30:00.123456+00:00",
        "level": "INFO",
        "logger": "product_lambda",
        "message": "read PROD-1",
    }


def test_extra_fields_are_beside_message() -> None:
    line = line_of(msg="request completed", status=200, product_id=None, replayed=False)
    assert {name: line[name] for name in list(line)[4:]} == {
        "status": 200,
        "product_id": None,
        "replayed": False,
    }


def test_values_unknown_to_json_are_written_as_text() -> None:
    assert line_of(msg="m", moment=datetime(2026, 1, 31, tzinfo=UTC))["moment"] == (
        "2026-01-31 00:00:00+00:00"
    )


def test_attributes_of_other_handlers_are_not_logged() -> None:
    line = line_of(msg="fresh", message="stale", asctime="now", taskName="task")
    assert set(line) == {"timestamp", "level", "logger", "message"}
    assert line["message"] == "fresh"


def test_one_record_is_one_line() -> None:
    assert line_of(msg="a\nb\u2028c")["message"] == "a\nb\u2028c"


def test_exception_has_traceback_and_cause() -> None:
    effect = ValueError("effect")
    effect.__cause__ = KeyError("cause")
    trace = line_of(msg="failed", exc_info=(ValueError, effect, None))["stackTrace"]
    assert "KeyError: 'cause'" in trace
    assert "ValueError: effect" in trace


def test_missing_handler_is_added_for_stdout(
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


def test_existing_handler_is_kept() -> None:
    lambdas_own = logging.StreamHandler(io.StringIO())
    with bare_root() as root:
        root.addHandler(lambdas_own)
        configure_logging("INFO")
        assert root.handlers == [lambdas_own]
    assert not isinstance(lambdas_own.formatter, JsonFormatter)


@pytest.mark.parametrize("level", ["DEBUG", "WARNING"])
def test_level_applies_to_service_logger(level: str) -> None:
    with bare_root() as root:
        before = root.level
        logger = configure_logging(level)
        assert logging.getLevelName(logger.level) == level
        assert root.level == before
    assert logger.name == "product_lambda"
