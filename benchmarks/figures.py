"""The arithmetic of all measurements: medians, quartiles, percentiles, ratios."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """What several rounds gave: the median, and the quartiles on either side of it."""

    median: float
    lower: float
    upper: float


def figure_of(values: Sequence[float]) -> Figure:
    """Sum rounds up; a single round is its own quartiles."""
    if len(values) == 1:
        return Figure(values[0], values[0], values[0])
    lower, median, upper = statistics.quantiles(values, n=4, method="inclusive")
    return Figure(median, lower, upper)


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that at least `percent` of the values do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def ratio(ours: Figure, other: Figure) -> float:
    """How many times `other` we are, by the medians."""
    return ours.median / other.median
