#!/usr/bin/env python3
"""Loads the five hosting plans, or another catalogue file, into a product API over HTTP.

It is `catalogue.py load` with the plans as the default. A second run changes nothing.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import environment_check

import catalogue
from product_tools.repository import REPOSITORY

PLANS = REPOSITORY / "catalogue" / "plans.yaml"


def main(arguments: Sequence[str] | None = None) -> int:
    """Load a catalogue; arguments, exit codes and errors are like those of `catalogue.main`."""
    parser = argparse.ArgumentParser(
        description="Loads the five hosting plans, or another catalogue file, into a product API.",
        epilog=catalogue.EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    catalogue.add_api_options(parser)
    parser.add_argument(
        "--file",
        type=Path,
        default=PLANS,
        help="YAML, JSON or CSV (default: catalogue/plans.yaml)",
    )
    catalogue.add_load_options(parser)
    parser.set_defaults(command=catalogue.load)
    return catalogue.run(parser, parser.parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main())
