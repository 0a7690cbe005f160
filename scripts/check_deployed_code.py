#!/usr/bin/env python3
"""Checks that the newest version of every function is the very zip that was packaged."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import environment_check

from botocore.exceptions import BotoCoreError, ClientError

from product_tools.aliases import AliasError, Aliases, explained, lambda_client
from product_tools.functions import ENVIRONMENTS, function_name
from product_tools.package_sums import PACKAGES, PackageSumsError, as_lambda_tells, checked_packages


def main(arguments: Sequence[str] | None = None) -> int:
    """Check as the command line asks, and return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        return _check(options.environment, options.packages)
    except (PackageSumsError, AliasError) as error:
        print(error, file=sys.stderr)
    except (BotoCoreError, ClientError) as error:
        print(explained(error), file=sys.stderr)
    return 1


def _check(environment: str, packages: Path) -> int:
    """Compare each function, and return the exit code."""
    client = lambda_client()
    aliases = Aliases(client)
    exit_code = 0
    for package, digest in checked_packages(packages).items():
        function = function_name(package, environment)
        version = aliases.newest_version(function)
        deployed = client.get_function_configuration(FunctionName=function, Qualifier=version)
        if deployed["CodeSha256"] == as_lambda_tells(digest):
            print(f"{function}: version {version} is {package}.zip ({digest})")
        else:
            print(
                f"{function}: version {version} is not {package}.zip: do not shift traffic to it;"
                " package, plan and apply again.",
                file=sys.stderr,
            )
            exit_code = 1
    return exit_code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Checks that every function's newest version is the very zip that was packaged."
    )
    parser.add_argument("--environment", choices=ENVIRONMENTS, required=True)
    parser.add_argument(
        "--packages",
        type=Path,
        default=PACKAGES,
        metavar="FOLDER",
        help="folder of the zips and their SHA256SUMS (dist)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
