#!/usr/bin/env python3
"""Loads a catalogue file into a product API over HTTP, or writes the API's catalogue to one.

A second run changes nothing. It never deletes: products that the file does not name stay.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import environment_check

from product_tools import catalogue_file
from product_tools.api_client import (
    ApiClient,
    ApiUnavailableError,
)
from product_tools.catalogue_file import CatalogueFileError
from product_tools.catalogue_sync import (
    EXIT_FAILED,
    EXIT_USAGE,
    bring_in_line,
    export_catalogue,
    load_catalogue,
    preview,
)

PLANS = Path(__file__).resolve().parents[1] / "catalogue" / "plans.yaml"


def main(arguments: Sequence[str] | None = None) -> int:
    """Load or export a catalogue.

    Args:
        arguments: The command line after the program's name; that of this program when None.

    Returns:
        0 when all is done, 1 when some of it failed, 2 for a catalogue file that cannot be used,
        130 when interrupted.

    Raises:
        SystemExit: With 2, for arguments that cannot be used.
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
    except ValueError as fault:
        parser.error(str(fault))

    try:
        if options.export:
            return export_catalogue(api, options.export)
        treat = preview if options.dry_run else bring_in_line
        return load_catalogue(api, catalogue_file.read(options.file), treat)
    except CatalogueFileError as fault:
        print(fault, file=sys.stderr)
        return EXIT_USAGE
    except ApiUnavailableError as fault:
        print(fault, file=sys.stderr)
        return EXIT_FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Loads a catalogue into a product API, or exports it, to carry it elsewhere.",
        epilog="Products that the file does not name are left as they are.",
    )
    parser.add_argument(
        "--base-url", required=True, help="the API's address, up to just before /products"
    )
    parser.add_argument(
        "--api-key", default="", help="better given as API_KEY, which no process list shows"
    )
    direction = parser.add_mutually_exclusive_group()
    direction.add_argument(
        "--file", type=Path, default=PLANS, help="catalogue to load, YAML or JSON (the plans)"
    )
    direction.add_argument(
        "--export", type=Path, metavar="FILE", help="write the API's catalogue to FILE"
    )
    parser.add_argument("--dry-run", action="store_true", help="show what loading would do")
    return parser


if __name__ == "__main__":
    sys.exit(main())
