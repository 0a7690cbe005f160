"""The arithmetic of all measurements: medians, quartiles, percentiles, ratios."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """The median of several rounds, with the lower and the upper quartile."""

    median: float
    lower: float
    upper: float


def figure_of(values: Sequence[float]) -> Figure:
    """Return the median and the quartiles; one value is its own quartiles."""
    if len(values) == 1:
        return Figure(values[0], values[0], values[0])
    lower, median, upper = statistics.quantiles(values, n=4, method="inclusive")
    return Figure(median, lower, upper)


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that at least `percent` of the values do not exceed.

    This is the nearest-rank method: the result is always a measured value.
    """
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def ratio(ours: Figure, other: Figure) -> float:
    """Return our lower quartile divided by the other one.

    Other load on the machine makes a time longer, never shorter, so it moves a lower quartile less
    than a median.
    """
    return ours.lower / other.lower


def ratio_beyond(floor: Figure, ours: Figure, other: Figure) -> float:
    """Return the same ratio, with the lower quartile of the floor taken from both."""
    return (ours.lower - floor.lower) / (other.lower - floor.lower)
