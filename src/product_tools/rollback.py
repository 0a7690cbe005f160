"""Rollback of a shift: every alias goes back to the version before it."""

import sys
from collections.abc import Sequence
from dataclasses import replace

from product_tools.aliases import Alias, AliasError, Aliases, AliasMovedError, Phase

ATTEMPTS_AGAINST_RUNNING_SHIFT = 5


def is_unfinished(states: Sequence[Alias]) -> bool:
    """Return whether the last shift of any function is neither complete nor rolled back."""
    return any(alias.is_shifting for alias in states)


def roll_back(aliases: Aliases, functions: Sequence[str], shift: int) -> bool:
    """Roll back one shift on every function, and print one line for each.

    An error on one function does not stop the rollback of the others.

    Args:
        aliases: reads and moves the aliases.
        functions: the names of the functions; those outside the shift do not change.
        shift: the number of the shift.

    Returns:
        Whether every function of the shift is back on its old version.
    """
    is_complete = True
    for function in functions:
        try:
            print(_roll_back_function(aliases, function, shift), flush=True)
        except AliasError as error:
            print(f"{function} is not rolled back: {error}", file=sys.stderr, flush=True)
            is_complete = False
    return is_complete


def _roll_back_function(aliases: Aliases, function: str, shift: int) -> str:
    """Roll back one function, even while a running shift moves its alias."""
    attempt = 1
    while True:
        current = aliases.read(function)
        record = current.last_shift
        if record is None or record.number != shift:
            return f"{function}: stays on version {current.version}; shift {shift} did not move it"
        if record.phase is Phase.ROLLED_BACK:
            return (
                f"{function}: is on version {current.version}; shift {shift} is already rolled back"
            )
        if current.version not in (record.old_version, record.new_version):
            raise AliasError(
                f"after shift {shift} from version {record.old_version} to {record.new_version},"
                f" someone moved it to version {current.version}; if that is wrong, move it back"
                " with `aws lambda update-alias`."
            )
        try:
            aliases.move(current, record.old_version, {}, replace(record, phase=Phase.ROLLED_BACK))
        except AliasMovedError:
            if attempt == ATTEMPTS_AGAINST_RUNNING_SHIFT:
                raise
            attempt += 1
        else:
            return (
                f"{function}: rolled back from version {record.new_version} to"
                f" {record.old_version}, for all requests"
            )
