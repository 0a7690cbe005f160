#!/usr/bin/env python3
"""Removes the deployment of deploy_local.py, with the processes, state and key of its local AWS."""

import argparse
import sys

import environment_check

from local.deployment import DEPLOYMENT_FOLDER, DESCRIPTION_FILE
from local.stack import LocalStack


def main() -> int:
    """Remove the local deployment, and return the exit code."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    existed = LocalStack(DEPLOYMENT_FOLDER).destroy()
    DESCRIPTION_FILE.unlink(missing_ok=True)
    print("The local deployment is removed." if existed else "There was no local deployment.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
