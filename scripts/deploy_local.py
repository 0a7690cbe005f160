#!/usr/bin/env python3
"""Deploys the Terraform files of the real accounts to a local AWS, and prints the URL and API key.

A second run without changes of code, files or features changes nothing.
"""

import argparse
import sys
from collections.abc import Collection

import environment_check

from rich.console import Console

from local.deployment import (
    DEPLOYMENT_FOLDER,
    DESCRIPTION_FILE,
    EXIT_INTERRUPTED,
    one_line_per_step,
    one_run_at_a_time,
    write_description,
)
from local.errors import LocalError
from local.stack import FEATURES, Deployment, LocalStack, features_from
from product_tools.packages import PackagingError
from product_tools.repository import REPOSITORY
from product_tools.terraform import TerraformError, find_terraform

LOCK_FILE = REPOSITORY / ".local" / "deployment.lock"


def main() -> int:
    """Deploy, print the URL and API key, and return the exit code."""
    options = _parser().parse_args()
    console = Console(highlight=False, soft_wrap=True)
    try:
        features = features_from(options.features)
        find_terraform()
        with one_run_at_a_time(LOCK_FILE):
            deployment = _deploy(features, console)
            write_description(deployment, DESCRIPTION_FILE)
    except (LocalError, PackagingError, TerraformError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted: run make deploy-local again to continue.", file=sys.stderr)
        return EXIT_INTERRUPTED
    console.print("Deployed." if deployment.changed else "Nothing has changed.")
    console.print(f"  URL      {deployment.base_url}/products")
    console.print(f"  API key  {deployment.api_key}")
    if deployment.features:
        console.print(f"  Features {', '.join(deployment.features)}")
    console.print(f"  File     {DESCRIPTION_FILE.relative_to(REPOSITORY)} (URL, API key, AWS)")
    console.print("To remove the deployment, run make destroy-local.")
    return 0


def _deploy(features: Collection[str], console: Console) -> Deployment:
    stack = LocalStack(DEPLOYMENT_FOLDER, features=features)
    with console.status("Deploying") as status:
        return stack.deploy(
            status.update if console.is_terminal else one_line_per_step(console.print)
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--features",
        default="",
        metavar="LIST",
        help=f"optional features with commas between them, or all: {', '.join(FEATURES)}. The next"
        " deployment without a feature switches it off, and deletes what it keeps (default: none)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
