#!/usr/bin/env python3
"""Deploys the service to a local AWS with the accounts' Terraform files; tells how to reach it.

A second run changes nothing unless the code or the files did.
"""

import argparse
import sys

import environment_check

from rich.console import Console

from local.errors import LocalError
from local.stack import (
    Deployment,
    LocalStack,
    LocalStackError,
    Report,
    one_run_at_a_time,
    write_description,
)
from product_tools.packages import PackagingError
from product_tools.repository import REPOSITORY
from product_tools.terraform import TerraformError, find_terraform

FOLDER = REPOSITORY / ".local" / "deployment"
DESCRIPTION = REPOSITORY / ".local" / "deployment.json"
LOCK = REPOSITORY / ".local" / "deployment.lock"
EXIT_INTERRUPTED = 130


def main() -> int:
    """Deploy, print where the API is, and return the exit code."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    console = Console(highlight=False, soft_wrap=True)
    try:
        find_terraform()
        with one_run_at_a_time(LOCK):
            deployment = _deploy(console)
            write_description(deployment, DESCRIPTION)
    except (LocalError, LocalStackError, PackagingError, TerraformError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted: run make deploy-local again to go on.", file=sys.stderr)
        return EXIT_INTERRUPTED
    console.print(
        "Deployed." if deployment.changed else "Nothing has changed; the stack is as it was."
    )
    console.print(f"  URL      {deployment.base_url}/products")
    console.print(f"  API key  {deployment.api_key}")
    console.print(
        f"  both in  {DESCRIPTION.relative_to(REPOSITORY)}; make destroy-local takes it all down"
    )
    return 0


def _deploy(console: Console) -> Deployment:
    stack = LocalStack(FOLDER)
    with console.status("Deploying") as status:
        return stack.deploy(status.update if console.is_terminal else steps(console.print))


def steps(report: Report) -> Report:
    """Reduce what is reported to one line for each step, for a log that nobody watches."""
    seen = ""

    def report_new(line: str) -> None:
        nonlocal seen
        step = line.split(":", maxsplit=1)[0]
        if step != seen:
            seen = step
            report(step)

    return report_new


if __name__ == "__main__":
    sys.exit(main())
