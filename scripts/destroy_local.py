#!/usr/bin/env python3
"""Takes down what deploy_local.py deployed: the local AWS, its processes, its state and its key."""

import argparse
import sys

import environment_check

from deploy_local import DESCRIPTION, FOLDER
from local.stack import LocalStack


def main() -> int:
    """Destroy the local deployment and say whether there was one."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    existed = LocalStack(FOLDER).destroy()
    DESCRIPTION.unlink(missing_ok=True)
    print("The local deployment is gone." if existed else "There was no local deployment.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
