#!/usr/bin/env python3
"""Rehearses the loss of the products table on a local AWS of its own, and times the recovery.

It is the procedure of docs/runbooks/product_lambda_disaster_recovery.md, "Restore the catalogue
from an export". It never talks to a real account, and leaves nothing behind when all went well.
"""

import argparse
import shutil
import sys
import time
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path

import environment_check

import seed_products
from deploy_local import steps
from local.errors import LocalError
from local.stack import Deployment, LocalStack, LocalStackError
from product_tools.api_client import ApiClient, ApiUnavailableError
from product_tools.catalogue_file import read
from product_tools.packages import PackagingError
from product_tools.repository import REPOSITORY
from product_tools.terraform import TerraformError, find_terraform

FOLDER = REPOSITORY / ".local" / "drill"
RECOVERY_SECONDS = 30 * 60.0


class DrillError(Exception):
    """The recovery did not do what it should; the text is a sentence that says what."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Rehearse as the command line asks, and return the exit code."""
    options = _parser().parse_args(arguments)
    stack = LocalStack(FOLDER / "stack", packages=options.packages)
    try:
        find_terraform()
        stack.destroy()
        deployment = stack.deploy(steps(print))
        seconds = rehearse(stack, deployment)
    except (
        ApiUnavailableError,
        DrillError,
        LocalError,
        LocalStackError,
        PackagingError,
        TerraformError,
    ) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted: run the drill again from its start.", file=sys.stderr)
        return 130
    finally:
        stack.destroy()
    shutil.rmtree(FOLDER)
    print(f"The catalogue is whole again, {seconds:.0f} s after its loss was noticed.")
    return 0


def rehearse(stack: LocalStack, deployment: Deployment) -> float:
    """Fill the catalogue, export it, lose the table, build it up again, and compare.

    Returns:
        Seconds from noticing the loss until the catalogue is whole.

    Raises:
        DrillError: a step fails, or the catalogue is not what it was.
        ApiUnavailableError, LocalStackError, TerraformError: as their steps do.
    """
    table_name = f"products-{stack.environment}"
    backup, compared = FOLDER / "backup.yaml", FOLDER / "compared.yaml"
    _run_seed(deployment, "the catalogue could not be loaded")
    _run_seed(deployment, "the catalogue could not be exported", "--export", str(backup))
    print(f"Backup: {len(read(backup))} products in {backup.relative_to(REPOSITORY)}.")

    stack.client("dynamodb").delete_table(TableName=table_name)
    status = _status_of_a_read(deployment)
    if status < HTTPStatus.INTERNAL_SERVER_ERROR:
        raise DrillError(f"The table is lost, and reads are answered with {status} all the same.")
    print(f"Lost: the table {table_name} is deleted, and reads answer {status}.")

    noticed = time.monotonic()
    table = stack.table_root()
    table.init()
    table.plan()
    table.apply(lambda address: print(f"Rebuilt: {address}."))
    _run_seed(deployment, "the export could not be loaded", "--file", str(backup))
    seconds = time.monotonic() - noticed

    _run_seed(deployment, "the catalogue could not be exported", "--export", str(compared))
    if compared.read_bytes() != backup.read_bytes():
        raise DrillError(f"The catalogue differs from {backup}: compare it with {compared}.")
    if seconds > RECOVERY_SECONDS:
        raise DrillError(f"The recovery took {seconds:.0f} s, more than the 30 minutes allowed.")
    return seconds


def _run_seed(deployment: Deployment, failure: str, *arguments: str) -> None:
    """Run seed_products.py, as the runbook does."""
    address = ["--base-url", deployment.base_url, "--api-key", deployment.api_key]
    if seed_products.main([*address, *arguments]):
        raise DrillError(f"The drill has ended: {failure}; what is said above tells why.")


def _status_of_a_read(deployment: Deployment) -> int:
    """The status of a list read, with no patience for a fault that is meant."""
    return ApiClient(deployment.base_url, "", attempts=1).send("GET", "/products").status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Rehearses the loss of the products table on a local AWS, and its recovery.",
        epilog="It deploys a stack of its own, and takes it down again.",
    )
    parser.add_argument(
        "--packages",
        type=Path,
        metavar="FOLDER",
        help="folder of the zips for this machine (they are built)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
