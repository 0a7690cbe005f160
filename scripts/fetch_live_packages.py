#!/usr/bin/env python3
"""Fetches the zips of the live versions into dist/, so that an apply changes no code.

Use it before an emergency change of settings, such as the read-only switch.
"""

import argparse
import sys
from collections.abc import Sequence

import environment_check

from product_tools import live_packages
from product_tools.aliases import AliasError, lambda_client
from product_tools.functions import ENVIRONMENTS
from product_tools.package_sums import PACKAGES


def main(arguments: Sequence[str] | None = None) -> int:
    """Fetch the packages, and return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        packages = live_packages.fetch(lambda_client(), options.environment, PACKAGES)
    except (AliasError, live_packages.DownloadError) as error:
        print(error, file=sys.stderr)
        return 1
    for package in packages:
        print(
            f"{package.package}.zip is version {package.version} of {package.function}"
            f" ({package.digest})"
        )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Fetches the zips of the live versions, so that an apply changes no code."
    )
    parser.add_argument("--environment", choices=ENVIRONMENTS, required=True)
    return parser


if __name__ == "__main__":
    sys.exit(main())
