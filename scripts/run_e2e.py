#!/usr/bin/env python3
"""Deploys to a separate local AWS, runs the tests against the deployed URL, and removes everything.

A deployment of `deploy_local.py` stays as it is, since this command has its own folder.
"""

import argparse
import os
import subprocess
import sys

import environment_check

from local.deployment import (
    EXIT_INTERRUPTED,
    one_line_per_step,
    one_run_at_a_time,
    write_description,
)
from local.errors import LocalError
from local.stack import FEATURES, LocalStack
from product_tools.packages import PackagingError
from product_tools.repository import REPOSITORY
from product_tools.terraform import QUICK_SETTINGS, TerraformError, find_terraform

FOLDER = REPOSITORY / ".local" / "e2e"
LOCK_FILE = REPOSITORY / ".local" / "e2e.lock"
PROD_FOLDER = FOLDER / "prod"
WORKERS = "2"  # with three, a deployment failed once: the provider sent a request twice


def main() -> int:
    """Deploy, test and clean up, and return the exit code of the tests."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    try:
        find_terraform()
        with one_run_at_a_time(LOCK_FILE):
            return _run_tests(LocalStack(FOLDER / "dev", features=FEATURES))
    except (LocalError, PackagingError, TerraformError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted; the deployment has been removed.", file=sys.stderr)
        return EXIT_INTERRUPTED


def _run_tests(stack: LocalStack) -> int:
    _clean_up(stack)
    try:
        deployment = stack.deploy(one_line_per_step(print))
        write_description(deployment, FOLDER / "deployment.json")
        return subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "tests/e2e", "tests/contract"),
                *("--numprocesses", WORKERS, "--dist", "loadscope", "--no-loadscope-reorder"),
                *("--max-worker-restart", "0"),
                *("--junit-xml", ".local/reports/e2e.xml"),
            ],
            cwd=REPOSITORY,
            env={
                **os.environ,
                **QUICK_SETTINGS,  # for the commands that take the caller's settings
                "PRODUCT_API_BASE_URL": deployment.base_url,
                "PRODUCT_API_KEY": deployment.api_key,
                "PRODUCT_API_STACKS": str(FOLDER),
            },
            check=False,
        ).returncode
    finally:
        _clean_up(stack)


def _clean_up(stack: LocalStack) -> None:
    """Remove everything that a run has left, also the stacks that tests deploy."""
    stack.destroy()
    LocalStack(PROD_FOLDER, "prod").destroy()
    (FOLDER / "deployment.json").unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
