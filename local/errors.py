"""The one error of the local server; its text is a sentence for the person at the terminal."""


class LocalError(Exception):
    """Something outside the program stops it; the text says what, and what to do about it."""
