"""Ajv, which computes in binary, accepts the OpenAPI file's examples and all valid amounts."""

import json
import subprocess
from collections.abc import Iterable, Iterator
from decimal import Decimal

import pytest
import yaml

from tests.support.optional_tools import installed
from tests.support.response_check import OPENAPI_FILE, resolved

DOCUMENT = json.loads(json.dumps(yaml.safe_load(OPENAPI_FILE.read_bytes())))
PROGRAM = OPENAPI_FILE.parents[1] / "tools/openapi_lint/validate.cjs"
type Check = tuple[str, object]


def rejected(checks: Iterable[Check]) -> list[Check]:
    """Return the values that Ajv rejects, each with the JSON pointer of its schema."""
    validation = {
        "document": DOCUMENT,
        "checks": [{"schema": schema, "value": value} for schema, value in checks],
    }
    errors = subprocess.run(
        ["node", PROGRAM],
        cwd=installed("openapi-lint"),
        input=json.dumps(validation),
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return [(error["schema"], error["value"]) for error in json.loads(errors)]


def examples(part: object, pointer: str = "") -> Iterator[Check]:
    """Yield the examples of a part of the file, with the JSON pointers of their schemas."""
    if isinstance(part, list):
        part = dict(enumerate(part))
    if not isinstance(part, dict):
        return
    if "schema" in part:
        named = [resolved(example)["value"] for example in part.get("examples", {}).values()]
        for value in named + [part[key] for key in ("example",) if key in part]:
            yield f"{pointer}/schema", value
    for key, inner in part.items():
        yield from examples(inner, f"{pointer}/{str(key).replace('~', '~0').replace('/', '~1')}")


def amounts() -> list[float]:
    """Return every amount up to 200.00, and others up to the largest."""
    cents: list[int] = [*range(1, 20_001), *range(123, 10**10, 999_983), 10**10 - 1]
    return [float(Decimal(each) / 100) for each in cents]


def test_ajv_accepts_all_examples() -> None:
    checks = list(examples(DOCUMENT))

    assert any(value == "PROD-002" for _, value in checks)
    assert any(isinstance(value, dict) and value.get("price") == 19.99 for _, value in checks)
    assert rejected(checks) == []


@pytest.mark.parametrize(
    "schema",
    ["/components/schemas/Price", "/components/schemas/ProductCreate/properties/setupFee"],
)
def test_ajv_accepts_every_valid_amount(schema: str) -> None:
    assert rejected((schema, amount) for amount in amounts()) == []


def test_ajv_rejects_amounts_outside_the_limits() -> None:
    checks: list[Check] = [("/components/schemas/Price", value) for value in (0, -1, 10**8, "1")]

    assert rejected(checks) == checks
