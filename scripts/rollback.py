#!/usr/bin/env python3
"""Puts the alias `live` of every function back on the version before the last shift, in seconds.

It deploys nothing and asks nothing; a second run changes nothing.
"""

import argparse
import sys
from collections.abc import Sequence

import environment_check

from botocore.exceptions import BotoCoreError

from product_tools.aliases import AliasError, Aliases, explained, lambda_client, latest_shift
from product_tools.functions import ENVIRONMENTS, function_names
from product_tools.rollback import is_unfinished, roll_back


def main(arguments: Sequence[str] | None = None) -> int:
    """Roll back as the command line asks, and return the exit code: 0 when all is as it was."""
    options = _parser().parse_args(arguments)
    functions = options.functions or function_names(options.environment)
    try:
        aliases = Aliases(lambda_client())
        states = [aliases.read(function) for function in functions]
        shift = latest_shift(states)
        if shift == 0:
            print(
                "No shift is recorded on these functions, so there is no version before: to go to"
                " another one, use `aws lambda update-alias --name live --function-version NUMBER"
                " --function-name FUNCTION`.",
                file=sys.stderr,
            )
            return 1
        if options.unfinished_only and not is_unfinished(states):
            print(f"No shift is unfinished; the last one was number {shift}.")
            return 0
        return roll_back(aliases, functions, shift)
    except (AliasError, BotoCoreError) as error:
        print(error if isinstance(error, AliasError) else explained(error), file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Puts every function's alias `live` back to the version before the last shift.",
        epilog="That version stands in the alias's description. A second run changes nothing.",
    )
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--environment", choices=ENVIRONMENTS, help="whose functions to roll back")
    which.add_argument("--functions", nargs="+", metavar="NAME", help="functions to roll back")
    parser.add_argument(
        "--unfinished-only",
        action="store_true",
        help="undo a shift only if it was interrupted before its end",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
