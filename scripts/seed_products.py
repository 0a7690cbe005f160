#!/usr/bin/env python3
"""Loads a catalogue file into a product API over HTTP, or exports the API's catalogue to a file.

A second run changes nothing. It never deletes: products that are missing from the file stay.
"""

import argparse
import os
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import environment_check

from rich.console import Console
from rich.progress import track
from rich.table import Table
from rich.text import Text

from product_tools import catalogue_file
from product_tools.api_client import ApiClient, ApiUnavailableError
from product_tools.catalogue_file import CatalogueFileError, Product
from product_tools.catalogue_sync import (
    Outcome,
    Result,
    load_product,
    preview_product,
    read_catalogue,
)
from product_tools.repository import REPOSITORY

PLANS = REPOSITORY / "catalogue" / "plans.yaml"
EXIT_DONE, EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 0, 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Load or export a catalogue.

    Args:
        arguments: The command line after the program's name; that of this program when None.

    Returns:
        0 on success, 1 when a product or the API failed, 2 for an unusable catalogue file,
        130 when interrupted.

    Raises:
        SystemExit: With 2, for invalid arguments.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    writes = not (options.dry_run or options.export)
    api_key = options.api_key or os.environ.get("API_KEY", "")
    if writes and not api_key.strip():
        parser.error("an API key is needed to write: set API_KEY, or give --api-key.")
    if options.dry_run and options.export:
        parser.error("--export writes nothing to the API: leave --dry-run out.")
    try:
        api = ApiClient(options.base_url, api_key)
    except ValueError as error:
        parser.error(str(error))

    try:
        if options.export:
            _export(api, options.export)
            return EXIT_DONE
        products = catalogue_file.read(options.file)
        return _load(api, products, preview_product if options.dry_run else load_product)
    except CatalogueFileError as error:
        print(error, file=sys.stderr)
        return EXIT_USAGE
    except ApiUnavailableError as error:
        print(error, file=sys.stderr)
        return EXIT_FAILED


def _export(api: ApiClient, path: Path) -> None:
    catalogue_file.check_extension(path)
    products = read_catalogue(api)
    catalogue_file.write(path, products)
    print(f"Products written to {path}: {len(products)}.")


def _load(
    api: ApiClient, products: Sequence[Product], load_one: Callable[[ApiClient, Product], Outcome]
) -> int:
    outcomes: list[Outcome] = []
    stop_reason, exit_code = "", EXIT_DONE
    errors = Console(stderr=True)
    try:
        for product in track(
            products, "Loading", console=errors, transient=True, disable=not errors.is_terminal
        ):
            # One by one, so that an error or an interruption keeps the outcomes so far.
            outcomes.append(load_one(api, product))  # noqa: PERF401
    except ApiUnavailableError as error:
        stop_reason, exit_code = str(error), EXIT_FAILED
    except KeyboardInterrupt:
        stop_reason = "Interrupted: run the same command again to load the rest."
        exit_code = EXIT_INTERRUPTED
    outcomes += [Outcome(product, Result.NOT_TRIED) for product in products[len(outcomes) :]]

    _print_outcomes(outcomes)
    failures = [outcome for outcome in outcomes if outcome.result is Result.FAILED]
    for failure in failures:
        _print_sentence(errors, f"{failure.product['productId']} failed: {failure.reason}")
    if stop_reason:
        _print_sentence(errors, stop_reason)
    return exit_code or (EXIT_FAILED if failures else EXIT_DONE)


def _print_outcomes(outcomes: Sequence[Outcome]) -> None:
    table = Table()
    for heading in ("Product", "Name", "Result"):
        table.add_column(heading, overflow="fold")
    for outcome in outcomes:
        fields = f": {', '.join(outcome.fields)}" if outcome.fields else ""
        cells = (outcome.product["productId"], outcome.product["name"], outcome.result + fields)
        table.add_row(*map(Text, cells))
    console = Console()
    console.print(table)
    counts = Counter(outcome.result for outcome in outcomes)
    if set(counts) <= {Result.UNCHANGED}:
        _print_sentence(console, "Nothing to change: the API has every product of the file.")
    else:
        numbers = [f"{counts[result]} {result}" for result in Result if counts[result]]
        _print_sentence(console, ", ".join(numbers) + ".")


def _print_sentence(console: Console, sentence: str) -> None:
    console.print(Text(sentence), soft_wrap=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Loads a catalogue file into a product API, or exports the API's catalogue.",
        epilog="Products that are missing from the file stay as they are.",
    )
    parser.add_argument(
        "--base-url", required=True, help="address of the API, up to just before /products"
    )
    parser.add_argument(
        "--api-key",
        default="",
        help="key for writes; set API_KEY instead to keep it out of process lists",
    )
    direction = parser.add_mutually_exclusive_group()
    direction.add_argument(
        "--file",
        type=Path,
        default=PLANS,
        help="catalogue file to load, YAML or JSON (default: catalogue/plans.yaml)",
    )
    direction.add_argument(
        "--export", type=Path, metavar="FILE", help="write the API's catalogue to FILE"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="show the changes without making them"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
