"""What a waiting command shows, on a terminal and in a log."""

import io

from rich.console import Console

from product_tools.wait_display import shown_wait


def test_log_gets_first_line_and_one_line_a_minute() -> None:
    log = io.StringIO()
    seconds = iter([0, 10, 59, 61, 70, 121, 300])

    with shown_wait("Watching", 300, Console(file=log), lambda: next(seconds)) as show:
        for _ in range(6):
            show()

    assert log.getvalue().splitlines() == [
        "Watching, for up to 0:05:00.",
        "Watching: 0:01:01 of 0:05:00.",
        "Watching: 0:02:01 of 0:05:00.",
        "Watching: 0:05:00 of 0:05:00.",
    ]


def test_terminal_shows_elapsed_and_longest_wait() -> None:
    terminal = io.StringIO()

    with shown_wait("Watching", 300, Console(file=terminal, force_terminal=True)) as show:
        show()

    assert "Watching:" in terminal.getvalue()
    assert "0:00:00" in terminal.getvalue()
    assert "of 0:05:00" in terminal.getvalue()
