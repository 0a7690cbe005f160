"""The floor: a function that does nothing, under the same runtime client."""

from typing import Any


def handler(_event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer with an empty document."""
    return {"statusCode": 200, "headers": {}, "body": "{}", "isBase64Encoded": False}
