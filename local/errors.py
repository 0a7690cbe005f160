"""The errors of the local server; their text is a sentence for the person at the terminal."""


class LocalError(Exception):
    """Something outside the program stops it; the text says what, and what to do about it."""


class SettingsError(LocalError):
    """A setting cannot be used; the text names each that is wrong, and what to give instead."""
