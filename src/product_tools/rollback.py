"""Puts aliases back on the version before a shift."""

import sys
from collections.abc import Sequence

from product_tools.aliases import (
    Alias,
    AliasError,
    Aliases,
    AliasMovedError,
    Note,
    Phase,
)

ATTEMPTS_AGAINST_A_RUNNING_SHIFT = 5


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
