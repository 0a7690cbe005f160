#!/usr/bin/env python3
"""Validates a deployed environment: finds its address and key, then runs `validate_deployment.py`.

The key comes from Terraform's state and is never shown.
"""

import argparse
import os
import sys
from collections.abc import Sequence

import environment_check

import validate_deployment
from product_tools.functions import ENVIRONMENTS
from product_tools.remote_terraform import RemoteTerraform, RemoteTerraformError
from product_tools.terraform import TerraformError


def main(arguments: Sequence[str] | None = None) -> int:
    """Validate as the command line asks, and return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        terraform = RemoteTerraform(options.environment)
        terraform.init()
        address = terraform.output("api_url")
        os.environ["API_KEY"] = terraform.output("api_key")
    except (RemoteTerraformError, TerraformError) as error:
        print(error, file=sys.stderr)
        return 1
    return validate_deployment.main(
        ["--base-url", address, "--budget-ms", str(options.budget_ms)],
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Validates an environment at the address and with the key in its state."
    )
    parser.add_argument("--environment", choices=ENVIRONMENTS, required=True)
    parser.add_argument(
        "--budget-ms",
        type=float,
        default=250,
        help="what p95 of reads may be, seen from here (250)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
