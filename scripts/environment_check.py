"""Imported first by each command: says in one sentence which package is missing.

A command in this folder runs in the environment that `make setup` creates.
"""

import sys
from types import TracebackType


def explain_missing_package(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Print one sentence for a module that cannot be found, and the traceback of anything else."""
    if isinstance(error, ModuleNotFoundError):
        print(
            f"The package {error.name} is not installed for {sys.executable}: run make setup,"
            f" then .venv/bin/python {sys.argv[0]}.",
            file=sys.stderr,
        )
    else:
        sys.__excepthook__(kind, error, trace)


sys.excepthook = explain_missing_package
