#!/usr/bin/env python3
"""Puts the alias `live` of every function back to the version before the last shift, in seconds.

It deploys nothing and asks nothing; a second run changes nothing.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

# Run as a file, Python has this folder on its path and not the repository.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from botocore.exceptions import BotoCoreError

from scripts.aliases import (
    ENVIRONMENTS,
    Alias,
    AliasError,
    Aliases,
    AliasMovedError,
    Note,
    Phase,
    explained,
    function_names,
    lambda_client,
    latest_shift,
)

ATTEMPTS_AGAINST_A_RUNNING_SHIFT = 5


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


def is_unfinished(states: Sequence[Alias]) -> bool:
    """Tell whether the last shift was neither completed nor undone on each of its functions."""
    return any(alias.note and alias.note.phase is Phase.SHIFTING for alias in states)


def roll_back(aliases: Aliases, functions: Sequence[str], shift: int) -> int:
    """Undo one shift on each function that it moved, and say what was done.

    One function that cannot be moved does not keep the others from it.

    Returns:
        The exit code: 1 when a function is not back.
    """
    exit_code = 0
    for function in functions:
        try:
            print(_undo(aliases, function, shift), flush=True)
        except AliasError as error:
            print(f"{function} is not rolled back: {error}", file=sys.stderr, flush=True)
            exit_code = 1
    return exit_code


def _undo(aliases: Aliases, function: str, shift: int) -> str:
    """Undo a shift on one function, also against a shift that still runs and moves it on."""
    attempt = 1
    while True:
        current = aliases.read(function)
        note = current.note
        if note is None or note.shift != shift:
            return f"{function}: stays on version {current.version}, which shift {shift} left alone"
        if note.phase is Phase.ROLLED_BACK:
            return f"{function}: is on version {current.version} since shift {shift} was undone"
        if current.version not in (note.before, note.to):
            raise AliasError(
                f"somebody has pointed it at version {current.version} since shift {shift}, which"
                f" led from {note.before} to {note.to}; move it by hand if that is wrong."
            )
        undone = Note(Phase.ROLLED_BACK, note.before, note.to, note.shift)
        try:
            aliases.move(current, note.before, {}, undone)
        except AliasMovedError:
            if attempt == ATTEMPTS_AGAINST_A_RUNNING_SHIFT:
                raise
            attempt += 1
        else:
            return f"{function}: back from version {note.to} on {note.before}, for all requests"


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
