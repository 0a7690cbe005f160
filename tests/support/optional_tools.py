"""Tests that need a program which not everyone has: they are skipped without it, but not in CI."""

import os
from pathlib import Path
from typing import NoReturn

import pytest

_LOCAL = Path(__file__).resolve().parents[2] / ".local"


def skip_test_without(requirement: str) -> NoReturn:
    """Skip the test, since a requirement is missing; in CI the test fails.

    Args:
        requirement: what is missing and how to install it.
    """
    if os.environ.get("CI") == "true":
        pytest.fail(f"This test needs {requirement}.")
    pytest.skip(f"were skipped: they need {requirement}")


def installed(environment: str) -> Path:
    """Return the folder of an environment of `scripts/bootstrap.sh`; without it, skip the test."""
    folder = _LOCAL / environment.replace("-", "_")
    if not any(folder.glob(".*stamp")):
        skip_test_without(f"{environment}: run scripts/bootstrap.sh {environment}")
    return folder
