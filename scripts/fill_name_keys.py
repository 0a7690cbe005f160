#!/usr/bin/env python3
"""Gives products that older releases stored the attribute `nameKey`, for sorting by name.

Run it after the deployment of a release that writes `nameKey`, and before the index by name is
created. It is safe to run it again, and while the API is in use.
"""

import argparse
import sys
from collections.abc import Sequence

import environment_check

from rich.console import Console

from product_lambda.models.product import name_key
from product_tools.aws_calls import aws_errors_as
from product_tools.name_keys import Counts, NameKeyError, fill_name_keys
from product_tools.table_wait import dynamodb_client

EXIT_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Fill in the keys, show the progress, and return the exit code."""
    options = _parser().parse_args(arguments)
    console = Console(highlight=False, soft_wrap=True)
    last = options.after
    counts = Counts()
    try:
        with console.status("Reading the table") as status, aws_errors_as(NameKeyError):
            for counts in fill_name_keys(
                dynamodb_client(),
                options.table,
                name_key,
                after=options.after,
                dry_run=options.dry_run,
            ):
                last = counts.last
                status.update(_text(counts, options.table, dry_run=options.dry_run))
                if not console.is_terminal:
                    console.print(_text(counts, options.table, dry_run=options.dry_run))
    except NameKeyError as error:
        print(f"{error}\n{_resumption(last)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"Interrupted. {_resumption(last)}", file=sys.stderr)
        return EXIT_INTERRUPTED
    if console.is_terminal:
        console.print(_text(counts, options.table, dry_run=options.dry_run))
    console.print("Nothing was written: this was a dry run." if options.dry_run else "Done.")
    return 0


def _text(counts: Counts, table: str, *, dry_run: bool) -> str:
    verb = "need a key" if dry_run else "got a key"
    text = f"{table}: {counts.products:,} products read, {counts.filled:,} {verb}"
    return text + (f", {counts.skipped:,} have no name" if counts.skipped else "")


def _resumption(last: str) -> str:
    if not last:
        return "Start the command again."
    return f"To go on from here, start the command again with --after {last}."


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Gives stored products the attribute nameKey, for sorting by name."
    )
    parser.add_argument("--table", required=True, metavar="NAME", help="such as products-dev")
    parser.add_argument(
        "--after",
        default="",
        metavar="PRODUCT_ID",
        help="go on after this product of an earlier run",
    )
    parser.add_argument("--dry-run", action="store_true", help="only count, write nothing")
    return parser


if __name__ == "__main__":
    sys.exit(main())
