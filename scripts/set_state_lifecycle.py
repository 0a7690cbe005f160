#!/usr/bin/env python3
"""Sets the lifecycle rules of this service in the bucket of the state, and keeps all other rules.

A second run changes nothing.
"""

import argparse
import sys
from collections.abc import Sequence

import environment_check

import boto3

from product_tools.aws_calls import aws_errors_as
from product_tools.environment_files import DEPLOYMENTS, EnvironmentFileError, state_location
from product_tools.state_lifecycle import RULES, LifecycleError, set_rules


def main(arguments: Sequence[str] | None = None) -> int:
    """Set the rules, and return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        location = state_location(options.environment)
        bucket = location.bucket
        with aws_errors_as(LifecycleError):
            kept = set_rules(boto3.client("s3", region_name=location.region), bucket)
    except (EnvironmentFileError, LifecycleError) as error:
        print(error, file=sys.stderr)
        return 1
    for rule in RULES:
        print(f"{bucket}: set the rule {rule['ID']!r}")
    for name in kept:
        print(f"{bucket}: kept the rule {name!r}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Sets this service's lifecycle rules in the bucket of the state.",
        epilog="Rules with other ids stay. A second run changes nothing.",
    )
    parser.add_argument("--environment", choices=DEPLOYMENTS, required=True)
    return parser


if __name__ == "__main__":
    sys.exit(main())
