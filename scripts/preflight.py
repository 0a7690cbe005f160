#!/usr/bin/env python3
"""Checks before a deployment what an account, a region and the repository lack, and prints a table.

It only reads. Each row says what was found, what is needed and how to mend it.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence

import environment_check

from rich.console import Console
from rich.table import Table
from rich.text import Text

from product_tools.environment_files import DEPLOYMENTS, EnvironmentFileError
from product_tools.preflight import (
    alarms,
    api_gateway,
    github,
    quotas,
    region,
    rights,
    search_domain,
    sign_in,
    state_bucket,
    table,
)
from product_tools.preflight.checks import Check, Outcome, Row, results
from product_tools.preflight.target import PreflightError, Target

TOPICS = (
    *(region, state_bucket, table, search_domain, api_gateway),
    *(quotas, alarms, github, sign_in, rights),
)
SECONDS = 120.0
STYLES = {Outcome.FOUND: "green", Outcome.MISSING: "bold red", Outcome.UNCHECKED: "yellow"}
NARROWEST = 160  # columns of the table where the output is no terminal


def main(arguments: Sequence[str] | None = None) -> int:
    """Make all checks, print the table, and return the exit code: 0 if nothing is missing."""
    options = _parser().parse_args(arguments)
    try:
        target = Target.of(options.environment)
        target.require_account()
    except (EnvironmentFileError, PreflightError) as error:
        print(error, file=sys.stderr)
        return 1
    checks = [check for topic in TOPICS for check in topic.checks(target)]
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = max(console.width, NARROWEST)
    rows = _rows(checks, console)
    _print_table(console, rows)
    counts = Counter(row.outcome for row in rows)
    print(
        f"{target.deployment}, {target.account}, {target.region}: {counts[Outcome.FOUND]} found,"
        f" {counts[Outcome.MISSING]} missing, {counts[Outcome.UNCHECKED]} unchecked."
    )
    return 1 if counts[Outcome.MISSING] else 0


def _rows(checks: Sequence[Check], console: Console) -> list[Row]:
    """Make the checks, and show the progress on a terminal."""
    rows = []
    with console.status("Checking") as status:
        for row in results(checks, SECONDS):
            rows.append(row)
            status.update(f"Checking: {len(rows)} of {len(checks)} ({row.what})")
    return rows


def _print_table(console: Console, rows: Sequence[Row]) -> None:
    table = Table()
    for heading in ("What", "Result", "Found", "Needed", "How to mend it"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "Result")
    for row in rows:
        outcome = Text(row.outcome, STYLES[row.outcome])
        table.add_row(row.what, outcome, Text(row.found), Text(row.needed), Text(row.mend))
    console.print(table)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Checks what an environment needs before a deployment, by reading only.",
        epilog="Exit code 0: nothing is missing. Rows that are unchecked are neither found nor"
        " missing.",
    )
    parser.add_argument("--environment", choices=DEPLOYMENTS, required=True)
    return parser


if __name__ == "__main__":
    sys.exit(main())
