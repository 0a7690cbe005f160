#!/usr/bin/env python3
"""Checks that the newest version of every function consists of the packaged zip."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import environment_check

from product_tools import deployed_code
from product_tools.aliases import AliasError, lambda_client
from product_tools.functions import ENVIRONMENTS
from product_tools.package_sums import PACKAGES, PackageSumsError


def main(arguments: Sequence[str] | None = None) -> int:
    """Check the deployed code, and return the exit code."""
    options = _parser().parse_args(arguments)
    exit_code = 0
    try:
        for code in deployed_code.compare(lambda_client(), options.environment, options.packages):
            if code.is_packaged:
                print(
                    f"{code.function}: version {code.version} is {code.package}.zip"
                    f" ({code.digest})"
                )
            else:
                print(
                    f"{code.function}: version {code.version} is not {code.package}.zip: do not"
                    " shift traffic to it; package, plan and apply again.",
                    file=sys.stderr,
                )
                exit_code = 1
    except (PackageSumsError, AliasError) as error:
        print(error, file=sys.stderr)
        return 1
    return exit_code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Checks that the newest version of every function consists of the packaged zip."
    )
    parser.add_argument("--environment", choices=ENVIRONMENTS, required=True)
    parser.add_argument(
        "--packages",
        type=Path,
        default=PACKAGES,
        metavar="FOLDER",
        help="folder with the zips and their SHA256SUMS (default: dist)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
