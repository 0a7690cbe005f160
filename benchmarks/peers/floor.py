"""The floor: an empty function under the same runtime client."""

from typing import Any


def handler(_event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Return an empty document."""
    return {"statusCode": 200, "headers": {}, "body": "{}", "isBase64Encoded": False}
