"""Logging: one JSON object per line, by Lambda's handler if there is one, else by ours."""

import json
import logging
import sys
from datetime import UTC, datetime

LOGGER_NAME = "product_lambda"
_STANDARD_ATTRIBUTES = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


class JsonFormatter(logging.Formatter):
    """Formats a record like Lambda's JSON log format, with its `extra` as top-level fields.

    Source: AWS Lambda Developer Guide, "Log and monitor Python Lambda functions".
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line of JSON."""
        line: dict[str, object] = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line.update(
            (name, value)
            for name, value in vars(record).items()
            if name not in _STANDARD_ATTRIBUTES
        )
        if record.exc_info:
            line["stackTrace"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def configure_logging(level: str) -> logging.Logger:
    """Return the service's logger at `level`, writing JSON to stdout unless a handler exists."""
    root = logging.getLogger()
    if not root.handlers:
        to_stdout = logging.StreamHandler(sys.stdout)
        to_stdout.setFormatter(JsonFormatter())
        root.addHandler(to_stdout)
    logger = logging.getLogger(LOGGER_NAME)
    logger.setLevel(level)
    return logger
