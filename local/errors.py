"""The errors of local servers and deployments; their text is a sentence with the next step."""


class LocalError(Exception):
    """A cause outside the program stops it."""


class SettingsError(LocalError):
    """One or more settings are invalid; the text names each of them, and its valid values."""
