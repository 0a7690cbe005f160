#!/usr/bin/env python3
"""Rehearses the loss of the products table on a separate local AWS, and measures the recovery time.

The procedure is in docs/runbooks/product_lambda_disaster_recovery.md, "Restore the catalogue from
an export". The command never connects to a real account. After a success it leaves no files.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path

import environment_check

from local.deployment import EXIT_INTERRUPTED, one_line_per_step
from local.errors import LocalError
from local.stack import Deployment, LocalStack
from product_tools.api_client import ApiClient, ApiUnavailableError
from product_tools.catalogue_file import read
from product_tools.packages import PackagingError
from product_tools.repository import REPOSITORY
from product_tools.terraform import TerraformError, find_terraform

FOLDER = REPOSITORY / ".local" / "drill"
RECOVERY_SECONDS = 30 * 60.0


class DrillError(Exception):
    """The recovery failed; the text is a sentence with the reason."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Rehearse the recovery, and return the exit code."""
    options = _parser().parse_args(arguments)
    stack = LocalStack(FOLDER / "stack", packages=options.packages)
    try:
        find_terraform()
        stack.destroy()
        deployment = stack.deploy(one_line_per_step(print))
        seconds = rehearse(stack, deployment)
    except (ApiUnavailableError, DrillError, LocalError, PackagingError, TerraformError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted: start the drill again.", file=sys.stderr)
        return EXIT_INTERRUPTED
    finally:
        stack.destroy()
    shutil.rmtree(FOLDER)
    print(f"The catalogue is complete again, {seconds:.0f} s after its loss was noticed.")
    return 0


def rehearse(stack: LocalStack, deployment: Deployment) -> float:
    """Load the catalogue, export it, delete the table, restore it, and compare.

    Returns:
        Seconds from the detected loss until the catalogue is complete.

    Raises:
        DrillError: a step fails, or the restored catalogue differs.
        ApiUnavailableError, LocalError, TerraformError: a step fails.
    """
    table_name = f"products-{stack.environment}"
    backup, compared = FOLDER / "backup.yaml", FOLDER / "compared.yaml"
    _run(deployment, "seed_products.py", "the catalogue could not be loaded")
    _run(deployment, "catalogue.py", "the catalogue could not be exported", "export", str(backup))
    print(f"Backup: {len(read(backup))} products in {backup.relative_to(REPOSITORY)}.")

    stack.client("dynamodb").delete_table(TableName=table_name)
    status = _list_status(deployment)
    if status < HTTPStatus.INTERNAL_SERVER_ERROR:
        raise DrillError(f"The table is deleted, but a read has the status {status}.")
    print(f"Lost: the table {table_name} is deleted, and a read has the status {status}.")

    noticed = time.monotonic()
    table = stack.table_root()
    table.init()
    table.plan()
    table.apply(lambda address: print(f"Rebuilt: {address}."))
    _run(deployment, "catalogue.py", "the export could not be loaded", "load", str(backup))
    seconds = time.monotonic() - noticed

    _run(deployment, "catalogue.py", "the catalogue could not be exported", "export", str(compared))
    if compared.read_bytes() != backup.read_bytes():
        raise DrillError(f"The catalogue differs from {backup}: compare it with {compared}.")
    if seconds > RECOVERY_SECONDS:
        raise DrillError(f"The recovery took {seconds:.0f} s; the limit is 30 minutes.")
    return seconds


def _run(deployment: Deployment, command: str, failure: str, *arguments: str) -> None:
    """Run a command of this folder on the API, as the runbook does."""
    program = REPOSITORY / "scripts" / command
    sys.stdout.flush()  # the program prints after these lines
    completed = subprocess.run(
        [sys.executable, program, *arguments],
        env={**os.environ, "BASE_URL": deployment.base_url, "API_KEY": deployment.api_key},
        check=False,
    )
    if completed.returncode:
        raise DrillError(f"The drill has stopped: {failure}; see the reason above.")


def _list_status(deployment: Deployment) -> int:
    """Return the status of one list request; without retries, since the failure is intended."""
    return ApiClient(deployment.base_url, "", attempts=1).send("GET", "/products").status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Rehearses the loss of the products table on a local AWS, and its recovery.",
        epilog="It deploys a separate stack, and removes it at the end.",
    )
    parser.add_argument(
        "--packages",
        type=Path,
        metavar="FOLDER",
        help="folder of the zips for this machine (by default they are built)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
