#!/usr/bin/env python3
"""Deploys to a local AWS of its own, runs the tests against the deployed URL, and takes all down.

It disturbs no deployment of `deploy_local.py`: everything of it is in a folder of its own.
"""

import argparse
import os
import subprocess
import sys

import environment_check

from deploy_local import EXIT_INTERRUPTED, steps
from local.errors import LocalError
from local.stack import (
    LocalStack,
    LocalStackError,
    one_run_at_a_time,
    write_description,
)
from product_tools.packages import PackagingError
from product_tools.repository import REPOSITORY
from product_tools.terraform import TerraformError, find_terraform

FOLDER = REPOSITORY / ".local" / "e2e"
LOCK = REPOSITORY / ".local" / "e2e.lock"
PROD_FOLDER = FOLDER / "prod"
WORKERS = "2"


def main() -> int:
    """Deploy, test, take down; return the exit code of the tests."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    try:
        find_terraform()
        with one_run_at_a_time(LOCK):
            return _tested(LocalStack(FOLDER / "dev"))
    except (LocalError, LocalStackError, PackagingError, TerraformError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted; what was deployed has been taken down.", file=sys.stderr)
        return EXIT_INTERRUPTED


def _tested(stack: LocalStack) -> int:
    _take_down(stack)
    try:
        deployment = stack.deploy(steps(print))
        write_description(deployment, FOLDER / "deployment.json")
        return subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "tests/e2e", "tests/contract"),
                *("--numprocesses", WORKERS, "--dist", "loadscope", "--no-loadscope-reorder"),
                *("--junit-xml", ".local/reports/e2e.xml"),
            ],
            cwd=REPOSITORY,
            env={
                **os.environ,
                "PRODUCT_API_BASE_URL": deployment.base_url,
                "PRODUCT_API_KEY": deployment.api_key,
                "PRODUCT_API_STACKS": str(FOLDER),
            },
            check=False,
        ).returncode
    finally:
        _take_down(stack)


def _take_down(stack: LocalStack) -> None:
    """Stop whatever a run left, the stacks that tests deploy themselves included."""
    stack.destroy()
    LocalStack(PROD_FOLDER, "prod").destroy()
    (FOLDER / "deployment.json").unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
