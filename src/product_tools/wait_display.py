"""Shows that a command waits, and for how long: on a terminal always, in a log once a minute."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn

SECONDS_BETWEEN_LINES = 60.0


@contextmanager
def shown_wait(
    text: str,
    limit_seconds: float,
    console: Console | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Callable[[], None]]:
    """Show a wait until the context ends.

    Args:
        text: what the command does meanwhile, such as `Watching 15 alarms`.
        limit_seconds: the longest wait.
        console: where to show it; by default the standard output.
        clock: the current time in seconds.

    Returns:
        A function to call now and then. In a log, it prints a line if the last one is a minute old.
    """
    console = console or Console(highlight=False, soft_wrap=True)
    limit = timedelta(seconds=int(limit_seconds))
    if console.is_terminal:
        columns = TextColumn(f"{text}:"), TimeElapsedColumn(), TextColumn(f"of {limit}")
        with Progress(*columns, console=console, transient=True) as progress:
            progress.add_task("")
            yield lambda: None
        return

    started = last_line = clock()
    console.print(f"{text}, for up to {limit}.")

    def show() -> None:
        nonlocal last_line
        now = clock()
        if now - last_line >= SECONDS_BETWEEN_LINES:
            last_line = now
            console.print(f"{text}: {timedelta(seconds=int(now - started))} of {limit}.")

    yield show
