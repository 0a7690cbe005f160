#!/usr/bin/env python3
"""Applies the plan that `plan_deployment.py --store` has shown and kept, and no other.

Which one that is stands in `.local/plan/plan.sha256`. It shifts no traffic.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import environment_check

from botocore.exceptions import BotoCoreError

from product_tools.aliases import explained
from product_tools.functions import ENVIRONMENTS
from product_tools.package_sums import PACKAGES, PackageSumsError, checked_packages
from product_tools.remote_terraform import PlanStore, RemoteTerraform, RemoteTerraformError
from product_tools.terraform import TerraformError


def main(arguments: Sequence[str] | None = None) -> int:
    """Apply as the command line asks, and return the exit code."""
    environment = _parser().parse_args(arguments).environment
    try:
        _apply(environment)
    except (PackageSumsError, RemoteTerraformError, TerraformError) as error:
        print(error, file=sys.stderr)
        return 1
    except BotoCoreError as error:
        print(explained(error), file=sys.stderr)
        return 1
    return 0


def _apply(environment: str) -> None:
    checked_packages(PACKAGES)
    terraform = RemoteTerraform(environment)
    digest = _shown(environment, terraform.checksum_file)
    store = PlanStore(environment)
    terraform.init()
    store.fetch(digest, terraform.plan_file)
    try:
        terraform.apply()
    finally:
        terraform.plan_file.unlink()
    store.forget(digest)


def _shown(environment: str, checksum_file: Path) -> str:
    """Return the checksum of the plan that was shown.

    Raises:
        RemoteTerraformError: none was, or it was another environment's.
    """
    try:
        digest, name = checksum_file.read_text().split()
    except FileNotFoundError:
        raise RemoteTerraformError(
            f"No plan has been stored: run scripts/plan_deployment.py --environment {environment}"
            " --store first."
        ) from None
    if name != f"{environment}.tfplan":
        raise RemoteTerraformError(
            f"The stored plan is {name}, not {environment}.tfplan: plan for {environment} first."
        )
    return digest


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Applies the plan that plan_deployment.py --store has shown and kept.",
        epilog="Traffic stays on the versions it is on: scripts/shift_traffic.py moves it.",
    )
    parser.add_argument("--environment", choices=ENVIRONMENTS, required=True)
    return parser


if __name__ == "__main__":
    sys.exit(main())
