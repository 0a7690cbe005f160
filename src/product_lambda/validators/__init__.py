"""Checks of what a request carries; each names every fault it sees in one ValidationException."""
