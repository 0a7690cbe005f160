#!/usr/bin/env python3
"""Rolls back the last shift: the alias `live` of every function returns to the version before it.

It takes seconds, deploys nothing and asks for no confirmation. A second run changes nothing.
"""

import argparse
import sys
from collections.abc import Sequence

import environment_check

from product_tools.aliases import AliasError, Aliases, lambda_client, latest_shift_number
from product_tools.functions import ENVIRONMENTS, function_names
from product_tools.rollback import is_unfinished, roll_back


def main(arguments: Sequence[str] | None = None) -> int:
    """Roll back, and return the exit code: 0 when every function is back on its old version."""
    options = _parser().parse_args(arguments)
    functions = options.functions or function_names(options.environment)
    try:
        aliases = Aliases(lambda_client())
        states = [aliases.read(function) for function in functions]
        shift = latest_shift_number(states)
        if shift == 0:
            print(
                "These functions record no shift, so the previous version is unknown: to choose"
                " a version, use `aws lambda update-alias --name live --function-version NUMBER"
                " --function-name FUNCTION`.",
                file=sys.stderr,
            )
            return 1
        if options.unfinished_only and not is_unfinished(states):
            print(f"No shift is unfinished; the last one was number {shift}.")
            return 0
        return 0 if roll_back(aliases, functions, shift) else 1
    except AliasError as error:
        print(error, file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Returns the alias `live` of every function to the version before the shift.",
        epilog="The alias's description records that version. A second run changes nothing.",
    )
    selection = parser.add_mutually_exclusive_group(required=True)
    selection.add_argument(
        "--environment", choices=ENVIRONMENTS, help="roll back all functions of this environment"
    )
    selection.add_argument("--functions", nargs="+", metavar="NAME", help="functions to roll back")
    parser.add_argument(
        "--unfinished-only",
        action="store_true",
        help="roll back only a shift that was interrupted before its end",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
