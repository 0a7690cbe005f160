"""A pytest plugin of `make mutants`: the files with the fastest tests run first.

Most mutants fail many tests, and the first failure ends the tests of a mutant.
"""

import collections
import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

_DURATIONS = Path("mutmut-stats.json")


def pytest_configure(config: pytest.Config) -> None:
    """Sort the tests that mutmut gives, by the durations that it measured."""
    if _DURATIONS.exists():  # else mutmut is measuring them
        stats = json.loads(_DURATIONS.read_text(encoding="utf-8"))
        config.args[:] = fastest_first(config.args, stats["duration_by_test"])


def fastest_first(tests: Sequence[str], durations: Mapping[str, float]) -> list[str]:
    """Return the tests by the mean duration of their file, then by their own.

    Tests of one file stay together, because they share fixtures. A test without a duration counts
    as the fastest.
    """
    of_files: dict[str, list[float]] = collections.defaultdict(list)
    for test in tests:
        of_files[_file(test)].append(durations.get(test, 0))
    means = {file: statistics.fmean(seconds) for file, seconds in of_files.items()}
    return sorted(tests, key=lambda test: (means[_file(test)], _file(test), durations.get(test, 0)))


def _file(test: str) -> str:
    return test.partition("::")[0]
