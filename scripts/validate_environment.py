#!/usr/bin/env python3
"""Runs `validate_deployment.py` against an environment, with the URL and API key of its state.

The API key comes from Terraform's state and is never printed.
"""

import argparse
import os
import sys
from collections.abc import Sequence

import environment_check

import validate_deployment
from product_tools.environment_files import DEPLOYMENTS, EnvironmentFileError
from product_tools.remote_state import RemoteState, RemoteStateError


def main(arguments: Sequence[str] | None = None) -> int:
    """Validate an environment, and return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        base_url, os.environ["API_KEY"] = RemoteState.of(options.environment).credentials()
    except (EnvironmentFileError, RemoteStateError) as error:
        print(error, file=sys.stderr)
        return 1
    return validate_deployment.main(
        ["--base-url", base_url, "--budget-ms", str(options.budget_ms)],
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Validates an environment with the URL and API key of its Terraform state."
    )
    parser.add_argument("--environment", choices=DEPLOYMENTS, required=True)
    parser.add_argument(
        "--budget-ms",
        type=float,
        default=250,
        metavar="MILLISECONDS",
        help="largest allowed p95 of reads, measured from this machine (default: 250)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
