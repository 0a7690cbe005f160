"""Checks of requests; each reports all its validation errors in one ValidationException."""
