#!/usr/bin/env python3
"""Applies the plan that `plan_deployment.py --store` has shown and stored, and no other plan.

The file `.local/plan/plan.sha256` names the plan. The command shifts no traffic.
"""

import argparse
import sys
from collections.abc import Sequence

import environment_check

from product_tools.environment_files import DEPLOYMENTS
from product_tools.package_sums import PACKAGES, PackageSumsError, checked_packages
from product_tools.plan_store import PlanStore, PlanStoreError, read_checksum
from product_tools.terraform import RemoteRoot, TerraformError


def main(arguments: Sequence[str] | None = None) -> int:
    """Apply the stored plan, and return the exit code."""
    environment = _parser().parse_args(arguments).environment
    try:
        _apply(environment)
    except (PackageSumsError, PlanStoreError, TerraformError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _apply(environment: str) -> None:
    checked_packages(PACKAGES)
    terraform = RemoteRoot(environment)
    digest = read_checksum(terraform.checksum_file, environment)
    store = PlanStore(environment)
    terraform.init()
    store.fetch(digest, terraform.plan_file)
    try:
        terraform.apply()
    finally:
        terraform.plan_file.unlink()
    store.delete(digest)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Applies the plan that plan_deployment.py --store has shown and stored.",
        epilog="It shifts no traffic: run scripts/shift_traffic.py next.",
    )
    parser.add_argument("--environment", choices=DEPLOYMENTS, required=True)
    return parser


if __name__ == "__main__":
    sys.exit(main())
