#!/usr/bin/env python3
"""Builds one zip for each Lambda function; `package_lambdas.sh` prepares its environment."""

import argparse
import sys
from pathlib import Path

import environment_check

from product_tools.packages import MACHINES, PackagingError, build
from product_tools.repository import REPOSITORY


def main(arguments: list[str] | None = None) -> int:
    """Build the zips, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="package_lambdas.sh", description="Builds one zip for each Lambda function."
    )
    parser.add_argument(
        "--arch",
        choices=sorted(MACHINES),
        default="arm64",
        help="architecture of the functions (default: %(default)s)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=REPOSITORY / "dist",
        help="folder to write to (default: dist in the repository)",
    )
    options = parser.parse_args(arguments)
    try:
        build(options.arch, options.out)
    except PackagingError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
