#!/usr/bin/env python3
"""Waits until a restored table and its indexes are active, and shows for how long.

The AWS command line gives up after 500 seconds (`aws dynamodb wait table-exists`), but a restore
takes longer.
"""

import argparse
import sys
from collections.abc import Sequence

import environment_check

from product_tools.aws_calls import aws_errors_as
from product_tools.table_wait import TableWaitError, dynamodb_client, wait_for_table

LIMIT_MINUTES = 240.0
EXIT_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Wait, and return the exit code: 0 when the table can be used."""
    options = _parser().parse_args(arguments)
    try:
        with aws_errors_as(TableWaitError):
            wait_for_table(dynamodb_client(), options.table, options.minutes * 60)
    except TableWaitError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted: the restore continues; start the command again.", file=sys.stderr)
        return EXIT_INTERRUPTED
    print(f"{options.table} and its indexes are active.")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Waits until a restored table and its indexes are active."
    )
    parser.add_argument("--table", required=True, metavar="NAME")
    parser.add_argument(
        "--minutes",
        type=float,
        default=LIMIT_MINUTES,
        metavar="NUMBER",
        help=f"longest wait (default: {LIMIT_MINUTES:g})",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
