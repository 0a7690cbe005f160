"""What all commands need at their start; they import this module first.

A missing package is one sentence: the commands in this folder need the Python environment that
`make setup` creates. A reader of the output that has ended, such as `head`, is no error.
"""

import atexit
import os
import sys
from types import TracebackType


def explain_failure(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Print one sentence for a missing package, and the traceback of any other error."""
    if isinstance(error, ModuleNotFoundError):
        print(
            f"The package {error.name} is not installed for {sys.executable}: run make setup,"
            f" then .venv/bin/python {sys.argv[0]}.",
            file=sys.stderr,
        )
    elif isinstance(error, BrokenPipeError):
        discard_output()
    else:
        sys.__excepthook__(kind, error, trace)


def discard_output() -> None:
    """Send the rest of the output nowhere (Python documentation, "Note on SIGPIPE")."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def flush_output() -> None:
    """Print what is left in the buffer, if somebody still reads it."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        discard_output()


sys.excepthook = explain_failure
atexit.register(flush_output)
