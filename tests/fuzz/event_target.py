"""The target of atheris: turns bytes into an event, calls a function and checks its response.

`tests.fuzz.run_events` starts it. The store is in memory, so that coverage is of this service only.
"""

import importlib
import json
import logging
import os
import sys
from types import ModuleType
from typing import Any

import atheris

from product_tools.functions import FUNCTIONS
from tests.support.workload import function_environment

with atheris.instrument_imports(include=["product_lambda"]):
    from tests.support.events import Functions, gateway_event
    from tests.support.factory import product_body
    from tests.support.fakes import FakeProductStore
    from tests.support.hostile import violations

_TEXT_LENGTH = 200
_HEADERS = ("If-Match", "If-None-Match", "Idempotency-Key", "Content-Type", "Origin", "X-Other")
_PARAMETERS = (
    *("limit", "offset", "sort", "nextToken", "other"),
    *("currency", "period", "minPrice", "maxPrice", "name"),
)
_KNOWN_VALUES = (
    *(
        "",
        '"1"',
        'W/"1", "2"',
        "*",
        "application/json; charset=utf-8",
        "PROD-001",
        "PROD-A-1",
        "50",
    ),
    *("price", "-name", "ZAR", "yearly", "bas"),
    *("-createdAt", "LWNyZWF0ZWRBdHwyMDI2LTAxLTMxVDA5OjMwOjAwLjEyMzQ1Nlp8UFJPRC0wMDE", "null"),
    *(
        "19.99",
        "1e3",
        '"Basic"',
        '"ZAR"',
        '"once-off"',
        '["One", "Two"]',
        '["One"]',
        "true",
        "-0.0",
    ),
)
_FIELDS = ("name", "description", "price", "setupFee", "currency", "period", "features", "version")


def fuzzed_functions() -> Functions:
    """Import the functions with instrumentation, and put them on a store in memory."""
    os.environ.update(function_environment("http://127.0.0.1:9", "products-fuzzed"))
    logging.disable(logging.CRITICAL)
    with atheris.instrument_imports(include=["product_lambda"]):
        handlers: dict[str, ModuleType] = {
            name: importlib.import_module(f"product_lambda.handlers.{name}") for name in FUNCTIONS
        }
    entry = importlib.import_module("product_lambda.handlers.entry")
    store = FakeProductStore()
    vars(entry)["ProductRepository"] = lambda _table, _deadline: store
    functions = Functions(handlers)
    functions.create(product_body(productId="PROD-001"))
    return functions


def event_from(source: Any) -> Any:
    """Return an event: mostly a request with some unusual parts, sometimes arbitrary JSON."""
    if source.ConsumeIntInRange(0, 7) == 0:
        try:
            return json.loads(source.ConsumeUnicode(2000))
        except (ValueError, RecursionError):
            return {}

    def text() -> str:
        known = _KNOWN_VALUES[source.ConsumeIntInRange(0, len(_KNOWN_VALUES) - 1)]
        length = source.ConsumeIntInRange(0, len(known))
        return known[:length] + str(
            source.ConsumeUnicode(source.ConsumeIntInRange(0, _TEXT_LENGTH))
        )

    def some(names: tuple[str, ...]) -> dict[str, str]:
        return {name: text() for name in names if source.ConsumeBool()}

    event = gateway_event(
        product_id="PROD-001" if source.ConsumeBool() else text(),
        headers=some(_HEADERS),
        query=some(_PARAMETERS),
        body=_body_from(source, some),
    )
    event["resource"] = "/deleted-products" if source.ConsumeBool() else "/products"
    event["isBase64Encoded"] = source.ConsumeIntInRange(0, 7) == 0
    if source.ConsumeBool():
        event["multiValueHeaders"] = event["multiValueQueryStringParameters"] = None
    return event


def _body_from(source: Any, some: Any) -> str:
    if source.ConsumeBool():
        return str(source.ConsumeUnicode(1000))
    fields = ", ".join(f'"{name}": {value}' for name, value in some(_FIELDS).items())
    return f"{{{fields}}}"


def main() -> None:
    """Fuzz with libFuzzer's arguments; the first response that breaks a rule ends the run."""
    functions = fuzzed_functions()

    def check(raw: bytes) -> None:
        source = atheris.FuzzedDataProvider(raw)
        name = FUNCTIONS[source.ConsumeIntInRange(0, len(FUNCTIONS) - 1)]
        event = event_from(source)
        found = violations(functions.call(name, event))
        if found:
            raise AssertionError(f"{name} with {event!r}: {' '.join(found)}")

    atheris.Setup(sys.argv, check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
