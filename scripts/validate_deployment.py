#!/usr/bin/env python3
"""Checks a deployed product API over HTTP: every operation once, and the latency of reads.

It changes only one product, which it creates itself and always deletes, even after a stop signal.
Nobody can read a deleted product, but its item stays in the table.
"""

import argparse
import json
import math
import os
import sys
from collections.abc import Sequence

import environment_check

from rich.console import Console
from rich.table import Table
from rich.text import Text

from product_tools.api_client import ApiClient
from product_tools.arguments import at_least_one
from product_tools.validation import ATTEMPTS, Report, stop_signals_raised_once, validate

EXIT_PASSED, EXIT_FAILED, EXIT_SIGNALLED = 0, 1, 128
STYLES = {"passed": "green", "failed": "bold red", "not run": "yellow"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Validate a deployment.

    Args:
        arguments: The arguments of the command line; None means those of this program.

    Returns:
        0 when every check passed, 1 when one failed, 128 plus the signal's number after a stop
        signal.

    Raises:
        SystemExit: With 2, for invalid arguments.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    api_key = options.api_key or os.environ.get("API_KEY", "")
    if not api_key.strip():
        parser.error("an API key is needed to create a product: set API_KEY, or give --api-key.")
    try:
        api = ApiClient(options.base_url, api_key, attempts=ATTEMPTS)
        latency_api = ApiClient(options.base_url, api_key, attempts=1)
    except ValueError as error:
        parser.error(str(error))

    report = Report(api.base_url)
    with stop_signals_raised_once():
        validate(report, api, latency_api, options.samples, options.budget_ms)
        (_print_json if options.json else _print_table)(report)
    if report.is_good:
        return EXIT_PASSED
    return EXIT_SIGNALLED + report.stopped_by if report.stopped_by else EXIT_FAILED


def _print_json(report: Report) -> None:
    document = {
        "baseUrl": report.base_url,
        "passed": report.is_good,
        "stoppedBy": report.stopped_by.name if report.stopped_by else None,
        "checks": [result._asdict() for result in report.results()],
        "latencies": [
            {
                "operation": latency.operation,
                "samples": latency.samples,
                "p50Ms": round(latency.p50, 1),
                "p95Ms": round(latency.p95, 1),
                "budgetMs": latency.budget,
            }
            for latency in report.latencies
        ],
    }
    print(json.dumps(document, indent=2))


def _print_table(report: Report) -> None:
    table = Table()
    for heading in ("Check", "Result", "Details"):
        table.add_column(heading, overflow="fold")
    for name, result, message in report.results():
        table.add_row(name, Text(result, STYLES[result]), Text(message))
    console = Console()
    console.print(table)
    if report.stopped_by:
        verdict = f"Stopped by {report.stopped_by.name} before the last check: run it again."
    elif report.is_good:
        verdict = f"{report.base_url} passed every check."
    else:
        verdict = f"{report.base_url} failed: see the failed checks above."
    console.print(Text(verdict), soft_wrap=True)


def _above_zero(text: str) -> float:
    number = float(text)
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text} must be above 0")
    return number


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Checks a deployed product API: every operation, and the latency of reads.",
        epilog="It creates one product and deletes it again, even after a stop signal.",
    )
    parser.add_argument(
        "--base-url", required=True, help="address of the API, up to just before /products"
    )
    parser.add_argument(
        "--api-key",
        default="",
        help="key for writes; set API_KEY instead to keep it out of process lists",
    )
    parser.add_argument(
        "--json", action="store_true", help="print one JSON document instead of a table"
    )
    parser.add_argument(
        "--budget-ms",
        type=_above_zero,
        default=250,
        metavar="MILLISECONDS",
        help="largest allowed p95 of reads (default: 250)",
    )
    parser.add_argument(
        "--samples",
        type=at_least_one,
        default=50,
        metavar="NUMBER",
        help="measured reads of each kind (default: 50)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
