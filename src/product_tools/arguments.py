"""Types of arguments that several commands have, for argparse."""

import argparse


def at_least_one(text: str) -> int:
    """Return a whole number of at least 1.

    Raises:
        ValueError: the text is no whole number.
        argparse.ArgumentTypeError: the number is below 1.
    """
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} must be 1 or more")
    return number
