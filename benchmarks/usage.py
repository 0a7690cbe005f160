"""`make usage`: counts what one request of each operation uses, on AWS's DynamoDB Local.

It counts read and write units, the bytes of responses and of log lines. It measures no time.
"""

import gzip
import importlib
import io
import json
import logging
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import yaml

from local.dynamodb_local import dynamodb_local
from local.engine import REGION
from local.table import create_table
from product_lambda.models.command import Command
from product_lambda.models.product import ProductDraft
from product_lambda.models.requests import CreateProductRequest
from product_lambda.repositories.command_repository import CommandRepository
from product_lambda.repositories.deadline import Deadline
from product_lambda.repositories.product_repository import open_table
from product_lambda.services.command_service import CommandService
from product_lambda.utils.logger import JsonFormatter
from product_tools.repository import REPOSITORY
from tests.support.faulty_dynamodb import Exchange, faulty_dynamodb
from tests.support.workload import FUNCTIONS, OPERATIONS, event, function_environment

MEASURED_USAGE = Path(__file__).parent / "measured" / "usage.json"
PAGE = 50
"""Products of a page, unless the catalogue has fewer."""

_PLANS = REPOSITORY / "catalogue" / "plans.yaml"
_READ_OPERATIONS = frozenset({"GetItem", "Query"})
_TRANSACTION = "TransactWriteItems"
# A transaction takes two units where a write takes one (Amazon DynamoDB Developer Guide, "DynamoDB
# transactions: how it works"). DynamoDB Local counts four.
_TRANSACTION_EXCESS = 2
_SECONDS = 60.0


class UnitMeter:
    """Passes requests on to DynamoDB and adds up the units of its responses."""

    def __init__(self) -> None:
        self.read_units = Decimal(0)
        self.write_units = Decimal(0)

    def pass_on(self, exchange: Exchange) -> None:
        """Pass one request on, ask for its units, and count them."""
        request = {**json.loads(exchange.request), "ReturnConsumedCapacity": "TOTAL"}
        body = json.dumps(request).encode()
        headers = {
            name: value
            for name, value in exchange.headers.items()
            if name.lower() != "content-length"
        }
        status, _, response = replace(exchange, request=body, headers=headers).forward()
        capacities = json.loads(response, parse_float=Decimal).get("ConsumedCapacity", [])
        for capacity in capacities if isinstance(capacities, list) else [capacities]:
            units = Decimal(capacity["CapacityUnits"])
            if exchange.operation == _TRANSACTION:
                units /= _TRANSACTION_EXCESS
            if exchange.operation in _READ_OPERATIONS:
                self.read_units += units
            else:
                self.write_units += units
        exchange.respond(status, response)

    def take(self) -> tuple[Decimal, Decimal]:
        """Return the read and the write units since the last call."""
        taken = self.read_units, self.write_units
        self.read_units = self.write_units = Decimal(0)
        return taken


@dataclass(frozen=True, slots=True)
class Use:
    """What one request uses.

    Attributes:
        response_bytes: of the body and of the headers that the function sends.
        compressed_bytes: the same with a body in gzip.
        log_bytes: of the lines that the function writes.
    """

    read_units: Decimal
    write_units: Decimal
    response_bytes: int = 0
    compressed_bytes: int = 0
    log_bytes: int = 0

    def entry(self) -> dict[str, object]:
        """Return the fields for the file of measurements."""
        return {
            "read_units": f"{self.read_units:f}",
            "write_units": f"{self.write_units:f}",
            "response_bytes": self.response_bytes,
            "compressed_bytes": self.compressed_bytes,
            "log_bytes": self.log_bytes,
        }


def main() -> int:
    """Count, and write the file of measurements."""
    lines = io.StringIO()
    to_text = logging.StreamHandler(lines)
    to_text.setFormatter(JsonFormatter())
    logging.getLogger().addHandler(to_text)

    measured: dict[str, Any] = {"command": "make usage", "page": PAGE}
    meter = UnitMeter()
    with dynamodb_local() as engine, faulty_dynamodb(engine, meter.pass_on) as proxy:
        os.environ.update(function_environment(proxy.endpoint_url, "unused"))
        for name, product_indexes in (("operations", False), ("with_product_indexes", True)):
            table = f"products-{uuid4().hex}"
            create_table(engine, table, product_indexes=product_indexes)
            uses = _uses(proxy.endpoint_url, table, meter, lines)
            measured[name] = {key: use.entry() for key, use in uses.items()}
    MEASURED_USAGE.parent.mkdir(parents=True, exist_ok=True)
    MEASURED_USAGE.write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")
    print(f"Wrote {MEASURED_USAGE.relative_to(REPOSITORY)}; make cost reads it.")
    return 0


def _uses(endpoint_url: str, table: str, meter: UnitMeter, lines: io.StringIO) -> dict[str, Use]:
    """Count each operation on a table of hosting plans."""
    entry = importlib.import_module("product_lambda.handlers.entry")
    vars(entry)["TABLE"] = open_table(table, REGION, endpoint_url)
    handlers = {
        operation: importlib.import_module(f"product_lambda.handlers.{FUNCTIONS[operation]}")
        for operation in OPERATIONS
    }

    def use(
        operation: str,
        *,
        product: str | None = None,
        body: Mapping[str, object] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Use:
        meter.take()
        lines.seek(0)
        lines.truncate()
        request = event(operation, product=product, body=body, query=query)
        response = handlers[operation].handler(request, None)
        if response["statusCode"] not in {200, 201, 204}:
            raise SystemExit(f"{operation} failed: correct it; it sent {response}.")
        text = (response["body"] or "").encode()
        headers = _header_bytes(response)
        return Use(
            *meter.take(),
            headers + len(text),
            headers + (len(gzip.compress(text, mtime=0)) if text else 0),
            len(lines.getvalue().encode()),
        )

    plans = yaml.safe_load(_PLANS.read_text(encoding="utf-8"))["products"]
    bodies = [{name: plan[name] for name in plan if name != "productId"} for plan in plans]
    creations = [use("create", body=body) for body in _repeated(bodies, PAGE)]
    commands = CommandService(
        CommandRepository(open_table(table, REGION, endpoint_url), Deadline(_SECONDS)),
        lambda: datetime.now(UTC),
    )

    def command_use(
        product: str, draft: ProductDraft | None = None, changes: Mapping[str, Any] | None = None
    ) -> Use:
        meter.take()
        command = Command(str(uuid4()), "request", product, "author", draft, changes)
        outcome = commands.carry_out(command)
        if outcome.problem is not None:
            raise SystemExit(f"The command to {command.operation} failed: {outcome.problem}")
        return Use(*meter.take())

    new_id = "PROD-900"
    draft = CreateProductRequest.model_validate({**bodies[2], "productId": new_id}).draft()

    return {
        "get": use("get", product="PROD-003"),
        "list_of_plans": use("list", query={"limit": str(len(plans))}),
        "list": use("list", query={"limit": str(PAGE)}),
        "create": creations[len(plans) // 2],
        "update": use("update", product="PROD-003", body={"price": 1499.5}),
        "delete": use("delete", product="PROD-004"),
        "commanded_create": command_use(new_id, draft),
        "commanded_update": command_use("PROD-005", changes={"price": Decimal("1499.5")}),
        "commanded_delete": command_use("PROD-005", None),
    }


def _repeated(bodies: Sequence[dict[str, Any]], count: int) -> Iterator[dict[str, Any]]:
    """Yield bodies in turn; a later round has other names, as no catalogue repeats a name."""
    for number in range(count):
        body = bodies[number % len(bodies)]
        yield {**body, "name": f"{body['name']} {number}"}


def _header_bytes(response: Mapping[str, Any]) -> int:
    """Return the size of the headers of a response, each with its colon, space and line end."""
    headers = [*response.get("headers", {}).items()]
    for name, values in response.get("multiValueHeaders", {}).items():
        headers += [(name, value) for value in values]
    return sum(len(name) + len(str(value)) + 4 for name, value in headers)


if __name__ == "__main__":
    sys.exit(main())
