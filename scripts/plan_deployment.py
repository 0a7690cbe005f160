#!/usr/bin/env python3
"""Plans the changes of Terraform in an environment and shows them, without any change.

With --store, the plan stays in the bucket of the environment's state for `apply_plan.py`.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import environment_check

from product_tools.environment_files import DEPLOYMENTS
from product_tools.package_sums import PACKAGES, PackageSumsError, checked_packages
from product_tools.plan_store import PlanStore, PlanStoreError
from product_tools.plan_summary import summary
from product_tools.terraform import RemoteRoot, TerraformError


def main(arguments: Sequence[str] | None = None) -> int:
    """Plan, and return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        _plan(options.environment, options.summary, store=options.store)
    except (PackageSumsError, PlanStoreError, TerraformError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _plan(environment: str, summary_file: Path | None, *, store: bool) -> None:
    checked_packages(PACKAGES)
    terraform = RemoteRoot(environment)
    terraform.init()
    terraform.validate()
    terraform.plan()
    terraform.text_file.write_text(terraform.plan_as_text(), encoding="utf-8")
    markdown = summary(environment, json.loads(terraform.plan_as_json()))
    if summary_file is None:
        print(markdown)
    else:
        with summary_file.open("a", encoding="utf-8") as file:
            file.write(markdown)
    if store:
        digest = PlanStore(environment).put(terraform.plan_file)
        terraform.checksum_file.write_text(f"{digest}  {terraform.plan_file.name}\n")
        print(f"The plan {digest} waits to be applied.")
    terraform.plan_file.unlink()  # it holds the API key


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Plans the changes of Terraform in an environment and shows them.",
        epilog="The plan's text goes to .local/plan/plan.txt; the environment stays unchanged.",
    )
    parser.add_argument("--environment", choices=DEPLOYMENTS, required=True)
    parser.add_argument(
        "--summary", type=Path, metavar="FILE", help="append the summary to FILE, as Markdown"
    )
    parser.add_argument(
        "--store",
        action="store_true",
        help="store the plan in the bucket of the state for apply_plan.py, and its checksum in"
        " .local/plan",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
