#!/usr/bin/env python3
"""Plans what Terraform would change in an environment, and shows it; it changes nothing.

Stored, the plan waits for `apply_plan.py` in the environment's state bucket.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import environment_check

from botocore.exceptions import BotoCoreError

from product_tools.aliases import explained
from product_tools.functions import ENVIRONMENTS
from product_tools.package_sums import PACKAGES, PackageSumsError, checked_packages
from product_tools.plan_summary import summary
from product_tools.remote_terraform import PlanStore, RemoteTerraform, RemoteTerraformError
from product_tools.terraform import TerraformError


def main(arguments: Sequence[str] | None = None) -> int:
    """Plan as the command line asks, and return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        _plan(options.environment, options.summary, store=options.store)
    except (PackageSumsError, RemoteTerraformError, TerraformError) as error:
        print(error, file=sys.stderr)
        return 1
    except BotoCoreError as error:
        print(explained(error), file=sys.stderr)
        return 1
    return 0


def _plan(environment: str, summary_file: Path | None, *, store: bool) -> None:
    checked_packages(PACKAGES)
    terraform = RemoteTerraform(environment)
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
    # It holds what the state holds.
    terraform.plan_file.unlink()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Plans what Terraform would change in an environment, and shows it.",
        epilog="The plan's text goes to .local/plan/plan.txt; nothing is changed.",
    )
    parser.add_argument("--environment", choices=ENVIRONMENTS, required=True)
    parser.add_argument(
        "--summary", type=Path, metavar="FILE", help="append the summary to FILE, as Markdown"
    )
    parser.add_argument(
        "--store",
        action="store_true",
        help="keep the plan in the state's bucket for apply_plan.py, its checksum in .local/plan",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
