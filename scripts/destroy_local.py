#!/usr/bin/env python3
"""Takes down what deploy_local.py deployed: the local AWS, its processes, its state and its key."""

import argparse
import sys
from pathlib import Path

# Run as a file, Python has this folder on its path and not the repository.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scripts.deploy_local import DESCRIPTION, FOLDER
from scripts.local_stack import LocalStack


def main() -> int:
    """Destroy the local deployment and say whether there was one."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    existed = LocalStack(FOLDER).destroy()
    DESCRIPTION.unlink(missing_ok=True)
    print("The local deployment is gone." if existed else "There was no local deployment.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
