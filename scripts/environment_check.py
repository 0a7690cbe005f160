"""Explains a missing package in one sentence; commands import this module first.

The commands in this folder need the Python environment that `make setup` creates.
"""

import sys
from types import TracebackType


def explain_missing_package(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Print one sentence for a missing package, and the traceback of any other error."""
    if isinstance(error, ModuleNotFoundError):
        print(
            f"The package {error.name} is not installed for {sys.executable}: run make setup,"
            f" then .venv/bin/python {sys.argv[0]}.",
            file=sys.stderr,
        )
    else:
        sys.__excepthook__(kind, error, trace)


sys.excepthook = explain_missing_package
