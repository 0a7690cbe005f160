#!/usr/bin/env python3
"""Checks a deployed product API from outside: every operation once, and the latency of reads.

It changes no product except one of its own, which it deletes whatever happens, also when stopped;
a deleted product is never shown again, and its item stays in the table.
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
from product_tools.validation import (
    ATTEMPTS,
    CLEAN_UP,
    Report,
    SmokeProduct,
    StoppedError,
    make_checks,
    measure,
    sentences,
    stop_signals_raised_once,
)

EXIT_PASSED, EXIT_FAILED, EXIT_USAGE = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Validate a deployment.

    Args:
        arguments: The command line after the program's name; that of this program when None.

    Returns:
        0 when every check passed, 1 when one failed, 128 and the signal's number when stopped.

    Raises:
        SystemExit: With 2, for arguments that cannot be used.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    api_key = options.api_key or os.environ.get("API_KEY", "")
    if not api_key.strip():
        parser.error("an API key is needed to create a product: set API_KEY, or give --api-key.")
    try:
        api = ApiClient(options.base_url, api_key, attempts=ATTEMPTS)
        # A wait between attempts must not count as latency.
        impatient_api = ApiClient(options.base_url, api_key, attempts=1)
    except ValueError as fault:
        parser.error(str(fault))

    report, smoke_product = Report(api.base_url), SmokeProduct(api)
    exit_code = EXIT_FAILED
    with stop_signals_raised_once():
        try:
            try:
                make_checks(report, api, smoke_product)
                measure(report, impatient_api, options.samples, options.budget_ms)
            finally:
                report.check(CLEAN_UP, smoke_product.clean_up)
        except StoppedError as stop:
            # The signal may have come while the first cleaning was at work; no other one comes.
            report.check(CLEAN_UP, smoke_product.clean_up)
            report.stopped_by = stop.signal.name
            exit_code = 128 + stop.signal
        (_print_json if options.json else _print_table)(report)
    return EXIT_PASSED if report.is_good else exit_code


def _print_json(report: Report) -> None:
    document = {
        "baseUrl": report.base_url,
        "passed": report.is_good,
        "stoppedBy": report.stopped_by,
        "checks": [
            {"name": name, "result": result, "said": said}
            for name, result, said in sentences(report)
        ],
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
    for heading in ("Check", "Result", "What was found"):
        table.add_column(heading, overflow="fold")
    styles = {"passed": "green", "failed": "bold red", "not run": "yellow"}
    for name, result, said in sentences(report):
        table.add_row(name, Text(result, styles[result]), Text(said))
    console = Console()
    console.print(table)
    if report.stopped_by:
        verdict = f"Stopped by {report.stopped_by} before all was checked: run it again."
    elif report.is_good:
        verdict = f"{report.base_url} works as it should."
    else:
        verdict = f"{report.base_url} does not work as it should: see what failed above."
    console.print(Text(verdict), soft_wrap=True)


def _at_least_one(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} must be 1 or more")
    return number


def _above_zero(text: str) -> float:
    number = float(text)
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text} must be above 0")
    return number


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Checks a deployed product API: all operations, and the latency of reads.",
        epilog="It makes a product of its own and deletes it, when it is stopped as well.",
    )
    parser.add_argument(
        "--base-url", required=True, help="the API's address, up to just before /products"
    )
    parser.add_argument(
        "--api-key", default="", help="better given as API_KEY, which no process list shows"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document instead")
    parser.add_argument(
        "--budget-ms", type=_above_zero, default=250, help="what p95 of reads may be (250)"
    )
    parser.add_argument(
        "--samples", type=_at_least_one, default=50, help="reads of each kind to measure (50)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
